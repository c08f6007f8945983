// Paste code, see where it comes from: passages marked in the text, sources with their licences below.

import { $, ask, make, onSubmit, some, tell } from "./dom.js";

// The letters of a text that lie in a passage, as ranges that do not overlap.
function ranges(matches) {
  const merged = [];
  for (const { start, end } of [...matches].sort((a, b) => a.start - b.start)) {
    const last = merged[merged.length - 1];
    if (last && start <= last[1]) last[1] = Math.max(last[1], end);
    else merged.push([start, end]);
  }
  return merged;
}

function marked(text, matches) {
  const letters = [...text];
  const passages = ranges(matches);
  const shown = make("pre", { class: "text", tabindex: "0", role: "region", "aria-label": "Your text, passages marked" });
  let line = make("span", { class: "line" });
  const put = (piece, found) => piece.split("\n").forEach((part, index) => {
    if (index) { line.append("\n"); shown.append(line); line = make("span", { class: "line" }); }
    const indent = found ? /^\s*/.exec(part)[0] : "";
    line.append(indent);
    if (part.length > indent.length) line.append(found ? make("mark", {}, part.slice(indent.length)) : part);
  });
  let at = 0;
  for (const [start, end] of passages) {
    put(letters.slice(at, start).join(""), false);
    put(letters.slice(start, end).join(""), true);
    at = end;
  }
  put(letters.slice(at).join(""), false);
  shown.append(line);
  return shown;
}

function source(match) {
  const here = match.start_line === match.end_line ? `Line ${match.start_line}` : `Lines ${match.start_line} to ${match.end_line}`;
  return make("li", { class: "match" },
    make("p", { class: "place" }, `${match.repo}/${match.path}`),
    make("p", {}, `${here} of your text: lines ${match.source_start_line} to ${match.source_end_line} at revision ${match.revision.slice(0, 12)}.`),
    make("ul", { class: "chips", "aria-label": "Licence" }, make("li", { class: "licence" }, match.license || "no licence found")));
}

export function start() {
  const form = onSubmit("source", async () => {
    const text = $("code").value;
    const found = await ask("/api/attribution", { text });
    if (!found.matches.length) {
      tell("source-status", `No passage of ${found.guaranteed} characters or more, spaces aside, stands in this release.`);
      return;
    }
    const files = new Set(found.matches.map((match) => `${match.repo}/${match.path}`)).size;
    const rest = found.complete ? "" : " Too many files share pieces of it; there may be more.";
    tell("source-status", `${some(found.matches.length, "passage")} from ${some(files, "file")}.${rest}`);
    $("source-result").replaceChildren(
      make("ul", { class: "panel plain-list", "aria-label": "Sources" }, ...found.matches.map(source)), marked(text, found.matches));
  });
  $("code").addEventListener("keydown", (event) => {
    if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) form.requestSubmit();
  });
}
