// File a request and show its number.

import { $, ask, count, make, onSubmit, some, tell } from "./dom.js";

const lines = (id) => $(id).value.split(/[\n,;]+/).map((line) => line.trim()).filter(Boolean);

function add(id, names) {
  const known = lines(id);
  $(id).value = [...known, ...names.filter((name) => !known.includes(name))].join("\n");
}

export function choose({ accounts = [], repositories = [] }) {
  add("accounts", accounts);
  add("repositories", repositories);
  $("repositories").rows = Math.min(Math.max(lines("repositories").length + 1, 4), 14);
  location.hash = "#opt-out";
}

function receipt(said) {
  const scope = said.scope === "now" ? "what is there now" : "now and in the future";
  return make("div", { class: "receipt", tabindex: "-1" },
    make("h2", { class: "first" }, "Your request is in"),
    make("p", {}, "Keep this number. The proof of removal of a later release bears it."),
    make("p", { class: "number" }, said.receipt),
    make("ul", {}, ...said.requests.map((one) => make("li", {}, `${one.kind === "owner" ? "account" : "repository"} ${one.value}`))),
    make("p", {}, `It is for ${scope}. What was released before stays as it is until the next version replaces it.`));
}

const states = {
  waiting: "It waits for a person to read it.",
  recorded: "It was read and stands in the ledger. The next version of the dataset decides on it.",
};
const outcome = ({ from, files, at }) =>
  `From release ${from} on: ${files ? `${count(files)} files removed` : "nothing had to be removed"} (${at.slice(0, 10)}).`;

async function progress() {
  const found = await ask(`/api/opt-outs/${encodeURIComponent($("receipt").value.trim())}`);
  tell("progress-status", found.decided.map(outcome).join(" ") || `Received ${found.at.slice(0, 10)}. ${states[found.state]}`);
}

export function start() {
  onSubmit("progress", progress);
  const form = onSubmit("opt-out", async () => {
    const accounts = lines("accounts");
    const repositories = lines("repositories");
    if (!accounts.length && !repositories.length) {
      $("accounts").focus();
      throw new Error("Name at least one account or repository.");
    }
    const scope = form.querySelector("input[name=scope]:checked").value;
    const said = await ask("/api/opt-outs", { accounts, repositories, scope, note: $("note").value });
    form.reset();
    tell("opt-out-status", `Request ${said.receipt} with ${some(said.requests.length, "name")} was received.`);
    const shown = receipt(said);
    $("opt-out-result").replaceChildren(shown);
    shown.focus();
  });
}
