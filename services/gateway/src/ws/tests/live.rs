//! Sends in order, and events to whom they are for.

use std::time::Duration;

use posthorn_proto::{
    client::{Kind, MemberMarks, TypingNow},
    internal::{Envelope, Heartbeat, NewEntries, Publication, Row, publication::What},
};

use super::{scripted::gateway, *};
use crate::{GatewayConfig, config::LimitClass};

fn entries(number: u64, connections: Vec<u64>, text_bytes: usize) -> Publication {
    let envelope =
        Envelope { format: 1, kind: Kind::Message.into(), message_id: vec![1; 16].into(), ..Envelope::default() };
    let body = posthorn_proto::client::Body { text: "x".repeat(text_bytes), ..Default::default() };
    let row = Row {
        seq: number,
        envelope: prost::Message::encode_to_vec(&envelope).into(),
        body: Some(prost::Message::encode_to_vec(&body).into()),
        ..Row::default()
    };
    let new = NewEntries { conversation: "lobby".into(), rows: vec![row], confirmed_ms: 1_000_000 };
    let (publisher, tenant) = ("routing".into(), "t".into());
    Publication { publisher, number, tenant, connections, what: Some(What::Entries(new)), ..Publication::default() }
}

fn send(id: u64, conversation: &str) -> String {
    format!(
        r#"{{"id":{id},"send":{{"conversation":"{conversation}","after_seq":{id},
            "message_id":"0193a5c0-0000-7000-8000-{id:012}","body":{{"text":"hello {id}"}}}}}}"#
    )
}

#[tokio::test(start_paused = true)]
async fn sends_to_one_conversation_stay_in_order_and_travel_together() {
    let (gateway, script) = gateway(GatewayConfig { max_append_items: 4, ..GatewayConfig::default() });
    *script.append_ms.lock() = 100;
    let mut peer = Peer::connected(&gateway, "ada").await;
    for id in 2..=9 {
        peer.send(&send(id, "a")).await;
    }
    peer.send(&send(10, "b")).await;
    let mut answered = Vec::new();
    while answered.len() < 9 {
        let frame = peer.frame().await;
        assert!(matches!(frame.frame, Some(Frame::Sent(_))), "{frame:?}");
        answered.push(frame.id);
    }
    let of = |name: &str| {
        script.appends.lock().iter().filter(|(c, _)| c == name).map(|(_, ids)| ids.clone()).collect::<Vec<_>>()
    };
    assert_eq!(of("a"), [vec![2], vec![3, 4, 5, 6], vec![7, 8, 9]]);
    assert_eq!(of("b"), [[10]]);
    answered.retain(|&id| id != 10);
    assert_eq!(answered, (2..=9).collect::<Vec<_>>());
}

#[tokio::test(start_paused = true)]
async fn no_event_comes_before_connected_and_none_in_between_is_lost() {
    let (gateway, script) = gateway(GatewayConfig::default());
    *script.while_connecting.lock() = Some(entries(1, vec![1], 5));
    // `connected` checks that it is the first frame.
    let mut peer = Peer::connected(&gateway, "ada").await;
    let Frame::Entries(got) = peer.event().await else { panic!("something else") };
    assert_eq!((got.conversation.as_str(), got.entries[0].seq), ("lobby", 1));
    assert_eq!(got.entries[0].body.as_ref().unwrap().text, "xxxxx");
}

#[tokio::test(start_paused = true)]
async fn events_go_to_the_connections_they_name_and_to_their_tenant_alone() {
    let (gateway, script) = gateway(GatewayConfig::default());
    let mut ada = Peer::connected(&gateway, "ada").await;
    let mut bob = Peer::connected(&gateway, "bob").await;
    script.publish(entries(1, vec![1, 99], 1)).await;
    script.publish(Publication { tenant: "other".into(), ..entries(2, vec![2], 1) }).await;
    let typing = TypingNow { conversation: "lobby".into(), user: "cyd".into(), active: true };
    let what = Some(What::Typing(typing));
    script.publish(Publication { what, ..entries(3, vec![1, 2], 1) }).await;
    assert!(matches!(ada.event().await, Frame::Entries(_)));
    assert!(matches!(ada.event().await, Frame::Typing(_)));
    assert!(matches!(bob.event().await, Frame::Typing(_)));
}

#[tokio::test(start_paused = true)]
async fn a_hole_in_the_numbers_makes_everybody_resync() {
    let (gateway, script) = gateway(GatewayConfig::default());
    let (mut ada, mut bob) = (Peer::connected(&gateway, "ada").await, Peer::connected(&gateway, "bob").await);
    script.publish(entries(1, vec![1], 1)).await;
    assert_eq!(seqs(&mut ada, 1).await, [1]);
    // What waits to be written goes with what was lost: behind the resync nothing has a hole.
    for number in [2, 4, 6] {
        script.publish(entries(number, vec![1], 1)).await;
    }
    let Frame::Resync(resync) = ada.event().await else { panic!("the loss is told before what came after it") };
    assert!(resync.conversations.is_empty());
    assert_eq!(seqs(&mut ada, 1).await, [6]);
    assert!(matches!(bob.event().await, Frame::Resync(_)));
}

fn beat(number: u64) -> Publication {
    let what = Some(What::Heartbeat(Heartbeat { interval_ms: 1_000, keeps: true }));
    Publication { publisher: "routing".into(), number, what, ..Publication::default() }
}

async fn seqs(peer: &mut Peer, count: usize) -> Vec<u64> {
    let mut seqs = Vec::new();
    while seqs.len() < count {
        match peer.event().await {
            Frame::Entries(got) => seqs.extend(got.entries.iter().map(|entry| entry.seq)),
            frame => panic!("{frame:?}"),
        }
    }
    seqs
}

#[tokio::test(start_paused = true)]
async fn what_the_bus_drops_comes_all_the_same_also_the_last_before_a_silence() {
    let (gateway, script) = gateway(GatewayConfig::default());
    let mut ada = Peer::connected(&gateway, "ada").await;
    script.publish_to_all(beat(0)).await;
    tokio::time::sleep(Duration::from_millis(1)).await;
    *script.kept.lock() = (1..=5).map(|number| entries(number, vec![1], 1)).collect();
    for number in [1, 4] {
        script.publish(entries(number, vec![1], 1)).await;
    }
    assert_eq!(seqs(&mut ada, 5).await, [1, 2, 3, 4, 5]);
    let begun = Instant::now();
    script.kept.lock().push(entries(6, vec![1], 1));
    tokio::time::sleep(Duration::from_millis(900)).await;
    script.publish(beat(6)).await;
    assert_eq!(seqs(&mut ada, 1).await, [6]);
    assert!(ms_since(begun) < 1_000);
}

#[tokio::test(start_paused = true)]
async fn while_the_bus_brings_nothing_instances_are_asked_at_a_steady_pace_and_no_longer() {
    let (gateway, script) = gateway(GatewayConfig::default());
    let mut ada = Peer::connected(&gateway, "ada").await;
    script.publish_to_all(beat(0)).await;
    tokio::time::sleep(Duration::from_millis(2_900)).await;
    assert_eq!((*script.missed.lock(), gateway.ready().degraded.len()), (0, 0));
    for number in 1..=20 {
        let begun = Instant::now();
        script.kept.lock().push(entries(number, vec![1], 1));
        assert_eq!(seqs(&mut ada, 1).await, [number]);
        assert!(ms_since(begun) < 1_500, "{}", ms_since(begun));
    }
    let asked = *script.missed.lock();
    assert!((15..=30).contains(&asked), "{asked}");
    let ready = gateway.ready();
    assert!(ready.ready && ready.degraded == ["bus"], "{ready:?}");
    // It is back, and brings once more what was asked for.
    script.publish_to_all(beat(0)).await;
    for number in 1..=21 {
        script.publish(entries(number, vec![1], 1)).await;
    }
    assert_eq!(seqs(&mut ada, 1).await, [21]);
    script.publish(beat(21)).await;
    tokio::time::sleep(Duration::from_millis(2_500)).await;
    assert_eq!(*script.missed.lock(), asked);
    assert!(gateway.ready().degraded.is_empty());
}

#[tokio::test(start_paused = true)]
async fn a_slow_reader_is_told_to_resync_and_costs_no_more_than_its_queue() {
    let config = GatewayConfig { max_queue_bytes: 20_000, ping_interval_ms: 1 << 40, ..GatewayConfig::default() };
    let (gateway, script) = gateway(config);
    let mut slow = Peer::with_buffer(&gateway, Protocol::Json, 4_096);
    slow.send(r#"{"id":1,"connect":{"token":"ada"}}"#).await;
    assert!(matches!(slow.frame().await.frame, Some(Frame::Connected(_))));
    let mut quick = Peer::connected(&gateway, "bob").await;
    for number in 1..=200 {
        script.publish(entries(number, vec![1, 2], 1_000)).await;
        tokio::time::sleep(Duration::from_millis(1)).await;
        let queued = gateway.registry.with(1, |connection| connection.outbox.bytes()).unwrap();
        assert!(queued <= 20_000, "{queued}");
    }
    for seq in 1..=200 {
        let Frame::Entries(got) = quick.event().await else { panic!("the quick one was disturbed") };
        assert_eq!(got.entries[0].seq, seq);
    }
    let (mut last, mut resyncs) = (0, 0);
    while last < 200 {
        match slow.event().await {
            // What was dropped was told before anything behind it.
            Frame::Entries(got) => {
                assert!(got.entries[0].seq == last + 1 || resyncs > 0);
                last = got.entries[0].seq;
            }
            Frame::Resync(resync) => {
                assert_eq!((resync.code.as_str(), &resync.conversations[..]), ("slow_consumer", &["lobby".into()][..]));
                resyncs += 1;
                if last < 200 {
                    script.publish(entries(200 + resyncs, vec![1], 1)).await;
                }
            }
            frame => panic!("{frame:?}"),
        }
    }
    assert!(resyncs > 0);
}

#[tokio::test(start_paused = true)]
async fn who_stops_reading_is_closed_and_what_it_asked_for_waits_in_bounded_memory() {
    let unlimited = LimitClass { requests_per_s: 0, request_burst: 0 };
    let config = GatewayConfig { classes: [("unlimited".to_owned(), unlimited)].into(), ..GatewayConfig::default() };
    let (gateway, script) = gateway(config);
    let mut peer = Peer::with_buffer(&gateway, Protocol::Json, 2_048);
    peer.send(r#"{"id":1,"connect":{"token":"bot!"}}"#).await;
    assert!(matches!(peer.frame().await.frame, Some(Frame::Connected(_))));
    let start = Instant::now();
    // Asks without reading until the server takes no more, either.
    let asked = timeout(Duration::from_secs(5), async {
        for id in 2.. {
            peer.send(&format!(r#"{{"id":{id},"ping":{{}}}}"#)).await;
        }
    });
    assert!(asked.await.is_err());
    assert!(gateway.registry.with(1, |connection| connection.outbox.bytes()).unwrap() < 10_000);
    while gateway.connections() > 0 {
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    assert!((15_000..16_000).contains(&ms_since(start)));
    tokio::time::sleep(Duration::from_secs(10)).await;
    assert_eq!(*script.disconnects.lock(), [1]);
    assert!(gateway.deps.metrics.encode().contains(r#"edge_disconnects_total{code="slow_consumer",by="client"} 1"#));
}

#[tokio::test(start_paused = true)]
async fn one_publication_is_one_encoding_for_each_protocol() {
    let (gateway, script) = gateway(GatewayConfig::default());
    let mut json = Peer::connected(&gateway, "ada").await;
    let mut proto = Peer::with_buffer(&gateway, Protocol::Proto, 1 << 16);
    let connect = posthorn_proto::client::Connect { token: "bob".into(), ..Default::default() };
    let frame = posthorn_proto::client::ClientFrame {
        id: 1,
        request: Some(posthorn_proto::client::client_frame::Request::Connect(connect)),
        ..Default::default()
    };
    proto.0.send(Message::binary(prost::Message::encode_to_vec(&frame))).await.unwrap();
    proto.message().await.unwrap();
    let marks = vec![MemberMarks { user: "cyd".into(), delivered: 9, read: 9 }];
    let what = Some(What::Marks(posthorn_proto::client::Marks { conversation: "lobby".into(), marks }));
    script.publish(Publication { what, ..entries(1, vec![1, 2], 1) }).await;
    let json = json.frame().await;
    assert_eq!(json.id, 0);
    assert_eq!(&proto.message().await.unwrap().as_payload()[..], &bytes_of(&json)[..]);
}
