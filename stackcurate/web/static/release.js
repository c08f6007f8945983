// The release in numbers, its funnel, its documents and its card.

import { $, ask, count, make, size, some, tell } from "./dom.js";
import { markdown } from "./markdown.js";

const names = {
  opt_outs: "opt-outs", files: "unreadable", licenses: "licences", near_dups: "duplicates", pii: "personal data",
};
const words = (code) => code.replaceAll("_", " ");

function step(stage, funnel) {
  const width = (number) => 100 * number / Math.max(funnel.files, 1);
  const why = funnel.dropped.filter((row) => row.stage === stage.stage).map((row) => `${words(row.reason)} ${count(row.files)}`);
  const bars = make("svg", { class: "bars", viewBox: "0 0 100 10", preserveAspectRatio: "none", "aria-hidden": "true" },
    make("rect", { class: "left", width: width(stage.left), height: 10 }),
    make("rect", { class: "lost", x: width(stage.left), width: width(stage.lost), height: 10 }));
  return make("li", { class: "step" }, make("span", {}, names[stage.stage] ?? words(stage.stage)), bars,
    make("span", { class: "n" }, count(stage.left)),
    why.length ? make("span", { class: "why" }, `−${count(stage.lost)}: ${why.join(", ")}`) : null);
}

function numbers(release) {
  const facts = [["files", count(release.rows)], ["of text", size(release.content_bytes)],
    ["languages", count(Object.keys(release.languages).length)], ["repositories read", count(release.repositories_read)],
    ["names and secrets replaced", count(release.redactions)]];
  return facts.map(([name, value]) => make("div", {}, make("dt", {}, name), make("dd", {}, value)));
}

export function introduce(release) {
  $("title").textContent = release.title;
  $("version").textContent = release.version;
  $("about").textContent = `${some(release.rows, "file")} in ${some(Object.keys(release.languages).length, "language")}: what is in it, what was left out and why.`;
  document.title = `${release.title} ${release.version}`;
  if (release.guaranteed) {
    $("code-hint").textContent = `Passages of ${release.guaranteed} characters or more, spaces aside, are always found. The text is compared here and is not kept.`;
  } else {
    tell("source-status", "This release has no index of its text, so sources cannot be found.");
    $("source-form").hidden = true;
  }
}

export async function show(release) {
  if ($("funnel").firstChild) return;
  try {
    const [funnel, card] = await Promise.all([ask("/api/funnel"), fetch("/documents/README.md").then((answer) => answer.text())]);
    $("release-lead").textContent = `${release.title} ${release.version}: ${some(funnel.kept.files, "file")} of ${count(funnel.files)} that were read.`;
    $("numbers").replaceChildren(...numbers(release));
    $("funnel").replaceChildren(make("ol", { class: "plain-list" }, ...funnel.stages.map((stage) => step(stage, funnel))));
    $("documents").replaceChildren(...release.documents.map((name) => make("li", {}, make("a", { href: `/documents/${name}` }, name))));
    $("card").replaceChildren(...markdown(card));
  } catch (error) {
    tell("release-status", error.message, true);
  }
}
