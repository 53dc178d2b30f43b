//! What a backend may get wrong, and what others may try at its door.

use super::*;

/// A request as it goes over the wire: `key` empty means no header for it.
pub fn request(line: &str, key: &str, headers: &[(&str, &str)], body: &[u8]) -> How {
    let mut head = format!("{line} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n");
    if !key.is_empty() {
        head += &format!("Authorization: Bearer {key}\r\n");
    }
    for (name, value) in headers {
        head += &format!("{name}: {value}\r\n");
    }
    if !body.is_empty() {
        head += &format!("Content-Length: {}\r\n", body.len());
    }
    How::Http([head.as_bytes(), b"\r\n", body].concat())
}

pub fn raw(text: &str) -> How {
    How::Http(text.as_bytes().to_vec())
}

pub const JSON: (&str, &str) = ("Content-Type", "application/json");

pub fn invalid() -> Answer {
    problem(400, "invalid_argument")
}

fn unauthenticated() -> Answer {
    problem(401, "unauthenticated")
}

pub async fn rows(place: &Place) -> Vec<Bad> {
    let mut rows = unread();
    rows.extend(auth(place));
    rows.extend(paths(place));
    rows.extend(queries(place));
    rows.extend(bodies::rows(place).await);
    rows.extend(access(place));
    rows
}

/// What is not even a request.
fn unread() -> Vec<Bad> {
    let status = |name: &str, input: &str, text: &str, status: u16| bad(name, input, raw(text), Answer::Status(status));
    let many: String = (0..101).map(|n| format!("X-{n}: y\r\n")).collect();
    let long = format!("GET /livez HTTP/1.1\r\nHost: x\r\nX: {}\r\n\r\n", "y".repeat(80_000));
    vec![
        status("http-words", "words instead of a request", "hello there\r\n\r\n", 400),
        status("http-nul", "NUL in the path", "GET /li\0vez HTTP/1.1\r\nHost: x\r\n\r\n", 400),
        status("http-3", "HTTP/3.0 in the request line", "GET /livez HTTP/3.0\r\nHost: x\r\n\r\n", 400),
        status("http-header-space", "a space in a header's name", "GET /livez HTTP/1.1\r\nHo st: x\r\n\r\n", 400),
        status("http-header-nul", "NUL in a header", "GET /livez HTTP/1.1\r\nHost: x\r\nX: a\0b\r\n\r\n", 400),
        status("http-headers-101", "101 headers more", &format!("GET /livez HTTP/1.1\r\nHost: x\r\n{many}\r\n"), 431),
        status("http-header-80k", "a header of 80,000 characters", &long, 431),
        status(
            "http-path-80k",
            "a path of 80,000 characters",
            &format!("GET /{} HTTP/1.1\r\nHost: x\r\n\r\n", "a".repeat(80_000)),
            431,
        ),
        status(
            "http-length-text",
            "a Content-Length that is no number",
            "POST /v1/users HTTP/1.1\r\nHost: x\r\nContent-Length: ten\r\n\r\n",
            400,
        ),
        status(
            "http-length-twice",
            "two Content-Lengths that differ",
            "POST /v1/users HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nab",
            400,
        ),
        bad(
            "http-chunk-size",
            "a chunk size that is no number, without a key: refused before the body",
            raw("POST /v1/users HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n"),
            unauthenticated(),
        ),
        bad("http-cut", "half of a request, then silence", raw("GET /livez HTTP/1.1\r\nHost:"), Answer::Ended),
    ]
}

fn auth(place: &Place) -> Vec<Bad> {
    let with = |name: &str, input: &str, value: &str| {
        bad(name, input, request("GET /v1/users/ada", "", &[("Authorization", value)], b""), unauthenticated())
    };
    let key = &place.key;
    let mut other_secret = key.clone();
    other_secret.replace_range(key.len() - 3.., "AAA");
    let basic = "Basic dXNlcjpwYXNz";
    vec![
        bad("auth-none", "no Authorization", request("GET /v1/users/ada", "", &[], b""), unauthenticated()),
        with("auth-empty", "an empty Authorization", ""),
        with("auth-scheme-alone", "`Bearer` alone", "Bearer"),
        with("auth-basic", "a user and a password", basic),
        with("auth-key-alone", "the key without `Bearer`", key),
        with("auth-two-keys", "two keys in one header", &format!("Bearer {key} {key}")),
        with("auth-quoted", "the key in quotes", &format!("Bearer \"{key}\"")),
        with("auth-made-up", "a key that nobody has", "Bearer ph_t.made.up"),
        with("auth-wrong-secret", "the id of a key with another secret", &format!("Bearer {other_secret}")),
        with("auth-cut", "half of a key", &format!("Bearer {}", &key[..key.len() / 2])),
        with("auth-5000", "a key of 5,000 characters", &format!("Bearer {}", "k".repeat(5_000))),
        with("auth-latin", "a key with a byte that is not ASCII", "Bearer ph_\u{e9}"),
        bad(
            "auth-twice",
            "the header twice",
            request("GET /v1/users/ada", key, &[("Authorization", &format!("Bearer {key}"))], b""),
            unauthenticated(),
        ),
        bad(
            "auth-in-query",
            "the key in the query",
            request(&format!("GET /v1/users/ada?key={key}"), "", &[], b""),
            unauthenticated(),
        ),
        bad(
            "auth-forwarded",
            "`X-Tenant` and `X-User` instead of a key",
            request("GET /v1/users/ada", "", &[("X-Tenant", "t"), ("X-User", "ada"), ("X-Forwarded-User", "ada")], b""),
            unauthenticated(),
        ),
    ]
}

fn paths(place: &Place) -> Vec<Bad> {
    let get = |name: &str, input: &str, path: &str, expected: Answer| {
        bad(name, input, request(&format!("GET {path}"), &place.key, &[], b""), expected)
    };
    let method = |name: &str, input: &str, line: &str| {
        bad(name, input, request(line, &place.key, &[], b""), problem(405, "method_not_allowed"))
    };
    let not_found = || problem(404, "not_found");
    vec![
        get("path-root", "the root", "/", not_found()),
        get("path-unknown-v1", "a path that is none", "/v1/nothing", not_found()),
        get("path-v2", "a version that is none", "/v2/users/ada", not_found()),
        get("path-trailing", "a slash behind", "/v1/users/ada/", not_found()),
        get("path-double", "two slashes", "/v1//users/ada", not_found()),
        get("path-dots", "dots upwards", "/v1/users/../tenants", not_found()),
        get("path-dots-encoded", "dots upwards, encoded", "/v1/users/%2e%2e", not_found()),
        get("path-slash-encoded", "an encoded slash in a name", "/v1/users/a%2Fb", invalid()),
        get("path-nul-encoded", "an encoded NUL in a name", "/v1/users/a%00", invalid()),
        get("path-no-utf8", "a name that is no UTF-8", "/v1/users/%ff", invalid()),
        get("path-overlong", "an overlong slash", "/v1/users/%c0%af", invalid()),
        get("path-65", "a name of 65 characters", &format!("/v1/users/{}", "u".repeat(65)), invalid()),
        get("path-system", "the user `system`", "/v1/users/system", invalid()),
        method("method-delete", "DELETE where only GET is", "DELETE /v1/users/ada"),
        method("method-trace", "TRACE", "TRACE /v1/users/ada"),
        method("method-made-up", "a method that is none", "BREW /v1/users/ada"),
        bad(
            "method-override",
            "a method in a header: not looked at",
            request("GET /v1/users/nobody", &place.key, &[("X-HTTP-Method-Override", "DELETE")], b""),
            not_found(),
        ),
    ]
}

fn queries(place: &Place) -> Vec<Bad> {
    let of = |name: &str, input: &str, query: &str| {
        let line = format!("GET /v1/conversations/club/entries?{query}");
        bad(name, input, request(&line, &place.key, &[], b""), invalid())
    };
    vec![
        of("query-limit-0", "`limit` 0", "limit=0"),
        of("query-limit-1001", "`limit` 1001", "limit=1001"),
        of("query-limit-huge", "a `limit` beyond 64 bits", "limit=99999999999999999999"),
        of("query-limit-negative", "a negative `limit`", "limit=-1"),
        of("query-limit-fraction", "a `limit` with a fraction", "limit=1.5"),
        of("query-limit-text", "a `limit` that is a text", "limit=ten"),
        of("query-limit-hex", "a `limit` in hexadecimal", "limit=0x10"),
        of("query-limit-empty", "an empty `limit`", "limit="),
        of("query-after-beyond", "`after` beyond 2^53 - 1", "after=9007199254740992"),
        of("query-after-before", "`after` and `before`", "after=1&before=2"),
        of("query-twice", "a parameter twice", "after=1&after=2"),
        of("query-unknown", "a parameter that is none", "tenant=other"),
        of("query-percent", "a percent sign alone", "after=%"),
        of("query-no-utf8", "a parameter that is no UTF-8", "%ff=1"),
        of("query-1000", "1,000 parameters", &"x=1&".repeat(1_000)),
    ]
}

fn access(place: &Place) -> Vec<Bad> {
    let with = |name: &str, input: &str, line: &str, key: &str, body: &str, expected: Answer| {
        bad(name, input, request(line, key, &[JSON], body.as_bytes()), expected)
    };
    let forbidden = || problem(403, "forbidden");
    let (entries, mint) = ("GET /v1/conversations/club/entries", r#"{"user":"ada","device":"d"}"#);
    vec![
        with(
            "other-tenants-key",
            "another tenant's key on our conversation",
            entries,
            &place.other_key,
            "",
            problem(404, "not_found"),
        ),
        with("operator-reads", "the operator's key on a conversation", entries, &place.operator_key, "", forbidden()),
        with(
            "operator-mints",
            "the operator's key for a client's token",
            "POST /v1/tokens",
            &place.operator_key,
            mint,
            forbidden(),
        ),
        with(
            "tenant-makes-tenant",
            "a tenant's key for a new tenant",
            "POST /v1/tenants",
            &place.key,
            r#"{"id":"mine"}"#,
            forbidden(),
        ),
        with(
            "tenant-makes-key",
            "a tenant's key for another tenant's key",
            "POST /v1/tenants/other/keys",
            &place.key,
            "",
            forbidden(),
        ),
        with(
            "tenant-drains",
            "a tenant's key to drain the gateway",
            "POST /v1/operator/drain",
            &place.key,
            "",
            forbidden(),
        ),
        with(
            "operator-no-tenant",
            "an API key for a tenant that is none",
            "POST /v1/tenants/none/keys",
            &place.operator_key,
            "",
            problem(404, "not_found"),
        ),
        with(
            "signing-key-short",
            "a shared secret of 8 bytes",
            "POST /v1/tenants/other/signing-keys",
            &place.operator_key,
            r#"{"id":"k","algorithm":"HS256","secret":"AAAAAAAAAAA="}"#,
            invalid(),
        ),
        with(
            "signing-key-no-pem",
            "a public key that is none",
            "POST /v1/tenants/other/signing-keys",
            &place.operator_key,
            &json!({ "id": "k", "algorithm": "ES256", "public_key": "x".repeat(100) }).to_string(),
            invalid(),
        ),
        with(
            "signing-key-none",
            "the algorithm `none`",
            "POST /v1/tenants/other/signing-keys",
            &place.operator_key,
            &json!({ "id": "k", "algorithm": "none", "secret": "A".repeat(44) }).to_string(),
            invalid(),
        ),
    ]
}
