//! Where connections come from: a bound socket, or whatever a simulation has instead.

use std::{io, net::SocketAddr};

use async_trait::async_trait;
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::TcpListener,
};

/// A connection's bytes, both ways.
pub trait Io: AsyncRead + AsyncWrite + Unpin + Send + 'static {}

impl<T: AsyncRead + AsyncWrite + Unpin + Send + 'static> Io for T {}

/// Bound before any work begins, so that a taken port is an error of the start and not of a task.
#[async_trait]
pub trait Listener: Send + 'static {
    /// The next connection and who it is from. Cancel-safe. An error is of this connection, or of the
    /// moment (no file descriptors): the listener goes on.
    async fn accept(&mut self) -> io::Result<(Box<dyn Io>, SocketAddr)>;

    fn local_addr(&self) -> io::Result<SocketAddr>;
}

#[async_trait]
impl Listener for TcpListener {
    async fn accept(&mut self) -> io::Result<(Box<dyn Io>, SocketAddr)> {
        let (stream, peer) = Self::accept(self).await?;
        // Frames are small and each is written whole: waiting to fill a segment would only delay them.
        stream.set_nodelay(true)?;
        Ok((Box::new(stream), peer))
    }

    fn local_addr(&self) -> io::Result<SocketAddr> {
        Self::local_addr(self)
    }
}
