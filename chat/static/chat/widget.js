// The chat in a corner of a page: opened and closed, and found as it was left on the next page.

const OPEN = "automate-chat-open";
const PLACE = "automate-chat-place";

/** What a browser keeps for us, or nothing where it keeps nothing. */
function kept(storage, name, value) {
  try {
    if (value === undefined) return window[storage].getItem(name);
    if (value === null) window[storage].removeItem(name);
    else window[storage].setItem(name, value);
  } catch {
    // Then it begins anew on every page.
  }
  return null;
}

class Widget {
  constructor(root) {
    this.panel = root.querySelector(".panel");
    this.button = root.querySelector("button.launch");
    this.whole = root.querySelector(".whole");
    const link = root.querySelector("a.launch");
    this.index = link.href;
    link.hidden = true;
    this.button.hidden = false;
    this.button.addEventListener("click", () => (this.panel.hidden ? this.open(true) : this.close()));
    root.querySelector(".close").addEventListener("click", () => this.close());
    this.panel.addEventListener("keydown", (event) => event.key === "Escape" && this.close());
    if (kept("localStorage", OPEN)) this.open(false);
  }

  open(byPerson) {
    this.panel.hidden = false;
    this.button.setAttribute("aria-expanded", "true");
    kept("localStorage", OPEN, "yes");
    if (!this.frame) this.load(byPerson);
    else if (byPerson) this.focus();
  }

  close() {
    this.panel.hidden = true;
    this.button.setAttribute("aria-expanded", "false");
    kept("localStorage", OPEN, null);
    this.button.focus();
  }

  load(byPerson) {
    this.frame = document.createElement("iframe");
    this.frame.title = this.button.dataset.title;
    // While it loads it can take no focus, which belongs to the page.
    this.frame.inert = true;
    this.frame.addEventListener("load", () => this.loaded(byPerson));
    const place = kept("sessionStorage", PLACE);
    this.frame.src = place?.startsWith(new URL(this.index).pathname) ? place : this.index;
    this.panel.append(this.frame);
  }

  loaded(byPerson) {
    const inside = this.frame.contentDocument;
    this.frame.inert = false;
    // A page that may not stand in here, such as the login: it is shown as a page of its own.
    if (!inside) {
      kept("sessionStorage", PLACE, null);
      this.close();
      if (byPerson) location.assign(this.index);
      return;
    }
    const { pathname } = inside.location;
    // A conversation that is gone leaves nothing to come back to.
    const isThere = inside.getElementById("main") && inside.getElementById("text");
    kept("sessionStorage", PLACE, isThere ? pathname : null);
    this.whole.href = pathname;
    if (byPerson) this.focus();
  }

  focus() {
    this.frame.focus();
    this.frame.contentDocument?.getElementById("text")?.focus();
  }
}

for (const host of document.querySelectorAll("automate-chat")) {
  if (host.shadowRoot) new Widget(host.shadowRoot);
}
