//! Text messages that are no UTF-8 (RFC 3629), after section 6 of the public conformance suite.

use super::*;
use crate::tests::wire::{FIN_TEXT, frame};

const TABLE: [(&str, &str, &[u8]); 43] = [
    ("invalid-in-the-middle (6.3)", "good text, a surrogate, good text", b"\xce\xba\xe1\xbd\xb9\xed\xa0\x80edited"),
    ("continuation-80 (6.14.1)", "a continuation byte alone", b"\x80"),
    ("continuation-bf (6.14.2)", "the last continuation byte alone", b"\xbf"),
    ("continuations-2 (6.14)", "two continuation bytes", b"\x80\xbf"),
    ("continuations-3 (6.14)", "three continuation bytes", b"\x80\xbf\x80"),
    ("continuations (6.14.5)", "four continuation bytes", b"\x80\xbf\x80\xbf"),
    ("lonely-start-2 (6.15.1)", "the start of two bytes, then a space", b"\xc3 "),
    ("lonely-start-3 (6.15.2)", "the start of three bytes, then a space", b"\xe1 "),
    ("lonely-start-4 (6.15.3)", "the start of four bytes, then a space", b"\xf0 "),
    ("cut-2 (6.16.1)", "a character of two bytes without its last", b"\xc3"),
    ("cut-3 (6.16.2)", "a character of three bytes without its last", b"\xe1\x80"),
    ("cut-4 (6.16.3)", "a character of four bytes without its last", b"\xf0\x90\x80"),
    ("start-5 (6.16.4)", "a character of five bytes", b"\xf8\x88\x80\x80\x80"),
    ("start-6 (6.16.5)", "a character of six bytes", b"\xfc\x84\x80\x80\x80\x80"),
    ("cut-5 (6.16)", "a character of five bytes without its last", b"\xfb\xbf\xbf\xbf"),
    ("cut-6 (6.16)", "a character of six bytes without its last", b"\xfd\xbf\xbf\xbf\xbf"),
    (
        "all-cut (6.17)",
        "characters of two to six bytes, each without its last, one after the other",
        b"\xc0\xe0\x80\xf0\x80\x80\xf8\x80\x80\x80\xfc\x80\x80\x80\x80\xdf\xef\xbf\xf7\xbf\xbf\xfb\xbf\xbf\xbf\xfd\xbf\xbf\xbf\xbf",
    ),
    ("bytes-fe-and-ff (6.18)", "the bytes FE FE FF FF", b"\xfe\xfe\xff\xff"),
    ("byte-fe (6.18.1)", "the byte FE", b"\xfe"),
    ("byte-ff (6.18.2)", "the byte FF", b"\xff"),
    ("overlong-slash-2 (6.19.1)", "a slash in two bytes", b"\xc0\xaf"),
    ("overlong-slash-3 (6.19.2)", "a slash in three bytes", b"\xe0\x80\xaf"),
    ("overlong-slash-4 (6.19.3)", "a slash in four bytes", b"\xf0\x80\x80\xaf"),
    ("overlong-slash-5 (6.19.4)", "a slash in five bytes", b"\xf8\x80\x80\x80\xaf"),
    ("overlong-slash-6 (6.19.5)", "a slash in six bytes", b"\xfc\x80\x80\x80\x80\xaf"),
    ("overlong-nul-3", "NUL in three bytes", b"\xe0\x80\x80"),
    ("overlong-nul-4", "NUL in four bytes", b"\xf0\x80\x80\x80"),
    ("overlong-nul (6.20.1)", "NUL in two bytes", b"\xc0\x80"),
    ("overlong-max-2", "the greatest overlong character of two bytes", b"\xc1\xbf"),
    ("overlong-max-3 (6.20)", "the greatest overlong character of three bytes", b"\xe0\x9f\xbf"),
    ("overlong-max-4 (6.20)", "the greatest overlong character of four bytes", b"\xf0\x8f\xbf\xbf"),
    ("overlong-max-5 (6.20)", "the greatest overlong character of five bytes", b"\xf8\x87\xbf\xbf\xbf"),
    ("overlong-max-6 (6.20)", "the greatest overlong character of six bytes", b"\xfc\x83\xbf\xbf\xbf\xbf"),
    ("surrogate-db7f (6.21)", "the surrogate DB7F", b"\xed\xad\xbf"),
    ("surrogate-dbff (6.21)", "the surrogate DBFF", b"\xed\xaf\xbf"),
    ("surrogate-dfff (6.21)", "the surrogate DFFF", b"\xed\xbf\xbf"),
    ("surrogate-last-pair (6.21)", "the last pair of surrogates", b"\xed\xaf\xbf\xed\xbf\xbf"),
    ("surrogate-high (6.21.1)", "the surrogate D800", b"\xed\xa0\x80"),
    ("surrogate-low (6.21.4)", "the surrogate DC00", b"\xed\xb0\x80"),
    ("surrogate-pair (6.21.5)", "a pair of surrogates", b"\xed\xa0\x80\xed\xb0\x80"),
    ("beyond-10ffff (6.4.1)", "a character beyond 10FFFF", b"\xf4\x90\x80\x80"),
    ("beyond-200000", "a character beyond what four bytes say", b"\xf7\xbf\xbf\xbf"),
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
    rows.extend(VALID.into_iter().map(|(name, input, text)| {
        let request = frame(FIN_TEXT, format!("{{\"id\":7,\"ping\":{{}},\"x\":\"{text}\"}}").as_bytes());
        bad(name, input, How::Connected(Json, request), Answer::Taken("pong".into()))
    }));
    rows
}

/// What looks odd, and is text.
const VALID: [(&str, &str, &str); 6] = [
    ("ends-of-one-byte (6.2)", "the least and the greatest character of one byte, without controls", " \u{7f}"),
    ("ends-of-two-bytes (6.2)", "the least and the greatest character of two bytes", "\u{80}\u{7ff}"),
    ("ends-of-three-bytes (6.2)", "the least and the greatest character of three bytes", "\u{800}\u{ffff}"),
    ("ends-of-four-bytes (6.2)", "the least and the greatest character of four bytes", "\u{10000}\u{10ffff}"),
    ("beside-the-surrogates (6.2)", "the characters before and after the surrogates", "\u{d7ff}\u{e000}\u{fffd}"),
    (
        "non-characters (6.22)",
        "code points that are no characters, which UTF-8 may have",
        "\u{fffe}\u{ffff}\u{fdd0}\u{1fffe}\u{1ffff}\u{8fffe}\u{10fffe}",
    ),
];
