//! Well-formed frames that ask for what must not be.

use super::*;
use crate::tests::wire::{message_id, text};

/// No conversation, user or entry has it.
pub const BEYOND: u64 = 9_007_199_254_740_991;

/// A request of `ada`, who owns `club` and is a member of `team`; `board` is of others.
pub fn ask(name: &str, input: &str, request: &str, fields: Value, expected: Answer) -> Bad {
    bad(name, input, How::Connected(Json, text(&json!({ "id": ID, request: fields }).to_string())), expected)
}

pub fn invalid(name: &str, input: &str, request: &str, fields: Value) -> Bad {
    ask(name, input, request, fields, refused("invalid_argument"))
}

pub fn malformed(name: &str, input: &str, request: &str, fields: Value) -> Bad {
    ask(name, input, request, fields, closed(4500, "malformed_frame"))
}

pub fn no_such(name: &str, input: &str, request: &str, fields: Value) -> Bad {
    ask(name, input, request, fields, refused("not_found"))
}

pub fn taken(name: &str, input: &str, request: &str, fields: Value, reply: &str) -> Bad {
    ask(name, input, request, fields, Answer::Taken(reply.into()))
}

pub async fn rows(place: &Place) -> Vec<Bad> {
    let mut rows = ids();
    rows.extend(sends());
    rows.extend(references());
    rows.extend(pages::rows(place).await);
    rows.extend(groups::rows());
    rows
}

fn ids() -> Vec<Bad> {
    let history = |conversation: &str| json!({ "conversation": conversation });
    let table = [
        ("id-empty", "an empty conversation id", String::new()),
        ("id-65", "a conversation id of 65 characters", "c".repeat(65)),
        ("id-200k", "a conversation id of 200,000 characters", "c".repeat(200_000)),
        ("id-nul", "NUL in a conversation id", "cl\0ub".into()),
        ("id-line-break", "a line break in a conversation id", "club\r\nx".into()),
        ("id-slash", "a slash in a conversation id", "../club".into()),
        ("id-wildcard", "a wildcard for a conversation id", "*".into()),
        ("id-subject", "a subject of the bus for a conversation id", "club.>".into()),
        ("id-space", "a space in a conversation id", "my club".into()),
        ("id-rtl", "a right-to-left mark in a conversation id", "club\u{202e}".into()),
        ("id-zero-width", "a zero-width space in a conversation id", "cl\u{200b}ub".into()),
        ("id-cyrillic", "a Cyrillic letter that looks like another", "\u{441}lub".into()),
    ];
    let mut rows: Vec<Bad> =
        table.into_iter().map(|(name, input, id)| invalid(name, input, "history", history(&id))).collect();
    rows.extend([
        no_such("conversation-unknown", "a conversation that is none", "history", history("none")),
        no_such("conversation-foreign", "a conversation of others", "history", history("board")),
        no_such("conversation-other-tenant", "a conversation of another tenant", "history", history("vault")),
        no_such("conversation-case", "a conversation's id in capitals", "history", history("CLUB")),
        no_such("conversation-direct-made-up", "a made-up id of a direct conversation", "history", history("d.0123")),
        no_such(
            "typing-foreign",
            "`typing` in a conversation of others",
            "typing",
            json!({ "conversation": "board", "active": true }),
        ),
        no_such("members-foreign", "`list_members` of others", "list_members", history("board")),
        no_such("leave-foreign", "`leave` of others", "leave", history("board")),
        no_such(
            "registers-foreign",
            "`set_registers` of others",
            "set_registers",
            json!({ "conversation": "board", "muted": true }),
        ),
    ]);
    rows
}

/// A good send to `club` but for one field; null takes it out.
fn send(n: u64, field: &str, value: Value) -> Value {
    let mut send = json!({ "conversation": "club", "message_id": message_id(n), "body": { "text": "hello" } });
    if value.is_null() {
        send.as_object_mut().unwrap().remove(field);
    } else {
        send[field] = value;
    }
    send
}

fn sends() -> Vec<Bad> {
    let of = |name: &str, input: &str, field: &str, value: Value| invalid(name, input, "send", send(1, field, value));
    let body = |body: Value| send(2, "body", body);
    let both = json!({ "conversation": "club", "to": "bob", "message_id": message_id(3), "body": { "text": "x" } });
    let to = |user: &str| json!({ "to": user, "message_id": message_id(4), "body": { "text": "x" } });
    vec![
        of("message-id-missing", "a send without `message_id`", "message_id", Value::Null),
        of("message-id-no-uuid", "a `message_id` that is no UUID", "message_id", json!("7")),
        of("message-id-long", "a `message_id` of 10,000 characters", "message_id", json!("0".repeat(10_000))),
        of(
            "message-id-no-hex",
            "a `message_id` with a letter that is no digit",
            "message_id",
            json!("0193a5c0-0000-7000-8000-00000000000g"),
        ),
        of("body-missing", "a send without `body`", "body", Value::Null),
        of("text-empty", "an empty text", "body", json!({ "text": "" })),
        of("body-empty", "an empty body", "body", json!({})),
        of("body-created", "a body that creates a conversation", "body", json!({ "text": "x", "created": {} })),
        of(
            "body-member",
            "a body that changes a member",
            "body",
            json!({ "text": "x", "member": { "user": "ada", "role": "owner" } }),
        ),
        of("body-title", "a body with a title", "body", json!({ "text": "x", "title": "mine" })),
        taken(
            "style-unknown",
            "a style that is none counts as none",
            "send",
            body(json!({ "text": "x", "style": "blink" })),
            "sent",
        ),
        malformed("text-number", "a text that is a number", "send", body(json!({ "text": 7 }))),
        malformed("text-null", "a text that is null", "send", body(json!({ "text": [null] }))),
        ask(
            "text-long",
            "a text of 65,537 bytes",
            "send",
            body(json!({ "text": "x".repeat(65_537) })),
            refused("body_too_large"),
        ),
        ask(
            "text-long-wide",
            "32,768 characters of three bytes",
            "send",
            body(json!({ "text": "\u{20ac}".repeat(32_768) })),
            refused("body_too_large"),
        ),
        of("mentions-101", "101 mentions", "mentions", json!(vec!["bob"; 101])),
        of("mention-wildcard", "a mention of `*`", "mentions", json!(["*"])),
        of("mention-empty", "a mention of nobody", "mentions", json!([""])),
        invalid(
            "no-target",
            "a send to nowhere",
            "send",
            json!({ "message_id": message_id(5), "body": { "text": "x" } }),
        ),
        invalid("two-targets", "a send to a conversation and to a user", "send", both),
        invalid("to-self", "a send to oneself", "send", to("ada")),
        invalid("to-path", "a send to a user with a path for a name", "send", to("../bob")),
        invalid("to-65", "a send to a user of 65 characters", "send", to(&"u".repeat(65))),
        no_such("send-foreign", "a send to a conversation of others", "send", send(6, "conversation", json!("board"))),
        no_such(
            "send-other-tenant",
            "a send to a conversation of another tenant",
            "send",
            send(7, "conversation", json!("vault")),
        ),
        no_such(
            "send-unknown",
            "a send to a conversation that is none",
            "send",
            send(8, "conversation", json!("none")),
        ),
        no_such(
            "send-direct-made-up",
            "a send to a made-up direct conversation",
            "send",
            send(9, "conversation", json!("d.0123")),
        ),
    ]
}

fn references() -> Vec<Bad> {
    let of = |name: &str, input: &str, field: &str, value: Value, code: &str| {
        ask(name, input, "send", send(20, field, value), refused(code))
    };
    vec![
        of("reply-to-beyond", "an answer to an entry beyond the end", "reply_to", json!(BEYOND), "invalid_argument"),
        of("thread-beyond", "a thread of an entry beyond the end", "thread", json!(BEYOND), "invalid_argument"),
        of("after-seq-beyond", "`after_seq` beyond the end", "after_seq", json!(BEYOND), "stale_generation"),
        of(
            "generation-other",
            "a generation that is not the present one",
            "generation",
            json!(BEYOND),
            "stale_generation",
        ),
        of(
            "precondition-old",
            "a precondition that does not hold",
            "precondition",
            json!({ "expected_seq": 0 }),
            "precondition_failed",
        ),
        malformed("reply-to-negative", "an answer to a negative seq", "send", send(21, "reply_to", json!(-1))),
        malformed("reply-to-fraction", "an answer to a seq with a fraction", "send", send(22, "reply_to", json!(1.5))),
        ask(
            "precondition-kind",
            "a precondition on a kind that is none",
            "send",
            send(23, "precondition", json!({ "kinds": ["shout"] })),
            refused("invalid_argument"),
        ),
        invalid(
            "reply-to-unseen",
            "an answer to what was said before one's time",
            "send",
            json!({ "conversation": "late", "message_id": message_id(24), "reply_to": 2, "body": { "text": "x" } }),
        ),
    ]
}
