//! What was said in confidence stands in no log line and in no metric, at any level that an operator would turn on.

use std::{fmt, fmt::Write, sync::Arc};

use base64::{Engine, engine::general_purpose::STANDARD};
use parking_lot::Mutex;
use serde_json::json;
use tracing::{
    Event, Level, Metadata, Subscriber,
    field::{Field, Visit},
    span,
};

use super::{
    place::{Place, SECRET, TENANT},
    signed::{claims, header, hs256, unsigned},
    wire::{FIN_BINARY, Wire, frame, message_id, text},
};
use crate::ws::Protocol;

/// Everything that all crates log, with all fields of all spans, as one text.
#[derive(Clone, Default)]
struct Log(Arc<Mutex<String>>);

impl Log {
    fn note(&self, metadata: &Metadata<'_>, record: impl FnOnce(&mut Line)) {
        let mut line = Line(format!("{} {}", metadata.level(), metadata.target()));
        record(&mut line);
        let mut all = self.0.lock();
        all.push_str(&line.0);
        all.push('\n');
    }
}

struct Line(String);

impl Visit for Line {
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        let _ = write!(self.0, " {}={value:?}", field.name());
    }
}

impl Subscriber for Log {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        *metadata.level() <= Level::DEBUG
    }
    fn new_span(&self, span: &span::Attributes<'_>) -> span::Id {
        self.note(span.metadata(), |line| span.record(line));
        span::Id::from_u64(1)
    }
    fn record(&self, _: &span::Id, values: &span::Record<'_>) {
        let mut line = Line("span".into());
        values.record(&mut line);
        self.0.lock().push_str(&line.0);
    }
    fn record_follows_from(&self, _: &span::Id, _: &span::Id) {}
    fn event(&self, event: &Event<'_>) {
        self.note(event.metadata(), |line| event.record(line));
    }
    fn enter(&self, _: &span::Id) {}
    fn exit(&self, _: &span::Id) {}
}

/// What must not be found, by what it is.
struct Secrets(Vec<(&'static str, String)>);

impl Secrets {
    fn add(&mut self, what: &'static str, secret: impl Into<String>) -> String {
        let secret = secret.into();
        self.0.push((what, secret.clone()));
        secret
    }

    /// Those of which the text holds the end: a part of a token is no better than all of it.
    fn found_in(&self, text: &str) -> Vec<&'static str> {
        let end = |secret: &str| secret[secret.len().saturating_sub(24)..].to_owned();
        self.0.iter().filter(|(_, secret)| text.contains(&end(secret))).map(|(what, _)| *what).collect()
    }
}

/// A request of a tenant's backend.
async fn backend(place: &Place, line: &str, key: &str, more: &str, body: &str) -> u16 {
    let length = body.len();
    let request = format!(
        "{line} HTTP/1.1\r\nHost: x\r\nConnection: close\r\nAuthorization: Bearer {key}\r\n{more}\
         Content-Type: application/json\r\nContent-Length: {length}\r\n\r\n{body}"
    );
    place.http(request.as_bytes()).await.map_or(0, |(status, _)| status)
}

/// People talk, in both encodings.
async fn talk(place: &Place, secrets: &mut Secrets) {
    let now_ms = place.now_ms();
    let own = secrets.add("a signed token", hs256(&SECRET, &header("HS256", Some("k1")), &claims(now_ms)));
    let mut ada = Wire::open(place, Protocol::Json).await;
    ada.ask(&json!({ "id": 1, "connect": { "token": own, "client": "quiet/1" } })).await;
    let connected = ada.until_id(1).await.unwrap();
    secrets.add("a resume token", connected["connected"]["resume_token"].as_str().unwrap());
    let bobs = secrets.add("a minted token", place.token(TENANT, "bob").await);
    let mut bob = Wire::open(place, Protocol::Proto).await;
    bob.connect(&bobs).await;
    let words = secrets.add("a text", "meet me where the herons nest");
    let title = secrets.add("a title", "the club of quiet herons");
    let draft = secrets.add("a draft", "what I did not dare to say yet");
    let requests = [
        json!({ "id": 2, "create_conversation": { "conversation": "club", "title": title, "members": [{ "user": "bob" }] } }),
        json!({ "id": 3, "send": { "conversation": "club", "message_id": message_id(1), "body": { "text": words } } }),
        json!({ "id": 4, "set_registers": { "conversation": "club", "draft": draft } }),
        json!({ "id": 5, "send": { "conversation": "none", "message_id": message_id(2), "body": { "text": words } } }),
        json!({ "id": 6, "send": { "conversation": "club", "message_id": "wrong", "body": { "text": words } } }),
        json!({ "id": 7, "send": { "conversation": "club", "message_id": message_id(1), "body": { "text": draft } } }),
        json!({ "id": 8, "refresh": { "token": own } }),
        json!({ "id": 9, "refresh": { "token": bobs } }),
        json!({ "id": 10, "sync": {} }),
        json!({ "id": 11, "history": { "conversation": "club", "after": 0 } }),
        json!({ "id": 12, "mark": { "conversation": "club", "read": 2 } }),
    ];
    for request in requests {
        ada.ask(&request).await;
        assert!(ada.until_id(request["id"].as_u64().unwrap()).await.is_some(), "{request}");
    }
    bob.ask(&json!({ "id": 2, "history": { "conversation": "club", "after": 0 } })).await;
    assert!(bob.until_id(2).await.is_some_and(|page| page.to_string().contains(&words)));
    bob.write(&frame(FIN_BINARY, &[b"\xff\xff", words.as_bytes()].concat())).await;
    assert!(bob.until_id(3).await.is_none());
    ada.write(&text(&format!(r#"{{"id":13,"send":{{"body":{{"text":"{words}" oops"#))).await;
    assert!(ada.until_id(14).await.is_none());
}

/// Connects that fail, each with something worth keeping to oneself.
async fn refusals(place: &Place, secrets: &mut Secrets) {
    let now_ms = place.now_ms();
    let forged = hs256(&[9; 32], &header("HS256", Some("k1")), &claims(now_ms));
    let without = format!("{}.", unsigned(&header("none", None), &claims(now_ms)));
    for token in
        [secrets.add("a forged token", forged), without, secrets.add("no token", "correct horse battery staple")]
    {
        let mut wire = Wire::open(place, Protocol::Json).await;
        wire.ask(&json!({ "id": 1, "connect": { "token": token } })).await;
        assert!(wire.until_id(2).await.is_none());
    }
    let lost = secrets.add("a token of who was revoked", place.token(TENANT, "zoe").await);
    place.revoke(TENANT, "zoe").await;
    let mut wire = Wire::open(place, Protocol::Json).await;
    wire.ask(&json!({ "id": 1, "connect": { "token": lost } })).await;
    assert!(wire.until_id(2).await.is_none());
}

async fn backends(place: &Place, secrets: &mut Secrets) {
    let (key, operator) = (place.key.clone(), place.operator_key.clone());
    for (what, key) in [("an API key", &key), ("another API key", &place.other_key), ("the operator's key", &operator)]
    {
        secrets.add(what, key.rsplit('.').next().unwrap());
    }
    let name = secrets.add("a name", "Adaline the quiet");
    let said = secrets.add("a text of the backend", "the heron flies at noon");
    let shared = secrets.add("a signing secret", STANDARD.encode([0x5a; 32]));
    let once = secrets.add("an idempotency key", "once-and-never-again-4711");
    let wrong = secrets.add("a wrong API key", "ph_t.abc.not-the-secret-of-anybody");
    let keyed = format!("Idempotency-Key: {once}\r\n");
    let signing = json!({ "id": "k3", "algorithm": "HS256", "secret": shared }).to_string();
    let entry = json!({ "author": "ada", "text": said }).to_string();
    let user = json!({ "id": "ada", "name": name }).to_string();
    for (line, key, more, body, status) in [
        ("PUT /v1/users", &key, "", user.as_str(), 201),
        ("POST /v1/users", &key, "", &user[..user.len() - 1], 400),
        ("GET /v1/users/ada", &wrong, "", "", 401),
        ("POST /v1/conversations/club/entries", &key, keyed.as_str(), entry.as_str(), 201),
        ("POST /v1/conversations/club/entries", &key, keyed.as_str(), entry.as_str(), 201),
        ("POST /v1/conversations/none/entries", &key, "", entry.as_str(), 404),
        ("POST /v1/tokens", &key, "", r#"{"user":"ada","device":"phone"}"#, 200),
        ("POST /v1/tenants/other/signing-keys", &operator, "", signing.as_str(), 201),
        ("POST /v1/tenants/t/keys", &operator, "", "", 201),
        ("GET /v1/conversations/club/entries", &operator, "", "", 403),
    ] {
        assert_eq!(backend(place, line, key, more, body).await, status, "{line}");
    }
}

#[tokio::test(start_paused = true)]
async fn no_secret_stands_in_a_log_line_or_in_a_metric() {
    let log = Log::default();
    // With a single one in the process, call sites that other tests reach first would stay off for this thread too.
    let _other = tracing::Dispatch::new(Log::default());
    let _guard = tracing::subscriber::set_default(log.clone());
    let place = Place::new().await;
    let mut secrets = Secrets(vec![("the signing secret in bytes", format!("{SECRET:?}"))]);
    talk(&place, &mut secrets).await;
    refusals(&place, &mut secrets).await;
    backends(&place, &mut secrets).await;
    tokio::time::sleep(std::time::Duration::from_secs(60)).await;

    let lines = log.0.lock().clone();
    // So that an empty log does not pass: the words of each tier are there.
    for expected in ["http request", "connection ended", "posthorn_rpc"] {
        assert!(lines.contains(expected), "{expected} is not in {} lines", lines.lines().count());
    }
    assert_eq!(secrets.found_in(&lines), Vec::<&str>::new());
    assert_eq!(secrets.found_in(&place.wired.gateway.deps.metrics.encode()), Vec::<&str>::new());
    // The search finds what is there.
    assert_eq!(secrets.found_in(&secrets.0[1].1), ["a signed token"]);
    println!("{} secrets, {} log lines", secrets.0.len(), lines.lines().count());
}
