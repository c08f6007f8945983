// Elements, requests and numbers. Text from outside becomes text nodes and nothing else.

export const $ = (id) => document.getElementById(id);

export function make(name, attributes = {}, ...children) {
  const node = name === "svg" || name === "rect"
    ? document.createElementNS("http://www.w3.org/2000/svg", name) : document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) {
    if (key === "on") node.addEventListener("click", value);
    else if (value !== undefined && value !== false) node.setAttribute(key, value === true ? "" : value);
  }
  node.append(...children.filter((child) => child !== null && child !== undefined));
  return node;
}

export const count = (number) => number.toLocaleString("en");
export const some = (number, one, many = `${one}s`) => `${count(number)} ${number === 1 ? one : many}`;

export function size(bytes) {
  const units = ["bytes", "kB", "MB", "GB", "TB"];
  let step = 0;
  while (bytes >= 1000 && step < units.length - 1) { bytes /= 1000; step += 1; }
  return `${step ? bytes.toFixed(bytes < 10 ? 1 : 0) : bytes} ${units[step]}`;
}

export async function ask(path, body) {
  const options = body === undefined ? {} : {
    method: "POST", headers: { "content-type": "application/json" }, body: JSON.stringify(body),
  };
  let answer;
  try {
    answer = await fetch(path, options);
  } catch {
    throw new Error("The server does not answer. Please try again.");
  }
  const said = await answer.json().catch(() => ({}));
  if (!answer.ok) throw new Error(said.error ? `${said.error[0].toUpperCase()}${said.error.slice(1)}.` : `Error ${answer.status}.`);
  return said;
}

export function tell(id, text, bad = false) {
  const place = $(id);
  place.textContent = text;
  place.classList.toggle("bad", bad);
}

// Runs what a form asks for: one at a time, errors told where results are told.
export function onSubmit(name, work) {
  const form = $(`${name}-form`);
  form.addEventListener("submit", async (event) => {
    event.preventDefault();
    const button = form.querySelector("button");
    if (button.disabled) return;
    button.disabled = true;
    $(`${name}-result`).replaceChildren();
    tell(`${name}-status`, "One moment…");
    try {
      await work();
    } catch (error) {
      tell(`${name}-status`, error.message, true);
    } finally {
      button.disabled = false;
    }
  });
  return form;
}

export function table(heads, rows) {
  const cell = (kind, [text, style], scope) => make(kind, { class: style, scope }, text);
  return make("div", { class: "scroll", tabindex: "0", role: "region", "aria-label": heads.map(([text]) => text).join(", ") },
    make("table", {},
      make("thead", {}, make("tr", {}, ...heads.map((head) => cell("th", head, "col")))),
      make("tbody", {}, ...rows.map((row) => make("tr", {}, ...row.map((one) => cell("td", one)))))));
}
