//! Who is told of whose presence, while members of conversations come and go.

use std::time::Duration;

use posthorn_proto::{
    client::{Body, Kind, Membership, PresenceNow},
    internal::{Envelope, Heartbeat, NewEntries, Publication, Row, publication::What},
};

use super::{
    scripted::{Script, gateway},
    *,
};
use crate::GatewayConfig;

fn publication(number: u64, what: What) -> Publication {
    let (publisher, tenant) = ("routing".into(), "t".into());
    Publication { publisher, number, tenant, connections: vec![1], what: Some(what), ..Publication::default() }
}

/// The user left, or was removed from, a conversation that connection 1 sees.
fn departure(number: u64, kind: Kind, user: &str) -> Publication {
    let envelope = Envelope { format: 1, kind: kind.into(), message_id: vec![1; 16].into(), ..Envelope::default() };
    let member = Some(Membership { user: user.into(), role: 0 });
    let row = Row {
        seq: number,
        envelope: prost::Message::encode_to_vec(&envelope).into(),
        body: Some(prost::Message::encode_to_vec(&Body { member, ..Body::default() }).into()),
        ..Row::default()
    };
    publication(number, What::Entries(NewEntries { conversation: "lobby".into(), rows: vec![row], confirmed_ms: 1 }))
}

fn news(number: u64, user: &str, last_seen_ms: u64) -> Publication {
    publication(number, What::Presence(PresenceNow { user: user.into(), status: 2, last_seen_ms }))
}

async fn watch(peer: &mut Peer, users: &str) -> Vec<String> {
    peer.send(&format!(r#"{{"id":2,"watch_presence":{{"users":[{users}]}}}}"#)).await;
    match peer.event().await {
        Frame::PresenceWatched(watched) => watched.now.into_iter().map(|now| now.user).collect(),
        frame => panic!("{frame:?}"),
    }
}

async fn presence(peer: &mut Peer) -> (String, u64) {
    match peer.event().await {
        Frame::Presence(now) => (now.user, now.last_seen_ms),
        frame => panic!("{frame:?}"),
    }
}

async fn entry(peer: &mut Peer) -> u64 {
    match peer.event().await {
        Frame::Entries(new) => new.entries[0].seq,
        frame => panic!("{frame:?}"),
    }
}

/// Past every check that can be made now.
async fn settled() {
    tokio::time::sleep(Duration::from_secs(3)).await;
}

fn last_watch(script: &Script) -> Vec<String> {
    script.watches.lock().last().cloned().unwrap()
}

#[tokio::test(start_paused = true)]
async fn of_a_member_who_left_nothing_is_told_until_routing_says_that_it_may() {
    let (gateway, script) = gateway(GatewayConfig::default());
    let mut ada = Peer::connected(&gateway, "ada").await;
    assert_eq!(watch(&mut ada, r#""ben","cyd""#).await, ["ben", "cyd"]);
    script.publish(news(1, "ben", 1)).await;
    assert_eq!(presence(&mut ada).await, ("ben".to_owned(), 1));

    *script.unwatchable.lock() = None;
    script.publish(departure(2, Kind::Left, "ben")).await;
    for (number, user) in [(3, "ben"), (4, "ben"), (5, "cyd"), (6, "stranger")] {
        script.publish(news(number, user, number)).await;
    }
    assert_eq!(entry(&mut ada).await, 2);
    assert_eq!(presence(&mut ada).await, ("cyd".to_owned(), 5), "of the others it goes on");
    settled().await;
    assert!(script.asked.lock().len() > 3, "it asks until it is answered");
    *script.unwatchable.lock() = Some(Vec::new());
    // What was held meanwhile, the last of it; they still have a conversation in common.
    assert_eq!(presence(&mut ada).await, ("ben".to_owned(), 4));
    let asked = script.asked.lock().len();
    settled().await;
    assert_eq!(script.asked.lock().len(), asked);
    assert_eq!(script.asked.lock().last().cloned(), Some(vec!["ben".to_owned()]));
    assert_eq!(script.watches.lock().len(), 1, "the session service knows");
}

#[tokio::test(start_paused = true)]
async fn a_watched_member_who_was_removed_is_watched_no_longer() {
    let (gateway, script) = gateway(GatewayConfig::default());
    let mut ada = Peer::connected(&gateway, "ada").await;
    watch(&mut ada, r#""ben","cyd""#).await;
    *script.unwatchable.lock() = Some(vec!["ben".into()]);
    script.publish(departure(1, Kind::Removed, "ben")).await;
    script.publish(news(2, "ben", 2)).await;
    settled().await;
    script.publish(news(3, "ben", 3)).await;
    script.publish(news(4, "cyd", 4)).await;
    assert_eq!(entry(&mut ada).await, 1);
    assert_eq!(presence(&mut ada).await, ("cyd".to_owned(), 4));
    assert_eq!(last_watch(&script), ["cyd"]);
    let metrics = gateway.deps.metrics.encode();
    assert!(metrics.contains(r#"edge_presence_checks_total{result="ok"} 1"#), "{metrics}");
    assert!(metrics.contains("edge_presence_checks_waiting 0"), "{metrics}");
}

#[tokio::test(start_paused = true)]
async fn a_watcher_who_was_removed_watches_nobody_they_share_nothing_with() {
    for kind in [Kind::Left, Kind::Removed] {
        let (gateway, script) = gateway(GatewayConfig::default());
        let mut ada = Peer::connected(&gateway, "ada").await;
        watch(&mut ada, r#""ben","cyd","dan""#).await;
        *script.unwatchable.lock() = Some(vec!["ben".into(), "cyd".into()]);
        script.publish(departure(1, kind, "ada")).await;
        for (number, user) in [(2, "ben"), (3, "cyd"), (4, "dan")] {
            script.publish(news(number, user, number)).await;
        }
        assert_eq!(entry(&mut ada).await, 1);
        assert_eq!(presence(&mut ada).await, ("dan".to_owned(), 4));
        settled().await;
        assert_eq!(last_watch(&script), ["dan"]);
        // Whom it may watch no more it may ask for again, and is answered without them.
        assert_eq!(watch(&mut ada, r#""ben","dan""#).await, ["dan"]);
    }
}

#[tokio::test(start_paused = true)]
async fn where_publications_were_lost_everybody_who_watches_is_checked() {
    let (gateway, script) = gateway(GatewayConfig::default());
    let mut ada = Peer::connected(&gateway, "ada").await;
    let _ben = Peer::connected(&gateway, "ben").await;
    watch(&mut ada, r#""ben""#).await;
    *script.unwatchable.lock() = Some(vec!["ben".into()]);
    script.publish(news(1, "ben", 1)).await;
    assert_eq!(presence(&mut ada).await, ("ben".to_owned(), 1), "nothing says that it changed");
    script.publish(news(3, "ben", 3)).await;
    settled().await;
    script.publish(news(4, "ben", 4)).await;
    assert!(matches!(ada.event().await, Frame::Resync(_)));
    ada.send(r#"{"id":3,"ping":{}}"#).await;
    assert!(matches!(ada.event().await, Frame::Pong(_)), "and nothing of ben");
    assert_eq!(script.asked.lock().len(), 2, "who watches nobody is not asked about");
}

#[tokio::test(start_paused = true)]
async fn a_request_to_watch_that_fails_leaves_the_former_one() {
    let (gateway, script) = gateway(GatewayConfig::default());
    let mut ada = Peer::connected(&gateway, "ada").await;
    watch(&mut ada, r#""ben""#).await;
    *script.unwatchable.lock() = None;
    ada.send(r#"{"id":3,"watch_presence":{"users":["cyd"]}}"#).await;
    let Frame::Error(error) = ada.event().await else { panic!("watched") };
    assert_eq!(error.code, "unavailable");
    *script.unwatchable.lock() = Some(Vec::new());
    settled().await;
    script.publish(news(1, "cyd", 1)).await;
    script.publish(news(2, "ben", 2)).await;
    assert_eq!(presence(&mut ada).await, ("ben".to_owned(), 2));
    assert_eq!(last_watch(&script), ["ben"]);
}

#[tokio::test(start_paused = true)]
async fn of_two_session_instances_the_older_news_of_a_user_is_dropped_whenever_it_comes() {
    let (gateway, script) = gateway(GatewayConfig::default());
    let mut ada = Peer::connected(&gateway, "ada").await;
    watch(&mut ada, r#""ben","cyd""#).await;
    let of = |publisher: &str, number: u64, user: &str, presence_version: u64| Publication {
        publisher: publisher.into(),
        presence_version,
        ..news(number, user, presence_version)
    };
    // ben went at one of them after he had come at the other, whose news are late.
    script.publish(of("one", 1, "ben", 12)).await;
    script.publish(of("two", 1, "ben", 11)).await;
    script.publish(of("two", 2, "cyd", 3)).await;
    script.publish(of("two", 3, "ben", 13)).await;
    for told in [("ben", 12), ("cyd", 3), ("ben", 13)] {
        assert_eq!(presence(&mut ada).await, (told.0.to_owned(), told.1));
    }
}

/// Goal: the last that a session process told before it died, and that the bus lost, is told all the same.
#[tokio::test(start_paused = true)]
async fn the_states_of_those_who_are_watched_are_read_again_once_a_session_process_has_died() {
    let (gateway, script) = gateway(GatewayConfig { ping_interval_ms: 1 << 40, ..GatewayConfig::default() });
    let mut ada = Peer::connected(&gateway, "ada").await;
    ada.send(r#"{"id":2,"watch_presence":{"users":["ben"]}}"#).await;
    assert!(matches!(ada.event().await, Frame::PresenceWatched(_)));
    *script.offline.lock() = true;
    let beat = async |publisher: &str, interval_ms| {
        let what = What::Heartbeat(Heartbeat { interval_ms, keeps: false });
        let beat = Publication { publisher: publisher.into(), what: Some(what), ..Publication::default() };
        script.publish_to_all(beat).await;
    };
    // One ends, which is nothing; another one falls silent.
    for round in 0..12 {
        beat("lives", 1_000).await;
        if round < 2 {
            beat("ends", if round == 1 { 0 } else { 1_000 }).await;
        }
        if round < 6 {
            beat("dies", 1_000).await;
        }
        posthorn_clock::sleep(Duration::from_secs(1)).await;
        assert!(round > 7 || script.watches.lock().len() == 1, "{round}");
    }
    let Frame::Presence(now) = ada.event().await else { panic!("not presence") };
    assert_eq!((now.user.as_str(), now.status), ("ben", 2));
    assert_eq!(script.watches.lock().len(), 2);
}
