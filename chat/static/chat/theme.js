// Runs before the first paint: the colours that this browser was told to use, if any.
try {
  const theme = localStorage.getItem("chat-theme");
  if (theme === "light" || theme === "dark") document.documentElement.dataset.theme = theme;
} catch {
  // A browser that stores nothing follows the system.
}
