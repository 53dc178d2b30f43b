//! The one listener: WebSocket, HTTP API, page and metrics over HTTP/1.1 with upgrades.

mod bound;
#[cfg(test)]
mod tests;

use std::{convert::Infallible, net::SocketAddr, time::Duration};

use axum::{Router, body::Body, extract::ConnectInfo};
use http::Request;
use hyper::{body::Incoming, server::conn::http1, service::service_fn};
use hyper_util::rt::{TokioIo, TokioTimer};
use posthorn_clock::{sleep, timeout};
use posthorn_tasks::Tasks;
use posthorn_telemetry::{Metrics, gauge};
use prometheus_client::metrics::{counter::Counter, gauge::Gauge};
use serde::{Deserialize, Serialize};
use tokio::io::AsyncWriteExt;
use tokio_util::sync::CancellationToken;
use tower::Service;

use bound::{Bound, Counted};
use posthorn_rpc::{Io, Listener};

/// The `[listen]` section.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ListenConfig {
    pub addr: String,
    pub max_connections: usize,
    pub header_timeout_ms: u64,
    pub max_header_bytes: usize,
    pub max_headers: usize,
}

impl Default for ListenConfig {
    fn default() -> Self {
        Self {
            addr: "127.0.0.1:7200".to_owned(),
            max_connections: 16_000,
            header_timeout_ms: 10_000,
            max_header_bytes: 64 * 1024,
            max_headers: 100,
        }
    }
}

/// After a failed accept: usually for want of file descriptors, which do not come back at once.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);
/// A refusal fits into an empty socket buffer; who does not even take that gets nothing.
const REFUSAL_TIMEOUT: Duration = Duration::from_millis(20);
const REFUSAL: &str = concat!(
    r#"{"type":"urn:posthorn:error:overloaded","title":"a queue of the server is full","status":503,"#,
    r#""code":"overloaded","retryable":true,"limit":"listen.max_connections"}"#,
);

/// What the HTTP server needs besides its listener.
#[derive(Clone)]
pub(crate) struct HttpServer {
    pub config: ListenConfig,
    pub router: Router,
    pub tasks: Tasks,
    /// Cancelled when no new connection is to be taken; those that are idle then end, the others after
    /// the answer in hand. Upgraded ones are the gateway's.
    pub closing: CancellationToken,
    metrics: ListenMetrics,
}

#[derive(Clone)]
struct ListenMetrics {
    open: Gauge,
    refused: Counter,
}

impl HttpServer {
    pub(crate) fn new(config: ListenConfig, router: Router, tasks: Tasks, metrics: &Metrics) -> Self {
        let metrics = ListenMetrics {
            open: metrics.register("listen_connections", "Open sockets of the listener", gauge()),
            refused: metrics.register(
                "listen_refused",
                "Sockets refused at listen.max_connections",
                Counter::default(),
            ),
        };
        Self { config, router, tasks, closing: CancellationToken::new(), metrics }
    }

    /// Takes connections until `closing`.
    pub(crate) async fn run(self, mut listener: Box<dyn Listener>) {
        let bound = Bound::new(self.config.max_connections, self.metrics.open.clone());
        loop {
            let accepted = tokio::select! {
                accepted = listener.accept() => accepted,
                () = self.closing.cancelled() => return,
            };
            match accepted {
                Ok((io, peer)) => match bound.admit(io) {
                    Ok(io) => self.tasks.background("http connection", self.clone().connection(io, peer)),
                    Err(io) => self.refuse(io).await,
                },
                Err(error) => {
                    tracing::warn!(%error, "accepting a connection failed");
                    sleep(ACCEPT_PAUSE).await;
                }
            }
        }
    }

    async fn refuse(&self, mut io: Box<dyn Io>) {
        self.metrics.refused.inc();
        let length = REFUSAL.len();
        let answer = format!(
            "HTTP/1.1 503 Service Unavailable\r\nContent-Type: application/problem+json\r\nRetry-After: 1\r\n\
             Connection: close\r\nContent-Length: {length}\r\n\r\n{REFUSAL}"
        );
        let _ = timeout(REFUSAL_TIMEOUT, async {
            io.write_all(answer.as_bytes()).await?;
            io.shutdown().await
        })
        .await;
    }

    async fn connection(self, io: Counted, peer: SocketAddr) {
        let Self { config, router, closing, .. } = self;
        let service = service_fn(move |mut request: Request<Incoming>| {
            request.extensions_mut().insert(ConnectInfo(peer));
            let answer = router.clone().call(request.map(Body::new));
            async move { Ok::<_, Infallible>(answer.await.unwrap_or_else(|never| match never {})) }
        });
        let connection = http1::Builder::new()
            .timer(TokioTimer::new())
            .header_read_timeout(Duration::from_millis(config.header_timeout_ms))
            .max_buf_size(config.max_header_bytes)
            .max_headers(config.max_headers)
            .serve_connection(TokioIo::new(io), service)
            .with_upgrades();
        let mut connection = std::pin::pin!(connection);
        let ended = tokio::select! {
            ended = connection.as_mut() => ended,
            () = closing.cancelled() => {
                connection.as_mut().graceful_shutdown();
                connection.await
            }
        };
        if let Err(error) = ended {
            tracing::debug!(%error, %peer, "an HTTP connection ended early");
        }
    }
}
