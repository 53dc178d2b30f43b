//! One WebSocket, client side: frames in and out.

use std::pin::Pin;

use bytes::Bytes;
use futures_util::{FutureExt, Sink, SinkExt, StreamExt};
use http::{HeaderValue, Uri, header};
use posthorn_proto::client::{ClientFrame, ServerFrame};
use prost::Message as _;
use tokio_websockets::{ClientBuilder, Config, Error, Limits, Message, WebSocketStream, upgrade};

use crate::{ClientConfig, Format, Io};

pub(crate) struct Socket {
    stream: WebSocketStream<Box<dyn Io>>,
    format: Format,
}

/// How it ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Ended {
    Network(String),
    Closed(u16),
}

fn network(error: impl std::fmt::Display) -> Ended {
    Ended::Network(error.to_string())
}

impl Socket {
    pub async fn open(io: Box<dyn Io>, url: &Uri, config: &ClientConfig) -> Result<Self, Ended> {
        let protocol = HeaderValue::from_static(config.format.subprotocol());
        let builder = ClientBuilder::from_uri(url.clone())
            .limits(Limits::default().max_payload_len(Some(config.max_frame_bytes)))
            .config(Config::default().frame_size(usize::MAX))
            .add_header(header::SEC_WEBSOCKET_PROTOCOL, protocol)
            .map_err(network)?;
        let (stream, _) = builder.connect_on(io).await.map_err(|error| match error {
            Error::Upgrade(upgrade::Error::DidNotSwitchProtocols(status)) => {
                Ended::Network(format!("the server answered the handshake with HTTP {status}"))
            }
            error => network(error),
        })?;
        Ok(Self { stream, format: config.format })
    }

    /// Queues a frame and writes what the kernel takes now; `receive` writes the rest.
    pub fn send(&mut self, frame: &ClientFrame) -> Result<(), Ended> {
        let message = match self.format {
            Format::Proto => Message::binary(Bytes::from(frame.encode_to_vec())),
            Format::Json => Message::text(serde_json::to_string(frame).map_err(network)?),
        };
        Pin::new(&mut self.stream).start_send(message).map_err(network)?;
        match self.stream.flush().now_or_never() {
            Some(flushed) => flushed.map_err(network),
            None => Ok(()),
        }
    }

    /// The next frame. Cancel-safe.
    pub async fn receive(&mut self) -> Result<ServerFrame, Ended> {
        loop {
            let message = match self.stream.next().await {
                Some(Ok(message)) => message,
                Some(Err(error)) => return Err(network(error)),
                None => return Err(Ended::Network("the server closed the stream".into())),
            };
            if let Some((code, _)) = message.as_close() {
                return Err(Ended::Closed(code.into()));
            }
            if message.is_binary() || message.is_text() {
                return self.decode(&message);
            }
        }
    }

    /// A frame that is there already: many are handled in one turn.
    pub fn receive_now(&mut self) -> Option<Result<ServerFrame, Ended>> {
        self.receive().now_or_never()
    }

    fn decode(&self, message: &Message) -> Result<ServerFrame, Ended> {
        let payload = message.as_payload();
        match self.format {
            Format::Proto => ServerFrame::decode(&payload[..]).map_err(network),
            Format::Json => serde_json::from_slice(payload).map_err(network),
        }
    }

    /// Says goodbye; does not wait for the answer.
    pub async fn close(mut self) {
        let _ = self.stream.close().await;
    }
}
