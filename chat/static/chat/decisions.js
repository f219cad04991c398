// What a person decides in a card: where the focus goes then, and what is said where nothing came.

import { announce, word } from "./words.js";

let decided = "";

const card = (form) => form.closest(".call");

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
  if (document.activeElement !== document.body && !elt.contains(document.activeElement)) return;
  const wrong = elt.querySelector("[aria-invalid=true]") ?? elt.querySelector("summary");
  wrong.focus();
}

export function start() {
  document.body.addEventListener("htmx:beforeRequest", onRequest);
  document.body.addEventListener("htmx:afterRequest", onAnswer);
  document.body.addEventListener("htmx:load", onLoad);
}
