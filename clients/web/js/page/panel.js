// One person's side of the page: who they are, how their connection is, their list and their chat.

import { Client } from "../client.js";
import { Composer } from "./composer.js";
import { icon, make } from "./dom.js";
import { Frames } from "./frames.js";
import { ConversationList, avatar } from "./list.js";
import { MessageView } from "./messages.js";
import { presenceOf, stateOf } from "./words.js";

/** How long "offline" lasts. */
const OFFLINE_MS = 10_000;

export class Panel {
  client;
  looking = false;

  #people;
  #preferred;
  #target = "";
  #backAt = 0;
  #offlineTimer = null;
  #drawing = false;

  /**
   * `person`: {user, name}; `people`: {nameOf(user), all: users}; `preferred`: the conversation to begin with.
   * `onLook(panel)` is called when somebody turns to this side.
   */
  constructor({ person, people, preferred, url, getToken, onLook }) {
    const { user, name } = person;
    this.#preferred = preferred;
    this.client = new Client({ user, url, getToken, storage: localStorage, memory: resumeMemory(user) });
    this.#people = {
      nameOf: people.nameOf,
      others: () => people.all.filter((other) => other !== user),
      titleOf: (conversation) => this.#titleOf(conversation),
    };
    this.list = new ConversationList(this.client, this.#people, (target) => this.open(target, true));
    this.view = new MessageView(this.client, this.#people, () => this.seen());
    this.composer = new Composer(user, (text) => this.#send(text), (active) => this.#typing(active));
    this.frames = new Frames(name);
    this.element = this.#layout(person);
    for (const event of ["focusin", "pointerdown"]) this.element.addEventListener(event, () => onLook(this));
    this.#follow();
    this.#drawState();
    this.client.connection.open();
  }

  /** Whether somebody looks at this side: only then is anything read. */
  look(looking) {
    if (this.looking === looking) return;
    this.looking = looking;
    this.element.classList.toggle("looking", looking);
    this.#drawHint();
    if (looking) this.seen();
  }

  seen() {
    if (!this.looking || document.visibilityState !== "visible" || !this.view?.atEnd) return;
    if (this.client.conversations.has(this.#target)) this.client.markRead(this.#target, this.client.held(this.#target).high);
  }

  open(target, focus = false) {
    this.#target = target;
    this.composer.open(target, this.#openTitle());
    this.view.open(target);
    this.#draw();
    if (focus) this.composer.input.focus();
    if (!target.startsWith("@")) this.client.timeline(target).catch(() => {});
  }

  // --- what it is made of

  #layout({ user, name }) {
    this.#stateWords = make("span", { role: "status" });
    this.#stateMore = make("span", { class: "state-more", "aria-hidden": "true" });
    this.#comeBack = make("button", { type: "button", class: "tool", hidden: true, onclick: () => this.#back() }, icon("plug"), "Connect now");
    this.#state = make("p", { class: "state" }, make("span", { class: "lamp", "aria-hidden": "true" }), this.#stateWords, this.#stateMore);
    this.#offline = make("button", { type: "button", class: "tool", onclick: () => this.#goOffline() }, icon("plug"), "Offline 10 s");
    this.#framesButton = make("button", { type: "button", class: "tool", "aria-expanded": "false", onclick: () => this.#toggleFrames() }, icon("braces"), "Frames");
    const title = make("h2", { id: `title-${user}` }, name);
    const head = make("header", { class: "person" }, avatar(name), make("div", { class: "who" }, title, this.#state), make("div", { class: "tools" }, this.#comeBack, this.#offline, this.#framesButton));
    this.#chatTitle = make("h3", { dir: "auto" });
    this.#chatPresence = make("p", { class: "presence" });
    this.#typingLine = make("p", { class: "typing", role: "status" });
    this.#hint = make("p", { class: "hint" }, `Click into this side to read as ${name}.`);
    const chat = make(
      "section",
      { class: "chat", "aria-label": `${name}'s open conversation` },
      make("header", { class: "chat-head" }, this.#chatTitle, this.#chatPresence),
      this.view.element,
      make("div", { class: "below" }, this.#typingLine, this.#hint),
      this.composer.element,
    );
    return make("section", { class: `panel ${user}`, "data-user": user, "aria-labelledby": `title-${user}` }, head, make("div", { class: "desk" }, this.list.element, chat), this.frames.element);
  }

  #state;
  #stateWords;
  #stateMore;
  #comeBack;
  #offline;
  #framesButton;
  #chatTitle;
  #chatPresence;
  #typingLine;
  #hint;

  // --- following the client

  #follow() {
    const { client } = this;
    client.on("state", () => {
      this.#drawState();
      this.#drawSoon();
    });
    client.on("frame", (frame) => this.frames.add(frame));
    client.on("conversations", () => {
      this.#chooseFirst();
      this.#watch();
      this.#drawState();
      this.#drawSoon();
    });
    client.on("timeline", (id) => {
      this.#drawState();
      if (id === this.#target) this.#drawSoon();
    });
    client.on("typing", (id) => id === this.#target && this.#drawTyping());
    client.on("presence", () => this.#drawSoon());
    client.on("moved", ({ from, to }) => from === this.#target && this.open(to));
    // Countdowns, and "last seen 3 min ago".
    setInterval(() => this.#drawState(), 1_000);
    setInterval(() => this.#drawSoon(), 30_000);
    document.addEventListener("visibilitychange", () => this.seen());
    window.addEventListener("online", () => this.client.connection.state === "waiting" && this.client.connection.open());
  }

  #chooseFirst() {
    const gone = this.#target && !this.#target.startsWith("@") && !this.client.conversations.has(this.#target);
    if (this.#target && !gone) return;
    const { conversations, strangers } = this.list.targets();
    const first = this.client.conversations.get(this.#preferred) ?? conversations[0];
    if (first) this.open(first.id);
    else if (strangers.length > 0) this.open(`@${strangers[0]}`);
  }

  #watch() {
    const peers = [...this.client.conversations.values()].map(({ peer }) => peer).filter(Boolean);
    const users = [...new Set([...peers, ...(peers.length > 0 ? [] : this.#people.others())])].sort();
    const key = users.join(" ");
    if (key === this.#watched) return;
    this.#watched = key;
    this.client.watchPresence(users);
  }

  #watched = "";

  /** Many changes in a row make one drawing. */
  #drawSoon() {
    if (this.#drawing) return;
    this.#drawing = true;
    queueMicrotask(() => {
      this.#drawing = false;
      this.#draw();
    });
  }

  #draw() {
    const conversation = this.client.conversations.get(this.#target);
    if (!this.looking && conversation?.unread > 0 && !this.view.hasUnreadLine) this.view.noteUnread();
    this.list.render(this.#target);
    this.view.render();
    this.#chatTitle.textContent = this.#openTitle();
    this.#drawPresence(conversation);
    this.#drawTyping();
    this.seen();
    this.#drawHint();
  }

  #drawHint() {
    const unread = this.client.conversations.get(this.#target)?.unread ?? 0;
    this.#hint.hidden = this.looking || unread === 0;
  }

  #drawPresence(conversation) {
    const peer = conversation?.peer || (this.#target.startsWith("@") ? this.#target.slice(1) : "");
    const { status, text } = peer
      ? presenceOf(this.client.presence.get(peer), this.client.online)
      : { status: "none", text: conversation ? `${conversation.memberCount} members` : "" };
    this.#chatPresence.textContent = text;
    this.#chatPresence.dataset.status = status;
  }

  #drawTyping() {
    const names = this.client.typists(this.#target).map((user) => this.#people.nameOf(user));
    this.#typingLine.classList.toggle("on", names.length > 0);
    const verb = names.length === 1 ? "is" : "are";
    this.#typingLine.textContent = names.length > 0 && this.client.online ? `${names.join(", ")} ${verb} typing…` : "";
  }

  #drawState() {
    const { tone, words, more } = stateOf(this.client, this.#backAt);
    const { state } = this.client.connection;
    this.#state.dataset.tone = tone;
    this.#state.dataset.state = state;
    // Only a change is announced.
    if (this.#stateWords.textContent !== words) this.#stateWords.textContent = words;
    this.#stateMore.textContent = more;
    this.#swapTools(["waiting", "paused", "stopped"].includes(state));
  }

  /** One place, two buttons: the way out while connected, the way back while not. Focus stays there. */
  #swapTools(away) {
    if (this.#comeBack.hidden === !away) return;
    const focused = document.activeElement === this.#comeBack || document.activeElement === this.#offline;
    this.#comeBack.hidden = !away;
    this.#offline.hidden = away;
    if (focused) (away ? this.#comeBack : this.#offline).focus();
  }

  // --- what the person does

  #send(text) {
    if (!this.#target) return false;
    try {
      this.client.send(this.#target, text);
    } catch (error) {
      this.#typingLine.textContent = `${error.message}: wait until they are sent.`;
      return false;
    }
    this.view.noteUnread();
    this.view.toEnd();
    return true;
  }

  #typing(active) {
    if (this.#target) this.client.typing(this.#target, active);
  }

  #goOffline() {
    this.#backAt = Date.now() + OFFLINE_MS;
    this.client.connection.pause();
    this.#offlineTimer = setTimeout(() => this.#back(), OFFLINE_MS);
  }

  #back() {
    clearTimeout(this.#offlineTimer);
    this.client.connection.open();
  }

  #toggleFrames() {
    const open = this.frames.element.hidden;
    this.frames.element.hidden = !open;
    this.element.classList.toggle("with-frames", open);
    this.#framesButton.setAttribute("aria-expanded", String(open));
    this.frames.toEnd();
  }

  // --- names

  #titleOf({ title, peer, id }) {
    return title || (peer ? this.#people.nameOf(peer) : id);
  }

  #openTitle() {
    if (this.#target.startsWith("@")) return this.#people.nameOf(this.#target.slice(1));
    const conversation = this.client.conversations.get(this.#target);
    return conversation ? this.#titleOf(conversation) : "";
  }
}

/**
 * The resume token, for this tab alone: taken out of the storage while the page lives, so that a
 * duplicated tab does not carry it and the two do not take each other's session.
 */
function resumeMemory(user) {
  const key = `posthorn.resume.${user}`;
  let token = sessionStorage.getItem(key) ?? "";
  sessionStorage.removeItem(key);
  addEventListener("pagehide", () => token && sessionStorage.setItem(key, token));
  addEventListener("pageshow", () => sessionStorage.removeItem(key));
  return { get: () => token, set: (text) => (token = text) };
}
