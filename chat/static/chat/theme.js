// Runs before the first paint: whether the page stands in a frame, and the colours that this browser
// was told to use, if any.
if (window.top !== window) document.documentElement.dataset.embedded = "yes";
try {
  const theme = localStorage.getItem("chat-theme");
  if (theme === "light" || theme === "dark") document.documentElement.dataset.theme = theme;
} catch {
  // A browser that stores nothing follows the system.
}
