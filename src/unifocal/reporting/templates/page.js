// What every part of the page shares: the theme, definitions of metrics, and what printing needs.
"use strict";

const byId = (id) => document.getElementById(id);

/** An element with attributes and children; strings become text, never markup. */
function make(tag, attributes = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (value === null || value === undefined || value === false) continue;
    element.setAttribute(name, value === true ? "" : String(value));
  }
  element.append(...children.filter((child) => child !== null && child !== undefined));
  return element;
}

/** A name that may be broken after an underscore and before a bracket. */
function breakable(name) {
  return name.split(/(?<=_)|(?=\()/).flatMap((piece, at) => (at ? [make("wbr"), piece] : [piece]));
}

/** A button whose words are its name. */
function makeButton(words, onClick, attributes = {}) {
  const button = make("button", { type: "button", ...attributes }, words);
  button.addEventListener("click", onClick);
  return button;
}

function remembered(key) {
  try {
    return localStorage.getItem(key);
  } catch {
    return null; // Some browsers keep nothing for local files.
  }
}

function remember(key, value) {
  try {
    localStorage.setItem(key, value);
  } catch {
    // The choice then lasts as long as the page.
  }
}

function isDark() {
  const chosen = document.documentElement.dataset.theme;
  return chosen ? chosen === "dark" : matchMedia("(prefers-color-scheme: dark)").matches;
}

/** At once, before anything is drawn in the other colours. */
function applyTheme() {
  const chosen = remembered("unifocal-theme");
  if (chosen === "dark" || chosen === "light") document.documentElement.dataset.theme = chosen;
}

function startTheme() {
  const button = byId("theme");
  const show = () => {
    button.textContent = isDark() ? "Light page" : "Dark page";
  };
  button.hidden = false;
  button.addEventListener("click", () => {
    const theme = isDark() ? "light" : "dark";
    document.documentElement.dataset.theme = theme;
    remember("unifocal-theme", theme);
    show();
  });
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", show);
  show();
}

/** Links to a metric's definition open it in place; without scripts they lead to it. */
function startDefinitions() {
  const dialog = byId("definition");
  const body = byId("definition-body");
  document.addEventListener("click", (event) => {
    const link = event.target.closest?.("a.metric");
    const entry = link && byId(link.getAttribute("href").slice(1));
    if (!entry) return;
    event.preventDefault();
    const copy = entry.cloneNode(true);
    copy.removeAttribute("id");
    body.replaceChildren(copy);
    dialog.setAttribute("aria-label", `Definition of ${entry.dataset.title}`);
    dialog.showModal();
  });
  byId("definition-close").addEventListener("click", () => dialog.close());
  dialog.addEventListener("click", (event) => {
    if (event.target === dialog) dialog.close(); // The backdrop belongs to the dialog.
  });
}

/** A link to a metric's definition; plain text where the page has none. */
function metricLink(metric, title) {
  if (!byId(`metric-${metric}`)) return document.createTextNode(title);
  return make("a", { class: "metric", href: `#metric-${metric}` }, title);
}

/** A target inside a closed block is opened when a link leads to it. */
function openTarget() {
  const target = location.hash.length > 1 && byId(decodeURIComponent(location.hash.slice(1)));
  for (let block = target && target.closest("details"); block; block = block.parentElement.closest("details")) {
    block.open = true;
  }
}

/** Paper shows what a click would: closed blocks are opened for it. */
function startPrinting() {
  let opened = [];
  addEventListener("beforeprint", () => {
    opened = [...document.querySelectorAll("details:not([open])")];
    for (const block of opened) block.open = true;
  });
  addEventListener("afterprint", () => {
    for (const block of opened) block.open = false;
    opened = [];
  });
}

applyTheme();
document.addEventListener("DOMContentLoaded", () => {
  startTheme();
  startDefinitions();
  startPrinting();
  addEventListener("hashchange", openTarget);
  openTarget();
  if (byId("case-index")) startCases();
});
