//! The bound on open sockets. The ticket is part of the socket, so that it lives as long, also after
//! an upgrade has taken the socket elsewhere.

use std::{
    io,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
};

use prometheus_client::metrics::gauge::Gauge;
use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    sync::{OwnedSemaphorePermit, Semaphore},
};

use posthorn_rpc::Io;

pub(super) struct Bound {
    tickets: Arc<Semaphore>,
    open: Gauge,
}

impl Bound {
    pub(super) fn new(most: usize, open: Gauge) -> Self {
        Self { tickets: Arc::new(Semaphore::new(most)), open }
    }

    /// The socket with its ticket, or the bare socket where there is none left.
    pub(super) fn admit(&self, io: Box<dyn Io>) -> Result<Counted, Box<dyn Io>> {
        match Arc::clone(&self.tickets).try_acquire_owned() {
            Ok(ticket) => {
                self.open.inc();
                Ok(Counted { io, open: self.open.clone(), _ticket: ticket })
            }
            Err(_) => Err(io),
        }
    }
}

pub(super) struct Counted {
    io: Box<dyn Io>,
    open: Gauge,
    _ticket: OwnedSemaphorePermit,
}

impl Drop for Counted {
    fn drop(&mut self) {
        self.open.dec();
    }
}

impl AsyncRead for Counted {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut *self.io).poll_read(cx, buf)
    }
}

impl AsyncWrite for Counted {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut *self.io).poll_write(cx, buf)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut *self.io).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut *self.io).poll_shutdown(cx)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut *self.io).poll_write_vectored(cx, bufs)
    }

    fn is_write_vectored(&self) -> bool {
        self.io.is_write_vectored()
    }
}
