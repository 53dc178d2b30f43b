//! The sockets under the links: TCP, TLS over it, or whatever a simulation has instead.

use std::{
    io,
    net::SocketAddr,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
};

use async_trait::async_trait;
use http::Uri;
use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    net::{TcpListener, TcpStream},
};
use tonic::transport::server::Connected;

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

/// How the processes of the services reach each other.
#[async_trait]
pub trait Network: Send + Sync + 'static {
    /// Of the addresses that it connects to: `http`, or `https` where both ends show a certificate.
    fn scheme(&self) -> &'static str;

    /// To the host and the port of an address. Dropped, it has left nothing behind.
    async fn connect(&self, to: &Uri) -> io::Result<Box<dyn Io>>;

    /// Its own work for as long as the process runs; returns at once where it has none.
    async fn maintain(&self) {}

    /// A listener of this process as others connect to it.
    fn guard(&self, listener: Box<dyn Listener>) -> Box<dyn Listener> {
        listener
    }
}

/// In the clear: between processes of one machine, or where the network itself encrypts.
pub struct Tcp;

impl Tcp {
    #[must_use]
    pub fn shared() -> Arc<dyn Network> {
        Arc::new(Self)
    }
}

#[async_trait]
impl Network for Tcp {
    fn scheme(&self) -> &'static str {
        "http"
    }

    async fn connect(&self, to: &Uri) -> io::Result<Box<dyn Io>> {
        Ok(Box::new(dial(to).await?))
    }
}

/// A connection to the host and the port of an address.
pub(crate) async fn dial(to: &Uri) -> io::Result<TcpStream> {
    let wrong = || io::Error::new(io::ErrorKind::InvalidInput, format!("{to} has no host, or no port"));
    let (host, port) = to.host().zip(to.port_u16()).ok_or_else(wrong)?;
    // An address of version 6 stands in brackets.
    let stream = TcpStream::connect((host.trim_matches(['[', ']']), port)).await?;
    stream.set_nodelay(true)?;
    Ok(stream)
}

/// What the server of a link reads from and writes to.
pub(crate) struct Accepted {
    io: Box<dyn Io>,
    peer: SocketAddr,
}

impl Accepted {
    pub(crate) async fn next(listener: &mut Box<dyn Listener>) -> io::Result<Self> {
        let (io, peer) = listener.accept().await?;
        Ok(Self { io, peer })
    }
}

impl Connected for Accepted {
    type ConnectInfo = SocketAddr;

    fn connect_info(&self) -> SocketAddr {
        self.peer
    }
}

impl AsyncRead for Accepted {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_read(cx, buf)
    }
}

impl AsyncWrite for Accepted {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.io).poll_write(cx, buf)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.io).poll_write_vectored(cx, bufs)
    }

    fn is_write_vectored(&self) -> bool {
        self.io.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_shutdown(cx)
    }
}
