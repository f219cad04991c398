// The cards of calls: the time of those that run, their groups, and the window of whole results.

import { word } from "./words.js";

const begun = new WeakMap();

/** Whole seconds in the page's own words for them. */
function duration(seconds) {
  const whole = Math.floor(seconds);
  if (whole < 60) return word("seconds").replace("0", whole);
  const rest = String(whole % 60).padStart(2, "0");
  return word("minutes").replace("00", rest).replace("0", Math.floor(whole / 60));
}

function tick() {
  const now = performance.now() / 1000;
  for (const place of document.querySelectorAll("[data-runs-for]")) {
    if (!begun.has(place)) begun.set(place, now - Number(place.dataset.runsFor));
    place.textContent = ` · ${duration(now - begun.get(place))}`;
  }
}

/** Bring the line above an answer's calls up to date; it stays open or closed as somebody left it. */
export function showGroup(group, { group: html, group_open: isOpen }) {
  const old = group?.querySelector(":scope > summary");
  if (!old) return;
  const hadFocus = old === document.activeElement;
  const box = document.createElement("template");
  box.innerHTML = html;
  const made = box.content.firstElementChild;
  old.replaceWith(made);
  if (!group.dataset.touched) group.open = isOpen;
  if (hadFocus) made.focus();
}

function startViewer() {
  const viewer = document.getElementById("viewer");
  const content = document.getElementById("viewer-content");
  document.body.addEventListener("htmx:afterSwap", ({ detail }) => {
    if (detail.target === content && !viewer.open) viewer.showModal();
  });
  // Where it cannot be shown here, the link leads to its page.
  for (const failure of ["htmx:responseError", "htmx:sendError"]) {
    document.body.addEventListener(failure, ({ detail }) => {
      if (detail.elt.matches("[data-opens-viewer]")) location.assign(detail.elt.href);
    });
  }
  viewer.addEventListener("close", () => content.replaceChildren());
}

export function start() {
  tick();
  setInterval(tick, 1000);
  startViewer();
}
