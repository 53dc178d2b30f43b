// Frames to text and back.

/** Fields whose value is a word of an enum. */
const WORDS = new Set(["kind", "role", "status", "style", "visibility", "durability"]);
const ENUM_NAME = /^(conversation_kind|kind|role|status|style|visibility|durability)_/;

export const encode = (frame) => JSON.stringify(frame);

/** A word of an enum comes with the enum's name before it (`kind_message`): here it is the word alone. */
export function decode(text) {
  return JSON.parse(text, (key, value) => (WORDS.has(key) && typeof value === "string" ? value.replace(ENUM_NAME, "") : value));
}
