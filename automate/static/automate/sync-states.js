// Asks for the state of the syncs on this page anew while any of them is under way.

const PAUSE = 1000;
const LONGEST_PAUSE = 5000;

function live() {
  return [...document.querySelectorAll("[data-sync-state][data-live]")];
}

async function look() {
  const shown = live();
  const query = new URLSearchParams(shown.map((each) => ["server", each.dataset.syncState]));
  const answer = await fetch(`${shown[0].dataset.url}?${query}`);
  if (!answer.ok || answer.redirected) return false;
  const states = document.createElement("template");
  states.innerHTML = await answer.text(); // our own template, which escapes
  for (const state of states.content.querySelectorAll("[data-sync-state]")) {
    const key = CSS.escape(state.dataset.syncState);
    for (const old of document.querySelectorAll(`[data-sync-state="${key}"]`)) {
      old.replaceWith(state.cloneNode(true));
    }
  }
  return true;
}

async function follow(pause) {
  if (!live().length) return;
  let goesOn = true;
  if (!document.hidden) {
    try {
      goesOn = await look();
    } catch {
      pause = LONGEST_PAUSE; // the site is away for a moment
    }
  }
  if (goesOn) setTimeout(follow, pause, Math.min(pause * 1.2, LONGEST_PAUSE));
}

follow(PAUSE);
