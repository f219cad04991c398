// Inside the frame of `{% chat_widget %}`: what is no page of the chat opens outside of it.

export const isEmbedded = window.top !== window;

export function start() {
  if (!isEmbedded) return;
  const chat = document.querySelector(".brand")?.pathname ?? "/";
  document.addEventListener("click", (event) => {
    const link = event.target.closest("a[href]");
    if (link && !link.target && !link.pathname.startsWith(chat)) link.target = "_top";
  }, { capture: true });
}
