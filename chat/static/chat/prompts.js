// Slash commands: the servers' prompts, listed while the field begins with a slash.
// The focus stays in the field, which names the option that Enter would take.

import { announce, showError, word } from "./words.js";

const LONGEST = 60;

const field = document.getElementById("text");
const list = document.getElementById("prompt-list");
const sheet = document.getElementById("prompt-sheet");
const link = document.getElementById("prompts-link");
let options = null;
let shown = [];
let write = null;

const isOpen = () => !list.hidden;
const active = () => list.querySelector("[aria-selected=true]");

/** What stands behind the slash; nothing where the field is no command. */
function typed() {
  const found = /^\/([^\n]*)$/.exec(field.value);
  return found && found[1].length <= LONGEST ? found[1].trim().toLowerCase() : null;
}

async function load() {
  if (options) return;
  options = [];
  const without = document.getElementById("without")?.value;
  const values = without ? { without } : {};
  await window.htmx.ajax("GET", link.pathname, { target: list, swap: "innerHTML", values });
  options = [...list.querySelectorAll("[role=option]")];
  if (!options.length) announce(word("noPrompts"));
}

async function show() {
  const wanted = typed();
  if (wanted === null) return hide();
  await load();
  if (typed() !== wanted) return;
  shown = options.filter((each) => each.textContent.toLowerCase().includes(wanted));
  options.forEach((each) => (each.hidden = !shown.includes(each)));
  if (!shown.length) return hide();
  list.hidden = false;
  field.setAttribute("aria-controls", list.id);
  select(shown[0]);
}

function hide() {
  list.hidden = true;
  field.removeAttribute("aria-controls");
  field.removeAttribute("aria-activedescendant");
}

function select(option) {
  active()?.setAttribute("aria-selected", "false");
  option.setAttribute("aria-selected", "true");
  option.scrollIntoView({ block: "nearest" });
  field.setAttribute("aria-activedescendant", option.id);
  announce(option.textContent);
}

function step(by) {
  const at = shown.indexOf(active()) + by;
  select(shown[(at + shown.length) % shown.length]);
}

async function choose(option) {
  hide();
  const { address } = option.dataset;
  const target = document.getElementById("prompt-body");
  target.replaceChildren();
  if ("asks" in option.dataset) {
    sheet.showModal();
    await window.htmx.ajax("GET", address, { target, swap: "innerHTML", values: carried() });
    target.querySelector("input:not([type=hidden]), textarea")?.focus();
    return;
  }
  announce(word("askingServer"));
  const token = document.querySelector("#composer [name=csrfmiddlewaretoken]").value;
  const values = { ...carried(), csrfmiddlewaretoken: token };
  await window.htmx.ajax("POST", address, { target, swap: "innerHTML", values });
  if (target.childElementCount) sheet.showModal();
}

function carried() {
  const without = document.getElementById("without")?.value;
  return without ? { without } : {};
}

/** A prompt's words have come: the person sees them where they can be changed. */
function onSwapped(event) {
  const filled = event.detail.target.querySelector?.("[data-filled]");
  if (!filled) return;
  const { value } = filled;
  event.detail.target.replaceChildren();
  if (sheet.open) sheet.close();
  const before = typed() === null && field.value.trim() ? `${field.value.trim()}\n\n` : "";
  if (value.trim()) write(before + value.trim());
  if (filled.dataset.notes) showError(filled.dataset.notes);
}

/** Whether the list has taken this key. */
export function takesKey(event) {
  if (!isOpen()) return false;
  if (event.key === "ArrowDown") step(1);
  else if (event.key === "ArrowUp") step(-1);
  else if (event.key === "Enter" && !event.shiftKey) choose(active());
  else if (event.key === "Escape") hide();
  else return false;
  event.preventDefault();
  event.stopPropagation();
  return true;
}

export function start(writer) {
  write = writer;
  field.addEventListener("input", show);
  field.addEventListener("blur", () => setTimeout(() => document.activeElement === field || hide()));
  list.addEventListener("mousedown", (event) => event.preventDefault());
  list.addEventListener("click", (event) => {
    const option = event.target.closest("[role=option]");
    if (option) choose(option);
  });
  link.addEventListener("click", (event) => {
    // With something written already, the page of prompts is not in its way.
    if (field.value.trim() || event.ctrlKey || event.metaKey || event.shiftKey) return;
    event.preventDefault();
    write("/");
    show();
  });
  document.body.addEventListener("htmx:afterSwap", onSwapped);
}
