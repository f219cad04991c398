// A copy button for every block of code.

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
  let said = word("copied");
  try {
    await navigator.clipboard.writeText(text);
  } catch {
    said = word("notCopied");
  }
  button.textContent = said;
  announce(said);
  setTimeout(() => (button.textContent = word("copy")), 2000);
}
