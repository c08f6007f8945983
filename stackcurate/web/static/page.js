// The four parts of the page, one shown at a time, by the address's fragment.

import { $, ask, tell } from "./dom.js";
import * as lookup from "./lookup.js";
import * as optOut from "./optout.js";
import * as release from "./release.js";
import * as source from "./source.js";

const parts = ["look-up", "opt-out", "source", "release"];
let known = null;

function show(moved) {
  const wanted = location.hash.slice(1);
  if (wanted === "main") return;
  const name = parts.includes(wanted) ? wanted : parts[0];
  for (const part of parts) $(part).hidden = part !== name;
  for (const link of document.querySelectorAll("nav a")) {
    if (link.hash === `#${name}`) link.setAttribute("aria-current", "page");
    else link.removeAttribute("aria-current");
  }
  if (name === "release" && known) release.show(known);
  if (moved) {
    scrollTo(0, 0);
    $(`${name}-title`).focus({ preventScroll: true });
  }
}

lookup.start(optOut.choose);
optOut.start();
source.start();
addEventListener("hashchange", () => show(true));
show(false);
try {
  known = await ask("/api/release");
  release.introduce(known);
  show(false);
} catch (error) {
  tell("look-up-status", error.message, true);
}
// A question can be linked to: /?q=octocat
const query = new URLSearchParams(location.search).get("q");
if (query) {
  $("query").value = query;
  $("look-up-form").requestSubmit();
}
