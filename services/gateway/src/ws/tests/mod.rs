//! A client's end of a socket in memory, and the gateway at the other, in virtual time.

mod bad_input;
mod lease;
mod lifetime;
mod live;
mod presence;
mod real;
mod scripted;
mod upgrade;

use std::sync::Arc;

use bytes::Bytes;
use futures_util::{SinkExt, StreamExt};
use posthorn_clock::{Instant, timeout};
use posthorn_proto::client::{ServerFrame, server_frame::Frame};
use tokio::io::DuplexStream;
use tokio_websockets::{ClientBuilder, Message, WebSocketStream};

use super::{Protocol, serve};
use crate::Gateway;

/// Longer than anything here takes.
const LONG: std::time::Duration = std::time::Duration::from_secs(36_000);

struct Peer(WebSocketStream<DuplexStream>);

/// What a peer saw of the end.
#[derive(Debug, PartialEq, Eq)]
struct Closed {
    code: u16,
    word: String,
}

impl Peer {
    /// A socket whose kernel buffers hold this many bytes.
    fn with_buffer(gateway: &Arc<Gateway>, protocol: Protocol, bytes: usize) -> Self {
        let (ours, theirs) = tokio::io::duplex(bytes);
        gateway.deps.tasks.background("peer", serve(gateway.clone(), theirs, protocol));
        Self(ClientBuilder::new().take_over(ours))
    }

    fn new(gateway: &Arc<Gateway>) -> Self {
        Self::with_buffer(gateway, Protocol::Json, 1 << 20)
    }

    /// A connected one.
    async fn connected(gateway: &Arc<Gateway>, token: &str) -> Self {
        let mut peer = Self::new(gateway);
        peer.send(&format!(r#"{{"id":1,"connect":{{"token":"{token}"}}}}"#)).await;
        let frame = peer.frame().await;
        assert!(matches!(frame.frame, Some(Frame::Connected(_))), "{frame:?}");
        peer
    }

    async fn send(&mut self, json: &str) {
        self.0.send(Message::text(json.to_owned())).await.unwrap();
    }

    async fn message(&mut self) -> Option<Message> {
        timeout(LONG, self.0.next()).await.expect("something comes").and_then(Result::ok)
    }

    async fn frame(&mut self) -> ServerFrame {
        let message = self.message().await.expect("a frame");
        serde_json::from_slice(message.as_payload()).unwrap_or_else(|_| panic!("no frame: {message:?}"))
    }

    /// The next frame that is no ping.
    async fn event(&mut self) -> Frame {
        loop {
            match self.frame().await.frame.expect("a frame of this version") {
                Frame::Ping(_) => {}
                frame => return frame,
            }
        }
    }

    /// Every frame until the close, and the close.
    async fn rest(&mut self) -> (Vec<ServerFrame>, Closed) {
        let mut frames = Vec::new();
        loop {
            let message = self.message().await.expect("a close frame");
            if let Some((code, word)) = message.as_close() {
                return (frames, Closed { code: code.into(), word: word.to_owned() });
            }
            if message.is_text() {
                frames.push(serde_json::from_slice(message.as_payload()).unwrap());
            }
        }
    }

    async fn close(&mut self) -> Closed {
        self.rest().await.1
    }
}

fn closed(code: u16, word: &str) -> Closed {
    Closed { code, word: word.to_owned() }
}

fn ms_since(start: Instant) -> u128 {
    start.elapsed().as_millis()
}

fn bytes_of(frame: &ServerFrame) -> Bytes {
    prost::Message::encode_to_vec(frame).into()
}
