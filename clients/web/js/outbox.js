// Messages on their way: kept across reloads, sent in order per conversation, sent again with the
// same id until the server has said what became of them.

import { uuidv7 } from "./ids.js";

/** Messages that may wait at once. */
const MAX_WAITING = 200;
const RETRY_MIN_MS = 500;
const RETRY_MAX_MS = 8_000;

/** Items in storage, one key each, so that two tabs of the same user do not overwrite each other's. */
export class OutboxStore {
  #storage;
  #prefix;

  constructor(storage, owner) {
    this.#storage = storage;
    this.#prefix = `posthorn.outbox.${owner}.`;
  }

  load() {
    const items = [];
    for (let i = 0; i < this.#storage.length; i += 1) {
      const key = this.#storage.key(i);
      if (!key.startsWith(this.#prefix)) continue;
      try {
        items.push(JSON.parse(this.#storage.getItem(key)));
      } catch {
        // Not ours to repair; a message that cannot be read cannot be sent.
      }
    }
    return items.sort((a, b) => a.createdMs - b.createdMs || (a.messageId < b.messageId ? -1 : 1));
  }

  save(item) {
    try {
      this.#storage.setItem(this.#prefix + item.messageId, JSON.stringify(item));
    } catch {
      // Storage is full or forbidden: the message still goes out while the page lives.
    }
  }

  remove(item) {
    this.#storage.removeItem(this.#prefix + item.messageId);
  }
}

/**
 * An item's `state`: `queued` (not tried), `sent` (written to a connection), `unconfirmed` (tried, and the
 * answer got lost; will be asked for again), `failed` (refused for good; `error` says why) and `unsettled` (the
 * server cannot tell whether it was stored; trying again is the user's choice). What was stored leaves the outbox.
 */
export class Outbox {
  items = [];

  #store;
  #deliver;
  #online;
  #seen;
  #changed;
  #stored;
  #busy = new Set();
  #waits = new Map();

  /**
   * `deliver(item, onWritten)` sends and resolves to `sent`; `online()` says whether to try; `seen(conversation)`
   * gives {seq, generation} of what this device holds; `changed(item)` and `stored(item, sent)` are told.
   */
  constructor({ store, deliver, online, seen, changed, stored }) {
    Object.assign(this, { items: store.load() });
    this.#store = store;
    this.#deliver = deliver;
    this.#online = online;
    this.#seen = seen;
    this.#changed = changed;
    this.#stored = stored;
    // Another page may have tried it and died before it could note so.
    for (const item of this.items) if (item.state === "sent") item.state = "unconfirmed";
  }

  /** Queues a message for `conversation`, or for the direct conversation with the user `to`. */
  add({ conversation = "", to = "", text }) {
    if (this.items.length >= MAX_WAITING) throw new Error(`${MAX_WAITING} messages already wait`);
    const item = { messageId: uuidv7(), conversation, to, text, createdMs: Date.now(), state: "queued", tries: 0 };
    this.items.push(item);
    this.#store.save(item);
    this.#changed(item);
    this.pump();
    return item;
  }

  of(target) {
    return this.items.filter((item) => targetOf(item) === target);
  }

  /** Tries a failed message again, under the same id. */
  again(item) {
    item.error = undefined;
    this.#set(item, item.tries > 0 ? "unconfirmed" : "queued");
    this.pump();
  }

  discard(item) {
    this.#forget(item);
    this.#changed(item);
  }

  /** The log has the message, whoever told us. */
  confirm(messageId) {
    const item = this.items.find((candidate) => candidate.messageId === messageId);
    if (item) this.#forget(item);
    return item;
  }

  /** Sends what can be sent: per conversation the oldest, one at a time, so that their order stays. */
  pump() {
    if (!this.#online()) return;
    const blocked = new Set(this.#busy);
    for (const item of [...this.items]) {
      const target = targetOf(item);
      if (item.state === "failed" || item.state === "unsettled" || blocked.has(target)) continue;
      blocked.add(target);
      if (!this.#waits.has(target)) this.#send(item, target);
    }
  }

  /** After a reconnect nothing has to wait for an earlier refusal. */
  wake() {
    for (const timer of this.#waits.values()) clearTimeout(timer);
    this.#waits.clear();
    this.pump();
  }

  async #send(item, target) {
    this.#busy.add(target);
    if (item.afterSeq === undefined) {
      const seen = this.#seen(item.conversation);
      item.afterSeq = seen.seq;
      item.generation = seen.generation;
    }
    // Noted before it goes out: a page that dies now must come back knowing that it may have been stored.
    item.tries += 1;
    this.#store.save(item);
    try {
      const sent = await this.#deliver(item, () => this.#set(item, "sent"));
      this.#forget(item);
      this.#stored(item, sent);
    } catch (error) {
      this.#refused(item, target, error);
    } finally {
      this.#busy.delete(target);
      this.pump();
    }
  }

  #refused(item, target, error) {
    if (!this.items.includes(item)) return;
    if (error.code === "disconnected") return this.#set(item, item.state === "sent" ? "unconfirmed" : item.state);
    if (!error.retryable) {
      item.error = { code: error.code, message: error.message };
      // What certainly was not stored may go out afresh; anything else stays bound to where it began.
      if (error.code === "stale_generation" || (error.sideEffectFree && item.tries === 1)) {
        item.afterSeq = undefined;
        item.tries = 0;
      }
      return this.#set(item, error.sideEffectFree ? "failed" : "unsettled");
    }
    this.#set(item, error.sideEffectFree && item.tries === 1 ? "queued" : "unconfirmed");
    const backoff = Math.min(RETRY_MAX_MS, RETRY_MIN_MS * 2 ** Math.min(item.tries, 8));
    const wait = Math.max(error.retryAfterMs, Math.random() * backoff);
    this.#waits.set(target, setTimeout(() => {
      this.#waits.delete(target);
      this.pump();
    }, wait));
  }

  #set(item, state) {
    item.state = state;
    this.#store.save(item);
    this.#changed(item);
  }

  #forget(item) {
    this.items = this.items.filter((other) => other !== item);
    this.#store.remove(item);
  }
}

/** The conversation, or the user where the conversation does not exist yet. */
export function targetOf({ conversation, to }) {
  return conversation || `@${to}`;
}
