// The files that go along with the next message: picked, dropped or pasted, and shown as chips.
// They lie in the form's own field, so that the browser sends them with the text.

import { announce, clearError, showError, word } from "./words.js";

const form = document.getElementById("composer");
const input = document.getElementById("attach");
const chips = document.getElementById("chips");
let files = [];

export const attached = () => files;

/** These are sent; what came while they were on their way is the next message's. */
export function clear(sent) {
  set(files.filter((file) => !sent.includes(file)));
}

function set(wanted) {
  files = wanted;
  const holder = new DataTransfer();
  files.forEach((file) => holder.items.add(file));
  input.files = holder.files;
  chips.replaceChildren(...files.map(chip));
  chips.hidden = !files.length;
}

function add(more) {
  if (!more.length) return;
  clearError();
  const largest = Number(form.dataset.largestFile);
  const fitting = more.filter((file) => file.size <= largest);
  if (fitting.length < more.length) refuse("fileTooLarge");
  const room = Number(form.dataset.mostFiles) - files.length;
  if (fitting.length > room) refuse("tooManyFiles");
  const taken = fitting.slice(0, Math.max(0, room));
  set([...files, ...taken]);
  if (taken.length) announce(`${word("attached")} ${taken.map((file) => file.name).join(", ")}`);
}

function refuse(name) {
  showError(word(name));
}

function remove(file) {
  const at = files.indexOf(file);
  set(files.filter((each) => each !== file));
  announce(`${word("removed")} ${file.name}`);
  const next = chips.querySelectorAll("button")[Math.min(at, files.length - 1)];
  (next ?? document.getElementById("text")).focus();
}

function chip(file) {
  const item = document.createElement("li");
  item.className = "chip";
  const name = document.createElement("span");
  name.className = "chip-name";
  name.dir = "auto";
  name.textContent = name.title = file.name;
  const size = document.createElement("span");
  size.className = "chip-size";
  size.textContent = inWords(file.size);
  const button = document.createElement("button");
  button.type = "button";
  button.className = "chip-remove";
  button.textContent = "×";
  button.setAttribute("aria-label", `${word("remove")} ${file.name}`);
  button.addEventListener("click", () => remove(file));
  item.append(name, size, button);
  return item;
}

function inWords(bytes) {
  const [size, unit] = bytes < 1e6 ? [bytes / 1e3, "kilobyte"] : [bytes / 1e6, "megabyte"];
  const options = { style: "unit", unit, maximumFractionDigits: 1 };
  return new Intl.NumberFormat(document.documentElement.lang, options).format(size);
}

function onPaste(event) {
  // What has words too, such as cells of a table, is pasted as words.
  if (event.clipboardData.getData("text/plain")) return;
  const pasted = [...event.clipboardData.files];
  if (!pasted.length) return;
  event.preventDefault();
  add(pasted);
}

const brings = (event) => event.dataTransfer?.types.includes("Files");

function onDrag(event) {
  if (!brings(event)) return;
  event.preventDefault();
  form.dataset.dropping = "yes";
}

function onLeave(event) {
  if (!event.relatedTarget) delete form.dataset.dropping;
}

function onDrop(event) {
  delete form.dataset.dropping;
  if (!brings(event)) return;
  event.preventDefault();
  add([...event.dataTransfer.files]);
  document.getElementById("text").focus();
}

export function start() {
  input.addEventListener("change", () => add([...input.files]));
  document.getElementById("text").addEventListener("paste", onPaste);
  document.addEventListener("dragover", onDrag);
  document.addEventListener("dragleave", onLeave);
  document.addEventListener("drop", onDrop);
  // A browser that comes back to the page has emptied the field, or filled it by itself.
  window.addEventListener("pageshow", () => set([...input.files]));
}
