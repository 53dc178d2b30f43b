// The edge protocol as the `ws` package has it: what breaks RFC 6455 is an error event and a close with 1002.
//
//   node sockets.mjs READY
//
// READY is a file with the line of `posthorn dev --json`. Ends with the line `N passed, N failed`; exits
// non-zero if anything failed.

import assert from "node:assert/strict";
import { randomUUID } from "node:crypto";
import { readFileSync } from "node:fs";
import WebSocket from "ws";

const ready = JSON.parse(readFileSync(process.argv[2], "utf8"));
const conversation = ready.demo.conversation;
const [aliceToken, bobToken] = ready.demo.users.map(({ token }) => token);

/** A frame of a busy machine, with room; a step has several. */
const CAP_MS = 30_000;
const [JSON_PROTOCOL, PROTO_PROTOCOL] = ["posthorn.v1.json", "posthorn.v1.proto"];

function within(what, promise, ms = CAP_MS) {
  let timer;
  const cap = new Promise((_, reject) => {
    timer = setTimeout(() => reject(new Error(`${what}: nothing after ${ms} ms`)), ms);
  });
  return Promise.race([promise, cap]).finally(() => clearTimeout(timer));
}

/** A socket whose frames, pongs and end can be waited for, in the order of their arrival. */
class Peer {
  #frames = [];
  #waiting = null;
  #lastId = 0;
  errors = [];
  pongs = [];

  constructor(protocols = [JSON_PROTOCOL], options = {}) {
    this.socket = new WebSocket(ready.ws, protocols, { handshakeTimeout: CAP_MS, ...options });
    this.socket.on("error", (error) => this.errors.push(error));
    this.socket.on("pong", (payload) => this.pongs.push(payload.toString("hex")));
    this.socket.on("message", (data, binary) => this.#take({ data, binary }));
    this.ended = new Promise((resolve) => {
      this.socket.on("close", (code, reason) => resolve([code, reason.toString()]));
    });
  }

  async open() {
    const opened = new Promise((resolve) => this.socket.once("open", resolve));
    const gone = this.ended.then(() => Promise.reject(this.errors[0] ?? new Error("closed")));
    await within("the handshake", Promise.race([opened, gone]));
    gone.catch(() => {});
    return this;
  }

  #take(frame) {
    this.#frames.push(frame);
    this.#waiting?.();
  }

  async frame(ms = CAP_MS) {
    while (this.#frames.length === 0) {
      await within("a frame", new Promise((resolve) => (this.#waiting = resolve)), ms);
    }
    return this.#frames.shift();
  }

  /** The next JSON frame that is wanted; pings are answered. */
  async wanted(want, ms = CAP_MS) {
    for (;;) {
      const { data, binary } = await this.frame(ms);
      assert.equal(binary, false, "JSON comes in text messages");
      const frame = JSON.parse(data.toString());
      if (frame.ping) this.socket.send('{"pong":{}}');
      if (want(frame)) return frame;
    }
  }

  request(request) {
    return { id: ++this.#lastId, ...request };
  }

  reply() {
    return this.wanted(({ id }) => id === this.#lastId);
  }

  ask(request) {
    this.socket.send(JSON.stringify(this.request(request)));
    return this.reply();
  }

  async connect(token) {
    const { connected } = await this.ask({ connect: { token, client: "peers/ws" } });
    assert.ok(connected, "connected");
    this.limits = connected.limits;
    this.pingIntervalMs = connected.ping_interval_ms;
    return this;
  }

  async sends(text) {
    const message_id = randomUUID();
    const reply = await this.ask({ send: { conversation, message_id, body: { text } } });
    assert.ok(reply.sent, JSON.stringify(reply));
    return message_id;
  }

  async receives(messageId, text) {
    const frame = await this.wanted(({ entries }) => entries?.entries.some((entry) => entry.message_id === messageId));
    assert.deepEqual(frame.entries.entries.map(({ body }) => body.text), [text]);
  }

  async ends(code, word) {
    const [seen, reason] = await within("the end", this.ended);
    assert.deepEqual([seen, this.errors.map(String)], [code, []]);
    if (word) assert.equal(reason, word);
  }

  /** The server answers with the same code. */
  async leaves() {
    this.socket.close(1000, "done");
    await this.ends(1000);
  }
}

const people = async () => [
  await (await new Peer().open()).connect(aliceToken),
  await (await new Peer().open()).connect(bobToken),
];

const STEPS = {
  async "compression is offered and the answer names nothing that was not offered"() {
    const alice = await new Peer([JSON_PROTOCOL], { perMessageDeflate: true }).open();
    assert.equal(alice.socket.protocol, JSON_PROTOCOL);
    assert.match(alice.socket.extensions, /^(permessage-deflate.*)?$/);
    await alice.connect(aliceToken);
    assert.deepEqual(await alice.ask({ ping: {} }), { id: 2, pong: {} });
    await alice.leaves();
  },

  async "of several subprotocols the first that both speak is taken, and none means JSON"() {
    const several = await new Peer(["chat.example", PROTO_PROTOCOL, JSON_PROTOCOL]).open();
    assert.equal(several.socket.protocol, PROTO_PROTOCOL);
    await several.leaves();
    const none = await new Peer([]).open();
    assert.equal(none.socket.protocol, "");
    await (await none.connect(aliceToken)).leaves();
    await assert.rejects(new Peer(["chat.example"]).open(), /Unexpected server response: 400/);
  },

  async "what one sends the other receives"() {
    const [alice, bob] = await people();
    for (const text of ["Good morning", 'quotes " and \\ and \u2028', "👋🏽 שלום"]) {
      await bob.receives(await alice.sends(text), text);
    }
    await Promise.all([alice.leaves(), bob.leaves()]);
  },

  async "protobuf is answered in binary messages"() {
    const peer = await new Peer([PROTO_PROTOCOL]).open();
    const token = Buffer.from(aliceToken);
    // {id: 1, connect: {token}}, then {id: 2, ping: {}}.
    const sized = (tag, bytes) => Buffer.concat([Buffer.from([tag, (bytes.length & 127) | 128, bytes.length >> 7]), bytes]);
    peer.socket.send(Buffer.concat([Buffer.from([8, 1]), sized(0x52, sized(10, token))]));
    const connected = await peer.frame();
    assert.deepEqual([connected.binary, connected.data.subarray(0, 3).toString("hex")], [true, "080152"]);
    peer.socket.send(Buffer.from("0802ca0100", "hex"));
    assert.equal((await peer.frame()).data.toString("hex"), "0802b20100");
    await peer.leaves();
  },

  async "pings of the WebSocket come back with their bytes, and a pong that nobody asked for is no harm"() {
    const alice = await (await new Peer().open()).connect(aliceToken);
    const payloads = ["", "61", "ff".repeat(125)];
    for (const payload of payloads) alice.socket.ping(Buffer.from(payload, "hex"));
    alice.socket.pong("nobody asked");
    assert.deepEqual(await alice.ask({ ping: {} }), { id: 2, pong: {} });
    assert.deepEqual(alice.pongs, payloads);
    await alice.leaves();
  },

  async "the server pings, and who answers stays"() {
    const alice = await (await new Peer().open()).connect(aliceToken);
    for (let n = 0; n < 2; n += 1) await alice.wanted(({ ping }) => ping, alice.pingIntervalMs + CAP_MS);
    assert.deepEqual(await alice.ask({ ping: {} }), { id: 2, pong: {} });
    await alice.leaves();
  },

  async "a message in fragments is one message, with pings between them and a character cut in two"() {
    const [alice, bob] = await people();
    const [messageId, text] = [randomUUID(), "in pieces 👋🏽"];
    const send = { conversation, message_id: messageId, body: { text } };
    const frame = Buffer.from(JSON.stringify(alice.request({ send })));
    for (let at = 0; at < frame.length; at += 7) {
      alice.socket.send(frame.subarray(at, at + 7), { binary: false, fin: false });
      alice.socket.ping(String(at));
    }
    alice.socket.send(Buffer.alloc(0), { binary: false, fin: true });
    assert.ok((await alice.reply()).sent);
    await bob.receives(messageId, text);
    assert.equal(alice.pongs.length, Math.ceil(frame.length / 7));
    await Promise.all([alice.leaves(), bob.leaves()]);
  },

  async "the largest body is delivered and the largest frame is read"() {
    const [alice, bob] = await people();
    // The limit is of the body as protobuf: a tag and three bytes of length before the text.
    const text = "x".repeat(alice.limits.max_body_bytes - 4);
    await bob.receives(await alice.sends(text), text);
    const frame = JSON.stringify(alice.request({ ping: {}, pad: "" }));
    alice.socket.send(frame.replace('"pad":"', `"pad":"${"x".repeat(alice.limits.max_frame_bytes - frame.length)}`));
    assert.ok((await alice.reply()).pong);
    await Promise.all([alice.leaves(), bob.leaves()]);
  },

  async "one byte more than the largest frame ends in 1009"() {
    const alice = await (await new Peer().open()).connect(aliceToken);
    alice.socket.send("x".repeat(alice.limits.max_frame_bytes + 1));
    await alice.ends(1009);
  },

  async "text that is no UTF-8 ends in 1007"() {
    const alice = await (await new Peer().open()).connect(aliceToken);
    alice.socket.send(Buffer.from('{"id":2,"ping":{},"x":"\xc3\x28"}', "latin1"), { binary: false });
    await alice.ends(1007);
  },

  async "a bad token, no token and the wrong kind of message end in their own codes"() {
    const cases = [
      ['{"id":1,"connect":{"token":"no token"}}', 4510, "unauthenticated"],
      ['{"id":1,"ping":{}}', 4504, "not_connected"],
      ["{", 4500, "malformed_frame"],
      [Buffer.from("{}"), 4503, "wrong_frame_type"],
    ];
    for (const [sent, code, word] of cases) {
      const peer = await new Peer().open();
      peer.socket.send(sent);
      await peer.ends(code, word);
    }
  },
};

let [passed, failed] = [0, 0];
for (const [phrase, step] of Object.entries(STEPS)) {
  try {
    await within("the step", step(), 4 * CAP_MS);
    passed += 1;
    console.log(`ok      ${phrase}`);
  } catch (error) {
    failed += 1;
    console.log(`FAILED  ${phrase}\n${error.stack}`);
  }
}
console.log(`${passed} passed, ${failed} failed`);
// Sockets of failed steps would keep it alive.
process.exit(failed > 0 ? 1 : 0);
