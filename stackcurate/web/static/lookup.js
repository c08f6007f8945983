// Look up an account or a repository, and pick what should go.

import { $, ask, count, make, onSubmit, size, some, table, tell } from "./dom.js";

const sorted = (counts) => Object.entries(counts).sort((a, b) => b[1] - a[1] || (a[0] < b[0] ? -1 : 1));

function files(repository) {
  const place = make("div");
  const more = make("button", { class: "second", type: "button", hidden: true }, "Show more files");
  let offset = 0;
  const load = async () => {
    more.hidden = true;
    try {
      const found = await ask(`/api/files?q=${encodeURIComponent(repository.repo)}&offset=${offset}`);
      const rows = found.files.map((file) => [[file.path, "path"], [file.language], [file.license || "none found"], [size(file.size), "n"]]);
      place.append(table([["File"], ["Language"], ["Licence"], ["Size", "n"]], rows));
      offset += found.files.length;
      more.hidden = offset >= found.total || !found.files.length;
    } catch (error) {
      place.append(make("p", { class: "notice" }, error.message));
      more.hidden = false;
    }
  };
  more.addEventListener("click", load);
  const shards = make("p", { class: "hint" }, `In ${repository.shards.join(", ")} at revision ${repository.revision.slice(0, 12)}.`);
  const details = make("details", {}, make("summary", { "aria-label": `Files of ${repository.repo}` }, "Files"), place, more, shards);
  details.addEventListener("toggle", () => { if (details.open && !offset) load(); });
  return details;
}

function row(repository, index, changed) {
  const id = `repository-${index}`;
  const box = make("input", { type: "checkbox", id, value: repository.repo });
  box.addEventListener("change", changed);
  return make("li", { class: "repository" }, box, make("label", { for: id }, repository.repo),
    make("span", { class: "count" }, `${some(repository.files, "file")}, ${size(repository.bytes)}`),
    make("ul", { class: "facts chips", "aria-label": "Languages and licences" },
      ...sorted(repository.languages).map(([name, number]) => make("li", {}, `${name} ${count(number)}`)),
      ...sorted(repository.licenses).map(([name]) => make("li", { class: "licence" }, name))),
    files(repository));
}

function results(found, choose) {
  const said = make("span", { class: "said" }, "Tick the repositories that should go.");
  const boxes = () => [...list.querySelectorAll("input:checked")].map((box) => box.value);
  const go = make("button", { type: "button", disabled: true, on: () => choose({ repositories: boxes() }) }, "Ask to remove these");
  const changed = () => {
    const picked = boxes().length;
    go.disabled = !picked;
    said.textContent = picked ? `${some(picked, "repository", "repositories")} ticked.` : "Tick the repositories that should go.";
  };
  const list = make("ul", { class: "plain-list", "aria-label": "Repositories" }, ...found.repositories.map((one, i) => row(one, i, changed)));
  const owners = new Set(found.repositories.map((one) => one.repo.split("/")[0]));
  const account = owners.size === 1 && found.repositories[0].repo.includes("/") ? [...owners][0] : null;
  const whole = account && make("button", { class: "second", type: "button", on: () => choose({ accounts: [account] }) }, `Remove all of ${account}`);
  return make("div", { class: "panel" }, list, make("div", { class: "actions" }, said, whole, go));
}

function nothing(query, choose) {
  const where = query.includes("/") ? { repositories: [query] } : { accounts: [query] };
  return make("div", { class: "panel empty" }, make("p", { class: "big" }, "Not in this release"),
    make("p", {}, "Nothing under this name is released. You can still ask that it stays out of later versions."),
    make("p", {}, make("button", { class: "second", type: "button", on: () => choose(where) }, "Ask to stay out")));
}

export function start(choose) {
  onSubmit("look-up", async () => {
    const query = $("query").value.trim();
    $("ways").hidden = true;
    const found = await ask(`/api/lookup?q=${encodeURIComponent(query)}`);
    const number = found.repositories.length;
    const more = found.more ? ` The first ${count(number)} are listed; name a repository to see another.` : "";
    tell("look-up-status", number
      ? `${some(found.files, "file")} (${size(found.bytes)}) in ${some(number + found.more, "repository", "repositories")}.${more}` : `Nothing found for ${query}.`);
    $("look-up-result").replaceChildren(number ? results(found, choose) : nothing(query, choose));
  });
}
