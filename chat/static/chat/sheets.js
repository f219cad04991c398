// Dialogs that the row below the field opens; what is in them comes from the server each time.

import { word } from "./words.js";

let wereOpen = [];
let hadFocus = "";

function sheetOf(link) {
  return document.getElementById(link.dataset.sheet);
}

function onClick(event) {
  const link = event.target.closest?.("[data-sheet]");
  if (link && !event.ctrlKey && !event.metaKey && !event.shiftKey) {
    event.preventDefault();
    sheetOf(link).showModal();
    return;
  }
  const sheet = event.target.closest?.("dialog.sheet");
  // A click beside the dialog is one on the dialog itself, whose content fills it.
  if (sheet && (event.target === sheet || event.target.closest("[data-close]"))) sheet.close();
}

function onFailure(event) {
  const body = event.detail.target?.closest?.("[data-sheet-body]");
  if (!body) return;
  const line = document.createElement("p");
  line.className = "error";
  line.setAttribute("role", "alert");
  line.textContent = word("notLoaded");
  body.prepend(line);
}

/** What was opened in a part stays so when the part comes anew, and so does the focus. */
function onSwap(event) {
  wereOpen = [...event.detail.target.querySelectorAll("details[open][id]")].map(({ id }) => id);
  hadFocus = event.detail.target.contains(document.activeElement) ? document.activeElement.id : "";
}

function onSwapped() {
  for (const id of wereOpen.splice(0)) {
    const found = document.getElementById(id);
    if (found?.closest("[data-sheet-body]")) found.open = true;
  }
  const focused = document.getElementById(hadFocus);
  if (focused?.closest("[data-sheet-body]")) focused.focus();
}

export function start() {
  document.addEventListener("click", onClick);
  document.body.addEventListener("htmx:beforeSwap", onSwap);
  document.body.addEventListener("htmx:afterSwap", onSwapped);
  document.body.addEventListener("htmx:responseError", onFailure);
  document.body.addEventListener("htmx:sendError", onFailure);
}
