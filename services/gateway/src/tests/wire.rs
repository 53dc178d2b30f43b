//! A client that writes whatever bytes it likes.

use base64::{Engine, engine::general_purpose::STANDARD};
use posthorn_clock::timeout;
use posthorn_proto::client::ServerFrame;
use prost::Message;
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream};

use super::place::Place;
use crate::ws::Protocol;

/// Longer, in virtual time, than anything here takes: what ends by it hung.
const LONG: std::time::Duration = std::time::Duration::from_secs(3_600);

pub const FIN_TEXT: u8 = 0x81;
pub const FIN_BINARY: u8 = 0x82;
pub const CLOSE: u8 = 0x88;

/// A masked frame (RFC 6455 section 5.2) with this first byte. The mask is zero: it changes nothing.
pub fn frame(first: u8, payload: &[u8]) -> Vec<u8> {
    let mut bytes = vec![first];
    match payload.len() {
        n @ 0..=125 => bytes.push(0x80 | n as u8),
        n @ 126..=0xffff => bytes.extend([&[0x80 | 126], &(n as u16).to_be_bytes()[..]].concat()),
        n => bytes.extend([&[0x80 | 127], &(n as u64).to_be_bytes()[..]].concat()),
    }
    bytes.extend([0; 4]);
    bytes.extend(payload);
    bytes
}

pub fn text(json: &str) -> Vec<u8> {
    frame(FIN_TEXT, json.as_bytes())
}

pub struct Wire {
    io: DuplexStream,
    pub protocol: Protocol,
}

/// What comes from the server.
#[derive(Debug)]
pub enum Came {
    /// As JSON, whichever the encoding was.
    Frame(Value),
    Closed(u16, String),
    /// A ping or pong of the WebSocket.
    Control,
    End,
}

impl Wire {
    pub fn raw(io: DuplexStream) -> Self {
        Self { io, protocol: Protocol::Json }
    }

    /// A WebSocket on which nothing was said yet.
    pub async fn open(place: &Place, protocol: Protocol) -> Self {
        let key = STANDARD.encode([7; 16]);
        let head = format!(
            "GET /v1/ws HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n\
             Sec-WebSocket-Key: {key}\r\nSec-WebSocket-Protocol: {}\r\n\r\n",
            protocol.name()
        );
        let mut wire = Self { io: place.dial(), protocol };
        wire.write(head.as_bytes()).await;
        let mut answer = Vec::new();
        while !answer.ends_with(b"\r\n\r\n") {
            answer.push(wire.io.read_u8().await.unwrap());
        }
        assert!(answer.starts_with(b"HTTP/1.1 101 "), "{}", String::from_utf8_lossy(&answer));
        wire
    }

    pub async fn connect(&mut self, token: &str) {
        let request = json!({ "id": 1, "connect": { "token": token } });
        self.ask(&request).await;
        let reply = self.until_id(1).await;
        assert!(reply.as_ref().is_some_and(|frame| frame["connected"].is_object()), "{reply:?}");
    }

    /// A request in the encoding of the connection.
    pub async fn ask(&mut self, request: &Value) {
        let bytes = match self.protocol {
            Protocol::Json => text(&request.to_string()),
            Protocol::Proto => {
                let message: posthorn_proto::client::ClientFrame = serde_json::from_value(request.clone()).unwrap();
                frame(FIN_BINARY, &message.encode_to_vec())
            }
        };
        self.write(&bytes).await;
    }

    /// The server may have gone: that shows when its end is read.
    pub async fn write(&mut self, bytes: &[u8]) {
        let _ = timeout(LONG, self.io.write_all(bytes)).await;
    }

    pub async fn read(&mut self) -> Option<Came> {
        timeout(LONG, self.next()).await.ok()
    }

    async fn next(&mut self) -> Came {
        let Ok((first, payload)) = self.frame_of_server().await else { return Came::End };
        match first {
            CLOSE => {
                let (code, word) = payload.split_at(payload.len().min(2));
                let code = code.try_into().map_or(1005, u16::from_be_bytes);
                Came::Closed(code, String::from_utf8(word.to_vec()).unwrap())
            }
            FIN_TEXT => Came::Frame(serde_json::from_slice(&payload).unwrap()),
            FIN_BINARY => Came::Frame(serde_json::to_value(ServerFrame::decode(&payload[..]).unwrap()).unwrap()),
            0x89 | 0x8a => Came::Control,
            other => panic!("a frame that begins with {other:#x}"),
        }
    }

    async fn frame_of_server(&mut self) -> std::io::Result<(u8, Vec<u8>)> {
        let (first, length) = (self.io.read_u8().await?, self.io.read_u8().await?);
        let length = match length {
            126 => usize::from(self.io.read_u16().await?),
            127 => usize::try_from(self.io.read_u64().await?).unwrap(),
            short => usize::from(short),
        };
        let mut payload = vec![0; length];
        self.io.read_exact(&mut payload).await?;
        Ok((first, payload))
    }

    /// The reply of this id; `None` if the connection ends before.
    pub async fn until_id(&mut self, id: u64) -> Option<Value> {
        loop {
            match self.read().await? {
                Came::Frame(frame) if frame["id"] == id => return Some(frame),
                Came::Frame(_) | Came::Control => {}
                Came::Closed(..) | Came::End => return None,
            }
        }
    }

    /// Writes a request of HTTP, and reads to the end of the socket: status, and the body where it is JSON.
    pub async fn http(mut self, request: &[u8]) -> Option<(u16, Value)> {
        self.write(request).await;
        let mut answer = Vec::new();
        timeout(LONG, self.io.read_to_end(&mut answer)).await.ok()?.ok()?;
        let answer = String::from_utf8_lossy(&answer).into_owned();
        let status = answer.split(' ').nth(1)?.parse().ok()?;
        let body = answer.split_once("\r\n\r\n").map_or("", |(_, body)| body);
        // Chunked or not: the one document is all there is between the first brace and the last.
        let json = body.find('{').and_then(|from| body.get(from..=body.rfind('}')?)).unwrap_or_default();
        Some((status, serde_json::from_str(json).unwrap_or(Value::Null)))
    }
}

/// Somebody who asks and waits for the reply.
pub struct Person {
    pub wire: Wire,
    next: u64,
}

impl Person {
    pub const fn new(wire: Wire) -> Self {
        Self { wire, next: 100 }
    }

    /// The reply, or the error's code.
    pub async fn ask(&mut self, name: &str, request: Value) -> Result<Value, String> {
        self.next += 1;
        self.wire.ask(&json!({ "id": self.next, name: request })).await;
        let reply = self.wire.until_id(self.next).await.ok_or("the connection ended")?;
        match reply["error"]["code"].as_str() {
            Some(code) => Err(code.to_owned()),
            None => Ok(reply),
        }
    }

    pub async fn say(&mut self, conversation: &str, n: u64, words: &str) -> Result<Value, String> {
        let send = json!({ "conversation": conversation, "message_id": message_id(n), "body": { "text": words } });
        self.ask("send", send).await
    }
}

pub fn message_id(n: u64) -> String {
    format!("0193a5c0-0000-7000-8000-{n:012}")
}
