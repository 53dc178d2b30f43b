//! The way in through HTTP/1.1, byte for byte.

use axum::{Router, body::Body, routing::get};
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tower::ServiceExt;

use super::{scripted::gateway, *};
use crate::GatewayConfig;

const HANDSHAKE: &str = "GET /v1/ws HTTP/1.1\r\nHost: chat.example.com\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
    Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n";

/// A socket served as HTTP/1.1.
fn socket(gateway: &Arc<Gateway>) -> DuplexStream {
    let (ours, theirs) = tokio::io::duplex(1 << 16);
    let router = Router::new().route("/v1/ws", get(crate::ws::upgrade)).with_state(gateway.clone());
    let service = service_fn(move |request: axum::http::Request<hyper::body::Incoming>| {
        router.clone().oneshot(request.map(Body::new))
    });
    gateway.deps.tasks.background("http", async move {
        let http = hyper::server::conn::http1::Builder::new();
        let _ = http.serve_connection(TokioIo::new(theirs), service).with_upgrades().await;
    });
    ours
}

/// The head of the response, in lower case.
async fn head(io: &mut DuplexStream) -> String {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        head.push(io.read_u8().await.unwrap());
    }
    String::from_utf8(head).unwrap().to_lowercase()
}

#[tokio::test(start_paused = true)]
async fn an_http_request_becomes_a_connection() {
    let (gateway, _) = gateway(GatewayConfig::default());
    let mut io = socket(&gateway);
    let asked = format!("{HANDSHAKE}Sec-WebSocket-Protocol: posthorn.v1.json\r\n\r\n");
    io.write_all(asked.as_bytes()).await.unwrap();
    let head = head(&mut io).await;
    assert!(head.starts_with("http/1.1 101 "), "{head}");
    assert!(head.contains("sec-websocket-accept: s3pplmbitxaq9kygzzhzrbk+xoo=\r\n"), "{head}");
    assert!(head.contains("sec-websocket-protocol: posthorn.v1.json\r\n"), "{head}");
    let mut peer = Peer(ClientBuilder::new().take_over(io));
    peer.send(r#"{"id":1,"connect":{"token":"ada"}}"#).await;
    assert!(matches!(peer.frame().await.frame, Some(Frame::Connected(_))));
}

#[tokio::test(start_paused = true)]
async fn a_frame_sent_with_the_handshake_is_not_lost() {
    let (gateway, _) = gateway(GatewayConfig::default());
    let mut io = socket(&gateway);
    let connect = br#"{"id":1,"connect":{"token":"ada"}}"#;
    let frame = [&[0x81, 0x80 | u8::try_from(connect.len()).unwrap(), 0, 0, 0, 0], &connect[..]].concat();
    io.write_all(&[format!("{HANDSHAKE}\r\n").as_bytes(), &frame].concat()).await.unwrap();
    assert!(!head(&mut io).await.contains("sec-websocket-protocol"));
    let mut peer = Peer(ClientBuilder::new().take_over(io));
    assert!(matches!(peer.frame().await.frame, Some(Frame::Connected(_))));
}

#[tokio::test(start_paused = true)]
async fn refusals_are_problem_documents() {
    let (gateway, _) = gateway(GatewayConfig { max_unauthenticated: 1, ..GatewayConfig::default() });
    let refused = async |asked: String| {
        let mut io = socket(&gateway);
        io.write_all(asked.as_bytes()).await.unwrap();
        let head = head(&mut io).await;
        let mut body = vec![0; 4_096];
        let n = io.read(&mut body).await.unwrap();
        (head, serde_json::from_slice::<serde_json::Value>(&body[..n]).unwrap())
    };
    let (head, _) = refused("GET /v1/ws HTTP/1.1\r\nHost: chat.example.com\r\n\r\n".into()).await;
    assert!(head.starts_with("http/1.1 426 ") && head.contains("sec-websocket-version: 13\r\n"), "{head}");
    assert!(head.contains("content-type: application/problem+json\r\n"), "{head}");
    let (head, problem) = refused(format!("{HANDSHAKE}Origin: https://evil.example.com\r\n\r\n")).await;
    assert!(head.starts_with("http/1.1 403 "), "{head}");
    assert_eq!(problem["code"], "forbidden");
    assert!(problem["detail"].as_str().unwrap().contains("edge.allowed_origins"));
    let (_, problem) = refused(format!("{HANDSHAKE}Sec-WebSocket-Protocol: mqtt\r\n\r\n")).await;
    assert_eq!(problem["code"], "unsupported_protocol");
    let _silent = Peer::new(&gateway);
    tokio::task::yield_now().await;
    let (head, problem) = refused(format!("{HANDSHAKE}\r\n")).await;
    assert!(head.starts_with("http/1.1 503 ") && head.contains("retry-after: 1\r\n"), "{head}");
    assert_eq!((&problem["code"], &problem["retryable"]), (&"admission".into(), &true.into()));
    gateway.begin_drain();
    let (_, problem) = refused(format!("{HANDSHAKE}\r\n")).await;
    assert_eq!(problem["code"], "draining");
}
