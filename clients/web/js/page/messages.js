// The open conversation: its log from older to newer, what is on its way, and where reading stopped.

import { icon, make, reconcile } from "./dom.js";
import { sr } from "./list.js";
import { SEND_STATES, dayOf, exactTimeOf, noteOf, sameDay, timeOf } from "./words.js";

/** Closer to the end than this counts as being there. */
const NEAR_END_PX = 48;
/** Closer to the start than this loads what is older. */
const NEAR_START_PX = 120;
/** Messages of one author closer together than this belong together. */
const GROUP_MS = 5 * 60_000;

export class MessageView {
  target = "";

  #client;
  #people;
  #onSeen;
  #list = make("ol", { class: "messages" });
  #older = make("button", { type: "button", class: "quiet older", hidden: true }, "Load earlier messages");
  #jump = make("button", { type: "button", class: "jump", hidden: true }, icon("down"), "New messages");
  #unreadAfter = 0;
  #loading = false;
  #stuck = true;
  /** The sizes when the end was last shown: a change of them is no scrolling of the reader's. */
  #sizes = "";

  /** `onSeen()` is called when the end of the log came into view. */
  constructor(client, people, onSeen) {
    this.#client = client;
    this.#people = people;
    this.#onSeen = onSeen;
    this.log = make("div", { class: "log", role: "log", tabindex: "0", "aria-label": "Messages" }, this.#older, this.#list);
    this.element = make("div", { class: "log-frame" }, this.log, this.#jump);
    this.#older.addEventListener("click", () => this.#loadOlder());
    this.#jump.addEventListener("click", () => this.toEnd());
    this.log.addEventListener("scroll", () => this.#scrolled(), { passive: true });
    new ResizeObserver(() => this.#stuck && this.toEnd()).observe(this.log);
  }

  get atEnd() {
    return this.log.scrollHeight - this.log.scrollTop - this.log.clientHeight < NEAR_END_PX;
  }

  open(target) {
    this.target = target;
    this.#stuck = true;
    this.noteUnread();
    this.log.setAttribute("aria-busy", "true");
    this.render();
    this.toEnd();
    this.log.removeAttribute("aria-busy");
  }

  /** Where the line "new" stands from now on: after what was read. */
  noteUnread() {
    const conversation = this.#client.conversations.get(this.target);
    this.#unreadAfter = conversation?.unread > 0 ? conversation.read : 0;
  }

  get hasUnreadLine() {
    return this.#unreadAfter > 0;
  }

  toEnd() {
    this.#stuck = true;
    this.log.scrollTop = this.log.scrollHeight;
    this.#sizes = this.#sizesNow();
    this.#jump.hidden = true;
    this.#onSeen();
  }

  #sizesNow() {
    return `${this.log.scrollHeight} ${this.log.clientHeight}`;
  }

  /** Shows the present state; whoever looks at the end stays there, whoever reads further up is not moved. */
  render() {
    const stuck = this.#stuck;
    const before = this.#list.lastElementChild?.dataset.key;
    reconcile(this.#list, this.#items());
    this.#older.hidden = !this.#timeline?.hasOlder;
    if (stuck) this.toEnd();
    else if (before !== this.#list.lastElementChild?.dataset.key) this.#jump.hidden = false;
  }

  get #timeline() {
    return this.target.startsWith("@") || !this.target ? null : this.#client.held(this.target);
  }

  #scrolled() {
    if (this.#stuck && !this.atEnd && this.#sizes !== this.#sizesNow()) return this.toEnd();
    this.#stuck = this.atEnd;
    if (this.#stuck) {
      this.#jump.hidden = true;
      this.#onSeen();
    }
    if (this.log.scrollTop < NEAR_START_PX) this.#loadOlder();
  }

  /** What is older comes in above; the line that was looked at stays where it is. */
  async #loadOlder() {
    const target = this.target;
    if (this.#loading || !this.#timeline?.hasOlder || !this.#client.online) return;
    this.#loading = true;
    this.log.setAttribute("aria-busy", "true");
    const fromEnd = this.log.scrollHeight - this.log.scrollTop;
    try {
      await this.#client.loadOlder(target);
    } catch {
      // Offline now: the button stays, scrolling asks again.
    }
    if (this.target === target) this.log.scrollTop = this.log.scrollHeight - fromEnd;
    this.log.removeAttribute("aria-busy");
    this.#loading = false;
  }

  #items() {
    const items = [];
    let last = null;
    const entries = this.#timeline?.entries ?? [];
    const waiting = this.#client.outbox.of(this.target);
    // The newest own message says its state in a word: what the ticks mean is learned there.
    const spoken = waiting.at(-1)?.messageId ?? entries.findLast(({ author, kind }) => author === this.#client.user && kind === "message")?.message_id;
    for (const entry of entries) {
      const at = entry.time_ms ?? 0;
      if (!last || !sameDay(last.at, at)) items.push(this.#day(at, entry.seq));
      if (this.#unreadAfter > 0 && (last?.seq ?? 0) <= this.#unreadAfter && entry.seq > this.#unreadAfter) items.push(this.#unreadLine());
      const note = noteOf(entry, this.#people.nameOf);
      if (note !== null) items.push(this.#note(entry, note));
      else items.push(this.#entry(entry, last, spoken));
      last = { at, seq: entry.seq, author: note === null ? entry.author : "" };
    }
    for (const item of waiting) {
      if (!last || !sameDay(last.at, item.createdMs)) items.push(this.#day(item.createdMs, item.messageId));
      items.push(this.#waiting(item, last, spoken));
      last = { at: item.createdMs, seq: last?.seq ?? 0, author: this.#client.user };
    }
    if (items.length === 0) items.push(this.#empty());
    return items;
  }

  #day(ms, before) {
    const text = dayOf(ms);
    return { key: `day-${before}`, version: text, build: () => make("li", { class: "day" }, text) };
  }

  #unreadLine() {
    return { key: "unread", version: "", build: () => make("li", { class: "unread-line" }, "New") };
  }

  #note(entry, note) {
    return { key: `s${entry.seq}`, version: note, build: () => make("li", { class: "note", dir: "auto" }, note) };
  }

  #empty() {
    const loading = this.#timeline && !this.#timeline.loaded;
    const text = loading ? "The history comes as soon as the server answers." : "No messages yet. Say hello.";
    return { key: "empty", version: text, build: () => make("li", { class: "note" }, text) };
  }

  #entry(entry, last, spoken) {
    const own = entry.author === this.#client.user;
    return this.#message({
      // The id, so that a bubble stays itself when the server has taken it.
      key: own && entry.message_id ? entry.message_id : `s${entry.seq}`,
      author: entry.author,
      text: entry.body?.text ?? (entry.encrypted ? "Encrypted message" : "Message removed"),
      missing: !entry.body,
      action: entry.body?.style === "action",
      at: entry.time_ms ?? 0,
      seq: entry.seq,
      state: own ? this.#client.receipt(this.target, entry.seq) : "",
      quote: this.#quoteOf(entry),
      spoken: own && entry.message_id === spoken,
      follows: follows(last, entry.author, entry.time_ms ?? 0),
    });
  }

  #waiting(item, last, spoken) {
    return this.#message({
      key: item.messageId,
      author: this.#client.user,
      text: item.text,
      at: item.createdMs,
      state: item.state,
      item,
      spoken: item.messageId === spoken,
      follows: follows(last, this.#client.user, item.createdMs),
    });
  }

  #quoteOf({ reply_to: seq }) {
    if (!seq) return "";
    const found = this.#timeline.entries.find((entry) => entry.seq === seq);
    return found?.body?.text ? `${this.#people.nameOf(found.author)}: ${found.body.text}` : "An earlier message";
  }

  #message(message) {
    const { key, item, ...rest } = message;
    const group = (this.#client.conversations.get(this.target)?.memberCount ?? 2) > 2;
    return {
      key,
      version: JSON.stringify([rest, item?.error, group]),
      build: () => this.#build(message, group),
    };
  }

  #build({ author, text, missing, action, at, seq, state, item, quote, spoken, follows: continued }, group) {
    const own = author === this.#client.user;
    const name = this.#people.nameOf(author);
    const classes = ["message", own ? "own" : "other", continued && "continued", action && "action", missing && "missing", state];
    const shownName = !own && group && !continued ? make("span", { class: "author", dir: "auto" }, name) : sr(`${own ? "You" : name}: `);
    const body = make("p", { class: "text", dir: "auto" }, action ? `${name} ${text}` : text);
    const time = make("time", { datetime: new Date(at).toISOString(), title: exactTimeOf(at) }, timeOf(at));
    const bubble = make(
      "div",
      { class: "bubble" },
      shownName,
      quote ? make("blockquote", { class: "quote", dir: "auto" }, quote) : null,
      body,
      make("span", { class: "meta" }, time, state ? tickOf(state, spoken) : null),
    );
    return make("li", { class: classes.filter(Boolean).join(" "), "data-seq": seq }, bubble, item && this.#trouble(item));
  }

  /** What to do about a message that did not go out. */
  #trouble(item) {
    if (item.state !== "failed" && item.state !== "unsettled") return null;
    const why = item.error?.message ?? "";
    const again = make("button", { type: "button", class: "quiet", onclick: () => this.#client.outbox.again(item) }, "Try again");
    const discard = make("button", { type: "button", class: "quiet", onclick: () => this.#client.outbox.discard(item) }, "Discard");
    return make("div", { class: "trouble" }, make("span", {}, why), again, discard);
  }
}

function follows(last, author, at) {
  return Boolean(last) && last.author === author && at - last.at < GROUP_MS && sameDay(last.at, at);
}

/** A picture of the state with its word: one announces, the other is seen. */
function tickOf(state, spoken) {
  const { icon: name, word, shown = spoken ? word : "" } = SEND_STATES[state];
  return make("span", { class: `tick ${state}`, title: word, "data-state": state }, icon(name), shown ? make("span", {}, shown) : sr(word));
}
