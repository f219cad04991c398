// The log follows its end only while the reader is there; it never takes the scroll away.

const NEAR = 48;

const area = document.getElementById("scroll");
const jump = document.getElementById("jump");
let follows = true;

const distance = () => area.scrollHeight - area.scrollTop - area.clientHeight;

/** Go to the end of the log. */
export function toLatest() {
  if (!area) return;
  follows = true;
  area.scrollTop = area.scrollHeight;
  jump.hidden = true;
}

export function start() {
  if (!area) return;
  area.addEventListener("scroll", () => {
    follows = distance() < NEAR;
    jump.hidden = follows;
  }, { passive: true });
  jump.addEventListener("click", () => {
    toLatest();
    document.getElementById("text").focus();
  });
  new ResizeObserver(() => {
    if (follows) area.scrollTop = area.scrollHeight;
    else jump.hidden = distance() < NEAR;
  }).observe(area.firstElementChild);
}
