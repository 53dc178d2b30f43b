//! Whatever comes over the socket ends in a named error or close code.

use posthorn_proto::client::{ClientFrame, Ping, client_frame::Request};
use prost::Message as _;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use super::{scripted::gateway, *};
use crate::GatewayConfig;

/// The error that came before the close, and the close.
async fn ends(mut peer: Peer) -> (Option<String>, Closed) {
    let (frames, close) = peer.rest().await;
    let error = frames.iter().rev().find_map(|frame| match &frame.frame {
        Some(Frame::Error(error)) => Some(format!("{} {}", frame.id, error.code)),
        _ => None,
    });
    (error, close)
}

fn quick() -> GatewayConfig {
    GatewayConfig { max_frame_bytes: 4096, ..GatewayConfig::default() }
}

#[tokio::test(start_paused = true)]
async fn what_is_no_frame_ends_the_connection_with_its_reason() {
    let (gateway, _) = gateway(quick());
    for (text, error) in [
        ("", "0 malformed_frame"),
        ("hello", "0 malformed_frame"),
        (r#"{"id":5,"history":{"limit":"x"}}"#, "5 malformed_frame"),
        (&format!(r#"{{"id":5,"x":{}"#, "[".repeat(2_000)), "0 malformed_frame"),
    ] {
        for mut peer in [Peer::new(&gateway), Peer::connected(&gateway, "ada").await] {
            peer.send(text).await;
            assert_eq!(ends(peer).await, (Some(error.to_owned()), closed(4500, "malformed_frame")), "{text}");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn the_first_frame_is_connect_and_only_the_first() {
    let (gateway, _) = gateway(quick());
    for text in [r#"{"id":9,"ping":{}}"#, r#"{"id":9,"fly":{}}"#, r#"{"id":9}"#] {
        let mut peer = Peer::new(&gateway);
        peer.send(text).await;
        assert_eq!(ends(peer).await, (Some("9 not_connected".into()), closed(4504, "not_connected")));
    }
    let mut peer = Peer::connected(&gateway, "ada").await;
    peer.send(r#"{"id":9,"connect":{"token":"ada"}}"#).await;
    assert_eq!(ends(peer).await, (Some("9 already_connected".into()), closed(4505, "already_connected")));
}

#[tokio::test(start_paused = true)]
async fn a_bad_token_ends_the_connection() {
    let (gateway, _) = gateway(quick());
    let mut peer = Peer::new(&gateway);
    peer.send(r#"{"id":1,"connect":{"token":"nobody"}}"#).await;
    assert_eq!(ends(peer).await, (Some("1 unauthenticated".into()), closed(4510, "unauthenticated")));
    assert_eq!(gateway.connections(), 0);
}

#[tokio::test(start_paused = true)]
async fn an_unknown_request_is_refused_and_the_connection_goes_on() {
    let (gateway, _) = gateway(quick());
    let mut peer = Peer::connected(&gateway, "ada").await;
    peer.send(r#"{"id":2,"teleport":{"to":"mars"}}"#).await;
    peer.send(r#"{"id":3,"ping":{"speed":"light"}}"#).await;
    let frame = peer.frame().await;
    let Some(Frame::Error(error)) = frame.frame else { panic!("{frame:?}") };
    assert_eq!((frame.id, error.code.as_str(), error.side_effect_free), (2, "unknown_request", true));
    let pong = peer.frame().await;
    assert!(matches!((pong.id, pong.frame), (3, Some(Frame::Pong(_)))));
}

#[tokio::test(start_paused = true)]
async fn the_wrong_kind_of_message_is_named() {
    let (gateway, _) = gateway(quick());
    let mut peer = Peer::connected(&gateway, "ada").await;
    peer.0.send(Message::binary(Bytes::from_static(b"{}"))).await.unwrap();
    assert_eq!(ends(peer).await, (Some("0 wrong_frame_type".into()), closed(4503, "wrong_frame_type")));
    let mut peer = Peer::with_buffer(&gateway, Protocol::Proto, 1 << 16);
    peer.0.send(Message::text("{}".to_owned())).await.unwrap();
    assert_eq!(peer.close().await, closed(4503, "wrong_frame_type"));
}

#[tokio::test(start_paused = true)]
async fn protobuf_is_spoken_where_it_was_chosen() {
    let (gateway, _) = gateway(quick());
    let mut peer = Peer::with_buffer(&gateway, Protocol::Proto, 1 << 16);
    let connect = posthorn_proto::client::Connect { token: "ada".into(), ..Default::default() };
    for (id, request) in [(1, Request::Connect(connect)), (2, Request::Ping(Ping {}))] {
        let frame = ClientFrame { id, request: Some(request), ..ClientFrame::default() };
        peer.0.send(Message::binary(frame.encode_to_vec())).await.unwrap();
    }
    for id in [1, 2] {
        let message = peer.message().await.unwrap();
        assert!(message.is_binary());
        assert_eq!(ServerFrame::decode(&message.as_payload()[..]).unwrap().id, id);
    }
    peer.0.send(Message::binary(Bytes::from_static(&[0xff; 20]))).await.unwrap();
    assert_eq!(peer.close().await, closed(4500, "malformed_frame"));
}

/// Bytes that no WebSocket library sends.
async fn raw(gateway: &Arc<Gateway>, sent: &[u8]) -> Option<u16> {
    let (mut ours, theirs) = tokio::io::duplex(1 << 16);
    gateway.deps.tasks.background("peer", serve(gateway.clone(), theirs, Protocol::Json));
    ours.write_all(sent).await.unwrap();
    let mut got = Vec::new();
    timeout(LONG, ours.read_to_end(&mut got)).await.unwrap().unwrap();
    // The last frame is the close: 0x88, its length, the code.
    let at = got.windows(2).rposition(|w| w[0] == 0x88 && usize::from(w[1]) >= 2)?;
    Some(u16::from_be_bytes([got[at + 2], got[at + 3]]))
}

#[tokio::test(start_paused = true)]
async fn violations_of_the_websocket_protocol_get_its_own_close_codes() {
    let (gateway, _) = gateway(quick());
    let mask = [0; 4];
    let masked = |head: &[u8], body: &[u8]| [head, &mask, body].concat();
    // RFC 6455: 5.1 unmasked, 5.2 reserved bits and opcodes, 5.4 a lone continuation, 5.5 a long ping, 8.1.
    assert_eq!(raw(&gateway, &[0x81, 2, b'{', b'}']).await, Some(1002));
    assert_eq!(raw(&gateway, &masked(&[0xc1, 0x82], b"{}")).await, Some(1002));
    assert_eq!(raw(&gateway, &masked(&[0x83, 0x80], b"")).await, Some(1002));
    assert_eq!(raw(&gateway, &masked(&[0x80, 0x80], b"")).await, Some(1002));
    assert_eq!(raw(&gateway, &masked(&[0x89, 0xfe, 0, 126], &[0; 126])).await, Some(1002));
    assert_eq!(raw(&gateway, &masked(&[0x81, 0x82], &[0xc3, 0x28])).await, Some(1007));
    // A frame too large, in one and in pieces.
    assert_eq!(raw(&gateway, &masked(&[0x81, 0xff, 0, 0, 0, 0, 0, 1, 0, 0], b"{")).await, Some(1009));
    let first = masked(&[0x01, 0xfe, 0x0f, 0xa0], &[b' '; 4000]);
    let second = masked(&[0x80, 0xfe, 0x0f, 0xa0], &[b' '; 4000]);
    assert_eq!(raw(&gateway, &[first, second].concat()).await, Some(1009));
    assert_eq!(gateway.connections(), 0);
}

#[tokio::test(start_paused = true)]
async fn who_never_authenticates_is_let_go_and_their_number_is_bounded() {
    let (gateway, _) = gateway(GatewayConfig { max_unauthenticated: 3, ..quick() });
    let start = Instant::now();
    let mut silent: Vec<_> = (0..3).map(|_| Peer::new(&gateway)).collect();
    tokio::task::yield_now().await;
    // The fourth is dropped before a byte is read.
    assert!(Peer::new(&gateway).message().await.is_none());
    for peer in &mut silent {
        assert_eq!(peer.close().await, closed(4400, "connect_timeout"));
    }
    assert_eq!(ms_since(start), 10_000);
    drop(silent);
    tokio::time::sleep(std::time::Duration::from_secs(5)).await;
    Peer::connected(&gateway, "ada").await;
}

#[tokio::test(start_paused = true)]
async fn a_storm_of_logins_is_refused_with_a_delay_and_spares_the_resumes() {
    let (gateway, _) = gateway(GatewayConfig { handshakes_per_s: 1, handshake_burst: 1, ..quick() });
    let _first = Peer::connected(&gateway, "ada").await;
    let mut second = Peer::new(&gateway);
    second.send(r#"{"id":1,"connect":{"token":"bob"}}"#).await;
    let frame = second.frame().await;
    let Some(Frame::Error(error)) = frame.frame else { panic!("{frame:?}") };
    assert_eq!((error.code.as_str(), error.limit.as_str()), ("admission", "edge.handshakes_per_s"));
    assert!(error.retryable && error.retry_after_ms >= 1_000);
    assert_eq!(second.close().await, closed(4422, "admission"));
    let mut resume = Peer::new(&gateway);
    resume.send(r#"{"id":1,"connect":{"token":"cyd","resume_token":"resume:s77"}}"#).await;
    let Some(Frame::Connected(connected)) = resume.frame().await.frame else { panic!("refused") };
    assert!(connected.resumed);
    // A made-up resume token goes through the lane of the logins.
    let mut liar = Peer::new(&gateway);
    liar.send(r#"{"id":1,"connect":{"token":"eve","resume_token":"made up"}}"#).await;
    assert_eq!(ends(liar).await.1, closed(4422, "admission"));
}

#[tokio::test(start_paused = true)]
async fn ten_thousand_pending_requests_are_refused_beyond_the_bound() {
    let (gateway, script) = gateway(quick());
    *script.append_ms.lock() = 1_000;
    let peer = Peer::connected(&gateway, "bot!").await;
    let (mut sender, mut receiver) = peer.0.split();
    let send = async {
        for id in 2..10_002 {
            let frame = format!(
                r#"{{"id":{id},"send":{{"conversation":"c{}","message_id":"0193a5c0-0000-7000-8000-{id:012}","body":{{"text":"x"}}}}}}"#,
                id % 40
            );
            sender.send(Message::text(frame)).await.unwrap();
        }
    };
    let receive = async {
        let (mut sent, mut refused) = (0, 0);
        while sent + refused < 10_000 {
            let message = timeout(LONG, receiver.next()).await.unwrap().unwrap().unwrap();
            let frame: ServerFrame = serde_json::from_slice(message.as_payload()).unwrap();
            match frame.frame {
                Some(Frame::Sent(_)) => sent += 1,
                Some(Frame::Error(error)) => {
                    assert_eq!((error.code.as_str(), error.retryable), ("too_many_pending", true));
                    refused += 1;
                }
                Some(Frame::Ping(_)) => {}
                frame => panic!("{frame:?}"),
            }
        }
        (sent, refused)
    };
    let (_, answers) = tokio::join!(send, receive);
    let bound = gateway.config().max_pending_requests;
    assert!(answers.0 >= bound && answers.0 < 2 * bound, "{answers:?}");
}

#[tokio::test(start_paused = true)]
async fn who_does_not_listen_to_refusals_is_a_flood() {
    let (gateway, _) = gateway(quick());
    let mut peer = Peer::connected(&gateway, "ada").await;
    for id in 2..5_000 {
        if peer.0.send(Message::text(format!(r#"{{"id":{id},"ping":{{}}}}"#))).await.is_err() {
            break;
        }
    }
    let (frames, close) = peer.rest().await;
    assert_eq!(close, closed(4420, "flood"));
    let pongs = frames.iter().filter(|frame| matches!(frame.frame, Some(Frame::Pong(_)))).count();
    assert_eq!(pongs, gateway.config().request_burst as usize - 1 + 1);
    let Some(ServerFrame { frame: Some(Frame::Error(last)), .. }) = frames.last() else {
        panic!("{:?}", frames.last())
    };
    assert!(last.code == "flood" && last.retry_after_ms >= 1_000);
}
