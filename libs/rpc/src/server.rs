//! Serving a service to other processes.

use std::{io, net::SocketAddr, time::Duration};

use futures_util::stream;
use posthorn_clock::sleep;
use tonic::{service::Routes, transport::Server};

use crate::{
    Rpc,
    net::{Accepted, Listener},
};

/// Between two attempts to take a connection, where none can be taken (no file descriptors).
const PAUSE: Duration = Duration::from_millis(20);
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
    listener: Box<dyn Listener>,
    stop: impl Future<Output = ()>,
) -> Result<(), ServeError> {
    let unbound = SocketAddr::from(([0, 0, 0, 0], 0));
    let address = listener.local_addr().unwrap_or(unbound);
    let incoming = stream::unfold(rpc.network.guard(listener), |mut listener| async move {
        let accepted = accept(&mut listener).await;
        Some((io::Result::Ok(accepted), listener))
    });
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

async fn accept(listener: &mut Box<dyn Listener>) -> Accepted {
    loop {
        match Accepted::next(listener).await {
            Ok(accepted) => return accepted,
            Err(error) => {
                tracing::debug!(%error, "a connection of another service was not taken");
                sleep(PAUSE).await;
            }
        }
    }
}
