//! The opening handshake, server side (RFC 6455 section 4.2).

use axum::http::{HeaderMap, Method, Request, header};
use base64::{Engine, engine::general_purpose::STANDARD};
use posthorn_errors::{Code, Failure};

use super::Protocol;

/// Section 1.3.
const GUID: &[u8] = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11";

/// A request that may become a WebSocket.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Accepted {
    pub protocol: Protocol,
    /// None was asked for, so none is named in the answer.
    pub named: bool,
    /// `Sec-WebSocket-Accept`.
    pub accept: String,
}

/// Why it may not. `upgrade_required`: the answer names the version.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Refused {
    pub failure: Failure,
    pub upgrade_required: bool,
}

impl Refused {
    fn new(code: Code, message: &str) -> Self {
        Self { failure: Failure::new(code, message), upgrade_required: false }
    }
}

pub(crate) fn check<B>(request: &Request<B>, allowed_origins: &[String]) -> Result<Accepted, Refused> {
    let headers = request.headers();
    if request.method() != Method::GET {
        return Err(Refused::new(Code::InvalidArgument, "a WebSocket handshake is a GET"));
    }
    if !has_token(headers, &header::CONNECTION, "upgrade") || !has_token(headers, &header::UPGRADE, "websocket") {
        let why = "this is a WebSocket endpoint: `Connection: Upgrade` and `Upgrade: websocket` are missing";
        return Err(Refused { upgrade_required: true, ..Refused::new(Code::InvalidArgument, why) });
    }
    if headers.get(header::SEC_WEBSOCKET_VERSION).is_none_or(|version| version != "13") {
        let why = "`Sec-WebSocket-Version` must be 13";
        return Err(Refused { upgrade_required: true, ..Refused::new(Code::InvalidArgument, why) });
    }
    let key = headers.get(header::SEC_WEBSOCKET_KEY).map(axum::http::HeaderValue::as_bytes).unwrap_or_default();
    if !STANDARD.decode(key).is_ok_and(|nonce| nonce.len() == 16) {
        return Err(Refused::new(Code::InvalidArgument, "`Sec-WebSocket-Key` must be 16 bytes in base64"));
    }
    check_origin(headers, allowed_origins)?;
    let (protocol, named) = subprotocol(headers)?;
    Ok(Accepted { protocol, named, accept: accept_of(key) })
}

/// Browsers send `Origin` and cannot lie in it: pages of strangers must not use a visitor's network
/// position (section 10.2). Others need not send it.
fn check_origin(headers: &HeaderMap, allowed: &[String]) -> Result<(), Refused> {
    let Some(origin) = headers.get(header::ORIGIN) else { return Ok(()) };
    let origin = origin.to_str().unwrap_or_default();
    let listed = allowed.iter().any(|a| a == "*" || a.trim_end_matches('/').eq_ignore_ascii_case(origin));
    let authority = origin.split_once("://").map_or("", |(_, rest)| rest);
    let host = headers.get(header::HOST).and_then(|h| h.to_str().ok()).unwrap_or_default();
    let same = !authority.is_empty() && authority.eq_ignore_ascii_case(host);
    // A page on this machine, talking to a server on this machine.
    if listed || same || (is_loopback(authority) && is_loopback(host)) {
        return Ok(());
    }
    let why = "the page's origin is not in `edge.allowed_origins`";
    Err(Refused::new(Code::Forbidden, why))
}

fn is_loopback(authority: &str) -> bool {
    let host = match authority.strip_prefix('[') {
        Some(rest) => rest.split(']').next().unwrap_or_default(),
        None => authority.split(':').next().unwrap_or_default(),
    };
    host.eq_ignore_ascii_case("localhost") || host.parse::<std::net::IpAddr>().is_ok_and(|ip| ip.is_loopback())
}

/// The first that the client names and we speak.
fn subprotocol(headers: &HeaderMap) -> Result<(Protocol, bool), Refused> {
    let mut asked = tokens(headers, &header::SEC_WEBSOCKET_PROTOCOL).peekable();
    if asked.peek().is_none() {
        return Ok((Protocol::Json, false));
    }
    let known = asked.find_map(|name| Protocol::ALL.into_iter().find(|protocol| protocol.name() == name));
    known
        .map(|protocol| (protocol, true))
        .ok_or_else(|| Refused { failure: Failure::plain(Code::UnsupportedProtocol), upgrade_required: false })
}

fn tokens<'a>(headers: &'a HeaderMap, name: &header::HeaderName) -> impl Iterator<Item = &'a str> {
    headers
        .get_all(name)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .map(str::trim)
        .filter(|token| !token.is_empty())
}

fn has_token(headers: &HeaderMap, name: &header::HeaderName, token: &str) -> bool {
    tokens(headers, name).any(|given| given.eq_ignore_ascii_case(token))
}

/// Section 4.2.2, step 5.4.
fn accept_of(key: &[u8]) -> String {
    let mut hash = aws_lc_rs::digest::Context::new(&aws_lc_rs::digest::SHA1_FOR_LEGACY_USE_ONLY);
    hash.update(key);
    hash.update(GUID);
    STANDARD.encode(hash.finish())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn request(changes: &[(&str, &str)]) -> Request<()> {
        let mut headers = vec![
            ("host", "chat.example.com"),
            ("connection", "keep-alive, Upgrade"),
            ("upgrade", "WebSocket"),
            ("sec-websocket-version", "13"),
            ("sec-websocket-key", "dGhlIHNhbXBsZSBub25jZQ=="),
        ];
        headers.retain(|(name, _)| changes.iter().all(|(changed, _)| changed != name));
        headers.extend(changes.iter().filter(|(_, value)| !value.is_empty()));
        let builder = headers.iter().fold(Request::get("/v1/ws"), |b, (name, value)| b.header(*name, *value));
        builder.body(()).unwrap()
    }

    #[test]
    fn the_example_of_the_rfc_is_answered_as_in_the_rfc() {
        let accepted = check(&request(&[]), &[]).unwrap();
        assert_eq!(accepted.accept, "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=");
        assert_eq!((accepted.protocol, accepted.named), (Protocol::Json, false));
    }

    #[test]
    fn the_first_subprotocol_that_both_speak_is_taken() {
        let of = |asked| check(&request(&[("sec-websocket-protocol", asked)]), &[]).map(|a| (a.protocol, a.named));
        assert_eq!(of("posthorn.v1.proto"), Ok((Protocol::Proto, true)));
        assert_eq!(of("chat, posthorn.v1.json, posthorn.v1.proto"), Ok((Protocol::Json, true)));
        assert_eq!(of("mqtt").unwrap_err().failure.code, Code::UnsupportedProtocol);
    }

    #[test]
    fn a_handshake_that_is_none_is_refused() {
        for (header, value) in [
            ("connection", ""),
            ("connection", "close"),
            ("upgrade", "h2c"),
            ("sec-websocket-version", "8"),
            ("sec-websocket-version", ""),
            ("sec-websocket-key", ""),
            ("sec-websocket-key", "short"),
            ("sec-websocket-key", "dGhlIHNhbXBsZSBub25jZQ"),
        ] {
            let refused = check(&request(&[(header, value)]), &[]).unwrap_err();
            assert_eq!(refused.failure.code, Code::InvalidArgument, "{header}: {value}");
        }
        let mut post = request(&[]);
        *post.method_mut() = Method::POST;
        assert!(check(&post, &[]).is_err());
    }

    #[test]
    fn pages_of_strangers_are_kept_out() {
        let of = |host, origin, allowed: &[&str]| {
            let allowed: Vec<String> = allowed.iter().map(|&a| a.to_owned()).collect();
            check(&request(&[("host", host), ("origin", origin)]), &allowed).is_ok()
        };
        assert!(of("chat.example.com", "https://chat.example.com", &[]));
        assert!(!of("chat.example.com", "https://evil.example.com", &[]));
        assert!(!of("chat.example.com", "null", &[]));
        assert!(of("chat.example.com", "https://app.example.com", &["https://app.example.com"]));
        assert!(of("chat.example.com", "https://evil.example.com", &["*"]));
        assert!(of("127.0.0.1:7000", "http://localhost:5173", &[]));
        assert!(of("[::1]:7000", "http://127.0.0.1:5173", &[]));
        assert!(!of("127.0.0.1:7000", "https://evil.example.com", &[]));
        assert!(!of("chat.example.com", "http://localhost:5173", &[]));
    }
}
