// The keys of the page. None is taken while an input method composes, or from a field that needs it.

import * as search from "./search.js";

const dialog = document.getElementById("keys");
const isMac = /Mac|iPhone|iPad/.test(navigator.platform);

const isField = (element) => element?.matches?.("input, textarea, select, [contenteditable]") ?? false;

const isSomethingOpen = () => document.querySelector("dialog[open], .menu[open], :popover-open") !== null;

/** Whether this is the key of that letter, also where the keyboard writes another script. */
const isLetter = (event, letter) =>
  /^[a-z]$/i.test(event.key) ? event.key.toLowerCase() === letter : event.code === `Key${letter.toUpperCase()}`;

function withCommand(event) {
  if (isLetter(event, "k") && !event.shiftKey) return search.open;
  if (isLetter(event, "o") && event.shiftKey) return () => document.querySelector("[data-new]")?.click();
  return null;
}

function alone(event) {
  const inField = isField(event.target);
  if (event.key === "Escape") {
    // In the field of messages, too; elsewhere Esc may be the field's own.
    const stop = document.querySelector("[data-stop]");
    return stop && (!inField || event.target.id === "text") ? () => stop.click() : null;
  }
  if (inField) return null;
  const text = document.getElementById("text");
  if (event.key === "/" && text) return () => text.focus();
  if (event.key === "?") return () => dialog.showModal();
  return null;
}

function onKey(event) {
  if (event.defaultPrevented || event.isComposing || event.keyCode === 229 || event.repeat) return;
  // Where AltGr writes a sign, browsers call it Ctrl and Alt at once.
  const isWriting = event.getModifierState("AltGraph");
  const command = (isMac ? event.metaKey && !event.ctrlKey : event.ctrlKey && !event.metaKey) && !isWriting;
  if ((event.altKey && !isWriting) || (!command && (event.ctrlKey || event.metaKey) && !isWriting)) return;
  if (document.querySelector("dialog[open]") || (!command && isSomethingOpen())) return;
  const act = command ? withCommand(event) : alone(event);
  if (!act) return;
  event.preventDefault();
  act();
}

export function start() {
  document.addEventListener("keydown", onKey);
  dialog.addEventListener("click", (event) => event.target === dialog && dialog.close());
  if (isMac) dialog.querySelectorAll("[data-command]").forEach((each) => (each.textContent = "⌘"));
  const button = document.querySelector("[data-open-keys]");
  if (!button) return;
  button.hidden = false;
  button.addEventListener("click", () => dialog.showModal());
}
