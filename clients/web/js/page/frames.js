// Everything that one side and the server say to each other, as it goes over the wire.

import { make, rove } from "./dom.js";
import { stampOf } from "./words.js";

/** Frames kept; older ones go. */
const MAX_FRAMES = 300;
/** Characters of a frame shown in its line. */
const MAX_LINE = 160;

export class Frames {
  #items = make("ol", { class: "frames-list" });
  #count = make("span", { class: "frames-count" }, "0 frames");
  #keepReachable = rove(this.#items, "summary");
  #total = 0;

  constructor(name) {
    const clear = make("button", { type: "button", class: "quiet", onclick: () => this.#clear() }, "Clear");
    const head = make("div", { class: "frames-head" }, make("h3", {}, "Frames"), this.#count, clear);
    this.element = make("section", { class: "frames", "aria-label": `Frames of ${name}`, hidden: true }, head, this.#items);
  }

  add({ direction, text, at }) {
    const shown = withoutSecrets(text);
    const name = Object.keys(shown).find((key) => key !== "id" && key !== "traceparent") ?? "?";
    const out = direction === "out";
    const line = make(
      "summary",
      { tabindex: "-1" },
      make("time", { datetime: new Date(at).toISOString() }, stampOf(at)),
      make("span", { class: `way ${direction}` }, out ? "→ out" : "← in"),
      make("span", { class: `frame-name${name === "error" ? " bad" : ""}` }, name),
      make("code", {}, shorten(JSON.stringify(shown))),
    );
    const size = make("p", { class: "frame-size" }, `${new Blob([text]).size} bytes`);
    const details = make("details", {}, line);
    // Made when it is asked for: most are never opened.
    details.addEventListener("toggle", () => details.append(make("pre", { tabindex: "0" }, JSON.stringify(shown, null, 2)), size), { once: true });
    this.#append(make("li", { "data-frame": name, "data-way": direction }, details));
  }

  #append(item) {
    const stuck = this.#items.scrollHeight - this.#items.scrollTop - this.#items.clientHeight < 40;
    this.#items.append(item);
    this.#total += 1;
    while (this.#items.childElementCount > MAX_FRAMES) this.#items.firstElementChild.remove();
    this.#count.textContent = `${this.#total} ${this.#total === 1 ? "frame" : "frames"}`;
    this.#keepReachable();
    if (stuck) this.toEnd();
  }

  toEnd() {
    this.#items.scrollTop = this.#items.scrollHeight;
  }

  #clear() {
    this.#items.replaceChildren();
    this.#total = 0;
    this.#count.textContent = "0 frames";
  }
}

function shorten(text) {
  return text.length > MAX_LINE ? `${text.slice(0, MAX_LINE)}…` : text;
}

/** Tokens stay out of screens and screenshots. */
function withoutSecrets(text) {
  return JSON.parse(text, (key, value) => {
    const secret = (key === "token" || key === "resume_token") && typeof value === "string";
    return secret ? `${value.slice(0, 8)}… (${value.length} characters)` : value;
  });
}
