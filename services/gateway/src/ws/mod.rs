//! The edge protocol over WebSocket (RFC 6455).

pub(crate) mod codec;
mod connection;
pub(crate) mod ending;
mod greeting;
mod handshake;
mod inbound;
mod lifetime;
mod outbound;
mod requests;
mod sends;
pub(crate) mod socket;
mod timers;

use std::sync::Arc;

use axum::{
    body::Body,
    extract::{Request, State},
    http::{HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
};
use hyper_util::rt::TokioIo;
use posthorn_errors::{Code, Failure};
use tokio::io::{AsyncRead, AsyncWrite};

use crate::{Gateway, service::Ticket};
pub use codec::Protocol;

/// Answers the handshake of `/v1/ws`, then serves the connection in a task of its own.
pub async fn upgrade(State(gateway): State<Arc<Gateway>>, mut request: Request) -> Response {
    let accepted = match handshake::check(&request, &gateway.config().allowed_origins) {
        Ok(accepted) => accepted,
        Err(refused) => return refusal(&refused.failure, refused.upgrade_required),
    };
    if gateway.is_draining() {
        return refusal(&Failure::plain(Code::Draining).retry_after_ms(1_000), false);
    }
    let ticket = match gateway.open_socket() {
        Ok(ticket) => ticket,
        Err(limit) => {
            gateway.metrics.admission_refused.inc();
            return refusal(&Failure::plain(Code::Admission).retry_after_ms(1_000).limit(limit), false);
        }
    };
    let Some(upgrade) = request.extensions_mut().remove::<hyper::upgrade::OnUpgrade>() else {
        return refusal(&Failure::new(Code::InvalidArgument, "this connection cannot be upgraded"), true);
    };
    let protocol = accepted.protocol;
    let tasks = gateway.deps.tasks.clone();
    tasks.background("connection", async move {
        match upgrade.await {
            Ok(upgraded) => run(gateway, TokioIo::new(upgraded), protocol, ticket).await,
            Err(error) => tracing::debug!(%error, "a socket was gone before its upgrade"),
        }
    });
    switching(&accepted)
}

/// Serves one socket on which the handshake is done, until it ends. For listeners that are not HTTP, such as a
/// simulated network. The bounds on sockets hold here too: beyond them the socket is dropped.
pub async fn serve(
    gateway: Arc<Gateway>,
    io: impl AsyncRead + AsyncWrite + Unpin + Send + 'static,
    protocol: Protocol,
) {
    match gateway.open_socket() {
        Ok(ticket) => run(gateway, io, protocol, ticket).await,
        Err(limit) => {
            gateway.metrics.admission_refused.inc();
            tracing::debug!(limit, "a socket was refused");
        }
    }
}

async fn run(
    gateway: Arc<Gateway>,
    io: impl AsyncRead + AsyncWrite + Unpin + Send + 'static,
    protocol: Protocol,
    ticket: Ticket,
) {
    let socket = socket::Socket::new(Box::new(io), protocol, gateway.config());
    Box::pin(connection::serve(gateway, socket, ticket)).await;
}

fn switching(accepted: &handshake::Accepted) -> Response {
    let mut builder = Response::builder()
        .status(StatusCode::SWITCHING_PROTOCOLS)
        .header(header::CONNECTION, "Upgrade")
        .header(header::UPGRADE, "websocket")
        .header(header::SEC_WEBSOCKET_ACCEPT, &accepted.accept);
    if accepted.named {
        builder = builder.header(header::SEC_WEBSOCKET_PROTOCOL, accepted.protocol.name());
    }
    builder.body(Body::empty()).unwrap_or_else(|_| StatusCode::INTERNAL_SERVER_ERROR.into_response())
}

/// RFC 9457, as everywhere in the HTTP API.
fn refusal(failure: &Failure, upgrade_required: bool) -> Response {
    let status = if upgrade_required { StatusCode::UPGRADE_REQUIRED.as_u16() } else { failure.code.http() };
    let problem = serde_json::json!({
        "type": format!("urn:posthorn:error:{}", failure.code),
        "title": failure.code.summary(),
        "status": status,
        "detail": failure.message,
        "code": failure.code.as_str(),
        "retryable": failure.code.retryable(),
    });
    let mut response = Response::new(Body::from(problem.to_string()));
    *response.status_mut() = StatusCode::from_u16(status).unwrap_or(StatusCode::BAD_REQUEST);
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/problem+json"));
    if upgrade_required {
        headers.insert(header::UPGRADE, HeaderValue::from_static("websocket"));
        headers.insert(header::CONNECTION, HeaderValue::from_static("Upgrade"));
        headers.insert(header::SEC_WEBSOCKET_VERSION, HeaderValue::from_static("13"));
    }
    if failure.retry_after_ms > 0 {
        headers.insert(header::RETRY_AFTER, HeaderValue::from(failure.retry_after_ms.div_ceil(1_000)));
    }
    response
}

#[cfg(test)]
mod tests;
