"""The edge protocol as the `websockets` library has it: who breaks RFC 6455 is closed with 1002 and an error.

    python sockets.py READY

READY is a file with the line of `posthorn dev --json`. Ends with the line `N passed, N failed`; exits
non-zero if anything failed.
"""

import asyncio
import json
import sys
import time
import traceback
import uuid

from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed, InvalidStatus

# A frame of a busy machine, with room; a step has several.
CAP_S = 30
STEP_CAP_S = 120
JSON, PROTO = "posthorn.v1.json", "posthorn.v1.proto"
STEPS = []


def step(phrase):
    def keep(function):
        STEPS.append((phrase, function))
        return function

    return keep


def check(condition, what):
    if not condition:
        raise AssertionError(what)


def same(seen, expected):
    check(seen == expected, f"{seen!r}, not {expected!r}")


class Server:
    def __init__(self, ready):
        self.url, self.conversation = ready["ws"], ready["demo"]["conversation"]
        self.alice, self.bob = (user["token"] for user in ready["demo"]["users"])

    def open(self, subprotocols=(JSON,), **options):
        # No proxy of the environment, and no keepalive of the library's own: pings are sent by the steps.
        return connect(
            self.url,
            subprotocols=list(subprotocols) or None,
            proxy=None,
            ping_interval=None,
            max_size=None,
            open_timeout=CAP_S,
            close_timeout=CAP_S,
            **options,
        )


class Person:
    """A connection over JSON that sorts what comes into replies and events, and answers pings."""

    def __init__(self, socket):
        self.socket, self.last_id, self.events = socket, 0, []
        self.limits = None

    async def connected(self, token):
        reply = await self.ask(connect={"token": token, "client": "peers/websockets"})
        check("connected" in reply, reply)
        self.limits = reply["connected"]["limits"]
        self.ping_interval_s = reply["connected"]["ping_interval_ms"] / 1000
        return self

    def request(self, **request):
        self.last_id += 1
        return json.dumps({"id": self.last_id, **request}, separators=(",", ":"))

    async def ask(self, **request):
        await self.socket.send(self.request(**request))
        return await self.reply()

    async def next(self, cap_s=CAP_S):
        frame = await asyncio.wait_for(self.socket.recv(), cap_s)
        check(isinstance(frame, str), "JSON comes in text messages")
        frame = json.loads(frame)
        if "ping" in frame:
            await self.socket.send('{"pong":{}}')
        return frame

    async def reply(self):
        while True:
            frame = await self.next()
            if "id" in frame:
                same(frame["id"], self.last_id)
                return frame
            self.events.append(frame)

    async def event(self, wanted, cap_s=CAP_S):
        until = time.monotonic() + cap_s
        while True:
            while self.events:
                if wanted(frame := self.events.pop(0)):
                    return frame
            self.events.append(await self.next(until - time.monotonic()))

    async def sends(self, conversation, text):
        message_id = str(uuid.uuid4())
        send = {"conversation": conversation, "message_id": message_id, "body": {"text": text}}
        reply = await self.ask(send=send)
        check("sent" in reply, reply)
        return message_id

    async def receives(self, message_id, text):
        def holds(frame):
            return any(entry.get("message_id") == message_id for entry in frame.get("entries", {}).get("entries", []))

        frame = await self.event(holds)
        same([entry["body"]["text"] for entry in frame["entries"]["entries"]], [text])

    async def leaves(self):
        started = time.monotonic()
        await self.socket.close(1000, "done")
        rcvd = self.socket.protocol.close_rcvd
        check(rcvd is not None, "the close frame is not answered")
        same((rcvd.code, self.socket.protocol.close_rcvd_then_sent), (1000, False))
        check(time.monotonic() - started < CAP_S, "after the close frames the server ends the connection")


async def ended(socket, code, word=None):
    """The close frame that the server sends of its own accord, answered by the library."""
    while True:
        try:
            await asyncio.wait_for(socket.recv(), CAP_S)
        except ConnectionClosed as closed:
            check(closed.rcvd is not None, f"no close frame: {closed}")
            same((closed.rcvd.code, closed.rcvd_then_sent), (code, True))
            check(word in (None, closed.rcvd.reason), closed.rcvd.reason)
            return


def varint(number):
    head, rest = number & 0x7F, number >> 7
    return bytes([head | 0x80]) + varint(rest) if rest else bytes([head])


def field(number, value):
    """A field of protobuf: a number, or text, bytes or a message with its length."""
    if isinstance(value, int):
        return varint(number << 3) + varint(value)
    value = value.encode() if isinstance(value, str) else value
    return varint(number << 3 | 2) + varint(len(value)) + value


@step("compression is offered and the answer names nothing that was not offered")
async def handshake(server):
    async with server.open(compression="deflate") as socket:
        same(socket.subprotocol, JSON)
        answer = socket.response.headers.get("Sec-WebSocket-Extensions")
        check(answer is None or answer.startswith("permessage-deflate"), answer)
        person = await Person(socket).connected(server.alice)
        same(await person.ask(ping={}), {"id": 2, "pong": {}})
        await person.leaves()


@step("of several subprotocols the first that both speak is taken, and none means JSON")
async def subprotocols(server):
    async with server.open(["chat.example", PROTO, JSON]) as socket:
        same(socket.subprotocol, PROTO)
    async with server.open([]) as socket:
        same(socket.subprotocol, None)
        await (await Person(socket).connected(server.alice)).leaves()
    try:
        async with server.open(["chat.example"]):
            raise AssertionError("a subprotocol that nobody speaks was taken")
    except InvalidStatus as refused:
        same(refused.response.status_code, 400)


@step("what one sends the other receives, over JSON")
async def message(server):
    async with server.open() as one, server.open() as other:
        alice, bob = await Person(one).connected(server.alice), await Person(other).connected(server.bob)
        for text in ["Good morning", 'quotes " and \\ and \u2028', "👋🏽 שלום"]:
            await bob.receives(await alice.sends(server.conversation, text), text)
        await asyncio.gather(alice.leaves(), bob.leaves())


@step("what one sends over protobuf the other receives over JSON")
async def protobuf(server):
    async with server.open([PROTO]) as one, server.open() as other:
        bob = await Person(other).connected(server.bob)
        await one.send(field(1, 1) + field(10, field(1, server.alice)))
        connected = await asyncio.wait_for(one.recv(), CAP_S)
        check(isinstance(connected, bytes), "protobuf comes in binary messages")
        check(connected.startswith(field(1, 1) + varint(10 << 3 | 2)), connected[:16])
        await one.send(field(1, 2) + field(25, b""))
        same(await asyncio.wait_for(one.recv(), CAP_S), field(1, 2) + field(22, b""))
        message_id, text = str(uuid.uuid4()), "from protobuf"
        send = field(1, server.conversation) + field(3, message_id) + field(10, field(1, text))
        await one.send(field(1, 3) + field(12, send))
        await bob.receives(message_id, text)
        await one.close()
        same(one.protocol.close_rcvd.code, 1000)


@step("pings of the WebSocket come back with their bytes, and a pong that nobody asked for is no harm")
async def pings(server):
    async with server.open() as socket:
        person = await Person(socket).connected(server.alice)
        # The library takes only a pong with the same bytes for an answer.
        for payload in [b"", b"a", bytes(range(125))]:
            await asyncio.wait_for(await socket.ping(payload), CAP_S)
        await socket.pong(b"nobody asked")
        same(await person.ask(ping={}), {"id": 2, "pong": {}})
        await person.leaves()


@step("the server pings, and who answers stays")
async def pinged(server):
    async with server.open() as socket:
        person = await Person(socket).connected(server.alice)
        for _ in range(2):
            await person.event(lambda frame: "ping" in frame, person.ping_interval_s + CAP_S)
        same(await person.ask(ping={}), {"id": 2, "pong": {}})
        await person.leaves()


@step("a message in fragments is one message, with pings between them and a character cut in two")
async def fragments(server):
    async with server.open() as one, server.open() as other:
        alice, bob = await Person(one).connected(server.alice), await Person(other).connected(server.bob)
        message_id, text = str(uuid.uuid4()), "in pieces 👋🏽"
        send = {"conversation": server.conversation, "message_id": message_id, "body": {"text": text}}
        alice.last_id += 1
        frame = json.dumps({"id": alice.last_id, "send": send}, ensure_ascii=False).encode()
        pongs = []

        async def pieces():
            yield b""
            for at in range(0, len(frame), 7):
                pongs.append(await one.ping(f"{at}".encode()))
                yield frame[at : at + 7]

        await one.send(pieces(), text=True)
        check("sent" in await alice.reply(), "the message is not stored")
        await asyncio.wait_for(asyncio.gather(*pongs), CAP_S)
        await bob.receives(message_id, text)


@step("the largest body is delivered and the largest frame is read")
async def largest(server):
    async with server.open() as one, server.open() as other:
        alice, bob = await Person(one).connected(server.alice), await Person(other).connected(server.bob)
        # The limit is of the body as protobuf: a tag and three bytes of length before the text.
        text = "x" * (alice.limits["max_body_bytes"] - len(field(1, "x" * 65_000)) + 65_000)
        await bob.receives(await alice.sends(server.conversation, text), text)
        frame = alice.request(ping={}, pad="")
        await one.send(frame.replace('"pad":"', '"pad":"' + "x" * (alice.limits["max_frame_bytes"] - len(frame))))
        check("pong" in await alice.reply(), "a frame of exactly the limit is not answered")


@step("one byte more than the largest frame ends in 1009, whole or in fragments")
async def too_large(server):
    for parts in [1, 4]:
        async with server.open() as socket:
            person = await Person(socket).connected(server.alice)
            frame = "x" * (person.limits["max_frame_bytes"] + 1)
            size = len(frame) // parts + 1
            try:
                await socket.send([frame[at : at + size] for at in range(0, len(frame), size)])
            except ConnectionClosed:
                pass  # It may say so before all of it is sent.
            await ended(socket, 1009)


@step("text that is no UTF-8 ends in 1007")
async def not_utf8(server):
    async with server.open() as socket:
        await Person(socket).connected(server.alice)
        await socket.send(b'{"id":2,"ping":{},"x":"\xc3\x28"}', text=True)
        await ended(socket, 1007)


@step("a bad token, no token and the wrong kind of message end in their own codes")
async def refused(server):
    first = {"id": 1, "connect": {"token": "no token"}}
    for sent, code, word in [
        (json.dumps(first), 4510, "unauthenticated"),
        ('{"id":1,"ping":{}}', 4504, "not_connected"),
        ("{", 4500, "malformed_frame"),
        (b"{}", 4503, "wrong_frame_type"),
    ]:
        async with server.open() as socket:
            await socket.send(sent)
            await ended(socket, code, word)


async def run(server):
    counts = {True: 0, False: 0}
    for phrase, function in STEPS:
        error = None
        try:
            await asyncio.wait_for(function(server), STEP_CAP_S)
        except Exception as caught:  # Whatever it is, the steps after it run.
            error = caught
        counts[error is None] += 1
        print(f"{'ok    ' if error is None else 'FAILED'}  {phrase}", flush=True)
        if error is not None:
            traceback.print_exception(error, file=sys.stdout)
    print(f"{counts[True]} passed, {counts[False]} failed")
    return counts[False] == 0


if __name__ == "__main__":
    with open(sys.argv[1], encoding="utf-8") as file:
        sys.exit(not asyncio.run(run(Server(json.load(file)))))
