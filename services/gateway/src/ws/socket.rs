//! One WebSocket: messages in and out, with the bounds and the close handshake of RFC 6455.

use std::{pin::Pin, time::Duration};

use bytes::Bytes;
use futures_util::{FutureExt, Sink, SinkExt, StreamExt};
use posthorn_clock::timeout;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio_websockets::{
    CloseCode, Config, Error, Limits, Message, ServerBuilder, WebSocketStream, proto::ProtocolError,
};

use super::{Protocol, ending::Ending};
use crate::GatewayConfig;

/// For the last bytes and the close frame to go out, ms.
const CLOSE_WRITE_MS: u64 = 2_000;
/// How long, and how much, is read and thrown away after the close frame. Closing a socket with unread
/// bytes resets it, and the client would not see why.
const LINGER_MS: u64 = 1_000;
const LINGER_BYTES: usize = 1024 * 1024;

pub(crate) trait Io: AsyncRead + AsyncWrite + Unpin + Send {}
impl<T: AsyncRead + AsyncWrite + Unpin + Send> Io for T {}

pub(crate) struct Socket {
    stream: WebSocketStream<Box<dyn Io>>,
    pub protocol: Protocol,
}

/// What came in.
pub(crate) enum Received {
    Frame(Bytes),
    /// A ping or pong of the WebSocket itself; the answer to a ping is queued: flush.
    Control,
    /// Text on a protobuf connection, or binary on a JSON one.
    WrongType,
    End(Ending),
}

impl Socket {
    pub fn new(io: Box<dyn Io>, protocol: Protocol, config: &GatewayConfig) -> Self {
        let stream = ServerBuilder::new()
            .limits(Limits::default().max_payload_len(Some(config.max_frame_bytes)))
            // One WebSocket frame for each of ours, whatever its size.
            .config(Config::default().frame_size(usize::MAX))
            .serve(io);
        Self { stream, protocol }
    }

    /// The next message. Cancel-safe.
    pub async fn receive(&mut self) -> Received {
        let message = match self.stream.next().await {
            Some(Ok(message)) => message,
            Some(Err(error)) => return Received::End(end_of(&error)),
            None => return Received::End(Ending::Client("eof")),
        };
        if message.is_close() {
            return Received::End(Ending::Client("closed"));
        }
        if message.is_ping() || message.is_pong() {
            return Received::Control;
        }
        if message.is_text() == (self.protocol == Protocol::Json) {
            Received::Frame(message.into_payload().into())
        } else {
            Received::WrongType
        }
    }

    /// Puts a payload behind those that wait for a flush. Takes no copy of it.
    pub fn queue(&mut self, payload: Bytes) -> Result<(), Ending> {
        let message = match self.protocol {
            Protocol::Json => Message::text(payload),
            Protocol::Proto => Message::binary(payload),
        };
        Pin::new(&mut self.stream).start_send(message).map_err(|error| end_of(&error))
    }

    /// Writes what the kernel takes now; false if it did not take all.
    pub fn try_flush(&mut self) -> Result<bool, Ending> {
        match self.flush().now_or_never() {
            Some(flushed) => flushed.map(|()| true),
            None => Ok(false),
        }
    }

    /// Writes all that is queued. Cancel-safe.
    pub async fn flush(&mut self) -> Result<(), Ending> {
        self.stream.flush().await.map_err(|error| end_of(&error))
    }

    /// Sends the close frame, if one is due, and lets the client read it.
    pub async fn close(mut self, close: Option<(u16, &str)>) {
        if let Some((code, word)) = close.and_then(|(code, word)| Some((CloseCode::try_from(code).ok()?, word))) {
            // A close frame of the library is on its way already where this fails.
            let _ = Pin::new(&mut self.stream).start_send(Message::close(Some(code), word));
        }
        let written = timeout(Duration::from_millis(CLOSE_WRITE_MS), self.stream.flush()).await;
        let mut io = self.stream.into_inner();
        if !matches!(written, Ok(Ok(()))) {
            return;
        }
        let linger = async {
            io.shutdown().await?;
            let (mut waste, mut read) = ([0; 4096], 0);
            while read < LINGER_BYTES {
                match io.read(&mut waste).await? {
                    0 => break,
                    n => read += n,
                }
            }
            std::io::Result::Ok(())
        };
        let _ = timeout(Duration::from_millis(LINGER_MS), linger).await;
    }
}

/// Section 7.4.1.
fn end_of(error: &Error) -> Ending {
    match error {
        Error::Protocol(ProtocolError::InvalidUtf8) => Ending::Protocol { close: 1007, word: "invalid_utf8" },
        Error::Protocol(_) => Ending::Protocol { close: 1002, word: "protocol_error" },
        Error::PayloadTooLong { .. } => Ending::Protocol { close: 1009, word: "frame_too_large" },
        _ => Ending::Network,
    }
}
