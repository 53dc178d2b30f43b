//! Where byte streams come from. Simulations give their own.

use std::io;

use async_trait::async_trait;
use http::Uri;
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::TcpStream,
};

use crate::Trust;

/// A byte stream to the server.
pub trait Io: AsyncRead + AsyncWrite + Unpin + Send {}
impl<T: AsyncRead + AsyncWrite + Unpin + Send> Io for T {}

/// Opens the stream that the WebSocket, or HTTP, runs on.
#[async_trait]
pub trait Connector: Send + Sync {
    /// Called once per attempt; a failure is retried with backoff. The client sets the deadline.
    async fn connect(&self, url: &Uri) -> io::Result<Box<dyn Io>>;
}

/// TCP for `ws://` and `http://`, TLS over it for `wss://` and `https://`.
#[derive(Clone, Default)]
pub struct NetConnector {
    trust: Trust,
}

impl NetConnector {
    #[must_use]
    pub const fn new(trust: Trust) -> Self {
        Self { trust }
    }
}

#[async_trait]
impl Connector for NetConnector {
    async fn connect(&self, url: &Uri) -> io::Result<Box<dyn Io>> {
        match url.scheme_str() {
            Some("wss" | "https") => {
                let stream = tcp(url, 443).await?;
                Ok(Box::new(self.trust.handshake(host(url), stream).await?))
            }
            _ => TcpConnector.connect(url).await,
        }
    }
}

/// Plain TCP, for `ws://` and `http://` alone.
#[derive(Clone, Copy, Debug, Default)]
pub struct TcpConnector;

#[async_trait]
impl Connector for TcpConnector {
    async fn connect(&self, url: &Uri) -> io::Result<Box<dyn Io>> {
        match url.scheme_str() {
            Some("ws" | "http") => Ok(Box::new(tcp(url, 80).await?)),
            scheme => {
                let why = format!("`{}` is no scheme of this connector", scheme.unwrap_or_default());
                Err(io::Error::new(io::ErrorKind::Unsupported, why))
            }
        }
    }
}

/// Without the brackets of an IPv6 address.
fn host(url: &Uri) -> &str {
    url.host().unwrap_or_default().trim_start_matches('[').trim_end_matches(']')
}

async fn tcp(url: &Uri, default_port: u16) -> io::Result<TcpStream> {
    let stream = TcpStream::connect((host(url), url.port_u16().unwrap_or(default_port))).await?;
    stream.set_nodelay(true)?;
    Ok(stream)
}
