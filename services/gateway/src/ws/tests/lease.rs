//! What a gateway does when the presence engine lost something, or does not know where anybody is.

use std::time::Duration;

use posthorn_proto::{
    client::{Kind, TypingNow},
    internal::{Envelope, LeaseState, NewEntries, Publication, Row, publication::What},
};

use super::{scripted::gateway, *};
use crate::GatewayConfig;

fn typing(number: u64, users: &[&str]) -> Publication {
    let what = What::Typing(TypingNow { conversation: "lobby".into(), user: "eve".into(), active: true });
    Publication {
        publisher: "routing".into(),
        number,
        tenant: "t".into(),
        users: users.iter().map(|&user| user.to_owned()).collect(),
        what: Some(what),
        ..Publication::default()
    }
}

#[tokio::test(start_paused = true)]
async fn connections_that_the_engine_lost_are_registered_again_and_read_from_the_log() {
    let (gateway, script) = gateway(GatewayConfig::default());
    let mut ada = Peer::connected(&gateway, "ada").await;
    let mut bob = Peer::connected(&gateway, "bob").await;
    *script.leases.lock() = vec![LeaseState::Lost, LeaseState::Kept];
    for peer in [&mut ada, &mut bob] {
        assert!(matches!(peer.event().await, Frame::Resync(_)));
    }
    assert_eq!(*script.registered.lock(), [1, 2]);
    let pruned = script.pruned.lock().clone();
    assert_eq!(pruned.len(), 1);
    assert_eq!((pruned[0].upto, &pruned[0].kept[..]), (2, &[1, 2][..]));

    // Nobody comes or goes: a difference is a loss at once.
    *script.leases.lock() = vec![LeaseState::Differs];
    assert!(matches!(ada.event().await, Frame::Resync(_)));
    assert_eq!(*script.registered.lock(), [1, 2, 1, 2]);
}

/// An entry of the lobby, to all gateways.
fn entry(number: u64, seq: u64, found_before_ms: Option<u64>) -> Publication {
    let kind = Kind::Message.into();
    let envelope = Envelope { format: 1, kind, message_id: vec![1; 16].into(), ..Envelope::default() };
    let row = Row { seq, envelope: prost::Message::encode_to_vec(&envelope).into(), ..Row::default() };
    let what = What::Entries(NewEntries { conversation: "lobby".into(), rows: vec![row], confirmed_ms: 1 });
    Publication { what: Some(what), found_before_ms, ..typing(number, &["ada"]) }
}

/// Whether the next event is that these conversations are to be read.
async fn told_to_read(peer: &mut Peer) -> Option<Vec<String>> {
    match peer.event().await {
        Frame::Resync(resync) => Some(resync.conversations),
        Frame::Entries(_) => None,
        other => panic!("{other:?}"),
    }
}

/// Goal: while the lease of a gateway has ended, lookups that work leave its connections out, and those that do not send
/// to all gateways: the first entry that comes so is not what tells of the hole before it.
#[tokio::test(start_paused = true)]
async fn who_was_left_out_as_the_lease_had_ended_is_told_so_before_the_next_entry() {
    let (gateway, script) = gateway(GatewayConfig { ping_interval_ms: 1 << 40, ..GatewayConfig::default() });
    let mut ada = Peer::connected(&gateway, "ada").await;
    gateway.when_leased().await;
    script.publish_to_all(entry(1, 1, Some(0))).await;
    assert_eq!(told_to_read(&mut ada).await, None, "the lease lives: the lookup found ada");
    // It lives 30 s.
    *script.lease_silent.lock() = true;
    posthorn_clock::sleep(Duration::from_secs(45)).await;
    script.publish_to_all(entry(2, 5, Some(20_000))).await;
    assert_eq!(told_to_read(&mut ada).await, None, "a lookup of before it ended");
    script.publish_to_all(entry(3, 9, Some(5_000))).await;
    assert_eq!(told_to_read(&mut ada).await, Some(vec!["lobby".to_owned()]));
    assert_eq!(told_to_read(&mut ada).await, None);
    script.publish_to_all(entry(4, 10, None)).await;
    assert_eq!(told_to_read(&mut ada).await, None, "the one before went to all gateways as well");

    *script.lease_silent.lock() = false;
    posthorn_clock::sleep(Duration::from_secs(15)).await;
    script.publish_to_all(entry(5, 11, Some(0))).await;
    assert_eq!(told_to_read(&mut ada).await, None);
}

/// Goal: as above, of one connection that the presence engine did not take.
#[tokio::test(start_paused = true)]
async fn who_could_not_be_registered_is_told_what_lookups_may_have_left_out() {
    let (gateway, script) = gateway(GatewayConfig { ping_interval_ms: 1 << 40, ..GatewayConfig::default() });
    let mut ben = Peer::connected(&gateway, "ben").await;
    gateway.when_leased().await;
    *script.lease_silent.lock() = true;
    *script.unregistered.lock() = true;
    let mut ada = Peer::connected(&gateway, "ada").await;
    assert_eq!(told_to_read(&mut ada).await, Some(Vec::new()), "what came while it connected");
    for (number, ms, told) in [(1, Some(0), Some(vec!["lobby".to_owned()])), (2, None, None)] {
        let users = vec!["ada".to_owned(), "ben".to_owned()];
        script.publish_to_all(Publication { users, ..entry(number, number, ms) }).await;
        if told.is_some() {
            assert_eq!(told_to_read(&mut ada).await, told);
        }
        assert_eq!(told_to_read(&mut ada).await, None);
        assert_eq!(told_to_read(&mut ben).await, None);
    }
    // It was registered all the same, or is since.
    let found = Publication { users: Vec::new(), connections: vec![1, 2], ..entry(1, 7, None) };
    script.publish(found).await;
    assert_eq!(told_to_read(&mut ada).await, Some(Vec::new()));
    assert_eq!([told_to_read(&mut ada).await, told_to_read(&mut ben).await], [None, None]);
    script.publish_to_all(entry(3, 8, Some(0))).await;
    assert_eq!(told_to_read(&mut ada).await, None);
}

/// Goal: an owner that could not publish what it confirmed, and whose conversation another one has now, leaves nobody
/// with a hole that was not told of.
#[tokio::test(start_paused = true)]
async fn what_another_owner_publishes_behind_a_hole_comes_behind_the_word_of_it() {
    let (gateway, script) = gateway(GatewayConfig::default());
    let mut ada = Peer::connected(&gateway, "ada").await;
    let publish = |publisher: &str, number, seq| {
        let one = entry(number, seq, None);
        script.publish(Publication { publisher: publisher.into(), users: Vec::new(), connections: vec![1], ..one })
    };
    publish("one", 1, 1).await;
    assert_eq!(told_to_read(&mut ada).await, None);
    publish("two", 1, 4).await;
    assert_eq!(told_to_read(&mut ada).await, Some(vec!["lobby".to_owned()]));
    assert_eq!(told_to_read(&mut ada).await, None);
    // Late: where it was not known that there is more, this tells of it.
    publish("one", 2, 3).await;
    publish("two", 2, 5).await;
    assert_eq!(told_to_read(&mut ada).await, Some(vec!["lobby".to_owned()]));
    let Frame::Entries(came) = ada.event().await else { panic!("not entries") };
    assert_eq!(came.entries[0].seq, 5);
}

/// Goal: with a lease that begins again events come again; the first of them is not what tells of the hole before it.
#[tokio::test(start_paused = true)]
async fn what_comes_as_a_lease_begins_again_comes_behind_the_word_that_events_were_lost() {
    let (gateway, script) = gateway(GatewayConfig::default());
    let mut ada = Peer::connected(&gateway, "ada").await;
    *script.as_it_begins.lock() = Some(typing(1, &["ada"]));
    *script.leases.lock() = vec![LeaseState::Lost];
    assert!(matches!(ada.event().await, Frame::Resync(_)));
    assert!(script.as_it_begins.lock().is_none());
}

#[tokio::test(start_paused = true)]
async fn what_was_watched_before_the_engine_lost_it_is_watched_again() {
    let (gateway, script) = gateway(GatewayConfig::default());
    let mut ada = Peer::connected(&gateway, "ada").await;
    ada.send(r#"{"id":2,"watch_presence":{"users":["ben"]}}"#).await;
    assert!(matches!(ada.event().await, Frame::PresenceWatched(_)));
    script.watches.lock().clear();
    *script.leases.lock() = vec![LeaseState::Lost];
    assert!(matches!(ada.event().await, Frame::Resync(_)));
    posthorn_clock::sleep(Duration::from_secs(1)).await;
    assert_eq!(*script.watches.lock(), [["ben"]]);
}

#[tokio::test(start_paused = true)]
async fn a_gateway_without_connections_has_lost_none() {
    let (gateway, script) = gateway(GatewayConfig::default());
    *script.leases.lock() = vec![LeaseState::Lost; 3];
    while !script.leases.lock().is_empty() {
        posthorn_clock::sleep(Duration::from_secs(1)).await;
    }
    assert!(script.pruned.lock().is_empty() && gateway.ready().degraded.is_empty());
}

#[tokio::test(start_paused = true)]
async fn what_goes_to_all_gateways_finds_its_users_here_and_a_hole_in_it_costs_a_resync() {
    let (gateway, script) = gateway(GatewayConfig::default());
    let mut ada = Peer::connected(&gateway, "ada").await;
    let mut bob = Peer::connected(&gateway, "bob").await;
    script.publish_to_all(typing(7, &["ada", "nobody"])).await;
    assert!(matches!(ada.event().await, Frame::Typing(_)));
    script.publish_to_all(Publication { tenant: "other".into(), ..typing(8, &["bob"]) }).await;
    script.publish_to_all(typing(9, &["bob"])).await;
    let Frame::Typing(_) = bob.event().await else { panic!("another tenant's") };
    script.publish_to_all(typing(11, &["bob"])).await;
    // Not asked to leave, as after a revocation that may have been missed.
    assert!(matches!(ada.event().await, Frame::Resync(_)));
    assert!(matches!(bob.event().await, Frame::Resync(_)));
}
