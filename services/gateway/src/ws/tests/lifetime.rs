//! What ends a connection besides its client.

use std::time::Duration;

use posthorn_proto::internal::{Cut, Publication, publication::What};

use super::{scripted::gateway, *};
use crate::GatewayConfig;

#[tokio::test(start_paused = true)]
async fn a_half_open_socket_is_noticed_by_its_silence() {
    let (gateway, script) = gateway(GatewayConfig::default());
    let mut peer = Peer::connected(&gateway, "ada").await;
    let start = Instant::now();
    assert!(matches!(peer.frame().await.frame, Some(Frame::Ping(_))));
    assert_eq!(ms_since(start), 25_000);
    assert_eq!(peer.close().await, closed(4401, "ping_timeout"));
    assert_eq!(ms_since(start), 35_000);
    tokio::time::sleep(Duration::from_secs(10)).await;
    assert_eq!((gateway.connections(), script.disconnects.lock().len()), (0, 1));
}

#[tokio::test(start_paused = true)]
async fn who_answers_pings_stays() {
    let (gateway, _) = gateway(GatewayConfig::default());
    let mut peer = Peer::connected(&gateway, "ada").await;
    let start = Instant::now();
    for _ in 0..10 {
        assert!(matches!(peer.frame().await.frame, Some(Frame::Ping(_))));
        peer.send(r#"{"pong":{}}"#).await;
    }
    assert_eq!(ms_since(start), 250_000);
    // The pings of the WebSocket itself are answered too.
    peer.0.send(Message::ping(Bytes::from_static(b"?"))).await.unwrap();
    assert!(peer.message().await.unwrap().is_pong());
}

#[tokio::test(start_paused = true)]
async fn the_end_of_a_token_is_told_ahead_and_then_enforced() {
    let (gateway, _) = gateway(GatewayConfig { token_expiring_ms: 5_000, ..GatewayConfig::default() });
    let mut peer = Peer::connected(&gateway, "ada@1020000").await;
    let start = Instant::now();
    let Frame::TokenExpiring(expiring) = peer.event().await else { panic!("something else") };
    assert_eq!((ms_since(start), expiring.token_expires_ms), (15_000, 1_020_000));
    assert_eq!(peer.close().await, closed(4410, "token_expired"));
    assert_eq!(ms_since(start), 20_000);
}

#[tokio::test(start_paused = true)]
async fn a_refreshed_token_carries_the_connection_on() {
    let (gateway, _) = gateway(GatewayConfig { ping_interval_ms: 1 << 40, ..GatewayConfig::default() });
    let mut peer = Peer::connected(&gateway, "ada@1020000").await;
    let start = Instant::now();
    peer.send(r#"{"id":2,"refresh":{"token":"bob@9000000"}}"#).await;
    let Frame::Error(error) = peer.event().await else { panic!("another user's token was taken") };
    assert_eq!(error.code, "forbidden");
    peer.send(r#"{"id":3,"refresh":{"token":"ada@1090000"}}"#).await;
    let Frame::Refreshed(refreshed) = peer.event().await else { panic!("not refreshed") };
    assert_eq!(refreshed.token_expires_ms, 1_090_000);
    assert_eq!(peer.close().await, closed(4410, "token_expired"));
    assert_eq!(ms_since(start), 90_000);
}

#[tokio::test(start_paused = true)]
async fn an_old_connection_is_asked_to_come_back_elsewhere() {
    let config = GatewayConfig { max_connection_age_ms: 20_000, ping_interval_ms: 1 << 40, ..GatewayConfig::default() };
    let (gateway, _) = gateway(config);
    let mut peer = Peer::connected(&gateway, "ada").await;
    let Frame::Reconnect(reconnect) = peer.event().await else { panic!("something else") };
    assert_eq!((reconnect.code.as_str(), reconnect.resume_token.as_str()), ("connection_age", "resume:s1"));
    assert_eq!(reconnect.delay_max_ms, 5_000);
    assert_eq!(peer.close().await, closed(4431, "connection_age"));
}

#[tokio::test(start_paused = true)]
async fn a_resumed_session_replaces_its_older_connection() {
    let (gateway, script) = gateway(GatewayConfig::default());
    let mut old = Peer::connected(&gateway, "ada").await;
    let mut new = Peer::new(&gateway);
    new.send(r#"{"id":1,"connect":{"token":"ada","resume_token":"resume:s1"}}"#).await;
    let Some(Frame::Connected(connected)) = new.frame().await.frame else { panic!("refused") };
    assert!(connected.resumed && connected.session == "s1");
    assert_eq!(old.close().await, closed(4512, "session_replaced"));
    drop(old);
    tokio::time::sleep(Duration::from_secs(5)).await;
    assert_eq!(*script.disconnects.lock(), [1]);
    new.send(r#"{"id":2,"ping":{}}"#).await;
    assert!(matches!(new.event().await, Frame::Pong(_)));
}

#[tokio::test(start_paused = true)]
async fn a_revocation_ends_whom_it_names_and_nobody_else() {
    let (gateway, script) = gateway(GatewayConfig::default());
    let (mut ada, mut bob) = (Peer::connected(&gateway, "ada").await, Peer::connected(&gateway, "bob").await);
    let cut = |tenant: &str, issued_until_ms| {
        let cut = Cut { user: "ada".into(), code: "token_revoked".into(), issued_until_ms, ..Cut::default() };
        let publication = Publication { tenant: tenant.into(), what: Some(What::Cut(cut)), ..Publication::default() };
        Bytes::from(prost::Message::encode_to_vec(&publication))
    };
    use posthorn_bus::Bus;
    script.bus.publish("gateways", cut("another", 5)).await.unwrap();
    script.bus.publish("gateways", cut("t", 0)).await.unwrap();
    assert_eq!(ada.close().await, closed(4511, "token_revoked"));
    bob.send(r#"{"id":2,"ping":{}}"#).await;
    assert!(matches!(bob.event().await, Frame::Pong(_)));
}

#[tokio::test(start_paused = true)]
async fn when_a_revocation_may_have_been_lost_everybody_shows_their_token_again() {
    use posthorn_bus::Bus;
    let (gateway, script) = gateway(GatewayConfig::default());
    let mut ada = Peer::connected(&gateway, "ada").await;
    for number in [41, 42, 44] {
        let cut = Cut { user: "bob".into(), ..Cut::default() };
        let (publisher, tenant) = ("session".into(), "t".into());
        let publication =
            Publication { publisher, number, tenant, what: Some(What::Cut(cut)), ..Publication::default() };
        script.bus.publish("gateways", prost::Message::encode_to_vec(&publication).into()).await.unwrap();
    }
    assert!(matches!(ada.event().await, Frame::Reconnect(_)));
    assert_eq!(ada.close().await, closed(4431, "connection_age"));
}

#[tokio::test(start_paused = true)]
async fn a_drain_is_paced_lets_requests_finish_and_ends_with_nobody_left() {
    let config = GatewayConfig { drain_per_s: 10, drain_propagation_ms: 1_000, ..GatewayConfig::default() };
    let (gateway, script) = gateway(config);
    *script.append_ms.lock() = 2_000;
    let mut peers = Vec::new();
    for n in 0..5 {
        peers.push(Peer::connected(&gateway, &format!("u{n}")).await);
    }
    let start = Instant::now();
    let drained = gateway.clone();
    let drain = async move { drained.drain().await };
    let clients = async {
        for (n, peer) in peers.iter_mut().enumerate() {
            let Frame::Reconnect(reconnect) = peer.event().await else { panic!("something else") };
            assert_eq!(reconnect.code, "draining");
            let told = ms_since(start);
            assert!((1_000..1_000 + 100 * (n as u128 + 1)).contains(&told), "{n} was told at {told}");
        }
        let send = r#"{"id":2,"send":{"conversation":"c","message_id":"0193a5c0-0000-7000-8000-000000000001","body":{"text":"x"}}}"#;
        peers[0].send(send).await;
        assert!(matches!(peers[0].event().await, Frame::Sent(_)));
        let mut late = Peer::new(&gateway);
        late.send(r#"{"id":1,"connect":{"token":"late"}}"#).await;
        assert_eq!(late.close().await, closed(4430, "draining"));
        for peer in &mut peers {
            assert_eq!(peer.close().await, closed(4430, "draining"));
        }
    };
    assert!(gateway.ready().ready);
    let (left, ()) = tokio::join!(drain, clients);
    assert_eq!(left, 0);
    assert!(!gateway.ready().ready);
}

#[tokio::test(start_paused = true)]
async fn a_drain_ends_at_its_cap() {
    let config = GatewayConfig { drain_cap_ms: 3_000, ..GatewayConfig::default() };
    let (gateway, _) = gateway(config);
    let _peer = Peer::connected(&gateway, "ada").await;
    let start = Instant::now();
    assert_eq!(gateway.drain().await, 1);
    assert!((3_000..3_200).contains(&ms_since(start)));
}

#[tokio::test(start_paused = true)]
async fn a_drain_that_is_taken_back_tells_nobody_more_and_lets_clients_in_again() {
    let (gateway, _) = gateway(GatewayConfig { drain_per_s: 10, ..GatewayConfig::default() });
    let (mut ada, mut bob) = (Peer::connected(&gateway, "ada").await, Peer::connected(&gateway, "bob").await);
    gateway.start_drain();
    gateway.start_drain();
    let Frame::Reconnect(reconnect) = ada.event().await else { panic!("something else") };
    assert_eq!(reconnect.code, "draining");
    assert_eq!((gateway.ready().ready, gateway.ready().degraded), (false, vec!["draining"]));
    assert!(gateway.deps.metrics.encode().contains("posthorn_edge_draining 1"));
    gateway.cancel_drain().expect("taken back");
    assert!(gateway.ready().ready);
    assert!(gateway.deps.metrics.encode().contains("posthorn_edge_draining 0"));
    assert_eq!(ada.close().await, closed(4430, "draining"), "who was told leaves");
    let _cyd = Peer::connected(&gateway, "cyd").await;
    assert_eq!(gateway.connections(), 2);

    // Once more, and this time all go.
    gateway.start_drain();
    assert!(matches!(bob.event().await, Frame::Reconnect(_)));
    assert_eq!(bob.close().await, closed(4430, "draining"));
    posthorn_clock::sleep(Duration::from_secs(10)).await;
    assert_eq!(gateway.connections(), 0);
}

#[tokio::test(start_paused = true)]
async fn the_end_of_the_process_takes_a_drain_over_and_is_not_taken_back() {
    let (gateway, _) = gateway(GatewayConfig::default());
    let mut ada = Peer::connected(&gateway, "ada").await;
    gateway.start_drain();
    let ended = gateway.clone();
    let (left, ()) = tokio::join!(async move { ended.drain().await }, async {
        tokio::task::yield_now().await;
        assert_eq!(gateway.cancel_drain().unwrap_err().code, posthorn_errors::Code::Draining);
        assert!(matches!(ada.event().await, Frame::Reconnect(_)));
        assert_eq!(ada.close().await, closed(4430, "draining"));
    });
    assert_eq!(left, 0);
    assert!(gateway.is_draining());
}

#[tokio::test(start_paused = true)]
async fn when_the_node_stops_everybody_is_ended_at_once() {
    let (gateway, _) = gateway(GatewayConfig::default());
    let (mut ada, mut silent) = (Peer::connected(&gateway, "ada").await, Peer::new(&gateway));
    tokio::task::yield_now().await;
    gateway.deps.tasks.stop();
    assert_eq!(ada.close().await, closed(4430, "draining"));
    assert_eq!(silent.close().await, closed(4430, "draining"));
    drop((ada, silent));
    assert!(gateway.deps.tasks.ended(Duration::from_secs(10)).await);
}
