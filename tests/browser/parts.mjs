// Parts of the client alone, in the browser, where a whole conversation cannot bring them about at will.
// Each function runs inside the page and returns what it saw.

import assert from "node:assert/strict";

/** A log of `end` entries behind a Timeline, and the questions that it was asked. */
async function gaps() {
  const { Timeline } = await import("/assets/js/timeline.js");
  const log = Array.from({ length: 30 }, (_, at) => ({ seq: at + 1, kind: "message" }));
  let end = 10;
  const asked = [];
  const timeline = new Timeline(async (fields) => {
    asked.push(fields);
    const after = fields.after ?? 0;
    const entries = log.filter(({ seq }) => seq > after && seq <= end).slice(0, 4);
    const next = entries.length > 0 && entries.at(-1).seq < end && fields.after !== undefined ? entries.at(-1).seq : 0;
    return { entries: fields.after === undefined ? log.slice(0, end) : entries, next, end_seq: end };
  });
  const seqs = () => timeline.entries.map(({ seq }) => seq).join(" ");
  await timeline.loadNewest();
  end = 20;
  // Two events behind a gap, out of order, and twice: the hole is read, nothing is there twice.
  await Promise.all([timeline.take([log[19]]), timeline.take([log[18], log[19]]), timeline.take([log[11]])]);
  const filled = seqs();
  const questions = asked.length;
  end = 21;
  const fresh = await timeline.take([log[20]]);
  return { filled, questions, fresh: fresh.map(({ seq }) => seq), askedMore: asked.length - questions, high: timeline.high };
}

/** An entry that comes while the first page, read before it, is still on its way. */
async function overtaking() {
  const { Timeline } = await import("/assets/js/timeline.js");
  let answer;
  const timeline = new Timeline((fields) =>
    fields.after === undefined
      ? new Promise((resolve) => (answer = resolve))
      : { entries: [6, 7].filter((seq) => seq > fields.after).map((seq) => ({ seq })), end_seq: 7 },
  );
  const loading = timeline.loadNewest();
  await timeline.take([{ seq: 7 }]);
  answer({ entries: [{ seq: 4 }, { seq: 5 }], end_seq: 5, next: 4 });
  await loading;
  return timeline.entries.map(({ seq }) => seq);
}

/** An outbox whose answers come as written: a word is an error's code, a number a seq. */
async function retries() {
  const { Outbox } = await import("/assets/js/outbox.js");
  const answers = ["disconnected", "not_confirmed", 7, "body_too_large", 8];
  const saved = new Map();
  const store = { load: () => [], save: (item) => saved.set(item.messageId, item.state), remove: (item) => saved.delete(item.messageId) };
  const [deliveries, stored] = [[], []];
  let [online, seen] = [true, 3];
  let done;
  const all = new Promise((resolve) => (done = resolve));
  const outbox = new Outbox({
    store,
    online: () => online,
    seen: () => ({ seq: seen++, generation: 1 }),
    changed: () => {},
    stored: (item, { seq }) => stored.push(`${item.text}=${seq}`) === 2 && done(),
    deliver: async (item, onWritten) => {
      deliveries.push(`${item.text} after ${item.afterSeq} try ${item.tries}`);
      onWritten();
      const answer = answers.shift();
      if (typeof answer === "number") return { seq: answer };
      if (answer === "disconnected") online = false;
      throw { code: answer, retryable: answer !== "body_too_large", sideEffectFree: answer === "body_too_large", retryAfterMs: 0 };
    },
  });
  const first = outbox.add({ conversation: "c", text: "first" });
  outbox.add({ conversation: "c", text: "too long" });
  outbox.add({ conversation: "c", text: "last" });
  await new Promise((resolve) => setTimeout(resolve));
  const lost = first.state;
  online = true;
  outbox.wake();
  await all;
  return { lost, deliveries, stored, left: outbox.items.map(({ text, state }) => `${text} ${state}`), saved: [...saved.values()] };
}

/** As the page's scenarios: a phrase and what to do with a page of the server's origin. */
export const PARTS = {
  async "a gap is read from the log once, and nothing is held twice"(page) {
    const expected = Array.from({ length: 20 }, (_, at) => at + 1).join(" ");
    const { filled, questions, fresh, askedMore, high } = await page.evaluate(gaps);
    assert.equal(filled, expected);
    assert.ok(questions <= 5, `${questions} questions for a gap of three pages`);
    assert.deepEqual([fresh, askedMore, high], [[21], 0, 21]);
  },

  async "what overtakes the first page is not lost"(page) {
    assert.deepEqual(await page.evaluate(overtaking), [4, 5, 6, 7]);
  },

  async "a retry is the same message, in its place, from where it began"(page) {
    const { lost, deliveries, stored, left, saved } = await page.evaluate(retries);
    assert.equal(lost, "unconfirmed");
    assert.deepEqual(deliveries, [
      "first after 3 try 1",
      "first after 3 try 2",
      "first after 3 try 3",
      "too long after 4 try 1",
      "last after 5 try 1",
    ]);
    assert.deepEqual(stored, ["first=7", "last=8"]);
    assert.deepEqual([left, saved], [["too long failed"], ["failed"]]);
  },

  async "a message's id is a UUIDv7 that sorts by time"(page) {
    const ids = await page.evaluate(async () => {
      const { uuidv7 } = await import("/assets/js/ids.js");
      return [uuidv7(0x0192_0000_0000), uuidv7(0x0192_0000_0001), uuidv7()];
    });
    for (const id of ids) assert.match(id, /^[\da-f]{8}-[\da-f]{4}-7[\da-f]{3}-[89ab][\da-f]{3}-[\da-f]{12}$/);
    assert.deepEqual([...ids].sort(), ids);
    assert.ok(ids[0].startsWith("01920000-0000-7"));
  },
};
