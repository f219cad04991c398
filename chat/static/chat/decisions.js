// What a person decides in a card: where the focus goes then, what stays of what was typed into the
// card's other forms, and what is said where nothing came back.

import { announce, word } from "./words.js";

let decided = "";
let kept = [];

const card = (form) => form.closest(".call");

/** What somebody typed or chose in a card's forms and has not sent; `but` is a form that was. */
export function typed(card, but = null) {
  const fields = card?.querySelectorAll(".ask-form :is(input, textarea, select)") ?? [];
  return [...fields].filter((field) => field.form !== but && isTouched(field));
}

/** Put it into the same forms of the card that came in the old one's place. */
export function retype(card, fields) {
  for (const { name, type, value, checked } of fields) {
    const isBox = type === "radio" || type === "checkbox";
    const same = card.querySelectorAll(`[name="${CSS.escape(name)}"]`);
    for (const field of same) {
      if (!isBox) field.value = value;
      else if (field.value === value) field.checked = checked;
    }
  }
}

function isTouched(field) {
  if (field.type === "radio" || field.type === "checkbox") return field.checked !== field.defaultChecked;
  if (field.options) return [...field.options].some((each) => each.selected !== each.defaultSelected);
  return field.value !== field.defaultValue;
}

function onSwap(event) {
  const { requestConfig, target } = event.detail;
  const form = requestConfig.elt;
  if (form.matches?.("[data-decision]")) kept = typed(target, form);
}

function onRequest(event) {
  const { elt } = event.detail;
  if (elt.matches?.("[data-decision]")) decided = card(elt).id;
}

function onAnswer(event) {
  const { elt, xhr } = event.detail;
  if (!elt.matches?.("[data-decision]") || !elt.isConnected) return;
  if ((xhr.status >= 200 && xhr.status < 400) || xhr.status === 409 || xhr.status === 422) return;
  const place = card(elt).querySelector(".call-body");
  const line = document.createElement("p");
  line.className = "error call-refusal";
  line.textContent = word("notDecided");
  place.querySelector(":scope > .call-refusal")?.remove();
  place.prepend(line);
  announce(line.textContent);
}

function onLoad(event) {
  const { elt } = event.detail;
  if (!decided || elt.id !== decided) return;
  decided = "";
  retype(elt, kept);
  kept = [];
  if (document.activeElement !== document.body && !elt.contains(document.activeElement)) return;
  const wrong = elt.querySelector("[aria-invalid=true]") ?? elt.querySelector("summary");
  wrong.focus();
}

export function start() {
  document.body.addEventListener("htmx:beforeRequest", onRequest);
  document.body.addEventListener("htmx:beforeSwap", onSwap);
  document.body.addEventListener("htmx:afterRequest", onAnswer);
  document.body.addEventListener("htmx:load", onLoad);
}
