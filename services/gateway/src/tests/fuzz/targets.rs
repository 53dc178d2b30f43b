//! One target per decoder, each with what must hold of its answer.

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use bytes::Bytes;
use posthorn_core::{
    Shard,
    cursor::{Cursor, Version},
};
use posthorn_errors::Code;
use posthorn_proto::{
    client::{ClientFrame, Entries, ServerFrame, server_frame::Frame},
    convert::{decode_envelope, entry_of},
    internal::{AuthenticateRequest, ReadRequest, Row},
};
use prost::Message;
use serde_json::{Value, json};

use super::{fuzz, seeds};
use crate::{
    GatewayConfig,
    http::{extract, routes},
    tests::{
        place::{OTHER_SECRET, Place, SECRET, TENANT},
        signed::{claims, es256, header, hs256},
    },
    ws::{
        Protocol, codec,
        ending::Ending,
        socket::{Received, Socket},
    },
};

/// As they come, and as they would be understood after a decode and an encode.
fn frame_target(protocol: Protocol, input: &[u8]) -> String {
    match codec::decode(protocol, Bytes::copy_from_slice(input)) {
        Ok(frame) => {
            let again = ClientFrame::decode(&frame.encode_to_vec()[..]);
            assert_eq!(again.as_ref(), Ok(&frame), "a frame changes when it is encoded");
            format!("{:?}", frame.request.as_ref().map(std::mem::discriminant))
        }
        Err(malformed) => {
            assert_eq!(malformed.failure.code, Code::MalformedFrame);
            malformed.failure.message.split(" at line").next().unwrap_or_default().to_owned()
        }
    }
}

#[test]
fn fuzz_json_frames() {
    fuzz("json-frames", seeds::recorded(), &mut |input| frame_target(Protocol::Json, input));
}

#[test]
fn fuzz_protobuf_frames() {
    let seeds = seeds::recorded_as_protobuf();
    fuzz("protobuf-frames", seeds, &mut |input| frame_target(Protocol::Proto, input));
}

/// Bytes as they come from a socket that then ends.
async fn websocket(input: &[u8], config: &GatewayConfig) -> String {
    let io = tokio::io::join(std::io::Cursor::new(input.to_vec()), tokio::io::sink());
    let mut socket = Socket::new(Box::new(io), Protocol::Json, config);
    let mut frames = 0;
    loop {
        match socket.receive().await {
            Received::Frame(payload) => {
                assert!(payload.len() <= config.max_frame_bytes);
                // A frame needs two bytes and a mask: no input makes more of them than that.
                frames += 1;
                assert!(frames <= input.len() / 6, "more frames than bytes");
            }
            Received::Control => drop(socket.flush().await),
            Received::WrongType => {}
            Received::End(Ending::Protocol { close, word }) => return format!("{close} {word} {}", frames.min(3)),
            Received::End(ending) => return format!("{ending:?} {}", frames.min(3)),
        }
    }
}

#[test]
fn fuzz_websocket_framing() {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let config = GatewayConfig { max_frame_bytes: 4_096, ..GatewayConfig::default() };
    fuzz("websocket", seeds::recorded_on_the_wire(), &mut |input| runtime.block_on(websocket(input, &config)));
}

/// Every type of body of the document.
fn body(input: &[u8]) -> String {
    macro_rules! tried {
        ($($name:ty),* $(,)?) => { [$(extract::parse::<$name>(input).err().map(|problem| problem.failure)),*] };
    }
    let answers = tried![
        routes::users::NewUser,
        routes::tokens::NewToken,
        routes::tokens::Revocation,
        routes::conversations::NewConversation,
        routes::members::NewMembers,
        routes::members::NewRole,
        routes::entries::NewEntry,
        routes::tenants::Tenant,
        routes::tenants::NewSigningKey,
    ];
    let refused: Vec<_> = answers.iter().flatten().collect();
    assert!(refused.iter().all(|failure| failure.code == Code::InvalidArgument), "{refused:?}");
    let why = refused.first().map_or("", |failure| failure.message.as_str());
    format!("{} {}", answers.len() - refused.len(), why.split('`').next_back().unwrap_or_default())
}

#[test]
fn fuzz_http_bodies() {
    let seeds = [
        json!({ "id": "ada", "name": "Ada" }),
        json!({ "user": "ada", "device": "phone", "ttl_s": 3_600, "limit_class": "unlimited" }),
        json!({ "id": "lobby", "title": "Lobby", "visibility": "all", "members": [{ "user": "ada", "role": "owner" }] }),
        json!({ "members": [{ "user": "ada", "role": "admin" }, { "user": "bob" }] }),
        json!({ "role": "member" }),
        json!({ "author": "ada", "text": "hi", "style": "action", "reply_to": 3 }),
        json!({ "kind": "system", "text": "hi", "message_id": "01932c07-209e-7d3a-8f6b-5d1c3e9a7b42" }),
        json!({ "id": "k1", "algorithm": "HS256", "secret": "A".repeat(44) }),
        json!({ "id": "k2", "algorithm": "ES256", "public_key": "-----BEGIN PUBLIC KEY-----".repeat(4) }),
    ];
    let seeds = seeds.iter().map(|body: &Value| body.to_string().into_bytes()).collect();
    fuzz("http-bodies", seeds, &mut body);
}

/// A token, and a resume token in the line after it.
async fn token(place: &Place, input: &[u8]) -> String {
    let text = String::from_utf8_lossy(input);
    let (token, resume_token) = text.split_once('\n').unwrap_or((&text, ""));
    let request = AuthenticateRequest { token: token.to_owned(), resume_token: resume_token.to_owned() };
    match place.wired.session.session().authenticate(request).await {
        Ok(reply) => {
            let who = reply.into_inner();
            assert_eq!((who.tenant.as_str(), who.user.as_str()), (TENANT, "ada"), "a forged token");
            format!("ok {}", who.session.is_empty())
        }
        Err(status) => {
            let failure = posthorn_errors::failure_of(&status);
            let known = [Code::Unauthenticated, Code::TokenExpired, Code::TokenRevoked];
            assert!(known.contains(&failure.code), "{failure:?}");
            failure.message
        }
    }
}

#[test]
fn fuzz_tokens() {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let place = runtime.block_on(Place::new());
    let (k1, k2, good) = (header("HS256", Some("k1")), header("ES256", Some("k2")), claims(place.now_ms()));
    let session = "c2Vzc2lvbgoxNzk1NTc5OTc4Mzg0CjNJTEpQd2syb3ZVYlZlbkkwRmFVdC1OUTVyV3YzNF85QklRdEVtZXI3aGc";
    let seeds = [
        hs256(&SECRET, &k1, &good),
        es256(&place.pem, &k2, &good),
        hs256(&OTHER_SECRET, &k1, &good),
        format!("{}\n{session}", hs256(&SECRET, &k1, &good)),
        runtime.block_on(place.token(TENANT, "ada")),
    ];
    let seeds = seeds.into_iter().map(String::into_bytes).collect();
    fuzz("tokens", seeds, &mut |input| runtime.block_on(token(&place, input)));
}

#[test]
fn fuzz_cursors() {
    let version = |epoch| Version { epoch, counter: epoch * 7 };
    let shards = (0..40_u16).map(|n| (Shard(n * 25), version((3 << 44) + u64::from(n)))).collect();
    let many = Cursor { generation: 3, shards };
    let seeds = [many, Cursor::default(), Cursor { generation: u64::MAX, ..Cursor::default() }];
    let seeds = seeds.iter().map(|cursor| URL_SAFE_NO_PAD.encode(cursor.encode()).into_bytes()).collect();
    fuzz("cursors", seeds, &mut |input| {
        let Ok(bytes) = URL_SAFE_NO_PAD.decode(input) else { return "no base64".into() };
        match Cursor::decode(&bytes) {
            Ok(cursor) => {
                assert!(cursor.shards.len() <= bytes.len());
                assert_eq!(Cursor::decode(&cursor.encode()), Ok(cursor.clone()), "a cursor changes when it is encoded");
                format!("{}", cursor.shards.len().min(9))
            }
            Err(why) => why.to_string(),
        }
    });
}

/// Rows of a log as storage keeps them.
async fn rows(place: &Place) -> Vec<Vec<u8>> {
    place.group(TENANT, "club", "ada", &[("bob", "admin")]).await;
    let mut ada = place.person(TENANT, "ada").await;
    for n in 1..4 {
        ada.say("club", n, "good morning").await.unwrap();
    }
    let (tenant, conversation) = (TENANT.to_owned(), "club".to_owned());
    let all = ReadRequest { tenant, conversation, from: 1, to: 4, limit: 10, max_bytes: 1 << 20, ..Default::default() };
    let rows = place.wired.storage.storage().read(all).await.unwrap().into_inner().rows;
    assert_eq!(rows.len(), 4);
    rows.iter().map(Message::encode_to_vec).collect()
}

/// What a later version wrote, or a disk damaged, must not stop who reads it.
fn row(input: &[u8]) -> String {
    let Ok(row) = Row::decode(input) else { return "no row".into() };
    let envelope = decode_envelope(&row.envelope).map_or_else(|why| why.to_string(), |e| format!("{:?}", e.kind));
    let shown = entry_of(&row).map(|entry| {
        let entries = Entries { conversation: "club".into(), entries: vec![entry] };
        let frame = ServerFrame { id: 0, frame: Some(Frame::Entries(entries)) };
        for protocol in Protocol::ALL {
            assert!(!codec::encode(protocol, &frame).is_empty());
        }
    });
    format!("{envelope} {}", shown.is_ok())
}

#[test]
fn fuzz_log_rows() {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let seeds = runtime.block_on(async { rows(&Place::new().await).await });
    fuzz("log-rows", seeds, &mut row);
}
