// The conversations of one person, latest activity first, and people to begin one with.

import { make, reconcile, rove } from "./dom.js";
import { presenceOf, previewOf, shortTimeOf } from "./words.js";

export class ConversationList {
  #client;
  #people;
  #onOpen;
  #keepReachable;

  /** `people` has nameOf(user), others() and titleOf(conversation); `onOpen(target)` shows a conversation. */
  constructor(client, people, onOpen) {
    this.#client = client;
    this.#people = people;
    this.#onOpen = onOpen;
    this.items = make("ul", { class: "conversations" });
    this.element = make("nav", { class: "list", "aria-label": "Conversations" }, this.items);
    this.#keepReachable = rove(this.items, "button");
  }

  /** Conversations by latest activity, then users without a direct one. */
  targets() {
    const conversations = [...this.#client.conversations.values()].sort(
      (a, b) => b.lastActivityMs - a.lastActivityMs || (a.id < b.id ? -1 : 1),
    );
    const known = new Set(conversations.filter(({ kind }) => kind === "direct").map(({ peer }) => peer));
    const strangers = this.#client.ready ? this.#people.others().filter((user) => !known.has(user)) : [];
    return { conversations, strangers };
  }

  render(open) {
    const { conversations, strangers } = this.targets();
    const rows = conversations.map((conversation) => this.#row(conversation, open));
    reconcile(this.items, [...rows, ...strangers.map((user) => this.#stranger(user, open))]);
    this.#keepReachable();
  }

  #row(conversation, open) {
    const { id, peer, preview, unread, lastActivityMs } = conversation;
    const title = this.#people.titleOf(conversation);
    const text = previewOf(preview, this.#people.nameOf, this.#client.user, Boolean(peer));
    const presence = peer ? presenceOf(this.#client.presence.get(peer), this.#client.online) : null;
    const badge = unread > 0 ? make("span", { class: "badge" }, unread > 99 ? "99+" : String(unread), sr(" unread")) : null;
    const when = shortTimeOf(lastActivityMs);
    return {
      key: id,
      version: JSON.stringify([title, text, presence, unread, when, id === open]),
      build: () =>
        this.#item(id, id === open, [
          avatar(title, presence?.status, presence?.text),
          make("span", { class: "row-title", dir: "auto" }, title),
          make("span", { class: "row-time" }, when),
          make("span", { class: "row-preview", dir: "auto" }, text),
          badge,
        ]),
    };
  }

  #stranger(user, open) {
    const target = `@${user}`;
    const name = this.#people.nameOf(user);
    const presence = presenceOf(this.#client.presence.get(user), this.#client.online);
    return {
      key: target,
      version: JSON.stringify([name, target === open]),
      build: () =>
        this.#item(target, target === open, [
          avatar(name),
          make("span", { class: "row-title", dir: "auto" }, name),
          make("span", { class: "row-preview" }, "Start a conversation"),
          presence.status === "online" ? sr(", online") : null,
        ]),
    };
  }

  #item(target, current, content) {
    const button = make("button", { type: "button", class: "row", tabindex: "-1", onclick: () => this.#onOpen(target) }, ...content);
    if (current) button.setAttribute("aria-current", "true");
    return make("li", {}, button);
  }
}

export function avatar(name, status, words) {
  const initial = [...name.trim()][0]?.toUpperCase() ?? "?";
  const dot = status ? make("span", { class: `dot ${status}` }, sr(words ?? status)) : null;
  return make("span", { class: "avatar" }, make("span", { "aria-hidden": "true" }, initial), dot);
}

/** Text for those who listen. */
export const sr = (text) => make("span", { class: "sr" }, text);
