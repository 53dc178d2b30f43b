//! `/v1/operator/drain`: of the gateway that answers, and of no other.

use axum::extract::State;
use serde::Serialize;
use utoipa::ToSchema;

use crate::{
    Gateway,
    http::{Api, problem::Problem},
};

/// Whether the gateway that answers takes new connections.
#[derive(Serialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct DrainState {
    /// It takes none, and tells those that it has to come back elsewhere.
    pub draining: bool,
    /// Connections that it has.
    pub connections: u64,
}

impl DrainState {
    fn of(gateway: &Gateway) -> axum::Json<Self> {
        axum::Json(Self { draining: gateway.is_draining(), connections: gateway.connections() })
    }
}

/// Whether this gateway drains
#[utoipa::path(get, path = "/v1/operator/drain", tag = "operator", responses(
    (status = 200, description = "Of the gateway that answers", body = DrainState),
))]
pub async fn get_drain(State(api): State<Api>) -> axum::Json<DrainState> {
    DrainState::of(&api.gateway)
}

/// Drain this gateway
///
/// The gateway that answers takes no new connections, is not ready, and tells those that it has to come back
/// elsewhere, paced as at the end of its process (`edge.drain_per_s`). It goes on answering HTTP.
#[utoipa::path(post, path = "/v1/operator/drain", tag = "operator", responses(
    (status = 200, description = "It drains", body = DrainState),
))]
pub async fn start_drain(State(api): State<Api>) -> axum::Json<DrainState> {
    api.gateway.start_drain();
    DrainState::of(&api.gateway)
}

/// Take connections again
///
/// Those that were told to leave do; nobody else is told. A gateway whose process ends is `draining` (503).
#[utoipa::path(delete, path = "/v1/operator/drain", tag = "operator", responses(
    (status = 200, description = "It does not drain", body = DrainState),
))]
pub async fn cancel_drain(State(api): State<Api>) -> Result<axum::Json<DrainState>, Problem> {
    api.gateway.cancel_drain()?;
    Ok(DrainState::of(&api.gateway))
}
