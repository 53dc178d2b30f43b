//! What people do through the wired services, frame by frame.

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use posthorn_proto::{
    client::{Entry, HistoryPage, Kind, SyncPage},
    internal::{AddSigningKeyRequest, CreateTenantRequest, MintTokenRequest, RemoveSigningKeyRequest, RevokeRequest},
};
use posthorn_rpc::SessionClient;
use serde_json::{Value, json};

use super::*;
use crate::{GatewayConfig, wired::Wired};

struct Place {
    gateway: Arc<Gateway>,
    session: SessionClient,
}

impl Place {
    async fn new() -> Self {
        let Wired { gateway, session, .. } = Wired::start(GatewayConfig::default()).await;
        let mut session = session.session();
        session.create_tenant(CreateTenantRequest { tenant: "t".into() }).await.unwrap();
        Self { gateway, session }
    }

    async fn token(&self, user: &str) -> String {
        let (tenant, user, device) = ("t".into(), user.into(), "phone".into());
        let request = MintTokenRequest { tenant, user, device, ttl_s: 3_600, limit_class: String::new() };
        self.session.clone().mint_token(request).await.unwrap().into_inner().token
    }

    async fn person(&self, user: &str) -> Person {
        let peer = Peer::connected(&self.gateway, &self.token(user).await).await;
        Person { peer, next: 2, events: Vec::new() }
    }
}

struct Person {
    peer: Peer,
    next: u64,
    /// Events that came while a reply was awaited.
    events: Vec<Frame>,
}

impl Person {
    async fn ask(&mut self, name: &str, request: Value) -> Frame {
        let id = self.next;
        self.next += 1;
        self.peer.send(&json!({ "id": id, name: request }).to_string()).await;
        loop {
            let frame = self.peer.frame().await;
            if frame.id == id {
                return frame.frame.unwrap();
            }
            self.events.extend(frame.frame);
        }
    }

    async fn say(&mut self, to: (&str, &str), n: u64, text: &str) -> posthorn_proto::client::Sent {
        let message_id = format!("0193a5c0-0000-7000-8000-{n:012}");
        let mut send = json!({ "message_id": message_id, "body": { "text": text } });
        send[to.0] = to.1.into();
        match self.ask("send", send).await {
            Frame::Sent(sent) => sent,
            frame => panic!("{frame:?}"),
        }
    }

    async fn history(&mut self, history: Value) -> HistoryPage {
        match self.ask("history", history).await {
            Frame::History(page) => page,
            frame => panic!("{frame:?}"),
        }
    }

    async fn sync(&mut self) -> SyncPage {
        match self.ask("sync", json!({})).await {
            Frame::Sync(page) => page,
            frame => panic!("{frame:?}"),
        }
    }

    /// The next event that `what` takes.
    async fn until<T>(&mut self, what: impl Fn(Frame) -> Option<T>) -> T {
        loop {
            let frame = if self.events.is_empty() { self.peer.event().await } else { self.events.remove(0) };
            if let Some(found) = what(frame) {
                return found;
            }
        }
    }

    async fn hear(&mut self, text: &str) -> Entry {
        self.until(|frame| match frame {
            Frame::Entries(new) => {
                new.entries.into_iter().find(|entry| entry.body.as_ref().is_some_and(|body| body.text == text))
            }
            _ => None,
        })
        .await
    }

    async fn refused(&mut self, name: &str, request: Value) -> String {
        match self.ask(name, request).await {
            Frame::Error(error) => error.code,
            frame => panic!("{frame:?}"),
        }
    }
}

#[tokio::test(start_paused = true)]
async fn two_people_talk_both_ways() {
    let place = Place::new().await;
    let (mut ada, mut bob) = (place.person("ada").await, place.person("bob").await);
    let sent = ada.say(("to", "bob"), 1, "hello").await;
    let heard = bob.hear("hello").await;
    assert_eq!((heard.seq, heard.author.as_str(), heard.ordinal), (sent.seq, "ada", 1));
    let back = bob.say(("conversation", &sent.conversation), 2, "hi ada").await;
    assert_eq!((back.conversation.as_str(), back.seq), (sent.conversation.as_str(), sent.seq + 1));
    assert_eq!(ada.hear("hi ada").await.seq, back.seq);
    // A retry is the same entry; another body under its id is none.
    let again = ada.say(("to", "bob"), 1, "hello").await;
    assert_eq!((again.seq, again.duplicate), (sent.seq, true));

    let page = ada.history(json!({ "conversation": sent.conversation, "after": 0 })).await;
    assert_eq!(page.entries.iter().map(|e| e.seq).collect::<Vec<_>>(), (1..=back.seq).collect::<Vec<_>>());
    assert_eq!((page.next, page.end_seq), (0, back.seq));
    let newest = bob.history(json!({ "conversation": sent.conversation, "unit": "messages", "limit": 1 })).await;
    assert_eq!(newest.entries.last().map(|entry| entry.seq), Some(back.seq));
    assert!(newest.entries.iter().filter(|e| e.kind() == Kind::Message).count() == 1 && newest.next > 0);

    let listed = ada.sync().await;
    assert_eq!((listed.conversations.len(), listed.total_unread), (1, 1));
    assert_eq!((listed.conversations[0].peer.as_str(), listed.conversations[0].unread), ("bob", 1));
    let read = json!({ "conversation": sent.conversation, "delivered": back.seq, "read": back.seq });
    let Frame::Marked(marked) = ada.ask("mark", read).await else { panic!("not marked") };
    assert_eq!((marked.read, marked.unread), (back.seq, 0));
    let seen = |frame| match frame {
        Frame::Marks(marks) => marks.marks.into_iter().find(|mark| mark.user == "ada" && mark.read == back.seq),
        _ => None,
    };
    bob.until(seen).await;
    let typing = json!({ "conversation": sent.conversation, "active": true });
    assert!(matches!(ada.ask("typing", typing).await, Frame::Done(_)));
    bob.until(|frame| matches!(frame, Frame::Typing(now) if now.user == "ada" && now.active).then_some(())).await;
}

#[tokio::test(start_paused = true)]
async fn a_foreign_conversation_is_answered_like_one_that_does_not_exist() {
    let place = Place::new().await;
    let (mut ada, mut eve) = (place.person("ada").await, place.person("eve").await);
    let group = json!({ "conversation": "club", "title": "Club", "members": [{ "user": "bob" }] });
    assert!(matches!(ada.ask("create_conversation", group).await, Frame::ConversationCreated(_)));
    for (name, request) in [
        ("history", json!({ "conversation": "club" })),
        ("history", json!({ "conversation": "none" })),
        ("list_members", json!({ "conversation": "club" })),
        ("mark", json!({ "conversation": "club", "read": 1 })),
        (
            "send",
            json!({ "conversation": "club", "body": { "text": "x" },
            "message_id": "0193a5c0-0000-7000-8000-000000000009" }),
        ),
        ("typing", json!({ "conversation": "club", "active": true })),
        ("leave", json!({ "conversation": "club" })),
    ] {
        assert_eq!(eve.refused(name, request).await, "not_found", "{name}");
    }
    let add = json!({ "conversation": "club", "members": [{ "user": "eve" }] });
    let Frame::MembersChanged(changed) = ada.ask("add_members", add).await else { panic!("not added") };
    ada.say(("conversation", "club"), 1, "welcome").await;
    eve.hear("welcome").await;
    let page = eve.history(json!({ "conversation": "club" })).await;
    assert_eq!(page.entries[0].seq, changed.seq);
    let Frame::Members(members) = eve.ask("list_members", json!({ "conversation": "club" })).await else {
        panic!("no members")
    };
    assert_eq!(members.members.iter().map(|m| m.user.as_str()).collect::<Vec<_>>(), ["ada", "bob", "eve"]);
}

#[tokio::test(start_paused = true)]
async fn a_session_is_resumed_replaced_and_revoked() {
    let place = Place::new().await;
    let token = place.token("ada").await;
    let connect =
        |resume: String| json!({ "id": 1, "connect": { "token": token, "resume_token": resume } }).to_string();
    let mut first = Peer::new(&place.gateway);
    first.send(&connect(String::new())).await;
    let Some(Frame::Connected(fresh)) = first.frame().await.frame else { panic!("refused") };
    assert!(!fresh.resumed && fresh.generation > 0 && fresh.user == "ada");
    let mut second = Peer::new(&place.gateway);
    second.send(&connect(fresh.resume_token)).await;
    let Some(Frame::Connected(resumed)) = second.frame().await.frame else { panic!("refused") };
    assert_eq!((resumed.resumed, resumed.session), (true, fresh.session));
    assert_eq!(first.close().await, closed(4512, "session_replaced"));
    tokio::time::sleep(std::time::Duration::from_secs(5)).await;
    let revoke = RevokeRequest { tenant: "t".into(), user: "ada".into(), ..RevokeRequest::default() };
    place.session.clone().revoke(revoke).await.unwrap();
    assert_eq!(second.close().await, closed(4511, "token_revoked"));
    let mut third = Peer::new(&place.gateway);
    third.send(&connect(String::new())).await;
    assert_eq!(third.close().await, closed(4511, "token_revoked"));
}

#[tokio::test(start_paused = true)]
async fn presence_comes_to_those_who_watch() {
    let place = Place::new().await;
    let (mut ada, mut bob) = (place.person("ada").await, place.person("bob").await);
    ada.say(("to", "bob"), 1, "hello").await;
    let Frame::PresenceWatched(now) = ada.ask("watch_presence", json!({ "users": ["bob", "stranger"] })).await else {
        panic!("not watched")
    };
    let online: Vec<_> = now.now.iter().map(|n| (n.user.as_str(), n.status().as_str_name())).collect();
    assert_eq!(online, [("bob", "STATUS_ONLINE")]);
    bob.peer.0.close().await.unwrap();
    drop(bob);
    ada.peer.send(r#"{"pong":{}}"#).await;
    let offline = |frame| match frame {
        Frame::Presence(now) => (now.user == "bob" && now.status == 2).then_some(now),
        _ => None,
    };
    // Past the pings, which this peer does not answer in time: the grace is shorter.
    ada.until(offline).await;
}

/// A token that the application signed itself (RFC 7515), with HS256.
fn signed(secret: &[u8], kid: &str, user: &str) -> String {
    let part = |value: Value| URL_SAFE_NO_PAD.encode(value.to_string());
    let claims = json!({ "tenant": "t", "sub": user, "device": "phone", "exp": 1_790_003_600, "iat": 1_790_000_000 });
    let text = format!("{}.{}", part(json!({ "alg": "HS256", "typ": "JWT", "kid": kid })), part(claims));
    let key = aws_lc_rs::hmac::Key::new(aws_lc_rs::hmac::HMAC_SHA256, secret);
    let tag = aws_lc_rs::hmac::sign(&key, text.as_bytes());
    format!("{text}.{}", URL_SAFE_NO_PAD.encode(tag))
}

#[tokio::test(start_paused = true)]
async fn when_a_signing_key_is_removed_the_connections_it_had_verified_end_like_revoked_ones() {
    let place = Place::new().await;
    let mut session = place.session.clone();
    for (id, fill) in [("old", 1), ("new", 2)] {
        let (tenant, key_id, algorithm) = ("t".into(), id.into(), "HS256".into());
        let request = AddSigningKeyRequest { tenant, key_id, algorithm, key: vec![fill; 32].into() };
        session.add_signing_key(request).await.unwrap();
    }
    let mut old = Peer::connected(&place.gateway, &signed(&[1; 32], "old", "ada")).await;
    let mut refreshed = Peer::connected(&place.gateway, &signed(&[1; 32], "old", "ada")).await;
    let mut new = Peer::connected(&place.gateway, &signed(&[2; 32], "new", "bob")).await;
    let mut minted = place.person("cyd").await;
    // Who came with the old key and has shown a token of the new one since, stays.
    let refresh = json!({ "id": 2, "refresh": { "token": signed(&[2; 32], "new", "ada") } });
    refreshed.send(&refresh.to_string()).await;
    assert!(matches!(refreshed.event().await, Frame::Refreshed(_)));

    let request = RemoveSigningKeyRequest { tenant: "t".into(), key_id: "old".into() };
    session.remove_signing_key(request).await.unwrap();
    assert_eq!(old.close().await, closed(4511, "token_revoked"));
    let mut again = Peer::new(&place.gateway);
    again.send(&json!({ "id": 1, "connect": { "token": signed(&[1; 32], "old", "ada") } }).to_string()).await;
    assert_eq!(again.close().await, closed(4510, "unauthenticated"));
    // Past the second cut, too.
    for _ in 0..4 {
        tokio::time::sleep(std::time::Duration::from_secs(5)).await;
        for peer in [&mut new, &mut refreshed, &mut minted.peer] {
            peer.send(r#"{"id":9,"ping":{}}"#).await;
            assert!(matches!(peer.event().await, Frame::Pong(_)));
        }
    }
}
