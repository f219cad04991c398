// One turn's events, put into the page as they come.
// The browser reconnects by itself with the number of the last event it has. A hidden tab lets
// its connection go, since a browser has only six to a host, and comes back where it was.

import { showGroup } from "./calls.js";
import { addCopyButtons } from "./code.js";
import { retype, typed } from "./decisions.js";
import { gradually, whole } from "./gradual.js";
import { announce, word } from "./words.js";

const MAX_SILENT_TRIES = 10;

export class TurnStream {
  constructor(turn, { onWaiting, onGoingOn, onEnd }) {
    this.turn = turn;
    this.onWaiting = onWaiting;
    this.onGoingOn = onGoingOn;
    this.onEnd = onEnd;
    this.url = turn.dataset.stream;
    this.last = 0;
    this.tries = 0;
    this.ended = false;
    this.onVisibility = () => (document.hidden ? this.close() : this.open());
    document.addEventListener("visibilitychange", this.onVisibility);
    if (!document.hidden) this.open();
    announce(this.state === "waiting" ? this.place.textContent : word("answering"));
  }

  open() {
    if (this.ended || this.source) return;
    const source = (this.source = new EventSource(`${this.url}?after=${this.last}`));
    source.onopen = () => {
      this.tries = 0;
      if (this.lost) this.say(this.lost.words, this.lost.state);
      this.lost = null;
    };
    source.onerror = () => this.failed(source);
    for (const kind of ["text", "message", "call", "progress", "waiting", "status", "gone"]) {
      source.addEventListener(kind, (event) => {
        if (event.lastEventId) this.last = Number(event.lastEventId);
        this[kind](JSON.parse(event.data));
      });
    }
  }

  close() {
    this.source?.close();
    this.source = null;
  }

  failed(source) {
    if (source !== this.source || this.ended) return;
    this.lost ??= { words: this.place.textContent, state: this.state };
    this.tries += 1;
    if (source.readyState === EventSource.CLOSED || this.tries > MAX_SILENT_TRIES) {
      this.end();
      this.say(word("lost"));
      this.turn.querySelector("[data-activity] .pulse")?.remove();
      this.onEnd(null);
    } else {
      this.say(word("reconnecting"));
    }
  }

  text(data) {
    const body = this.message_element(data.message).querySelector("[data-body]");
    if (data.restart) body.replaceChildren();
    let tail = body.querySelector(":scope > .tail");
    if (!tail) {
      tail = document.createElement("div");
      tail.append(document.createTextNode(""));
      body.append(tail);
    }
    if (data.append !== undefined) {
      tail.firstChild.appendData(data.append);
    } else {
      if (data.settled) {
        const settled = fragment(data.settled);
        addCopyButtons(settled);
        tail.before(...gradually([...settled.children]));
      }
      tail.className = data.code ? "tail tail-code" : "tail";
      tail.firstChild.data = data.tail;
    }
    tail.hidden = !tail.firstChild.data;
    this.say(word("answering"));
  }

  message(data) {
    const old = this.message_element(data.message);
    const kept = [...old.querySelectorAll(".call")].map((call) => [call.id, typed(call)]);
    const put = renewed(old, parsed(data.html));
    for (const [id, fields] of kept) {
      const call = put.querySelector(`#${id}`);
      if (call) retype(call, fields);
    }
    window.htmx?.process(put);
  }

  call(data) {
    const goesOn = this.state === "waiting";
    const place = this.message_element(data.message).querySelector("[data-calls]");
    const old = document.getElementById(`call-${data.call}`);
    const hadFocus = old?.contains(document.activeElement);
    const kept = typed(old);
    const put = this.put(data.html, old ?? place.appendChild(document.createElement("div")));
    if (old && old.dataset.touched) put.open = old.open;
    if (hadFocus) put.querySelector("summary").focus();
    retype(put, kept);
    if (data.group) showGroup(put.closest(".call-group"), data);
    window.htmx?.process(put);
    if (goesOn && this.turn.querySelector(".call-asks")) return; // another one still waits
    if (data.words) {
      this.say(data.words);
      announce(data.words);
    } else if (goesOn) {
      this.say(word("answering"));
    }
    if (goesOn) this.onGoingOn();
  }

  progress(data) {
    const place = document.querySelector(`#call-${data.call} [data-progress]`);
    if (!place) return;
    place.hidden = false;
    const bar = place.querySelector("progress");
    if (data.fraction === null) bar.removeAttribute("value");
    else bar.value = data.fraction;
    place.querySelector("[data-progress-words]").textContent = data.words;
  }

  waiting(data) {
    this.say(data.words, "waiting");
    announce(data.words);
    const asking = this.turn.querySelector(".call-asks");
    if (asking) this.onWaiting(asking);
    window.htmx?.trigger(document.body, "waiting-changed");
  }

  status(data) {
    this.end();
    window.htmx?.trigger(document.body, "waiting-changed");
    this.activity.hidden = true;
    const footer = this.put(data.footer, this.turn.querySelector("[data-footer]"));
    window.htmx?.process(footer);
    announce(data.words);
    this.onEnd(data);
  }

  gone() {
    this.end();
    location.reload();
  }

  end() {
    this.ended = true;
    this.close();
    document.removeEventListener("visibilitychange", this.onVisibility);
  }

  say(words, state = "running") {
    if (this.place.textContent !== words) this.place.textContent = words;
    this.activity.dataset.state = state;
  }

  get activity() {
    return this.turn.querySelector("[data-activity]");
  }

  get place() {
    return this.activity.querySelector("[data-activity-words]");
  }

  get state() {
    return this.activity.dataset.state;
  }

  message_element(number) {
    const found = document.getElementById(`message-${number}`);
    if (found) return found;
    const made = document.getElementById("message-template").content.cloneNode(true).firstElementChild;
    made.id = `message-${number}`;
    this.activity.before(made);
    return made;
  }

  /** Put the server's own HTML in an element's place; returns the new one. */
  put(html, old) {
    const made = parsed(html);
    old.replaceWith(made);
    addCopyButtons(made);
    return made;
  }
}

function fragment(html) {
  const box = document.createElement("template");
  box.innerHTML = html;
  return box.content;
}

function parsed(html) {
  return fragment(html).firstElementChild;
}

/** Make a message what it is now. Blocks that are there already stay: a long text is not laid out anew. */
function renewed(message, made) {
  const body = message.querySelector("[data-body]");
  const fresh = made.querySelector("[data-body]");
  if (!body || !fresh) {
    message.replaceWith(made);
    addCopyButtons(made);
    return made;
  }
  const [olds, news] = [[...body.children], [...fresh.children]];
  let same = 0;
  while (same < olds.length && same < news.length && isSame(olds[same], news[same])) same += 1;
  for (const each of olds.slice(same)) each.remove();
  addCopyButtons(made);
  body.append(...gradually(news.slice(same)));
  for (const each of [...message.children]) if (each !== body) each.remove();
  while (fresh.nextSibling) message.append(fresh.nextSibling);
  return message;
}

function isSame(block, other) {
  const shown = whole(block);
  if (!shown.querySelector(".copy-button")) return shown.isEqualNode(other);
  const bare = shown.cloneNode(true);
  for (const each of bare.querySelectorAll(".copy-button")) each.remove();
  return bare.isEqualNode(other);
}
