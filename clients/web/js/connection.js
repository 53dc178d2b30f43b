// One device's connection: opens, authenticates, resumes, keeps alive, comes back.

import { CODES, comesBack } from "./codes.js";
import { Emitter } from "./emitter.js";
import { decode, encode } from "./wire.js";

const SUBPROTOCOL = "posthorn.v1.json";
/** Waits before a reconnect are drawn from 0 to base * 2^attempt, at most the cap ("full jitter"). */
const BACKOFF_BASE_MS = 400;
const BACKOFF_CAP_MS = 10_000;
/** From `new WebSocket` to `connected`. */
const OPEN_TIMEOUT_MS = 15_000;
const REQUEST_TIMEOUT_MS = 20_000;
const PING_TIMEOUT_MS = 10_000;
const DEFAULT_PING_INTERVAL_MS = 25_000;
/** A connection that lived this long makes the next failure count as the first. */
const STABLE_MS = 5_000;

/** A request that was refused (`code` of the table) or got no answer (`disconnected`, `deadline_exceeded`). */
export class RequestError extends Error {
  constructor({ code, message, retryable, side_effect_free, retry_after_ms }) {
    super(message || CODES[code]?.summary || code);
    this.code = code;
    this.retryable = Boolean(retryable);
    this.sideEffectFree = Boolean(side_effect_free);
    this.retryAfterMs = retry_after_ms ?? 0;
  }
}

const disconnected = () =>
  new RequestError({ code: "disconnected", message: "the connection ended before the answer", retryable: true });

/**
 * States: `connecting`, `online`, `waiting` (until `retryAt`), `paused` (by the application) and
 * `stopped` (the server said not to come back).
 * Events: `state`, `connected` (the server's `connected`), `event` ({name, value}) and
 * `frame` ({direction: "in"|"out", text, at}: as it went over the wire).
 */
export class Connection extends Emitter {
  state = "paused";
  /** Why the last connection ended or could not be made: {code, message}, or null. */
  reason = null;
  /** When the next attempt begins, ms since 1970, while `waiting`. */
  retryAt = 0;
  generation = 0;
  limits = {};

  #url;
  #getToken;
  #memory;
  #cursor;
  #socket = null;
  #nextId = 1;
  #pending = new Map();
  #attempt = 0;
  #timers = new Map();
  #lastHeard = 0;
  #freshToken = false;
  /** What the server said about the end of this connection before it closed it. */
  #verdict = null;

  /**
   * `getToken({fresh})` resolves to a token; `fresh` asks for a new one. `cursor()` is the cursor of the last
   * sync. `memory` keeps the resume token: {get(), set(text)}.
   */
  constructor({ url, getToken, cursor, memory }) {
    super();
    this.#url = url;
    this.#getToken = getToken;
    this.#cursor = cursor;
    this.#memory = memory;
  }

  /** Connects now, whatever it waits for. */
  open() {
    if (this.state === "online" || this.state === "connecting") return;
    this.#attempt = 0;
    this.#start();
  }

  /** Ends the connection and stays away until `open`. */
  pause() {
    this.#drop(1000);
    this.#become("paused", { code: "paused", message: "offline on request" });
  }

  /** Sends a request and resolves to its reply's content. Rejects with a RequestError. */
  request(name, value, { timeoutMs = REQUEST_TIMEOUT_MS, onWritten } = {}) {
    if (this.state !== "online") return Promise.reject(disconnected());
    return this.#ask(name, value, timeoutMs, onWritten);
  }

  #ask(name, value, timeoutMs, onWritten) {
    return new Promise((resolve, reject) => {
      const id = this.#nextId++;
      const timer = setTimeout(() => {
        this.#pending.delete(id);
        reject(new RequestError({ code: "deadline_exceeded", retryable: true }));
      }, timeoutMs);
      this.#pending.set(id, { resolve, reject, timer });
      this.#write({ id, [name]: value });
      onWritten?.();
    });
  }

  async #start() {
    this.#clearTimers();
    this.#verdict = null;
    this.#become("connecting", this.reason);
    let token;
    try {
      token = await this.#getToken({ fresh: this.#freshToken });
      this.#freshToken = false;
    } catch {
      return this.#retry({ code: "no_token", message: "the server that hands out tokens does not answer" });
    }
    if (this.state !== "connecting" || this.#socket) return;
    const socket = new WebSocket(this.#url, SUBPROTOCOL);
    this.#socket = socket;
    socket.onopen = () => this.#greet(socket, token);
    socket.onmessage = ({ data }) => this.#socket === socket && this.#read(data);
    socket.onclose = ({ code, reason }) => this.#socket === socket && this.#closed(code, reason);
    this.#after("open", OPEN_TIMEOUT_MS, () => this.#lost({ code: "connect_timeout", message: "no answer" }));
  }

  async #greet(socket, token) {
    const resume = this.#memory.get();
    const connect = { token, client: "posthorn-web/1" };
    if (resume) connect.resume_token = resume;
    if (this.#cursor()) connect.cursor = this.#cursor();
    let connected;
    try {
      connected = (await this.#ask("connect", connect, OPEN_TIMEOUT_MS)).value;
    } catch (error) {
      // The close frame that follows says whether to come back; the delay is told only here.
      if (this.#socket === socket) this.#verdict = error;
      return;
    }
    if (this.#socket !== socket) return;
    this.#clearTimers();
    this.#memory.set(connected.resume_token ?? "");
    this.generation = connected.generation ?? 0;
    this.limits = connected.limits ?? {};
    this.#after("stable", STABLE_MS, () => (this.#attempt = 0));
    this.#keepAlive(connected.ping_interval_ms || DEFAULT_PING_INTERVAL_MS);
    this.#become("online", null);
    this.emit("connected", connected);
  }

  /** A ping whenever nothing was heard for an interval; no answer means that the socket is half open. */
  #keepAlive(intervalMs) {
    this.#after("ping", intervalMs, async () => {
      if (Date.now() - this.#lastHeard >= intervalMs / 2) {
        try {
          await this.request("ping", {}, { timeoutMs: PING_TIMEOUT_MS });
        } catch (error) {
          if (error.code === "deadline_exceeded") this.#lost({ code: "ping_timeout", message: "the server fell silent" });
          return;
        }
      }
      if (this.state === "online") this.#keepAlive(intervalMs);
    });
  }

  #read(data) {
    this.#lastHeard = Date.now();
    let frame;
    try {
      frame = decode(data);
    } catch {
      return this.#lost({ code: "malformed_frame", message: "the server sent what is no JSON" });
    }
    this.emit("frame", { direction: "in", text: data, at: this.#lastHeard });
    const { id, ...rest } = frame;
    const [name, value] = Object.entries(rest)[0] ?? ["", {}];
    if (id) return this.#settle(id, name, value);
    if (name === "ping") return this.#write({ pong: {} });
    if (name === "reconnect") return this.#moveOn(value);
    if (name === "token_expiring") return this.#refresh();
    // An error without an id is about the connection, and its close frame follows.
    if (name === "error") this.#verdict = new RequestError(value);
    else this.emit("event", { name, value });
  }

  #settle(id, name, value) {
    const waiting = this.#pending.get(id);
    if (!waiting) return;
    this.#pending.delete(id);
    clearTimeout(waiting.timer);
    if (name === "error") waiting.reject(new RequestError(value));
    else waiting.resolve({ name, value });
  }

  #write(frame) {
    if (this.#socket?.readyState !== WebSocket.OPEN) return;
    const text = encode(frame);
    this.emit("frame", { direction: "out", text, at: Date.now() });
    this.#socket.send(text);
  }

  async #refresh() {
    try {
      const token = await this.#getToken({ fresh: true });
      await this.request("refresh", { token });
    } catch {
      // The connection will end with `token_expired`, and the next attempt asks for a token again.
      this.#freshToken = true;
    }
  }

  /** The server asks to come back at a random moment of a window. */
  #moveOn({ code, delay_min_ms: min = 0, delay_max_ms: max = 0, resume_token: resume }) {
    if (resume) this.#memory.set(resume);
    const wait = min + Math.random() * Math.max(0, max - min);
    const at = Date.now() + wait;
    this.#after("move", wait, () => {
      this.#drop(1000);
      this.#start();
    });
    this.#verdict = { code, message: CODES[code]?.summary ?? "the server asked to come back", until: at };
  }

  #closed(close, word) {
    const verdict = this.#verdict ?? {};
    const code = word || verdict.code || "disconnected";
    const why = { code, message: CODES[code]?.summary ?? verdict.message ?? "the connection was lost" };
    const wait = Math.max(verdict.retryAfterMs ?? 0, (verdict.until ?? 0) - Date.now());
    this.#drop();
    if (code === "token_expired" || code === "unauthenticated") {
      // One more try with a token that was made just now; if that is no good either, it is final.
      const again = code === "token_expired" || !this.#freshToken;
      this.#freshToken = true;
      this.#memory.set("");
      if (again) return this.#retry(why, wait);
    }
    if (!comesBack(close)) return this.#become("stopped", why);
    this.#retry(why, wait);
  }

  #lost(why) {
    this.#drop(1000);
    this.#retry(why);
  }

  #retry(why, atLeastMs = 0) {
    const ceiling = Math.min(BACKOFF_CAP_MS, BACKOFF_BASE_MS * 2 ** Math.min(this.#attempt++, 10));
    const wait = Math.max(atLeastMs, Math.random() * ceiling);
    this.retryAt = Date.now() + wait;
    this.#become("waiting", why);
    this.#after("retry", wait, () => this.#start());
  }

  /** Lets go of the socket; everything that waits for a reply is told. */
  #drop(close) {
    this.#clearTimers();
    const socket = this.#socket;
    this.#socket = null;
    if (close && socket) socket.close(close);
    const pending = [...this.#pending.values()];
    this.#pending.clear();
    for (const { reject, timer } of pending) {
      clearTimeout(timer);
      reject(disconnected());
    }
  }

  #become(state, reason) {
    this.state = state;
    this.reason = reason;
    this.emit("state", state);
  }

  #after(name, ms, what) {
    clearTimeout(this.#timers.get(name));
    this.#timers.set(name, setTimeout(what, ms));
  }

  #clearTimers() {
    for (const timer of this.#timers.values()) clearTimeout(timer);
    this.#timers.clear();
  }
}
