//! Serving a service to other processes.

use std::{net::SocketAddr, time::Duration};

use tokio::net::TcpListener;
use tokio_stream::StreamExt;
use tonic::{
    service::Routes,
    transport::{Server, server::TcpIncoming},
};

use crate::Rpc;

const STREAM_WINDOW_BYTES: u32 = 1024 * 1024;
const CONNECTION_WINDOW_BYTES: u32 = 8 * 1024 * 1024;

/// The server could not go on.
#[derive(Debug, thiserror::Error)]
#[error("serving {address} failed: {why}")]
pub struct ServeError {
    pub address: SocketAddr,
    pub why: String,
}

/// Several services behind one listener, each with its layers.
#[must_use]
pub fn together(services: impl IntoIterator<Item = Routes>) -> Routes {
    let none = Routes::default().into_axum_router();
    let merged = services.into_iter().fold(none, |all, one| all.merge(one.into_axum_router().reset_fallback()));
    Routes::from(merged)
}

/// Answers gRPC on a bound listener until `stop` ends; then takes no new connections, finishes what
/// is in flight and returns. `routes` come from [`Rpc::guard`].
pub async fn serve(
    rpc: &Rpc,
    routes: Routes,
    listener: TcpListener,
    stop: impl Future<Output = ()>,
) -> Result<(), ServeError> {
    let unbound = SocketAddr::from(([0, 0, 0, 0], 0));
    let address = listener.local_addr().unwrap_or(unbound);
    let incoming = TcpIncoming::from(listener).with_nodelay(Some(true)).filter(Result::is_ok);
    Server::builder()
        .initial_stream_window_size(STREAM_WINDOW_BYTES)
        .initial_connection_window_size(CONNECTION_WINDOW_BYTES)
        .http2_keepalive_interval(Some(Duration::from_millis(rpc.config.keep_alive_ms)))
        .http2_keepalive_timeout(Some(Duration::from_millis(rpc.config.keep_alive_timeout_ms)))
        .add_routes(routes)
        .serve_with_incoming_shutdown(incoming, stop)
        .await
        .map_err(|e| ServeError { address, why: e.to_string() })
}
