// What this device holds of one conversation's log: one span of seq without holes, and what came
// too early to join it.

/** Entries asked for with one request. */
const PAGE = 50;
/** Requests for one gap. A longer gap is not worth showing: the newest page replaces what is held. */
const MAX_GAP_PAGES = 20;
/** Entries held back behind a gap. */
const MAX_EARLY = 1_000;

export class Timeline {
  entries = [];
  /** Up to here everything visible is held. */
  high = 0;
  /** There is more before the first entry held. */
  hasOlder = false;
  loaded = false;

  #early = new Map();
  #history;
  #filling = null;
  #wanted = 0;

  /** `history(fields)` asks the server for a page of this conversation. */
  constructor(history) {
    this.#history = history;
  }

  /** Reads the newest page in place of whatever is held. */
  async loadNewest() {
    await this.#replace();
    // What came while the page was under way may lie beyond it.
    if (this.high < this.#wanted) await this.reach(this.#wanted);
  }

  async #replace() {
    const page = await this.#history({ limit: PAGE });
    this.entries = page.entries ?? [];
    this.high = Math.max(page.end_seq ?? 0, this.entries.at(-1)?.seq ?? 0);
    this.hasOlder = Boolean(page.next);
    this.loaded = true;
    this.#joinEarly();
  }

  /** Reads the page before the first entry held; resolves to how many came. */
  async loadOlder() {
    if (!this.hasOlder) return 0;
    const before = this.entries[0]?.seq ?? this.high + 1;
    const page = await this.#history({ before, limit: PAGE });
    const first = this.entries[0]?.seq ?? before;
    const older = (page.entries ?? []).filter((entry) => entry.seq < first);
    this.entries = [...older, ...this.entries];
    this.hasOlder = Boolean(page.next);
    return older.length;
  }

  /** Takes live entries, in any order and any number of times. Resolves to those that are new and in place. */
  async take(entries) {
    const from = this.high;
    const last = entries.at(-1)?.seq ?? 0;
    if (!this.loaded) {
      this.#wanted = Math.max(this.#wanted, last);
      return [];
    }
    for (const entry of entries) {
      if (entry.seq > this.high && this.#early.size < MAX_EARLY) this.#early.set(entry.seq, entry);
    }
    this.#joinEarly();
    if (last > this.high) await this.reach(last);
    return this.entries.filter((entry) => entry.seq > from);
  }

  /** Reads what is missing up to `end`; callers that come meanwhile share the work. */
  async reach(end) {
    this.#wanted = Math.max(this.#wanted, end);
    if (!this.loaded) return;
    this.#filling ??= this.#fill().finally(() => (this.#filling = null));
    await this.#filling;
  }

  async #fill() {
    for (let pages = 0; this.high < this.#wanted; pages += 1) {
      if (pages === MAX_GAP_PAGES) {
        this.#early.clear();
        await this.#replace();
        pages = 0;
        continue;
      }
      const page = await this.#history({ after: this.high, limit: PAGE });
      const more = (page.entries ?? []).filter((entry) => entry.seq > this.high);
      this.entries.push(...more);
      const to = page.next ? page.next : Math.max(page.end_seq ?? 0, more.at(-1)?.seq ?? 0);
      // An end below what was promised: the rest comes as an event, or is not for this user.
      if (to <= this.high) {
        this.#wanted = this.high;
        break;
      }
      this.high = to;
      this.#joinEarly();
    }
  }

  #joinEarly() {
    for (let entry = this.#early.get(this.high + 1); entry; entry = this.#early.get(this.high + 1)) {
      this.entries.push(entry);
      this.high = entry.seq;
    }
    for (const seq of this.#early.keys()) if (seq <= this.high) this.#early.delete(seq);
  }
}
