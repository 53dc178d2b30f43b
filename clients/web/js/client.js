// One signed-in device: its conversations, their logs, marks, typing and presence, kept up to date
// over one connection, and a message outbox that survives it. Depends on nothing that a page has.

import { Connection } from "./connection.js";
import { Emitter } from "./emitter.js";
import { Marks } from "./marks.js";
import { Outbox, OutboxStore, targetOf } from "./outbox.js";
import { Timeline } from "./timeline.js";

const SYNC_PAGE = 100;
const SYNC_RETRY_MS = 1_500;
const WATCH_RETRY_MS = 2_000;
/** Conversations whose newest page is read ahead, so that "delivered" is true when it is said. */
const READ_AHEAD = 20;
/** A typing person who says nothing more is taken for gone. */
const TYPING_EXPIRES_MS = 6_000;
/** "Still typing" is repeated this often. */
const TYPING_REPEAT_MS = 3_000;
/** Entries after which a conversation's title, members or role are other ones. */
const CHANGES_LIST = new Set(["created", "joined", "left", "removed", "role", "title"]);

export const isCountable = ({ kind, thread }) => (kind === "message" && !thread) || kind === "system";

/**
 * Events: `state`, `conversations` (the list changed), `timeline` (a conversation's id: its messages or their
 * states changed), `typing` (a conversation's id), `presence` (a user) and `frame` (see Connection).
 */
export class Client extends Emitter {
  /** Conversations by id; see `#adopt` for their fields. */
  conversations = new Map();
  /** {status, last_seen_ms} by user. */
  presence = new Map();
  /** All conversations are known: the first sync is done. */
  ready = false;

  #timelines = new Map();
  #typing = new Map();
  #typed = new Map();
  #watched = [];
  #watchAgain;
  #cursor = "";
  #syncing = null;
  #syncAgain = false;

  /** `storage` keeps unsent messages; `memory`: {get(), set(text)} keeps the resume token. */
  constructor({ user, url, getToken, storage, memory }) {
    super();
    this.user = user;
    this.connection = new Connection({ url, getToken, memory, cursor: () => this.#cursor });
    this.marks = new Marks((mark) => this.#mark(mark), () => this.online);
    this.outbox = new Outbox({
      store: new OutboxStore(storage, user),
      deliver: (item, onWritten) => this.#deliver(item, onWritten),
      online: () => this.online && this.ready,
      seen: (conversation) => this.#seen(conversation),
      changed: (item) => this.emit("timeline", targetOf(item)),
      stored: (item, sent) => this.#stored(item, sent),
    });
    this.connection.on("state", () => this.emit("state", this.connection.state));
    this.connection.on("frame", (frame) => this.emit("frame", frame));
    this.connection.on("connected", (connected) => this.#connected(connected));
    this.connection.on("event", ({ name, value }) => this.#event(name, value));
  }

  get online() {
    return this.connection.state === "online";
  }

  /** Queues a message for a target: a conversation's id, or "@user" for a direct one that is not there yet. */
  send(target, text) {
    this.typing(target, false);
    return this.outbox.add(target.startsWith("@") ? { to: target.slice(1), text } : { conversation: target, text });
  }

  /** The conversation's timeline, its newest page loaded; offline, what is held of it. */
  async timeline(id) {
    const timeline = this.#timelineOf(id);
    if (!timeline.loaded && this.online) {
      timeline.loading ??= timeline.loadNewest().finally(() => (timeline.loading = null));
      await timeline.loading;
      this.#settleOwn(timeline.entries);
      this.emit("timeline", id);
    }
    return timeline;
  }

  /** What is held of the conversation's log now. */
  held(id) {
    return this.#timelineOf(id);
  }

  async loadOlder(id) {
    const timeline = this.#timelineOf(id);
    const count = await timeline.loadOlder();
    this.emit("timeline", id);
    return count;
  }

  /** The user has seen everything up to `seq`. */
  markRead(id, seq) {
    const conversation = this.conversations.get(id);
    if (!conversation || seq <= conversation.read) return;
    conversation.read = seq;
    if (seq >= conversation.endSeq) conversation.unread = 0;
    this.marks.add(id, { read: seq, delivered: seq });
    this.emit("conversations");
  }

  /** Tells the others of a conversation that the user types; repeated calls cost one frame in a while. */
  typing(id, active) {
    const last = this.#typed.get(id) ?? 0;
    const due = active ? Date.now() - last >= TYPING_REPEAT_MS : last > 0;
    if (!due || !this.online || id.startsWith("@")) return;
    this.#typed.set(id, active ? Date.now() : 0);
    this.connection.request("typing", { conversation: id, active }).catch(() => {});
  }

  /** Who types in the conversation. */
  typists(id) {
    return [...(this.#typing.get(id)?.keys() ?? [])];
  }

  watchPresence(users) {
    this.#watched = [...new Set(users)].sort();
    this.#watch();
  }

  /** What became of an own stored message: `stored`, `delivered` or `read`, by everybody else. */
  receipt(id, seq) {
    const conversation = this.conversations.get(id);
    const marks = [...(conversation?.marks.values() ?? [])];
    if (marks.length === 0 || marks.length < conversation.memberCount - 1) return "stored";
    if (marks.every((mark) => mark.read >= seq)) return "read";
    return marks.every((mark) => mark.delivered >= seq) ? "delivered" : "stored";
  }

  #timelineOf(id) {
    const known = this.#timelines.get(id);
    if (known) return known;
    const timeline = new Timeline(async (fields) => {
      const { value } = await this.connection.request("history", { conversation: id, ...fields });
      return value;
    });
    this.#timelines.set(id, timeline);
    return timeline;
  }

  // --- coming online

  async #connected({ reset }) {
    if (reset) this.#forgetAll();
    this.#watch();
    await this.sync();
  }

  /** Takes the changes since the last sync; calls that come meanwhile lead to one more round. */
  sync() {
    if (this.#syncing) {
      this.#syncAgain = true;
      return this.#syncing;
    }
    this.#syncing = this.#syncUntilDone().finally(() => (this.#syncing = null));
    return this.#syncing;
  }

  async #syncUntilDone() {
    do {
      this.#syncAgain = false;
      try {
        const changed = await this.#syncOnce();
        this.ready = true;
        this.emit("conversations");
        this.outbox.wake();
        await this.#catchUp(changed);
      } catch (error) {
        // A lost connection syncs again when it is back.
        if (!this.online || !error.code) return;
        await new Promise((resolve) => setTimeout(resolve, Math.max(SYNC_RETRY_MS, error.retryAfterMs ?? 0)));
        this.#syncAgain = this.online;
      }
    } while (this.#syncAgain);
  }

  async #syncOnce() {
    const changed = new Set();
    let page = "";
    for (;;) {
      const { value } = await this.connection.request("sync", { cursor: this.#cursor, limit: SYNC_PAGE, page });
      if (value.reset && !page) this.#forgetAll();
      for (const conversation of value.conversations ?? []) changed.add(this.#adopt(conversation));
      if (!value.more) {
        this.#cursor = value.cursor ?? "";
        return changed;
      }
      page = value.page;
    }
  }

  /** Brings what is shown up to the ends that the sync told. */
  async #catchUp(changed) {
    const present = [...changed].filter((conversation) => this.conversations.has(conversation.id));
    for (const { id, endSeq } of present.slice(0, READ_AHEAD)) {
      const timeline = await this.timeline(id);
      if (timeline.high < endSeq) await timeline.reach(endSeq);
      this.#settleOwn(timeline.entries);
      this.#noteDelivered(id);
      this.emit("timeline", id);
    }
    this.marks.flush();
  }

  #adopt(wire) {
    const registers = wire.registers ?? {};
    const known = this.conversations.get(wire.conversation);
    const pending = this.marks.of(wire.conversation);
    const conversation = {
      id: wire.conversation,
      kind: wire.kind ?? "group",
      title: wire.title ?? "",
      peer: wire.peer ?? "",
      memberCount: wire.member_count ?? 0,
      endSeq: Math.max(wire.end_seq ?? 0, known?.endSeq ?? 0),
      lastActivityMs: wire.last_activity_ms ?? 0,
      preview: wire.preview ?? known?.preview,
      unread: wire.unread ?? 0,
      read: Math.max(registers.read ?? 0, pending.read, known?.read ?? 0),
      delivered: Math.max(registers.delivered ?? 0, pending.delivered, known?.delivered ?? 0),
      muted: Boolean(registers.muted),
      marks: new Map(),
    };
    for (const mark of wire.marks ?? []) growMark(conversation.marks, mark);
    for (const mark of known?.marks.values() ?? []) if (conversation.marks.has(mark.user)) growMark(conversation.marks, mark);
    if (pending.read >= conversation.endSeq) conversation.unread = 0;
    if (registers.removed) this.conversations.delete(conversation.id);
    else this.conversations.set(conversation.id, conversation);
    return conversation;
  }

  /** The server's store is another one now: nothing held is worth anything, but unsent messages are. */
  #forgetAll() {
    this.#cursor = "";
    this.conversations.clear();
    this.#timelines.clear();
    this.marks.clear();
  }

  #watch() {
    if (!this.online || this.#watched.length === 0) return;
    clearTimeout(this.#watchAgain);
    this.connection.request("watch_presence", { users: this.#watched }).then(
      ({ value }) => (value.now ?? []).forEach((now) => this.#present(now)),
      (error) => {
        if (error.retryable) this.#watchAgain = setTimeout(() => this.#watch(), error.retryAfterMs || WATCH_RETRY_MS);
      },
    );
  }

  // --- events

  #event(name, value) {
    if (name === "entries") this.#entries(value.conversation, value.entries ?? []);
    else if (name === "marks") this.#othersMarks(value);
    else if (name === "typing") this.#typingNow(value);
    else if (name === "presence") this.#present(value);
    else if (name === "registers") this.#registers(value);
    else if (name === "resync") this.#resync(value.conversations ?? []);
  }

  async #entries(id, entries) {
    this.#settleOwn(entries);
    for (const { author } of entries) this.#typingNow({ conversation: id, user: author, active: false });
    const conversation = this.conversations.get(id);
    if (!conversation || entries.some(({ kind }) => CHANGES_LIST.has(kind))) this.sync();
    if (conversation) this.#count(conversation, entries);
    try {
      await this.#timelineOf(id).take(entries);
      this.#noteDelivered(id);
    } catch {
      // The gap is read again with the next sync.
    }
    this.emit("timeline", id);
    this.emit("conversations");
  }

  /** Ends, preview and unread after entries that may have come before. */
  #count(conversation, entries) {
    for (const entry of entries) {
      if (entry.seq <= conversation.endSeq) continue;
      const readAll = conversation.read >= conversation.endSeq;
      conversation.endSeq = entry.seq;
      conversation.preview = entry;
      conversation.lastActivityMs = entry.time_ms ?? conversation.lastActivityMs;
      if (!isCountable(entry)) continue;
      if (entry.author !== this.user) conversation.unread += 1;
      else if (readAll || conversation.unread === 0) conversation.read = entry.seq;
    }
  }

  #noteDelivered(id) {
    const conversation = this.conversations.get(id);
    const high = this.#timelineOf(id).high;
    if (!conversation || high <= conversation.delivered) return;
    conversation.delivered = high;
    this.marks.add(id, { delivered: high });
  }

  #othersMarks({ conversation: id, marks = [] }) {
    const conversation = this.conversations.get(id);
    if (!conversation) return;
    for (const mark of marks) if (mark.user !== this.user) growMark(conversation.marks, mark);
    this.emit("timeline", id);
  }

  #registers(value) {
    const conversation = this.conversations.get(value.conversation);
    if (!conversation) return void this.sync();
    if (value.removed) this.conversations.delete(conversation.id);
    conversation.read = Math.max(conversation.read, value.read ?? 0);
    conversation.delivered = Math.max(conversation.delivered, value.delivered ?? 0);
    if ((value.read ?? 0) >= conversation.read) conversation.unread = value.unread ?? 0;
    conversation.muted = Boolean(value.muted);
    this.emit("conversations");
  }

  #typingNow({ conversation: id, user, active }) {
    const typists = this.#typing.get(id) ?? new Map();
    this.#typing.set(id, typists);
    const was = typists.has(user);
    clearTimeout(typists.get(user));
    typists.delete(user);
    const stop = () => this.#typingNow({ conversation: id, user, active: false });
    if (active && user !== this.user) typists.set(user, setTimeout(stop, TYPING_EXPIRES_MS));
    if (was !== typists.has(user)) this.emit("typing", id);
  }

  #present({ user, status, last_seen_ms: lastSeenMs = 0 }) {
    this.presence.set(user, { status: status ?? "unknown", lastSeenMs });
    this.emit("presence", user);
  }

  async #resync(conversations) {
    if (conversations.length === 0) this.#watch();
    await this.sync();
    if (conversations.length > 0) await this.#catchUp(conversations.map((id) => this.conversations.get(id)).filter(Boolean));
  }

  // --- requests

  #seen(id) {
    const conversation = this.conversations.get(id);
    const seq = Math.max(this.#timelines.get(id)?.high ?? 0, conversation?.endSeq ?? 0);
    return { seq, generation: this.connection.generation };
  }

  async #deliver(item, onWritten) {
    const send = { message_id: item.messageId, after_seq: item.afterSeq, generation: item.generation };
    if (item.conversation) send.conversation = item.conversation;
    else send.to = item.to;
    if (item.tries > 1) send.retry = true;
    const { value } = await this.connection.request("send", { ...send, body: { text: item.text } }, { onWritten });
    return value;
  }

  /** The acknowledgement is as good as the entry itself, and mostly comes first. */
  #stored(item, sent) {
    const entry = {
      seq: sent.seq,
      kind: "message",
      author: this.user,
      message_id: item.messageId,
      time_ms: sent.time_ms,
      ordinal: sent.ordinal,
      body: { text: item.text },
    };
    if (!item.conversation) this.emit("moved", { from: targetOf(item), to: sent.conversation });
    this.#entries(sent.conversation, [entry]);
  }

  #settleOwn(entries) {
    for (const { author, message_id: id } of entries) if (author === this.user && id) this.outbox.confirm(id);
  }

  async #mark(mark) {
    const { value } = await this.connection.request("mark", mark);
    const conversation = this.conversations.get(mark.conversation);
    if (conversation && (value.read ?? 0) >= conversation.read && this.marks.of(mark.conversation).read === 0) {
      conversation.unread = value.unread ?? 0;
      this.emit("conversations");
    }
  }
}

function growMark(marks, { user, delivered = 0, read = 0 }) {
  const known = marks.get(user) ?? { delivered: 0, read: 0 };
  const grown = { user, delivered: Math.max(known.delivered, delivered), read: Math.max(known.read, read) };
  marks.set(user, { ...grown, delivered: Math.max(grown.delivered, grown.read) });
}
