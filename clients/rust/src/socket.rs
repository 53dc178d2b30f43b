//! One WebSocket, client side: frames in and out.

use std::{
    future::poll_fn,
    pin::Pin,
    task::{Context, Poll},
};

use bytes::Bytes;
use futures_util::{FutureExt, Sink, SinkExt, Stream};
use http::{HeaderValue, Uri, header};
use posthorn_proto::client::{ClientFrame, ServerFrame};
use prost::Message as _;
use tokio_websockets::{ClientBuilder, Config, Error, Limits, Message, WebSocketStream, upgrade};

use crate::{ClientConfig, Format, Io};

pub(crate) struct Socket {
    stream: WebSocketStream<Box<dyn Io>>,
    format: Format,
    /// Some of what was written may still be in a buffer below, as TLS has one.
    unflushed: bool,
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
        Ok(Self { stream, format: config.format, unflushed: false })
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
            None => {
                self.unflushed = true;
                Ok(())
            }
        }
    }

    fn poll_message(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Message, Error>>> {
        if self.unflushed
            && let Poll::Ready(flushed) = Pin::new(&mut self.stream).poll_flush(cx)
        {
            self.unflushed = false;
            if let Err(error) = flushed {
                return Poll::Ready(Some(Err(error)));
            }
        }
        Pin::new(&mut self.stream).poll_next(cx)
    }

    /// The next frame. Cancel-safe.
    pub async fn receive(&mut self) -> Result<ServerFrame, Ended> {
        loop {
            let message = match poll_fn(|cx| self.poll_message(cx)).await {
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

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use futures_util::StreamExt;
    use posthorn_clock::timeout;
    use tokio::io::BufWriter;
    use tokio_websockets::ServerBuilder;

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn what_a_buffer_below_holds_back_is_written_while_waiting_for_an_answer() {
        // As TLS does it: a write is taken whole, a flush goes on as the other end reads.
        let (ours, theirs) = tokio::io::duplex(64);
        let io = Box::new(BufWriter::with_capacity(1 << 16, ours));
        let (url, config) = (Uri::from_static("ws://test/"), ClientConfig::new(""));
        let (socket, server) =
            tokio::join!(Socket::open(io, &url, &config), async { ServerBuilder::new().accept(theirs).await });
        let (mut socket, (_, mut server)) = (socket.unwrap(), server.unwrap());
        let frame = ClientFrame { traceparent: "x".repeat(10_000), ..ClientFrame::default() };
        socket.send(&frame).unwrap();
        let arrives = timeout(Duration::from_secs(60), async {
            tokio::select! {
                message = server.next() => message.unwrap().unwrap(),
                received = socket.receive() => panic!("{received:?}"),
            }
        });
        let message = arrives.await.expect("it goes on writing");
        assert_eq!(ClientFrame::decode(&message.as_payload()[..]).unwrap(), frame);
    }
}
