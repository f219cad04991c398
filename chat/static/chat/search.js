// The dialog that searches: opened from anywhere, gone through by the arrow keys.

import { announce } from "./words.js";

const dialog = document.getElementById("search");

/** Open it, or go to the field of the page that searches. */
export function open() {
  const onPage = document.querySelector("main [data-search] input");
  if (!onPage) dialog.showModal();
  const field = onPage ?? dialog.querySelector("input");
  field.focus();
  field.select();
}

/** From the field to the first result, between results, and back to the field. */
function onKey(event) {
  if (event.isComposing || event.keyCode === 229) return;
  const place = event.currentTarget;
  const field = place.querySelector("[data-search] input");
  const stops = [field, ...place.querySelectorAll(".search-list a")];
  const at = stops.indexOf(document.activeElement);
  if (at < 0) return;
  const step = { ArrowDown: 1, ArrowUp: -1 }[event.key];
  if (step) {
    event.preventDefault();
    stops[Math.min(Math.max(at + step, 0), stops.length - 1)].focus();
  } else if (event.key === "Enter" && at === 0 && stops.length > 1 && isFresh(place, field)) {
    event.preventDefault();
    stops[1].click();
  }
}

/** Whether the results are those for what stands in the field. */
const isFresh = (place, field) =>
  place.querySelector("[data-search-results]").dataset.for === field.value;

function onResults(event) {
  const { target, elt } = event.detail;
  if (!target.matches?.("[data-search-results]")) return;
  target.dataset.for = elt.value ?? "";
  const said = target.querySelector("[data-said]");
  if (said) announce(said.textContent);
}

function onResult(event) {
  // A place on the page that is open needs no new page, which would close the dialog.
  if (event.target.closest(".search-list a")) dialog.close();
}

export function start() {
  for (const place of [dialog, document.querySelector("main:has([data-search])")]) {
    place?.addEventListener("keydown", onKey);
  }
  dialog.addEventListener("click", (event) => {
    if (event.target === dialog) dialog.close();
    else onResult(event);
  });
  document.body.addEventListener("htmx:afterSwap", onResults);
  document.querySelector("[data-open-search]")?.addEventListener("click", (event) => {
    if (event.ctrlKey || event.metaKey || event.shiftKey) return;
    event.preventDefault();
    open();
  });
}
