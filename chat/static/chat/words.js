// Sentences come from the page, where they are translated.

const words = document.getElementById("words").dataset;
const status = document.getElementById("status");

export const word = (name) => words[name];

/** Tell a screen reader, politely; the same words twice are said twice. */
export function announce(text) {
  status.textContent = "";
  requestAnimationFrame(() => (status.textContent = text));
}

/** Show why something did not work, beside the composer. */
export function showError(text) {
  const place = document.getElementById("composer-error");
  const line = document.createElement("p");
  line.className = "error";
  line.textContent = text;
  place?.replaceChildren(line);
}

export function clearError() {
  document.getElementById("composer-error")?.replaceChildren();
}
