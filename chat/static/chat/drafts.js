// What was typed and not sent yet, kept by this browser for each person and conversation.

const PREFIX = "chat-draft:";
const SENT = "chat-draft-sent";

/** Forget what everybody typed here, or everybody but one person. */
export function forgetAll(but = null) {
  try {
    for (const key of Object.keys(localStorage)) {
      if (key.startsWith(PREFIX) && (but === null || !key.startsWith(`${PREFIX}${but}:`))) {
        localStorage.removeItem(key);
      }
    }
  } catch {
    // A browser that stores nothing has nothing to forget.
  }
}

/** The draft of one conversation, or of the next new one. */
export class Draft {
  constructor(person, conversation) {
    this.person = person;
    this.conversation = conversation;
    this.key = `${PREFIX}${person}:${conversation}`;
  }

  get text() {
    try {
      return localStorage.getItem(this.key) ?? "";
    } catch {
      return "";
    }
  }

  keep(text) {
    try {
      if (text.trim()) localStorage.setItem(this.key, text);
      else localStorage.removeItem(this.key);
    } catch {
      // Nothing is stored, or too much is: the text then lasts as long as the page.
    }
  }

  /** It is on its way by a plain form. Only the next page knows whether it was taken. */
  leave(text) {
    try {
      sessionStorage.setItem(SENT, text);
    } catch {
      // It is then offered once more.
    }
  }

  /** The page of a conversation has come: what was sent from the one before is no draft any more. */
  arrive() {
    try {
      const sent = sessionStorage.getItem(SENT);
      sessionStorage.removeItem(SENT);
      const before = new Draft(this.person, "new");
      if (sent !== null && before.text === sent) before.keep("");
    } catch {
      // As above.
    }
  }
}
