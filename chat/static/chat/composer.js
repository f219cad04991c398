// The field that messages are written in.

import * as attachments from "./attachments.js";
import { Draft, forgetAll } from "./drafts.js";
import { isEmbedded } from "./embedded.js";
import * as prompts from "./prompts.js";
import { announce, clearError, showError, word } from "./words.js";

const form = document.getElementById("composer");
const field = document.getElementById("text");
const draft = form && new Draft(form.dataset.person, form.dataset.conversation);
let sent = "";
let sentFiles = [];

/** Whether there is something to send. */
const isFilled = () => field.value.trim() !== "" || attachments.attached().length > 0;

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
  if (event.isComposing || event.keyCode === 229) return;
  if (prompts.takesKey(event)) return;
  if (event.key === "ArrowUp" && !field.value) editLast(event);
  if (event.key !== "Enter" || event.shiftKey) return;
  event.preventDefault();
  if (isAnswering()) refuse();
  else if (isFilled()) form.requestSubmit(form.querySelector("[data-send]"));
}

/** Up, where nothing is typed, takes the last message up again. */
function editLast(event) {
  if (event.shiftKey || event.ctrlKey || event.altKey || event.metaKey) return;
  const button = [...document.querySelectorAll("[data-edit-last]")].at(-1);
  if (!button) return;
  event.preventDefault();
  button.click();
}

/** Put a text into the field, as if it had been typed there. */
export function write(text) {
  field.value = text;
  onInput();
  field.focus();
  field.setSelectionRange(text.length, text.length);
}

function onInput() {
  grow();
  draft.keep(field.value);
}

function onSubmit(event) {
  if (event.submitter?.matches("[data-stop]")) return;
  if (isAnswering() || !isFilled()) {
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
    draft.leave(field.value);
  }
}

function onRequest(event) {
  if (event.detail.elt !== form) return;
  sent = field.value;
  sentFiles = attachments.attached();
}

function onAnswer(event) {
  const { elt, xhr } = event.detail;
  if (elt !== form) return;
  if (xhr.status >= 200 && xhr.status < 300) {
    // What was typed while the message was on its way is the next one's.
    if (field.value.startsWith(sent)) field.value = field.value.slice(sent.length);
    attachments.clear(sentFiles);
    onInput();
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

/** What was typed here before stands here again, unless the server has put something else. */
function recall() {
  forgetAll(form.dataset.person);
  if (form.hasAttribute("hx-post")) draft.arrive();
  if (!field.value) field.value = draft.text;
}

export function start() {
  for (const logout of document.querySelectorAll("[data-logout]")) {
    logout.addEventListener("submit", () => forgetAll());
  }
  if (!form) return;
  recall();
  attachments.start();
  prompts.start(write);
  field.addEventListener("keydown", onKey);
  field.addEventListener("input", onInput);
  form.addEventListener("submit", onSubmit, { capture: true });
  document.body.addEventListener("htmx:beforeRequest", onRequest);
  document.body.addEventListener("htmx:afterRequest", onAnswer);
  window.addEventListener("pageshow", () => delete form.dataset.sent);
  field.setSelectionRange(field.value.length, field.value.length);
  grow();
  // With a real keyboard the next message can follow at once; on a phone one would pop up.
  // In a frame the focus belongs to the page around it.
  if (!isEmbedded && matchMedia("(pointer: fine)").matches) field.focus({ preventScroll: true });
}
