//! Text messages that are no UTF-8 (RFC 3629), after section 6 of the public conformance suite.

use super::*;
use crate::tests::wire::{FIN_TEXT, frame};

const TABLE: [(&str, &str, &[u8]); 24] = [
    ("invalid-in-the-middle (6.3)", "good text, a surrogate, good text", b"\xce\xba\xe1\xbd\xb9\xed\xa0\x80edited"),
    ("continuation-80 (6.14.1)", "a continuation byte alone", b"\x80"),
    ("continuation-bf (6.14.2)", "the last continuation byte alone", b"\xbf"),
    ("continuations (6.14.5)", "four continuation bytes", b"\x80\xbf\x80\xbf"),
    ("lonely-start-2 (6.15.1)", "the start of two bytes, then a space", b"\xc3 "),
    ("lonely-start-3 (6.15.2)", "the start of three bytes, then a space", b"\xe1 "),
    ("lonely-start-4 (6.15.3)", "the start of four bytes, then a space", b"\xf0 "),
    ("cut-2 (6.16.1)", "a character of two bytes without its last", b"\xc3"),
    ("cut-3 (6.16.2)", "a character of three bytes without its last", b"\xe1\x80"),
    ("cut-4 (6.16.3)", "a character of four bytes without its last", b"\xf0\x90\x80"),
    ("start-5 (6.16.4)", "a character of five bytes", b"\xf8\x88\x80\x80\x80"),
    ("start-6 (6.16.5)", "a character of six bytes", b"\xfc\x84\x80\x80\x80\x80"),
    ("byte-fe (6.18.1)", "the byte FE", b"\xfe"),
    ("byte-ff (6.18.2)", "the byte FF", b"\xff"),
    ("overlong-slash-2 (6.19.1)", "a slash in two bytes", b"\xc0\xaf"),
    ("overlong-slash-3 (6.19.2)", "a slash in three bytes", b"\xe0\x80\xaf"),
    ("overlong-slash-4 (6.19.3)", "a slash in four bytes", b"\xf0\x80\x80\xaf"),
    ("overlong-nul (6.20.1)", "NUL in two bytes", b"\xc0\x80"),
    ("overlong-max-2", "the greatest overlong character of two bytes", b"\xc1\xbf"),
    ("surrogate-high (6.21.1)", "the surrogate D800", b"\xed\xa0\x80"),
    ("surrogate-low (6.21.4)", "the surrogate DC00", b"\xed\xb0\x80"),
    ("surrogate-pair (6.21.5)", "a pair of surrogates", b"\xed\xa0\x80\xed\xb0\x80"),
    ("beyond-10ffff (6.4.1)", "a character beyond 10FFFF", b"\xf4\x90\x80\x80"),
    ("json-with-ff", "JSON with the byte FF in a text", b"{\"id\":7,\"ping\":{},\"x\":\"\xff\"}"),
];

pub fn rows() -> Vec<Bad> {
    let mut rows: Vec<Bad> = TABLE
        .into_iter()
        .map(|(name, input, bytes)| bad(name, input, How::Fresh(Json, frame(FIN_TEXT, bytes)), closed(1007, "")))
        .collect();
    let split = [frame(0x01, b"{\"x\":\"\xe1"), frame(0x80, b"\x28\"}")].concat();
    rows.push(bad(
        "split-and-wrong (6.4)",
        "a character split over two fragments, the second half wrong",
        How::Fresh(Json, split),
        closed(1007, ""),
    ));
    let early = [frame(0x01, b"\xf4"), frame(0x00, b"\x90")].concat();
    rows.push(bad(
        "fail-fast (6.4.3)",
        "a wrong character in a message that never ends",
        How::Fresh(Json, early),
        closed(1007, ""),
    ));
    let unfinished = [frame(0x01, b"\xe1\x80"), frame(0x80, b"")].concat();
    rows.push(bad(
        "cut-before-an-empty-end",
        "half of a character, then an empty last fragment",
        How::Fresh(Json, unfinished),
        // The WebSocket library looks at no empty fragment: the decoder of JSON sees it.
        closed(4500, "malformed_frame"),
    ));
    let split_well = [frame(0x01, b"{\"id\":7,\"ping\":{},\"x\":\"\xc3"), frame(0x80, b"\xa9\"}")].concat();
    rows.push(bad(
        "split-and-right (6.2.3)",
        "a character split over two fragments, which is allowed",
        How::Connected(Json, split_well),
        Answer::Taken("pong".into()),
    ));
    rows
}
