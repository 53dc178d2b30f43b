//! Bodies of HTTP requests: as bytes, as values, and sent again.

use super::{
    http::{JSON, invalid, raw, request},
    *,
};

pub async fn rows(place: &Place) -> Vec<Bad> {
    let mut rows = bodies(place);
    rows.extend(values(place));
    rows.extend(idempotency(place).await);
    rows
}

fn bodies(place: &Place) -> Vec<Bad> {
    let post = |name: &str, input: &str, body: &[u8], expected: Answer| {
        bad(name, input, request("POST /v1/users", &place.key, &[JSON], body), expected)
    };
    let typed = |name: &str, input: &str, given: &str| {
        let how = request("POST /v1/users", &place.key, &[("Content-Type", given)], br#"{"id":"x","name":"X"}"#);
        bad(name, input, how, problem(415, "unsupported_media_type"))
    };
    let large = format!(r#"{{"id":"x","name":"{}"}}"#, "A".repeat(256 * 1024));
    let announced = format!(
        "POST /v1/users HTTP/1.1\r\nHost: x\r\nConnection: close\r\nAuthorization: Bearer {}\r\nContent-Type: application/json\r\nContent-Length: 99999999999\r\n\r\n{{",
        place.key
    );
    let chunked = format!(
        "POST /v1/users HTTP/1.1\r\nHost: x\r\nConnection: close\r\nAuthorization: Bearer {}\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
        place.key
    );
    let slow = format!(
        "POST /v1/users HTTP/1.1\r\nHost: x\r\nConnection: close\r\nAuthorization: Bearer {}\r\nContent-Type: application/json\r\nContent-Length: 10\r\n\r\n{{",
        place.key
    );
    vec![
        post("body-none", "no body", b"", invalid()),
        post("body-words", "words", b"hello", invalid()),
        post("body-cut", "an object that does not end", br#"{"id": "#, invalid()),
        post("body-no-utf8", "a name that is no UTF-8", b"{\"id\":\"x\",\"name\":\"\xff\"}", invalid()),
        post("body-surrogate", "half of a surrogate pair, escaped", br#"{"id":"x","name":"\ud800"}"#, invalid()),
        post("body-deep", "100,000 arrays in each other", &b"[".repeat(100_000), invalid()),
        post("body-null", "null", b"null", invalid()),
        post("body-array", "an array", b"[]", invalid()),
        post("body-two", "two documents", br#"{"id":"x","name":"X"}{}"#, invalid()),
        post("body-twice", "one field twice", br#"{"id":"x","name":"X","name":"Y"}"#, invalid()),
        post("body-unknown", "a field that is none", br#"{"id":"x","name":"X","role":"operator"}"#, invalid()),
        post(
            "body-large",
            "a body larger than `edge.http.max_body_bytes`",
            large.as_bytes(),
            problem(413, "body_too_large"),
        ),
        bad("body-announced", "a body of 100 GB is announced", raw(&announced), problem(413, "body_too_large")),
        bad("body-chunk-size", "a chunk size that is no number", raw(&chunked), invalid()),
        bad("body-slow", "a body that does not come", raw(&slow), problem(504, "deadline_exceeded")),
        typed("type-text", "`text/plain`", "text/plain"),
        typed("type-form", "a form", "application/x-www-form-urlencoded"),
        typed("type-suffix", "a type that only begins like JSON", "application/jsonx"),
        typed("type-charset", "JSON in Latin-1", "application/json; charset=latin-1"),
        bad(
            "type-none",
            "no Content-Type",
            request("POST /v1/users", &place.key, &[], br#"{"id":"x","name":"X"}"#),
            problem(415, "unsupported_media_type"),
        ),
    ]
}

fn values(place: &Place) -> Vec<Bad> {
    let post = |name: &str, input: &str, path: &str, body: Value, expected: Answer| {
        bad(name, input, request(&format!("POST {path}"), &place.key, &[JSON], body.to_string().as_bytes()), expected)
    };
    let entries = "/v1/conversations/club/entries";
    let crowd: Vec<Value> = (0..1_001).map(|n| json!({ "user": format!("u{n}") })).collect();
    vec![
        post("user-id-space", "a user with a space", "/v1/users", json!({ "id": "a b", "name": "A" }), invalid()),
        post("user-id-system", "the user `system`", "/v1/users", json!({ "id": "system", "name": "A" }), invalid()),
        post("user-name-empty", "an empty name", "/v1/users", json!({ "id": "x", "name": "" }), invalid()),
        post(
            "user-name-65",
            "a name of 65 characters",
            "/v1/users",
            json!({ "id": "x", "name": "n".repeat(65) }),
            invalid(),
        ),
        post(
            "user-name-control",
            "a name with an escape character",
            "/v1/users",
            json!({ "id": "x", "name": "\u{1b}[2J" }),
            invalid(),
        ),
        post(
            "user-id-object",
            "an object of operators for an id",
            "/v1/users",
            json!({ "id": { "$gt": "" }, "name": "A" }),
            invalid(),
        ),
        post(
            "token-ttl-0",
            "a token for 0 seconds",
            "/v1/tokens",
            json!({ "user": "a", "device": "d", "ttl_s": 0 }),
            invalid(),
        ),
        post(
            "token-ttl-year",
            "a token for a year",
            "/v1/tokens",
            json!({ "user": "a", "device": "d", "ttl_s": 31_536_000 }),
            invalid(),
        ),
        post(
            "token-system",
            "a token for `system`",
            "/v1/tokens",
            json!({ "user": "system", "device": "d" }),
            invalid(),
        ),
        post(
            "token-device-slash",
            "a token for a device with a slash",
            "/v1/tokens",
            json!({ "user": "a", "device": "d/e" }),
            invalid(),
        ),
        post("revoke-nobody", "a revocation of nobody", "/v1/revocations", json!({}), invalid()),
        post(
            "group-direct",
            "a group with the id of a direct conversation",
            "/v1/conversations",
            json!({ "id": "d.1" }),
            invalid(),
        ),
        post(
            "group-taken",
            "a group under an id that is taken",
            "/v1/conversations",
            json!({ "id": "club" }),
            problem(409, "already_exists"),
        ),
        post(
            "group-title-129",
            "a title of 129 characters",
            "/v1/conversations",
            json!({ "title": "t".repeat(129) }),
            invalid(),
        ),
        post("group-1001", "1,001 members at once", "/v1/conversations", json!({ "members": crowd }), invalid()),
        post(
            "group-king",
            "a role that is none",
            "/v1/conversations",
            json!({ "members": [{ "user": "a", "role": "king" }] }),
            invalid(),
        ),
        post(
            "members-none",
            "no members to add",
            "/v1/conversations/club/members",
            json!({ "members": [] }),
            invalid(),
        ),
        post(
            "members-of-direct",
            "a member for a made-up direct conversation",
            "/v1/conversations/d.1/members",
            json!({ "members": [{ "user": "a" }] }),
            problem(404, "not_found"),
        ),
        post("entry-empty", "an empty text", entries, json!({ "author": "ada", "text": "" }), invalid()),
        post(
            "entry-long",
            "a text of 65,537 characters",
            entries,
            json!({ "author": "ada", "text": "x".repeat(65_537) }),
            invalid(),
        ),
        post(
            "entry-long-wide",
            "32,768 characters of three bytes",
            entries,
            json!({ "author": "ada", "text": "\u{20ac}".repeat(32_768) }),
            problem(413, "body_too_large"),
        ),
        post(
            "entry-of-system",
            "an entry whose author is `system`",
            entries,
            json!({ "author": "system", "text": "x" }),
            invalid(),
        ),
        post(
            "entry-kind",
            "an entry of a kind that is not for sending",
            entries,
            json!({ "kind": "joined", "author": "ada", "text": "x" }),
            invalid(),
        ),
        post(
            "entry-of-stranger",
            "an entry of somebody who is no member",
            entries,
            json!({ "author": "eve", "text": "x" }),
            problem(404, "not_found"),
        ),
        post(
            "entry-reply-0",
            "an answer to seq 0",
            entries,
            json!({ "author": "ada", "text": "x", "reply_to": 0 }),
            invalid(),
        ),
        post(
            "entry-reply-beyond",
            "an answer to an entry beyond the end",
            entries,
            json!({ "author": "ada", "text": "x", "reply_to": 9_007_199_254_740_991_u64 }),
            invalid(),
        ),
        post(
            "entry-message-id",
            "a `message_id` that is no UUID",
            entries,
            json!({ "author": "ada", "text": "x", "message_id": "7" }),
            invalid(),
        ),
        post(
            "entry-nowhere",
            "an entry for a conversation that is none",
            "/v1/conversations/none/entries",
            json!({ "author": "ada", "text": "x" }),
            problem(404, "not_found"),
        ),
    ]
}

async fn idempotency(place: &Place) -> Vec<Bad> {
    let post = |key: &str, body: &str| {
        request("POST /v1/users", &place.key, &[JSON, ("Idempotency-Key", key)], body.as_bytes())
    };
    let How::Http(first) = post("used", r#"{"id":"ida","name":"Ida"}"#) else { unreachable!("an HTTP request") };
    let (status, _) = place.http(&first).await.unwrap();
    assert_eq!(status, 201);
    let good = r#"{"id":"idb","name":"Idb"}"#;
    let twice = request(
        "POST /v1/users",
        &place.key,
        &[JSON, ("Idempotency-Key", "a"), ("Idempotency-Key", "b")],
        good.as_bytes(),
    );
    vec![
        bad("idempotency-empty", "an empty Idempotency-Key", post("", good), invalid()),
        bad("idempotency-256", "an Idempotency-Key of 256 characters", post(&"k".repeat(256), good), invalid()),
        bad("idempotency-space", "an Idempotency-Key with a space", post("a b", good), invalid()),
        bad("idempotency-latin", "an Idempotency-Key that is not ASCII", post("k\u{e9}y", good), invalid()),
        bad("idempotency-twice", "two Idempotency-Keys", twice, invalid()),
        bad(
            "idempotency-reused",
            "a used Idempotency-Key with another body",
            post("used", good),
            problem(422, "idempotency_key_reused"),
        ),
    ]
}
