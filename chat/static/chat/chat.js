// Where the chat page's modules meet.

import * as calls from "./calls.js";
import * as branches from "./branches.js";
import { addCopyButtons } from "./code.js";
import * as composer from "./composer.js";
import * as decisions from "./decisions.js";
import * as embedded from "./embedded.js";
import * as history from "./history.js";
import * as keys from "./keys.js";
import * as scroll from "./scroll.js";
import * as sheets from "./sheets.js";
import * as search from "./search.js";
import * as theme from "./theme-button.js";
import { TurnStream } from "./stream.js";

function follow(turn) {
  if (turn.dataset.followed) return;
  turn.dataset.followed = "yes";
  scroll.toLatest();
  new TurnStream(turn, {
    onWaiting: scroll.show,
    onGoingOn: scroll.toLatest,
    onEnd: (ending) => {
      if (ending) composer.setActions(ending.actions);
    },
  });
}

function followAll() {
  document.querySelectorAll("[data-stream]").forEach(follow);
}

theme.start();
embedded.start();
history.start();
search.start();
keys.start();
scroll.start();
composer.start();
decisions.start();
calls.start();
sheets.start();
branches.start();
addCopyButtons(document);
followAll();
scroll.begin();
document.body.addEventListener("htmx:load", followAll);
document.addEventListener("click", (event) => {
  const card = event.target.closest("summary")?.parentElement;
  if (card) card.dataset.touched = "yes";
});
