//! Where byte streams come from. Simulations give their own.

use std::io;

use async_trait::async_trait;
use http::Uri;
use tokio::io::{AsyncRead, AsyncWrite};

/// A byte stream to the server.
pub trait Io: AsyncRead + AsyncWrite + Unpin + Send {}
impl<T: AsyncRead + AsyncWrite + Unpin + Send> Io for T {}

/// Opens the stream that the WebSocket runs on.
#[async_trait]
pub trait Connector: Send + Sync {
    /// Called once per attempt; a failure is retried with backoff. The client sets the deadline.
    async fn connect(&self, url: &Uri) -> io::Result<Box<dyn Io>>;
}

/// Plain TCP, for `ws://`.
#[derive(Clone, Copy, Debug, Default)]
pub struct TcpConnector;

#[async_trait]
impl Connector for TcpConnector {
    async fn connect(&self, url: &Uri) -> io::Result<Box<dyn Io>> {
        if url.scheme_str() != Some("ws") {
            let why = "only ws:// is built in: give a connector of your own for TLS";
            return Err(io::Error::new(io::ErrorKind::Unsupported, why));
        }
        let host = url.host().unwrap_or_default().trim_start_matches('[').trim_end_matches(']');
        let stream = tokio::net::TcpStream::connect((host, url.port_u16().unwrap_or(80))).await?;
        stream.set_nodelay(true)?;
        Ok(Box::new(stream))
    }
}
