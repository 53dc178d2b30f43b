//! The edge protocol over WebSocket (RFC 6455).

use std::sync::Arc;

use axum::{
    extract::{Request, State},
    response::{IntoResponse, Response},
};

use crate::Gateway;

/// Answers the handshake of `/v1/ws` and serves the connection in a task of its own.
pub async fn upgrade(State(_gateway): State<Arc<Gateway>>, _request: Request) -> Response {
    http::StatusCode::SERVICE_UNAVAILABLE.into_response()
}
