//! Leases of gateways, and what becomes of those that are gone.

use std::time::Duration;

use posthorn_clock::sleep;
use posthorn_core::{Held, TenantId, UserId, UserKey};
use posthorn_proto::{
    client::{PresenceNow, Status},
    internal::{
        LeaseRequest, LeaseState, LookupRequest, PresenceRequest, PruneRequest, RegisterAgainRequest, Registration,
        WatchRequest, publication::What,
    },
};

use super::*;

fn user(name: &str) -> UserKey {
    UserKey { tenant: TenantId::new("t").expect("valid"), user: UserId::new(name).expect("valid") }
}

async fn lease(place: &Place, gateway: &str, connections: &[(&str, u64)]) -> LeaseState {
    let mut held = Held::default();
    for (name, connection) in connections {
        held.add(&user(name), *connection);
    }
    let request = LeaseRequest { gateway: gateway.into(), count: held.count, hash: held.hash, renew_only: false };
    place.client.clone().lease(request).await.expect("leased").into_inner().state()
}

async fn found(place: &Place, name: &str) -> Vec<(String, Vec<u64>)> {
    let request = LookupRequest { tenant: "t".into(), users: vec![name.into()] };
    let found = place.client.clone().lookup(request).await.expect("found").into_inner();
    assert!(!found.unknown);
    found.gateways.into_iter().map(|at| (at.gateway, at.connections)).collect()
}

async fn status(place: &Place, name: &str) -> PresenceNow {
    let request = PresenceRequest { tenant: "t".into(), users: vec![name.into()] };
    place.client.clone().presence(request).await.expect("answered").into_inner().now.remove(0)
}

async fn watch(place: &Place, connection: u64, name: &str) {
    let (tenant, gateway, users) = ("t".into(), "g".into(), vec![name.into()]);
    place
        .client
        .clone()
        .watch(WatchRequest { tenant, gateway, connection, users, silent: false })
        .await
        .expect("watched");
}

async fn told(from: &mut Box<dyn Subscription>) -> PresenceNow {
    match publication(from).await.what {
        Some(What::Presence(now)) => now,
        other => panic!("not presence: {other:?}"),
    }
}

#[tokio::test(start_paused = true)]
async fn users_of_a_gateway_whose_lease_ended_are_announced_as_gone() {
    let place = Place::new().await;
    let mut told_to_g = place.listen("gateway.g").await;
    lease(&place, "g", &[]).await;
    lease(&place, "h", &[]).await;
    place.connect("eve", "g", 1).await;
    watch(&place, 1, "ann").await;
    place.connect("ann", "h", 1).await;
    assert_eq!(told(&mut told_to_g).await.status(), Status::Online);

    place.presence.end_lease("h");
    assert_eq!(found(&place, "ann").await, [], "at once");
    let gone = told(&mut told_to_g).await;
    assert_eq!((gone.status(), gone.user.as_str()), (Status::Offline, "ann"));
    assert!(gone.last_seen_ms > START_MS, "when it was noticed");
    let again = place.restarted().await;
    assert_eq!(status(&again, "ann").await.last_seen_ms, gone.last_seen_ms, "durable");
}

#[tokio::test(start_paused = true)]
async fn a_gateway_that_renews_before_the_second_look_keeps_its_connections() {
    let place = Place::new().await;
    lease(&place, "g", &[]).await;
    place.connect("ann", "g", 1).await;
    for _ in 0..20 {
        place.presence.end_lease("g");
        // Twice as long as no look is apart from the next: one at least falls into it, two do not.
        sleep(Duration::from_millis(490)).await;
        assert_eq!(lease(&place, "g", &[("ann", 1)]).await, LeaseState::Lost);
        sleep(Duration::from_millis(1_600)).await;
    }
    assert_eq!(found(&place, "ann").await, [("g".to_owned(), vec![1])]);
    assert_eq!(lease(&place, "g", &[("ann", 1)]).await, LeaseState::Kept);
}

#[tokio::test(start_paused = true)]
async fn what_the_engine_lost_is_registered_again_and_nothing_else_is_left() {
    let place = Place::new().await;
    lease(&place, "g", &[]).await;
    for (name, connection) in [("ann", 1), ("bob", 2), ("eve", 3)] {
        place.connect(name, "g", connection).await;
    }
    place.presence.forget();
    assert_eq!(found(&place, "ann").await, []);
    // A connection that ended while nobody could be told.
    let late = RegisterAgainRequest { gateway: "g".into(), connections: vec![registration("eve", 3)] };
    place.client.clone().register_again(late).await.expect("registered");
    let mine = [("ann", 1), ("bob", 2)];
    assert_eq!(lease(&place, "g", &mine).await, LeaseState::Lost);

    let connections = mine.iter().map(|(name, connection)| registration(name, *connection)).collect();
    let request = RegisterAgainRequest { gateway: "g".into(), connections };
    place.client.clone().register_again(request).await.expect("registered");
    assert_eq!(lease(&place, "g", &mine).await, LeaseState::Differs);
    let request = PruneRequest { gateway: "g".into(), upto: 3, kept: vec![1, 2] };
    place.client.clone().prune(request).await.expect("pruned");
    assert_eq!(lease(&place, "g", &mine).await, LeaseState::Kept);
    assert_eq!(found(&place, "ann").await, [("g".to_owned(), vec![1])]);
    assert_eq!(found(&place, "eve").await, []);
}

fn registration(name: &str, connection: u64) -> Registration {
    Registration { tenant: "t".into(), user: name.into(), device: "phone".into(), connection }
}

#[tokio::test(start_paused = true)]
async fn too_many_at_once_are_refused() {
    let place = Place::new().await;
    let connections = (0..1_001).map(|connection| registration("ann", connection)).collect();
    let request = RegisterAgainRequest { gateway: "g".into(), connections };
    let refused = place.client.clone().register_again(request).await.expect_err("too many");
    assert_eq!(failure_of(&refused).code, Code::InvalidArgument);
}
