// Delivered and read marks on their way out: gathered for a moment, since they only grow, and kept
// until the server has them.

const GATHER_MS = 120;
const RETRY_MS = 2_000;

export class Marks {
  #pending = new Map();
  #timer = null;
  #send;
  #online;

  /** `send({conversation, delivered, read})` rejects where the server did not take it. */
  constructor(send, online) {
    this.#send = send;
    this.#online = online;
  }

  /** What was marked and is not known to have arrived. */
  of(conversation) {
    return this.#pending.get(conversation) ?? { delivered: 0, read: 0 };
  }

  add(conversation, { delivered = 0, read = 0 }) {
    const known = this.of(conversation);
    this.#pending.set(conversation, {
      delivered: Math.max(known.delivered, delivered),
      read: Math.max(known.read, read),
    });
    this.#later(GATHER_MS);
  }

  clear() {
    this.#pending.clear();
  }

  async flush() {
    clearTimeout(this.#timer);
    this.#timer = null;
    for (const [conversation, mark] of [...this.#pending]) {
      if (!this.#online()) return;
      try {
        const sent = this.#send({ conversation, ...mark });
        if (this.#pending.get(conversation) === mark) this.#pending.delete(conversation);
        await sent;
      } catch (error) {
        if (error.retryable) this.#put(conversation, mark, error.retryAfterMs);
      }
    }
  }

  #put(conversation, mark, retryAfterMs = 0) {
    const { delivered, read } = this.of(conversation);
    this.#pending.set(conversation, {
      delivered: Math.max(delivered, mark.delivered),
      read: Math.max(read, mark.read),
    });
    this.#later(Math.max(RETRY_MS, retryAfterMs));
  }

  #later(ms) {
    this.#timer ??= setTimeout(() => {
      this.#timer = null;
      this.flush();
    }, ms);
  }
}
