//! Text messages that are no frame of the edge protocol, or one that nobody knows.

use super::*;
use crate::tests::wire::{FIN_BINARY, frame, text};

fn first(name: &str, input: &str, json: &str, close: u16, word: &str) -> Bad {
    bad(name, input, How::Fresh(Json, text(json)), closed(close, word))
}

fn malformed(name: &str, input: &str, json: &str) -> Bad {
    bad(name, input, How::Connected(Json, text(json)), closed(4500, "malformed_frame"))
}

fn then(name: &str, input: &str, json: &str, expected: Answer) -> Bad {
    bad(name, input, How::Connected(Json, text(json)), expected)
}

pub fn rows() -> Vec<Bad> {
    let mut rows = no_json();
    rows.extend(no_frame());
    rows.extend(order());
    rows.extend(harmless());
    rows
}

fn no_json() -> Vec<Bad> {
    vec![
        malformed("json-empty", "an empty message", ""),
        malformed("json-words", "words", "hello"),
        malformed("json-cut", "an object that does not end", r#"{"id":7,"ping":{"#),
        malformed("json-two", "two objects in one message", r#"{"id":7,"ping":{}}{"id":8,"ping":{}}"#),
        malformed("json-comma", "a comma too much", r#"{"id":7,"ping":{},}"#),
        malformed("json-quotes", "single quotes", "{'id':7,'ping':{}}"),
        malformed("json-comment", "a comment", r#"{"id":7,/* hi */"ping":{}}"#),
        malformed("json-nan", "NaN as a number", r#"{"id":NaN,"ping":{}}"#),
        malformed("json-bom", "a byte order mark before the object", "\u{feff}{\"id\":7,\"ping\":{}}"),
        malformed("json-control", "a line break inside a text", "{\"id\":7,\"ping\":{},\"x\":\"a\nb\"}"),
        malformed(
            "json-surrogate",
            "half of a surrogate pair, escaped",
            r#"{"id":7,"typing":{"conversation":"\ud800"}}"#,
        ),
        malformed("json-deep-array", "100,000 arrays in each other", &"[".repeat(100_000)),
        malformed("json-deep-object", "20,000 objects in each other", &r#"{"a":"#.repeat(20_000)),
        malformed(
            "json-deep-unknown",
            "33 levels in a field that nobody reads",
            &format!(r#"{{"id":7,"ping":{{}},"x":{}{}}}"#, "[".repeat(33), "]".repeat(33)),
        ),
        first("json-empty-first", "an empty message before `connect`", "", 4500, "malformed_frame"),
        first("json-words-first", "words before `connect`", "hello", 4500, "malformed_frame"),
    ]
}

fn no_frame() -> Vec<Bad> {
    vec![
        malformed("frame-array", "an array instead of an object", "[1,2]"),
        malformed("frame-null", "null", "null"),
        malformed("frame-number", "a number", "1e9"),
        malformed("id-text", "an id that is a text", r#"{"id":"x","ping":{}}"#),
        malformed("id-negative", "a negative id", r#"{"id":-1,"ping":{}}"#),
        malformed("id-fraction", "an id with a fraction", r#"{"id":1.5,"ping":{}}"#),
        malformed("id-1e400", "an id beyond every number", r#"{"id":1e400,"ping":{}}"#),
        malformed("id-2^64", "the id 2^64", r#"{"id":18446744073709551616,"ping":{}}"#),
        malformed("id-twice", "two ids", r#"{"id":7,"id":8,"ping":{}}"#),
        malformed("two-requests", "two requests in one frame", r#"{"id":7,"ping":{},"leave":{"conversation":"club"}}"#),
        malformed("request-array", "a request that is an array", r#"{"id":7,"send":[]}"#),
        malformed("request-number", "a request that is a number", r#"{"id":7,"typing":7}"#),
        malformed(
            "operator-object",
            "an object of operators where a text belongs",
            r#"{"id":7,"history":{"conversation":{"$ne":""}}}"#,
        ),
        then(
            "enum-unknown",
            "a role that is none: a word that nobody knows counts as left out",
            r#"{"id":7,"set_role":{"conversation":"club","user":"bob","role":"king"}}"#,
            refused("invalid_argument"),
        ),
        malformed(
            "field-twice",
            "one field twice",
            r#"{"id":7,"typing":{"conversation":"club","conversation":"team"}}"#,
        ),
        malformed("users-number", "a number where a user belongs", r#"{"id":7,"watch_presence":{"users":[1]}}"#),
        then("no-request", "an id and no request", r#"{"id":7}"#, refused("unknown_request")),
        then("request-null", "a request that is null", r#"{"id":7,"ping":null}"#, refused("unknown_request")),
        then("unknown-request", "a request that nobody knows", r#"{"id":7,"teleport":{}}"#, refused("unknown_request")),
        then(
            "proto-name",
            "`__proto__` as the request",
            r#"{"id":7,"__proto__":{"ping":{}}}"#,
            refused("unknown_request"),
        ),
        then("event-as-request", "an event of the server's", r#"{"id":7,"entries":{}}"#, refused("unknown_request")),
    ]
}

fn order() -> Vec<Bad> {
    vec![
        first("ping-first", "a request before `connect`", r#"{"id":7,"ping":{}}"#, 4504, "not_connected"),
        first("unknown-first", "an unknown request before `connect`", r#"{"id":7,"fly":{}}"#, 4504, "not_connected"),
        first(
            "connect-without-token",
            "`connect` without a token",
            r#"{"id":7,"connect":{}}"#,
            4510,
            "unauthenticated",
        ),
        bad(
            "connect-twice",
            "a second `connect`",
            How::Connected(Json, text(r#"{"id":7,"connect":{"token":"x"}}"#)),
            closed(4505, "already_connected"),
        ),
        bad(
            "binary-on-json",
            "a binary message on a JSON connection",
            How::Connected(Json, frame(FIN_BINARY, b"{}")),
            closed(4503, "wrong_frame_type"),
        ),
        bad(
            "text-on-protobuf",
            "a text message on a protobuf connection",
            How::Connected(Proto, text("{}")),
            closed(4503, "wrong_frame_type"),
        ),
        bad(
            "binary-on-json-first",
            "a binary message on a JSON connection, before `connect`",
            How::Fresh(Json, frame(FIN_BINARY, b"{}")),
            closed(4503, "wrong_frame_type"),
        ),
    ]
}

fn harmless() -> Vec<Bad> {
    let pong = || Answer::Taken("pong".into());
    let many: String = (0..10_000).map(|n| format!(r#""k{n}":0,"#)).collect();
    vec![
        then("unknown-field", "a field that nobody knows", r#"{"id":7,"ping":{"speed":"light"}}"#, pong()),
        then("unknown-fields", "10,000 fields that nobody knows", &format!(r#"{{{many}"id":7,"ping":{{}}}}"#), pong()),
        then(
            "key-100k",
            "a key of 100,000 characters",
            &format!(r#"{{"{}":1,"id":7,"ping":{{}}}}"#, "k".repeat(100_000)),
            pong(),
        ),
        then(
            "traceparent-wrong",
            "a trace that is none",
            r#"{"id":7,"traceparent":"00-zz-1\u0000","ping":{}}"#,
            pong(),
        ),
        then(
            "traceparent-long",
            "a trace of 100,000 characters",
            &format!(r#"{{"id":7,"traceparent":"{}","ping":{{}}}}"#, "0".repeat(100_000)),
            pong(),
        ),
        then(
            "brackets-in-text",
            "100 brackets inside a text",
            &format!(r#"{{"id":7,"ping":{{}},"x":"{}"}}"#, "[{".repeat(50)),
            pong(),
        ),
        bad(
            "pong-unasked",
            "a `pong` that nobody asked for",
            How::Connected(Json, [text(r#"{"pong":{}}"#), text(r#"{"id":7,"ping":{}}"#)].concat()),
            pong(),
        ),
    ]
}
