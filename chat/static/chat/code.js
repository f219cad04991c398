// Copying: a button for every block of code, and the way to the clipboard.

import { announce, word } from "./words.js";

/** Add what is missing below this element. */
export function addCopyButtons(root) {
  if (!navigator.clipboard) return;
  for (const block of root.querySelectorAll(".code-block:not(:has(.copy-button))")) {
    const button = document.createElement("button");
    button.type = "button";
    button.className = "copy-button";
    button.textContent = word("copy");
    button.addEventListener("click", () => copy(button, block.querySelector("code").textContent));
    block.prepend(button);
  }
}

async function copy(button, text) {
  const said = await copied(text);
  button.textContent = word(said);
  setTimeout(() => (button.textContent = word("copy")), 2000);
}

/** Copy, by a button that is a drawing: it says so by its colour, and to a screen reader. */
export async function copyFlashing(button, text) {
  button.dataset.said = await copied(text);
  setTimeout(() => delete button.dataset.said, 2000);
}

/** Copy a text, or the promise of one; returns the name of what is said then. */
async function copied(text) {
  let said = "copied";
  try {
    const blob = Promise.resolve(text).then((words) => new Blob([words], { type: "text/plain" }));
    await navigator.clipboard.write([new ClipboardItem({ "text/plain": blob })]);
  } catch {
    said = "notCopied";
  }
  announce(word(said));
  return said;
}
