//! RFC 6455 sections 5 and 7, after the cases of the public conformance suite (numbers in the names).

use super::*;
use crate::tests::wire::{CLOSE, FIN_BINARY, FIN_TEXT, frame, text};

const TEXT: u8 = 0x01;
const MORE: u8 = 0x00;
const LAST: u8 = 0x80;
const PING: u8 = 0x89;
const PONG: u8 = 0x8a;

fn fresh(bytes: Vec<u8>) -> How {
    How::Fresh(Json, bytes)
}

fn violation(name: &str, input: &str, bytes: Vec<u8>) -> Bad {
    bad(name, input, fresh(bytes), closed(1002, ""))
}

pub fn rows() -> Vec<Bad> {
    let mut rows = reserved();
    rows.extend(control());
    rows.extend(fragments());
    rows.extend(lengths());
    rows.extend(closes());
    rows
}

fn reserved() -> Vec<Bad> {
    let mut rows: Vec<Bad> = (1..=7_u8)
        .map(|bits| {
            let input = format!("reserved bits {bits:03b} set on a text frame, no extension agreed");
            violation(&format!("rsv-{bits} (3.{bits})"), &input, frame(FIN_TEXT | bits << 4, b"{}"))
        })
        .collect();
    for opcode in (3..=7_u8).chain(11..=15) {
        let input = format!("a frame with the reserved opcode {opcode}");
        rows.push(violation(&format!("opcode-{opcode} (4.x)"), &input, frame(0x80 | opcode, b"")));
    }
    rows.push(violation("unmasked-text", "a text frame of a client without a mask", vec![FIN_TEXT, 2, b'{', b'}']));
    rows.push(violation("unmasked-ping", "a ping of a client without a mask", vec![PING, 0]));
    rows
}

fn control() -> Vec<Bad> {
    let alone = |name, input, bytes| violation(name, input, bytes);
    let long = |first: u8| [&[first, 0xfe, 0, 126, 0, 0, 0, 0][..], &[0; 126]].concat();
    vec![
        alone("ping-126 (2.5)", "a ping with 126 bytes", long(PING)),
        alone("pong-126", "a pong with 126 bytes", long(PONG)),
        alone("close-126 (7.3.6)", "a close frame with 126 bytes", long(CLOSE)),
        alone("ping-fragment (5.1)", "a ping in two fragments", [frame(0x09, b"a"), frame(LAST, b"b")].concat()),
        alone("pong-fragment (5.2)", "a pong in two fragments", [frame(0x0a, b"a"), frame(LAST, b"b")].concat()),
        alone("close-fragment", "a close frame without FIN", frame(0x08, &1000_u16.to_be_bytes())),
        bad(
            "ping-before-connect (2.x)",
            "pings and unasked pongs before `connect`, then `ping` in its place",
            fresh([frame(PING, b"x"), frame(PONG, b"y"), text(r#"{"id":7,"ping":{}}"#)].concat()),
            closed(4504, "not_connected"),
        ),
        bad(
            "pong-unasked (2.7)",
            "a pong that nobody asked for",
            How::Connected(Json, [frame(PONG, b"y"), text(r#"{"id":7,"ping":{}}"#)].concat()),
            Answer::Taken("pong".into()),
        ),
    ]
}

fn fragments() -> Vec<Bad> {
    let (start, piece) = (frame(TEXT, b"{"), frame(MORE, b" "));
    let whole = text("{}");
    vec![
        violation("continuation-first (5.9)", "a continuation with nothing to continue", frame(LAST, b"{}")),
        violation("continuation-first-more (5.11)", "the same without FIN", frame(MORE, b"{}")),
        violation("continuation-empty", "an empty continuation with nothing to continue", frame(LAST, b"")),
        violation("text-in-text (5.18)", "a text frame between the fragments of one", [start.clone(), whole].concat()),
        violation(
            "binary-in-text",
            "a binary frame between the fragments of a text message",
            [start.clone(), frame(FIN_BINARY, b"x")].concat(),
        ),
        violation(
            "start-in-text",
            "a second first fragment before the end of the first message",
            [start.clone(), frame(TEXT, b"}")].concat(),
        ),
        bad(
            "continuation-after-end (5.15)",
            "a continuation after the last fragment",
            How::Connected(Json, [frame(TEXT, br#"{"id":8,"ping""#), frame(LAST, b":{}}"), frame(MORE, b"{")].concat()),
            closed(1002, ""),
        ),
        bad(
            "ping-between-fragments (5.6)",
            "a ping between the fragments of a request, which is allowed",
            How::Connected(
                Json,
                [frame(TEXT, br#"{"id":7,"#), frame(PING, b"x"), frame(MORE, br#""ping""#), frame(LAST, b":{}}")]
                    .concat(),
            ),
            Answer::Taken("pong".into()),
        ),
        bad(
            "fragments-of-one-byte",
            "a request in fragments of one byte each, with empty ones between",
            How::Connected(Json, bytewise(br#"{"id":7,"ping":{}}"#)),
            Answer::Taken("pong".into()),
        ),
        bad(
            "fragments-without-end",
            "300,000 bytes in fragments without an end, before `connect`",
            fresh([start, piece_of(&piece, 3_000)].concat()),
            closed(1009, ""),
        ),
    ]
}

/// Fragments of 100 spaces.
fn piece_of(piece: &[u8], count: usize) -> Vec<u8> {
    let hundred = frame(piece[0], &[b' '; 100]);
    hundred.repeat(count)
}

fn bytewise(message: &[u8]) -> Vec<u8> {
    let (first, rest) = message.split_first().unwrap();
    let mut bytes = frame(TEXT, &[*first]);
    for byte in rest {
        bytes.extend(frame(MORE, &[]));
        bytes.extend(frame(MORE, &[*byte]));
    }
    bytes.extend(frame(LAST, &[]));
    bytes
}

fn lengths() -> Vec<Bad> {
    let headed = |length: &[u8]| [&[FIN_TEXT][..], length, &[0, 0, 0, 0], b"{}"].concat();
    let ping = r#"{"id":7,"ping":{}}"#;
    let eight = |n: u64| [&[0xff][..], &n.to_be_bytes()].concat();
    // Where the form of the length changes.
    let whole = [125, 126, 127, 128, 65_535, 65_536].map(|length: usize| {
        let (name, input) = (format!("length-{length} (1.1)"), format!("a request in a frame of {length} bytes"));
        let request = text(&format!("{ping}{}", " ".repeat(length - ping.len())));
        bad(&name, &input, How::Connected(Json, request), Answer::Taken("pong".into()))
    });
    let mut rows = vec![
        violation("length-16-for-2", "the length 2 in 16 bits", headed(&[0xfe, 0, 2])),
        violation("length-64-for-2", "the length 2 in 64 bits", headed(&eight(2))),
        violation("length-64-for-65535", "the length 65,535 in 64 bits", headed(&eight(65_535))),
        bad("length-2^63-1", "the length 2^63 - 1", fresh(headed(&eight(i64::MAX as u64))), closed(1009, "")),
        bad("length-2^64-1", "the length 2^64 - 1", fresh(headed(&eight(u64::MAX))), closed(1009, "")),
        bad("length-1gib", "a frame of 1 GiB is announced", fresh(headed(&eight(1 << 30))), closed(1009, "")),
        bad(
            "frame-over-the-limit",
            "a frame of one byte more than `edge.max_frame_bytes`, from a client that is connected",
            How::Connected(Json, text(&" ".repeat(256 * 1024 + 1))),
            closed(1009, ""),
        ),
        bad(
            "frame-at-the-limit",
            "a frame of exactly `edge.max_frame_bytes`",
            How::Connected(Json, text(&format!("{ping}{}", " ".repeat(256 * 1024 - ping.len())))),
            Answer::Taken("pong".into()),
        ),
    ];
    rows.extend(whole);
    rows
}

fn closes() -> Vec<Bad> {
    let with = |code: u16, reason: &[u8]| frame(CLOSE, &[&code.to_be_bytes()[..], reason].concat());
    let mut rows = vec![
        violation("close-1-byte (7.3.2)", "a close frame with one byte", frame(CLOSE, b"x")),
        bad("close-empty (7.3.1)", "a close frame without a code", fresh(frame(CLOSE, b"")), closed(1005, "")),
        bad(
            "close-reason-no-utf8 (7.5.1)",
            "a close reason that is no UTF-8",
            fresh(with(1000, &[0xce, 0xba, 0xff])),
            closed(1007, ""),
        ),
        bad("close-1000 (7.7)", "an orderly close, before `connect`", fresh(with(1000, b"bye")), closed(1000, "")),
        bad(
            "close-then-data (7.1.3)",
            "a request after the close frame: it is not done",
            How::Connected(Json, [with(1001, b""), text(r#"{"id":7,"ping":{}}"#)].concat()),
            closed(1001, ""),
        ),
        bad(
            "close-twice (7.1.2)",
            "two close frames",
            How::Connected(Json, [with(1000, b""), with(1001, b"")].concat()),
            closed(1000, ""),
        ),
    ];
    for code in [0, 999, 1004, 1005, 1006, 1015, 1016, 1100, 2000, 2999, 5000, 65_535] {
        let input = format!("a close frame with the code {code}, which may not be sent");
        rows.push(violation(&format!("close-{code} (7.9)"), &input, with(code, b"")));
    }
    for code in [1001, 1002, 1003, 1007, 1008, 1009, 1010, 1011, 3000, 3999, 4000, 4999] {
        let input = format!("a close frame with the code {code}, which may be sent: it comes back");
        rows.push(bad(&format!("close-{code} (7.7)"), &input, fresh(with(code, b"")), closed(code, "")));
    }
    let (input, reason) = ("a close frame with the longest reason, 123 bytes", [b'x'; 123]);
    rows.push(bad("close-reason-123 (7.3.5)", input, fresh(with(1000, &reason)), closed(1000, "")));
    rows
}
