//! What a gateway does when the presence engine lost something, or does not know where anybody is.

use std::time::Duration;

use posthorn_proto::{
    client::TypingNow,
    internal::{LeaseState, Publication, publication::What},
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

/// Goal: the one renewal that finds the lease lost, and whose answer is lost, leaves no connection with a gap.
#[tokio::test(start_paused = true)]
async fn a_lease_that_ended_while_renewals_were_not_answered_is_lost_though_it_is_found_kept() {
    let (gateway, script) = gateway(GatewayConfig { ping_interval_ms: 1 << 40, ..GatewayConfig::default() });
    let mut ada = Peer::connected(&gateway, "ada").await;
    // Whether ada has to read from the log, by some time after so many s without an answer.
    let mut loses = async |seconds| {
        *script.lease_silent.lock() = true;
        let silence = async {
            posthorn_clock::sleep(Duration::from_secs(seconds)).await;
            *script.lease_silent.lock() = false;
            posthorn_clock::sleep(Duration::from_secs(12)).await;
        };
        tokio::select! {
            () = silence => false,
            event = ada.event() => matches!(event, Frame::Resync(_)),
        }
    };
    // It lives 30 s, and is renewed every 10.
    assert!(!loses(0).await);
    assert!(!loses(15).await, "it had not ended");
    assert!(loses(45).await);
    assert_eq!(*script.registered.lock(), [1]);
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
