// The field that messages are written in.

import { announce, clearError, showError, word } from "./words.js";

const form = document.getElementById("composer");
const field = document.getElementById("text");

const isAnswering = () => form.querySelector("[data-stop]") !== null;

const waits = () => document.querySelector("[data-activity][data-state=waiting]:not([hidden])");

/** Say why nothing can be sent now; what waits for a person would wait on, so it is shown too. */
function refuse() {
  announce(word(waits() ? "waitsForYou" : "stillAnswering"));
  if (waits()) showError(word("waitsForYou"));
}

/** Browsers that cannot size a field by its content are helped. */
function grow() {
  if (CSS.supports("field-sizing", "content")) return;
  field.style.blockSize = "auto";
  field.style.blockSize = `${field.scrollHeight}px`;
}

function onKey(event) {
  // 229 is what a key of an input method looks like where `isComposing` is already over.
  if (event.key !== "Enter" || event.shiftKey || event.isComposing || event.keyCode === 229) return;
  event.preventDefault();
  if (isAnswering()) refuse();
  else if (field.value.trim()) form.requestSubmit(form.querySelector("[data-send]"));
}

function onSubmit(event) {
  if (event.submitter?.matches("[data-stop]")) return;
  if (isAnswering() || !field.value.trim()) {
    event.preventDefault();
    event.stopImmediatePropagation();
    return;
  }
  clearError();
  // A plain form, on the page of a new conversation, is sent once.
  if (!form.hasAttribute("hx-post")) {
    // What is far too large never reaches our view: Django would answer with a bare page.
    if ([...field.value].length > Number(form.dataset.longest)) {
      event.preventDefault();
      showError(word("tooLarge"));
      return;
    }
    if (form.dataset.sent) event.preventDefault();
    form.dataset.sent = "yes";
  }
}

function onAnswer(event) {
  const { elt, xhr } = event.detail;
  if (elt !== form) return;
  if (xhr.status >= 200 && xhr.status < 300) {
    field.value = "";
    grow();
  } else if (xhr.status === 400 || xhr.status === 413) {
    showError(word("tooLarge"));
  } else if (xhr.status >= 500) {
    showError(word("serverFailed"));
  } else if (xhr.status === 0) {
    showError(word("notSent"));
  }
}

/** Put the buttons that fit the state of the conversation beside the field. */
export function setActions(html) {
  const old = document.getElementById("composer-actions");
  const hadFocus = old.contains(document.activeElement);
  const box = document.createElement("template");
  box.innerHTML = html;
  const made = box.content.firstElementChild;
  old.replaceWith(made);
  window.htmx?.process(made);
  clearError();
  if (hadFocus) field.focus();
}

export function start() {
  if (!form) return;
  field.addEventListener("keydown", onKey);
  field.addEventListener("input", grow);
  form.addEventListener("submit", onSubmit, { capture: true });
  document.body.addEventListener("htmx:afterRequest", onAnswer);
  window.addEventListener("pageshow", () => delete form.dataset.sent);
  field.setSelectionRange(field.value.length, field.value.length);
  grow();
  // With a real keyboard the next message can follow at once; on a phone one would pop up.
  if (matchMedia("(pointer: fine)").matches) field.focus({ preventScroll: true });
}
