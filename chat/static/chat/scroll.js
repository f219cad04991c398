// The log follows its end only while the reader is there; it never takes the scroll away.

const NEAR = 48;

const area = document.getElementById("scroll");
const jump = document.getElementById("jump");
let follows = true;
let top = 0;
let isOurs = false;

const distance = () => area.scrollHeight - area.scrollTop - area.clientHeight;

/** Go to the end of the log. */
export function toLatest() {
  if (!area) return;
  follows = true;
  area.scrollTop = area.scrollHeight;
  jump.hidden = true;
}

/** Stay where this begins, if the end of the log would push that out of sight. */
export function show(element) {
  if (!area || !follows) return;
  const edge = element.getBoundingClientRect().top - area.getBoundingClientRect().top;
  if (edge < distance()) stayAt(element);
}

/** Begin where the address points, as a found message does, else at the end of the log. */
export function begin() {
  const place = location.hash ? document.getElementById(location.hash.slice(1)) : null;
  if (place && area?.contains(place)) stayAt(place);
  else toLatest();
}

function stayAt(element) {
  follows = false;
  element.scrollIntoView({ block: "start" });
  isOurs = area.scrollTop !== top;
  top = area.scrollTop;
  jump.hidden = distance() < NEAR;
}

/** What brings back the place that is shown now, once something was put in above it. */
export function held() {
  const below = area.scrollHeight - area.scrollTop;
  return () => {
    top = area.scrollTop = area.scrollHeight - below;
  };
}

export function start() {
  if (!area) return;
  area.addEventListener("scroll", () => {
    const byPerson = !isOurs;
    isOurs = false;
    // Content that grew below leaves the place as it was; only a person goes up.
    if (byPerson && distance() < NEAR) follows = true;
    else if (area.scrollTop < top) follows = false;
    top = area.scrollTop;
    jump.hidden = follows;
  }, { passive: true });
  jump.addEventListener("click", () => {
    toLatest();
    document.getElementById("text").focus();
  });
  const observer = new ResizeObserver(() => {
    if (follows) area.scrollTop = area.scrollHeight;
    else jump.hidden = distance() < NEAR;
  });
  // The area changes too: when the composer grows, or a keyboard comes up.
  observer.observe(area.firstElementChild);
  observer.observe(area);
}
