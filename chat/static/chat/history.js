// The list of conversations: menus that close, focus that stays, and what was done, told.

const history = document.getElementById("history");
const drawer = document.getElementById("drawer");
const told = document.getElementById("told");
let focused = "";

const openMenus = () => document.querySelectorAll(".menu[open]");

/** Close all open menus but one; those that held the focus give it back to their button. */
function closeMenus(except = null) {
  for (const menu of openMenus()) {
    if (menu === except) continue;
    const hadFocus = menu.contains(document.activeElement);
    menu.open = false;
    if (hadFocus) menu.querySelector("summary").focus();
  }
}

function onKey(event) {
  if (event.key !== "Escape" || event.isComposing || !openMenus().length) return;
  event.preventDefault();
  closeMenus();
}

/** What is swapped out may hold the focus: the same row of the new list gets it. */
function onSwap(event) {
  if (event.detail.target !== history) return;
  focused = document.activeElement?.closest?.("#history [data-conversation]")?.dataset.conversation ?? "";
}

function onSwapped(event) {
  // On a phone the list lies over the place where the way back is offered.
  if (event.detail.target === told && told.querySelector("[data-undo]") && drawer.matches(":popover-open")) {
    drawer.hidePopover();
  }
  if (event.detail.target !== history || !focused) return;
  const row = history.querySelector(`[data-conversation="${CSS.escape(focused)}"] summary`);
  (row ?? told.querySelector("[data-undo]") ?? history.querySelector("a"))?.focus();
  focused = "";
}

function onDone(event) {
  if (event.detail.successful && event.detail.elt.closest("[data-manage]")) closeMenus();
}

export function start() {
  document.addEventListener("click", (event) => closeMenus(event.target.closest(".menu")));
  document.addEventListener("keydown", onKey);
  document.body.addEventListener("htmx:beforeSwap", onSwap);
  document.body.addEventListener("htmx:afterSwap", onSwapped);
  document.body.addEventListener("htmx:afterRequest", onDone);
}
