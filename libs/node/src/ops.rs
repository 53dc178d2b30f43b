//! `/livez`, `/readyz` and `/metrics` of a process without a gateway.

use std::{sync::Arc, time::Duration};

use axum::{
    Json, Router,
    extract::State,
    http::{StatusCode, header},
    response::{IntoResponse, Response},
    routing::get,
};
use posthorn_clock::timeout;
use posthorn_proto::internal::{AuthenticateKeyRequest, DescribeRequest};
use posthorn_telemetry::{Metrics, OPENMETRICS};
use serde::Serialize;

use crate::{
    roles::{Role, Roles},
    wiring::{Clients, Local},
};

/// For one part to give a sign of life.
const PROBE: Duration = Duration::from_millis(1_000);

#[derive(Clone)]
pub(crate) struct Ops {
    pub roles: Roles,
    pub clients: Clients,
    pub local: Local,
    pub metrics: Metrics,
}

#[derive(Serialize)]
struct Ready {
    status: &'static str,
    degraded: Vec<Degraded>,
}

#[derive(Serialize)]
struct Degraded {
    part: &'static str,
    detail: String,
    fatal: bool,
}

pub(crate) fn router(ops: Ops) -> Router {
    Router::new()
        .route("/livez", get(live))
        .route("/readyz", get(ready))
        .route("/metrics", get(metrics))
        .with_state(Arc::new(ops))
}

pub(crate) async fn live() -> Json<serde_json::Value> {
    Json(serde_json::json!({"status": "live"}))
}

async fn metrics(State(ops): State<Arc<Ops>>) -> Response {
    ([(header::CONTENT_TYPE, OPENMETRICS)], ops.metrics.encode()).into_response()
}

async fn ready(State(ops): State<Arc<Ops>>) -> Response {
    let degraded = probe(&ops).await;
    let status = match degraded.iter().map(|part| part.fatal).max() {
        None => "ready",
        Some(false) => "degraded",
        Some(true) => "unready",
    };
    let code = if status == "unready" { StatusCode::SERVICE_UNAVAILABLE } else { StatusCode::OK };
    (code, Json(Ready { status, degraded })).into_response()
}

async fn probe(ops: &Ops) -> Vec<Degraded> {
    let mut degraded = Vec::new();
    let here = ops.roles.has(Role::Storage);
    if here || ops.roles.calls(Role::Storage) {
        let mut storage = ops.clients.storage.clone();
        match timeout(PROBE, storage.describe(DescribeRequest {})).await {
            Err(_) => degraded.push(Degraded::fatal("storage", "does not answer in time")),
            Ok(Err(status)) => degraded.push(Degraded::fatal("storage", status.message())),
            Ok(Ok(reply)) if !reply.get_ref().writable => {
                let detail = "appends are refused, reads go on".to_owned();
                degraded.push(Degraded { part: "storage", detail, fatal: false });
            }
            Ok(Ok(_)) => {}
        }
    }
    if ops.roles.calls(Role::Session) {
        let mut session = ops.clients.session.clone();
        // An empty key is nobody's: being told so is the sign of life.
        match timeout(PROBE, session.authenticate_key(AuthenticateKeyRequest::default())).await {
            Err(_) => degraded.push(Degraded::fatal("session", "does not answer in time")),
            Ok(Err(status)) if status.code() == tonic::Code::Unavailable => {
                degraded.push(Degraded::fatal("session", status.message()));
            }
            Ok(_) => {}
        }
    }
    if ops.local.routing.as_ref().is_some_and(|routing| !routing.ready()) {
        degraded.push(Degraded::fatal("routing", "not registered yet, or fenced a moment ago"));
    }
    degraded
}

impl Degraded {
    fn fatal(part: &'static str, detail: &str) -> Self {
        Self { part, detail: detail.to_owned(), fatal: true }
    }
}
