// What the page says, in words: times, states, entries that are no messages.

const clock = new Intl.DateTimeFormat(undefined, { hour: "2-digit", minute: "2-digit" });
const exact = new Intl.DateTimeFormat(undefined, { dateStyle: "full", timeStyle: "medium" });
const day = new Intl.DateTimeFormat(undefined, { weekday: "long", day: "numeric", month: "long" });
const dayAndYear = new Intl.DateTimeFormat(undefined, { day: "numeric", month: "long", year: "numeric" });
const stamp = new Intl.DateTimeFormat(undefined, {
  hour: "2-digit",
  minute: "2-digit",
  second: "2-digit",
  fractionalSecondDigits: 3,
  hour12: false,
});
const DAY_MS = 86_400_000;

export const timeOf = (ms) => clock.format(ms);
export const exactTimeOf = (ms) => exact.format(ms);
export const stampOf = (ms) => stamp.format(ms);

const midnight = (ms) => new Date(ms).setHours(0, 0, 0, 0);

export const sameDay = (a, b) => midnight(a) === midnight(b);

export function dayOf(ms, nowMs = Date.now()) {
  const days = Math.round((midnight(nowMs) - midnight(ms)) / DAY_MS);
  if (days === 0) return "Today";
  if (days === 1) return "Yesterday";
  return days < 300 ? day.format(ms) : dayAndYear.format(ms);
}

/** For the list: the time today, else the day. */
export function shortTimeOf(ms) {
  if (!ms) return "";
  return sameDay(ms, Date.now()) ? timeOf(ms) : dayOf(ms);
}

function ago(ms, nowMs = Date.now()) {
  const minutes = Math.floor((nowMs - ms) / 60_000);
  if (minutes < 1) return "just now";
  if (minutes < 60) return `${minutes} min ago`;
  return sameDay(ms, nowMs) ? `at ${timeOf(ms)}` : `${dayOf(ms).toLowerCase()} at ${timeOf(ms)}`;
}

/** A peer's presence as their counterpart knows it; while the own connection is down nothing is known. */
export function presenceOf(presence, online) {
  if (!online || !presence || presence.status === "unknown") return { status: "unknown", text: "Presence not known" };
  if (presence.status === "online") return { status: "online", text: "Online" };
  return { status: "offline", text: presence.lastSeenMs ? `Last seen ${ago(presence.lastSeenMs)}` : "Offline" };
}

/** The states of an own message: an icon, a word and, where more is to be said, a sentence. */
export const SEND_STATES = {
  queued: { icon: "clock", word: "Queued" },
  sent: { icon: "clock", word: "Sent" },
  unconfirmed: { icon: "question", word: "Not confirmed", shown: "not confirmed, asking again" },
  unsettled: { icon: "question", word: "Not confirmed", shown: "not confirmed" },
  failed: { icon: "alert", word: "Failed", shown: "not sent" },
  stored: { icon: "tick", word: "Stored" },
  delivered: { icon: "ticks", word: "Delivered" },
  read: { icon: "ticks", word: "Read" },
};

/** The state line of a person: a tone, words that are announced, and what changes every second. */
export function stateOf(client, backAt) {
  const { state, reason, retryAt } = client.connection;
  const seconds = (at) => Math.max(1, Math.ceil((at - Date.now()) / 1000));
  const waiting = client.outbox.items.length;
  const kept = waiting === 0 ? "messages wait here" : `${waiting} ${waiting === 1 ? "message waits" : "messages wait"}`;
  if (state === "online" && client.ready) return { tone: "good", words: "Online", more: "" };
  if (state === "online") return { tone: "busy", words: "Catching up…", more: "" };
  if (state === "paused") return { tone: "off", words: `Offline: ${kept}.`, more: `Back in ${seconds(backAt)} s.` };
  if (state === "stopped") return { tone: "bad", words: `Disconnected: ${reason.message}.`, more: "" };
  if (!reason && state === "connecting") return { tone: "busy", words: "Connecting…", more: "" };
  const more = state === "waiting" ? `Next try in ${seconds(retryAt)} s.` : "Trying now…";
  return { tone: "off", words: `Offline: ${kept}.`, more };
}

/** What an entry that is no message says, or null. */
export function noteOf(entry, nameOf) {
  const who = nameOf(entry.author);
  const whom = nameOf(entry.body?.member?.user ?? entry.author);
  switch (entry.kind) {
    case "message":
      return null;
    case "system":
      return entry.body?.text ?? "(no text)";
    case "created":
      return "The conversation begins";
    case "joined":
      return whom === who || !entry.author ? `${whom} joined` : `${who} added ${whom}`;
    case "left":
      return `${whom} left`;
    case "removed":
      return `${who} removed ${whom}`;
    case "role":
      return `${whom} is now ${entry.body?.member?.role ?? "member"}`;
    case "title":
      return `${who} named the conversation “${entry.body?.title ?? ""}”`;
    default:
      return "Something this page does not know how to show";
  }
}

/** One line for the conversation list. */
export function previewOf(entry, nameOf, self, direct) {
  if (!entry) return "No messages yet";
  const note = noteOf(entry, nameOf);
  if (note !== null) return note;
  if (!entry.body) return "Message removed";
  if (direct && entry.author !== self && !entry.body.style) return entry.body.text;
  const who = entry.author === self ? "You" : nameOf(entry.author);
  return entry.body.style === "action" ? `${who} ${entry.body.text}` : `${who}: ${entry.body.text}`;
}
