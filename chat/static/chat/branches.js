// Answers and messages in each other's place: what a swap takes away, where the focus goes, the form
// in which a message is edited, copying, and the way from an answer to what it is based on.

import * as scroll from "./scroll.js";
import { copyFlashing } from "./code.js";

let stepped = "";
let isStep = false;

/** A branch takes the place of the turn and of all that follows it; earlier turns move nothing. */
function onSwap(event) {
  const { requestConfig, target, shouldSwap } = event.detail;
  if (shouldSwap && target.matches("[data-earlier]")) queueMicrotask(scroll.held());
  if (!shouldSwap || !target.matches(".turn") || !requestConfig.elt.closest("[data-branch]")) return;
  isStep = requestConfig.elt.closest(".stepper") !== null;
  stepped = requestConfig.elt.getAttribute("aria-label");
  while (target.nextElementSibling) target.nextElementSibling.remove();
}

function onLoad(event) {
  const turn = event.detail.elt;
  if (!stepped || !turn.matches(".turn")) return;
  if (isStep) scroll.show(turn);
  if (document.activeElement === document.body) {
    const same = [...turn.querySelectorAll(".stepper button")];
    const button = same.find((each) => each.getAttribute("aria-label") === stepped && !each.disabled);
    (button ?? same.find((each) => !each.disabled) ?? document.getElementById("text")).focus();
  }
  stepped = "";
}

function onRequest(event) {
  const form = event.detail.elt.closest?.(".message")?.querySelector("[data-edit-form]");
  if (!form || form.contains(event.detail.elt)) return;
  event.preventDefault();
  form.querySelector("textarea").focus();
}

function stopEditing(form) {
  const message = form.closest(".message");
  if (!message) return false;
  form.remove();
  message.querySelector("[data-edit-last]").focus();
  return true;
}

function onKey(event) {
  const form = event.target.closest?.("[data-edit-form]");
  if (!form || event.isComposing || event.keyCode === 229) return;
  if (event.key === "Escape" && stopEditing(form)) event.stopPropagation();
  if (event.key !== "Enter" || event.shiftKey || !event.target.matches("textarea")) return;
  event.preventDefault();
  form.requestSubmit();
}

function onClick(event) {
  const button = event.target.closest("[data-cancel-edit], [data-copy-message], [data-copy-answer], [data-card]");
  if (!button) return;
  if (button.matches("[data-cancel-edit]")) {
    if (stopEditing(button.form ?? button.closest("form"))) event.preventDefault();
  } else if (button.matches("[data-card]")) {
    if (showCard(button.hash.slice(1))) event.preventDefault();
  } else if (navigator.clipboard) {
    event.preventDefault();
    if (button.href) copyFlashing(button, fetched(button.href));
    else copyFlashing(button, button.closest(".message").querySelector(".plain").textContent);
  }
}

async function fetched(address) {
  const answer = await fetch(address);
  if (!answer.ok || answer.redirected) throw new Error(answer.statusText);
  return answer.text();
}

/** Open a call's card, and whatever it is folded into, and go there. */
function showCard(id) {
  const card = document.getElementById(id);
  if (!card) return false;
  for (let each = card; each; each = each.parentElement.closest("details")) each.open = true;
  card.dataset.touched = "yes";
  card.scrollIntoView({ block: "center" });
  card.querySelector("summary").focus({ preventScroll: true });
  return true;
}

export function start() {
  if (navigator.clipboard) document.documentElement.dataset.copies = "";
  document.body.addEventListener("htmx:beforeSwap", onSwap);
  document.body.addEventListener("htmx:load", onLoad);
  document.body.addEventListener("htmx:beforeRequest", onRequest);
  document.addEventListener("keydown", onKey, { capture: true });
  document.addEventListener("click", onClick);
}
