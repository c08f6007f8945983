// The part of Markdown that a card is written in, as elements: headings, paragraphs, tables, lists and `code`.

import { make, table } from "./dom.js";

const inline = (text) => text.split(/(`[^`]+`)/).filter(Boolean)
  .map((part) => (part.length > 2 && part[0] === "`" ? make("code", {}, part.slice(1, -1)) : part));
const cells = (line) => line.replace(/^\||\|$/g, "").split("|").map((cell) => cell.trim());

function rows(block) {
  const [heads, rule, ...body] = block.map(cells);
  const styles = rule.map((mark) => (mark.endsWith(":") ? "n" : undefined));
  const styled = (row) => heads.map((_, index) => [make("span", {}, ...inline(row[index] ?? "")), styles[index]]);
  return table(styled(heads), body.map(styled));
}

function block(lines) {
  const heading = /^#{1,6}\s+(.*)/.exec(lines[0]);
  if (heading) return make("h3", {}, ...inline(heading[1]));
  if (lines.length > 1 && lines[0].startsWith("|") && /^\|[\s:|-]+$/.test(lines[1])) return rows(lines);
  if (lines.every((line) => /^[-*] /.test(line))) return make("ul", {}, ...lines.map((line) => make("li", {}, ...inline(line.slice(2)))));
  return make("p", {}, ...inline(lines.join(" ")));
}

export function markdown(text) {
  const bare = text.replace(/^---\n[\s\S]*?\n---\n/, "");
  return bare.split(/\n\s*\n/).map((part) => part.split("\n").filter((line) => line.trim())).filter((lines) => lines.length).map(block);
}
