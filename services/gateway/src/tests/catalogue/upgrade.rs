//! The HTTP request that asks for a WebSocket (RFC 6455 section 4.2.1).

use super::*;

const GOOD: [(&str, &str); 6] = [
    ("Host", "chat.example.com"),
    ("Connection", "Upgrade"),
    ("Upgrade", "websocket"),
    ("Sec-WebSocket-Version", "13"),
    ("Sec-WebSocket-Key", "dGhlIHNhbXBsZSBub25jZQ=="),
    ("Sec-WebSocket-Protocol", "posthorn.v1.json"),
];

/// The handshake with this header changed; empty: left out.
fn handshake(line: &str, header: &str, value: &str) -> How {
    let mut head = format!("{line}\r\n");
    for (name, good) in GOOD {
        let value = if name == header { value } else { good };
        if !value.is_empty() {
            head += &format!("{name}: {value}\r\n");
        }
    }
    if !header.is_empty() && GOOD.iter().all(|(name, _)| *name != header) {
        head += &format!("{header}: {value}\r\n");
    }
    How::Http(format!("{head}\r\n").into_bytes())
}

pub fn rows() -> Vec<Bad> {
    let get = "GET /v1/ws HTTP/1.1";
    let changed = |name: &str, input: &str, header: &str, value: &str, expected: Answer| {
        bad(name, input, handshake(get, header, value), expected)
    };
    let invalid = || problem(400, "invalid_argument");
    let needed = || problem(426, "invalid_argument");
    vec![
        changed("no-connection", "no `Connection` header", "Connection", "", needed()),
        changed("connection-close", "`Connection: close`", "Connection", "close", needed()),
        changed("no-upgrade", "no `Upgrade` header", "Upgrade", "", needed()),
        changed("upgrade-h2c", "`Upgrade: h2c`", "Upgrade", "h2c", needed()),
        changed("no-version", "no `Sec-WebSocket-Version`", "Sec-WebSocket-Version", "", needed()),
        changed("version-8", "version 8", "Sec-WebSocket-Version", "8", needed()),
        changed("version-text", "a version that is no number", "Sec-WebSocket-Version", "thirteen", needed()),
        changed("no-key", "no `Sec-WebSocket-Key`", "Sec-WebSocket-Key", "", invalid()),
        changed("key-short", "a key of 8 bytes", "Sec-WebSocket-Key", "AAAAAAAAAAA=", invalid()),
        changed("key-long", "a key of 4,096 characters", "Sec-WebSocket-Key", &"A".repeat(4_096), invalid()),
        changed("key-no-base64", "a key that is no base64", "Sec-WebSocket-Key", "!!!!!!!!!!!!!!!!!!!!!!==", invalid()),
        changed(
            "subprotocol-unknown",
            "a subprotocol that the server does not speak",
            "Sec-WebSocket-Protocol",
            "mqtt",
            problem(400, "unsupported_protocol"),
        ),
        changed(
            "subprotocol-next-version",
            "only a subprotocol of a later version",
            "Sec-WebSocket-Protocol",
            "posthorn.v2.json",
            problem(400, "unsupported_protocol"),
        ),
        changed(
            "origin-foreign",
            "a page of a stranger",
            "Origin",
            "https://evil.example.com",
            problem(403, "forbidden"),
        ),
        changed("origin-null", "the origin `null`", "Origin", "null", problem(403, "forbidden")),
        changed(
            "origin-suffix",
            "an origin that only ends like the host",
            "Origin",
            "https://evil-chat.example.com",
            problem(403, "forbidden"),
        ),
        bad(
            "method-post",
            "a handshake with POST",
            handshake("POST /v1/ws HTTP/1.1", "", ""),
            problem(405, "method_not_allowed"),
        ),
        bad("http-1.0", "a handshake in HTTP/1.0", handshake("GET /v1/ws HTTP/1.0", "", ""), needed()),
        bad("path-unknown", "a WebSocket on a path that is none", handshake("GET /mqtt HTTP/1.1", "", ""), not_found()),
        bad("path-slash", "`/v1/ws/`", handshake("GET /v1/ws/ HTTP/1.1", "", ""), not_found()),
        bad(
            "h2-preface",
            "the preface of HTTP/2",
            How::Http(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".to_vec()),
            Answer::Ended,
        ),
        bad(
            "tls-hello",
            "the first bytes of a TLS handshake",
            How::Http(vec![0x16, 3, 1, 2, 0, 1, 0, 1, 0xfc, 3, 3, b'\r', b'\n', b'\r', b'\n']),
            Answer::Status(400),
        ),
    ]
}

fn not_found() -> Answer {
    problem(404, "not_found")
}
