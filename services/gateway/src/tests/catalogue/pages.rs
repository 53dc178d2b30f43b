//! Pages, cursors and marks.

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use posthorn_core::{
    Shard,
    cursor::{Cursor, Version},
};

use super::{
    requests::{BEYOND, ask, invalid, malformed, no_such, taken},
    *,
};

pub async fn rows(place: &Place) -> Vec<Bad> {
    let mut rows = pages();
    rows.extend(cursors(place).await);
    rows.extend(marks());
    rows
}

fn pages() -> Vec<Bad> {
    let history = |field: &str, value: Value| json!({ "conversation": "club", field: value });
    vec![
        taken("limit-0", "`limit` 0 means the default", "history", history("limit", json!(0)), "history"),
        taken("limit-huge", "a `limit` of 2^53 - 1 is cut", "history", history("limit", json!(BEYOND)), "history"),
        malformed("limit-negative", "a negative `limit`", "history", history("limit", json!(-1))),
        malformed("limit-fraction", "a `limit` with a fraction", "history", history("limit", json!(1.5))),
        malformed("limit-text", "a `limit` that is a text", "history", history("limit", json!("many"))),
        malformed("limit-list", "a `limit` that is a list", "history", history("limit", json!([1]))),
        taken(
            "after-beyond",
            "`after` beyond the end: an empty page",
            "history",
            history("after", json!(BEYOND)),
            "history",
        ),
        taken(
            "after-2^64-1",
            "`after` 2^64 - 1: an empty page",
            "history",
            history("after", json!(u64::MAX)),
            "history",
        ),
        taken("before-0", "`before` 0: an empty page", "history", history("before", json!(0)), "history"),
        taken(
            "around-beyond",
            "`around` 2^64 - 1: the last entries",
            "history",
            history("around", json!(u64::MAX)),
            "history",
        ),
        malformed("after-negative", "a negative `after`", "history", history("after", json!(-1))),
        invalid(
            "after-and-before",
            "`after` and `before`",
            "history",
            json!({ "conversation": "club", "after": 1, "before": 2 }),
        ),
        taken(
            "unit-unknown",
            "a unit that is none counts as left out",
            "history",
            history("unit", json!("bytes")),
            "history",
        ),
        taken(
            "members-limit-huge",
            "a `limit` of 2^64 - 1 members is cut",
            "list_members",
            history("limit", json!(u64::MAX)),
            "members",
        ),
        taken(
            "members-after-garbage",
            "members after a user of 10,000 characters",
            "list_members",
            history("after", json!("~".repeat(10_000))),
            "members",
        ),
    ]
}

async fn cursors(place: &Place) -> Vec<Bad> {
    let mut bob = place.person(TENANT, "bob").await;
    let good = bob.ask("sync", json!({})).await.unwrap()["sync"]["cursor"].as_str().unwrap().to_owned();
    let page = bob.ask("sync", json!({ "limit": 1 })).await.unwrap()["sync"]["page"].as_str().unwrap().to_owned();
    let cursor = Cursor::decode(&URL_SAFE_NO_PAD.decode(&good).unwrap()).unwrap();
    let encoded = |cursor: &Cursor| URL_SAFE_NO_PAD.encode(cursor.encode());
    let other = encoded(&Cursor { generation: cursor.generation + 1, ..cursor.clone() });
    let all = (0..1_024).map(|n| (Shard(n), Version { epoch: u64::MAX, counter: u64::MAX })).collect();
    let future = encoded(&Cursor { generation: cursor.generation, shards: all });
    let of = |cursor: &str| json!({ "cursor": cursor });
    vec![
        invalid("cursor-garbage", "a cursor that is none", "sync", of("garbage")),
        invalid("cursor-no-base64", "a cursor that is no base64", "sync", of("!!!")),
        invalid("cursor-cut", "a cursor without its last characters", "sync", of(&good[..good.len() - 2])),
        invalid("cursor-longer", "a cursor with more behind it", "sync", of(&format!("{good}AAAA"))),
        invalid("cursor-ff", "a cursor of bytes FF", "sync", of(&URL_SAFE_NO_PAD.encode([0xff; 40]))),
        invalid("cursor-200k", "a cursor of 200,000 characters", "sync", of(&"A".repeat(200_000))),
        invalid("cursor-of-another-use", "a page for a cursor", "sync", of(&page)),
        taken("cursor-of-another-user", "another user's cursor: it selects of one's own", "sync", of(&good), "sync"),
        taken("cursor-other-generation", "a cursor of another generation: a reset", "sync", of(&other), "sync"),
        taken("cursor-future", "a cursor beyond all that was written", "sync", of(&future), "sync"),
        invalid("page-garbage", "a page that is none", "sync", json!({ "page": "garbage" })),
        invalid("page-tildes", "a page of separators", "sync", json!({ "page": "~~~~~~" })),
        invalid("page-200k", "a page of 200,000 separators", "sync", json!({ "page": "~".repeat(200_000) })),
        taken(
            "page-of-another-user",
            "another user's page: it selects of one's own",
            "sync",
            json!({ "page": page }),
            "sync",
        ),
        taken("sync-limit-huge", "a `limit` of 2^64 - 1 is cut", "sync", json!({ "limit": u64::MAX }), "sync"),
    ]
}

fn marks() -> Vec<Bad> {
    let mark = |field: &str, seq: Value| json!({ "conversation": "team", field: seq });
    let registers = |field: &str, value: Value| json!({ "conversation": "team", field: value });
    vec![
        no_such(
            "mark-foreign",
            "a mark in a conversation of others",
            "mark",
            json!({ "conversation": "board", "read": 1 }),
        ),
        taken("mark-backwards", "a mark that goes back stays", "mark", mark("read", json!(0)), "marked"),
        taken(
            "mark-over-the-end",
            "a mark over the end goes to the end",
            "mark",
            mark("read", json!(BEYOND)),
            "marked",
        ),
        taken(
            "mark-2^64-1",
            "a mark at 2^64 - 1 goes to the end",
            "mark",
            mark("delivered", json!(u64::MAX)),
            "marked",
        ),
        malformed("mark-negative", "a negative mark", "mark", mark("read", json!(-1))),
        malformed("mark-text", "a mark that is a text", "mark", mark("read", json!("all"))),
        ask(
            "draft-long",
            "a draft of 16 KiB and a byte",
            "set_registers",
            registers("draft", json!("x".repeat(16 * 1024 + 1))),
            refused("body_too_large"),
        ),
        malformed("muted-text", "`muted` that is a text", "set_registers", registers("muted", json!("yes"))),
        taken(
            "registers-of-marks",
            "`read` among the registers is not looked at",
            "set_registers",
            registers("read", json!(BEYOND)),
            "registers_set",
        ),
    ]
}
