//! HTTP/1.1 over the same connectors as the WebSocket: one way to dial, one set of trusted authorities.

use std::{
    io,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
};

use bytes::Bytes;
use http::{Request, Response, Uri};
use http_body_util::Full;
pub use hyper::body::Incoming as Body;
use hyper::rt::{Read, ReadBufCursor, Write};
use hyper_util::{
    client::legacy::{
        Client, Error,
        connect::{Connected, Connection},
    },
    rt::{TokioExecutor, TokioIo},
};
use tower::Service;

use crate::{Connector, Io, TlsError};

/// A pool of connections. Cheap to clone.
#[derive(Clone)]
pub struct Http(Client<Dial, Full<Bytes>>);

/// Why a request has no answer.
#[derive(Debug, thiserror::Error)]
pub enum HttpError {
    /// Not to be tried again: the server is not the one that was meant, or cannot be told from others.
    #[error("{0}")]
    Untrusted(String),
    #[error("{0}")]
    Network(String),
}

impl Http {
    #[must_use]
    pub fn new(connector: Arc<dyn Connector>) -> Self {
        Self(Client::builder(TokioExecutor::new()).build(Dial(connector)))
    }

    /// The answer's head; its body is still to be read. Redirects are not followed.
    pub async fn send(&self, request: Request<Full<Bytes>>) -> Result<Response<Body>, HttpError> {
        self.0.request(request).await.map_err(|error| cause(&error))
    }
}

type Cause = dyn std::error::Error + 'static;

/// Of what a connection died is in the sources of the error.
fn cause(error: &Error) -> HttpError {
    let first: &Cause = error;
    let causes: Vec<&Cause> = std::iter::successors(Some(first), |error| error.source()).collect();
    let of_tls = |cause: &&Cause| TlsError::of(cause.downcast_ref()?).map(ToString::to_string);
    match causes.iter().find_map(of_tls) {
        Some(why) => HttpError::Untrusted(why),
        None => HttpError::Network(causes.iter().map(ToString::to_string).collect::<Vec<_>>().join(": ")),
    }
}

#[derive(Clone)]
struct Dial(Arc<dyn Connector>);

impl Service<Uri> for Dial {
    type Response = Dialed;
    type Error = io::Error;
    type Future = Pin<Box<dyn Future<Output = io::Result<Dialed>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, url: Uri) -> Self::Future {
        let connector = Arc::clone(&self.0);
        Box::pin(async move { Ok(Dialed(TokioIo::new(connector.connect(&url).await?))) })
    }
}

/// What the pool wants of a stream.
struct Dialed(TokioIo<Box<dyn Io>>);

impl Connection for Dialed {
    fn connected(&self) -> Connected {
        Connected::new()
    }
}

impl Read for Dialed {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, into: ReadBufCursor<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_read(cx, into)
    }
}

impl Write for Dialed {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.0).poll_write(cx, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_shutdown(cx)
    }
}
