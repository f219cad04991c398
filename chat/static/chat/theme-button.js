// The button that goes through the colours: as the system, light, dark.

import { announce, word } from "./words.js";

const THEMES = { system: "themeSystem", light: "themeLight", dark: "themeDark" };

export function start() {
  const button = document.querySelector("[data-theme-button]");
  if (!button) return;
  const root = document.documentElement;
  const show = () => {
    const words = word(THEMES[root.dataset.theme ?? "system"]);
    button.title = words;
    button.querySelector("[data-theme-words]").textContent = words;
    return words;
  };
  button.addEventListener("click", () => {
    const names = Object.keys(THEMES);
    const next = names[(names.indexOf(root.dataset.theme ?? "system") + 1) % names.length];
    if (next === "system") delete root.dataset.theme;
    else root.dataset.theme = next;
    try {
      localStorage.setItem("chat-theme", next);
    } catch {
      // The choice then lasts as long as the page.
    }
    announce(show());
  });
  button.hidden = false;
  show();
}
