// Where a message is written: Enter sends, Shift+Enter makes a line, the text is kept per conversation.

import { icon, make } from "./dom.js";

/** Longest text, in UTF-16 units: well below the server's bound on a body, whatever the script. */
const MAX_TEXT = 10_000;

export class Composer {
  #drafts = new Map();
  #target = "";
  #onSend;
  #onTyping;
  #idle = null;

  /** `onSend(text)` takes a message; `onTyping(active)` is told of every keystroke and of stopping. */
  constructor(name, onSend, onTyping) {
    this.#onSend = onSend;
    this.#onTyping = onTyping;
    const id = `message-of-${name}`;
    this.input = make("textarea", { id, rows: "1", dir: "auto", maxlength: MAX_TEXT, enterkeyhint: "send", autocomplete: "off" });
    this.#button = make("button", { type: "submit", class: "send", disabled: true }, icon("send"), make("span", { class: "sr" }, "Send"));
    this.element = make(
      "form",
      { class: "composer" },
      (this.label = make("label", { class: "sr", for: id }, "Message")),
      this.input,
      this.#button,
    );
    this.element.addEventListener("submit", (event) => this.#submit(event));
    this.input.addEventListener("input", () => this.#changed());
    this.input.addEventListener("keydown", (event) => this.#key(event));
    this.input.addEventListener("blur", () => this.#stop());
  }

  #button;

  open(target, title) {
    this.#stop();
    this.#drafts.set(this.#target, this.input.value);
    this.#target = target;
    this.input.value = this.#drafts.get(target) ?? "";
    this.label.textContent = `Message to ${title}`;
    this.input.placeholder = `Message to ${title}`;
    this.#fit();
  }

  #key(event) {
    // While an input method composes, Enter belongs to it.
    if (event.key !== "Enter" || event.shiftKey || event.isComposing) return;
    event.preventDefault();
    this.element.requestSubmit();
  }

  #submit(event) {
    event.preventDefault();
    const text = this.input.value.trim();
    if (!text) return;
    clearTimeout(this.#idle);
    if (this.#onSend(text) === false) return;
    this.input.value = "";
    this.#fit();
  }

  #changed() {
    this.#fit();
    clearTimeout(this.#idle);
    if (!this.input.value.trim()) return this.#stop();
    this.#onTyping(true);
    this.#idle = setTimeout(() => this.#stop(), 4_000);
  }

  #stop() {
    clearTimeout(this.#idle);
    this.#onTyping(false);
  }

  #fit() {
    this.#button.disabled = !this.input.value.trim();
    this.input.style.height = "auto";
    this.input.style.height = `${this.input.scrollHeight}px`;
  }
}
