//! `/livez`, `/readyz`, `/metrics`, `/v1/openapi.json`: open to all, without content.

use std::{sync::Arc, time::Duration};

use axum::{
    extract::State,
    response::{IntoResponse, Response},
};
use http::{StatusCode, header};
use parking_lot::Mutex;
use posthorn_clock::{Instant, timeout};
use posthorn_proto::internal::{AuthenticateKeyRequest, DescribeRequest, EndsRequest};
use posthorn_telemetry::OPENMETRICS;
use serde::Serialize;
use tonic::{Code, Status};
use utoipa::ToSchema;

use crate::http::{Api, openapi};

/// The process runs.
#[derive(Serialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Live {
    #[schema(inline)]
    status: LiveStatus,
}

#[derive(Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
enum LiveStatus {
    Live,
}

/// Whether the gateway can serve, and which part is not as it should be.
#[derive(Clone, Debug, Serialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Ready {
    status: ReadyStatus,
    /// Empty where all is well.
    degraded: Vec<Degraded>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum ReadyStatus {
    /// All is well.
    Ready,
    /// Serves, not everything.
    Degraded,
    /// Send nobody here.
    Unready,
}

/// A part that is not as it should be.
#[derive(Clone, Debug, Serialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Degraded {
    /// `storage`, `routing`, `session`, `bus`, `connections`, or `gateway` itself.
    part: String,
    /// What is the matter.
    detail: String,
    /// Without it nothing can be served.
    fatal: bool,
}

/// The last finding, so that asking often costs nothing.
#[derive(Default)]
pub struct Readiness(Mutex<Option<(Instant, Arc<Ready>)>>);

/// Whether the process runs
#[utoipa::path(get, path = "/livez", tag = "health", security(()), responses(
    (status = 200, description = "It does", body = Live),
))]
pub async fn livez() -> axum::Json<Live> {
    axum::Json(Live { status: LiveStatus::Live })
}

/// Whether the gateway can serve
#[utoipa::path(get, path = "/readyz", tag = "health", security(()), responses(
    (status = 200, description = "It can; `degraded` names the parts that are not as they should be", body = Ready),
    (status = 503, description = "It cannot", body = Ready),
))]
pub async fn readyz(State(api): State<Api>) -> Response {
    let ready = readiness(&api).await;
    let status = if ready.status == ReadyStatus::Unready { StatusCode::SERVICE_UNAVAILABLE } else { StatusCode::OK };
    (status, axum::Json(&*ready)).into_response()
}

/// Metrics in the OpenMetrics format
#[utoipa::path(get, path = "/metrics", tag = "health", security(()), responses(
    (status = 200, description = "OpenMetrics 1.0", body = String, content_type = "application/openmetrics-text"),
))]
pub async fn metrics(State(api): State<Api>) -> Response {
    ([(header::CONTENT_TYPE, OPENMETRICS)], api.deps().metrics.encode()).into_response()
}

/// This document
#[utoipa::path(get, path = "/v1/openapi.json", tag = "health", security(()), responses(
    (status = 200, description = "OpenAPI 3.1", body = Object, content_type = "application/json"),
))]
pub async fn openapi() -> Response {
    ([(header::CONTENT_TYPE, "application/json")], openapi::openapi_json()).into_response()
}

async fn readiness(api: &Api) -> Arc<Ready> {
    let reuse = Duration::from_millis(api.config().probe_reuse_ms);
    let known = api.readiness.0.lock().clone();
    if let Some((_, ready)) = known.filter(|(at, _)| at.elapsed() < reuse) {
        return ready;
    }
    let ready = Arc::new(probe(api).await);
    *api.readiness.0.lock() = Some((Instant::now(), ready.clone()));
    ready
}

async fn probe(api: &Api) -> Ready {
    let deps = api.deps();
    let gateway = api.gateway.ready();
    if deps.tasks.stopping().is_cancelled() || gateway.degraded.contains(&"draining") {
        return Ready::of(vec![Degraded::new("gateway", "draining: clients are sent elsewhere", true)]);
    }
    let (mut storage, mut session, mut routing) = (deps.storage.clone(), deps.session.clone(), deps.routing.clone());
    let limit = Duration::from_millis(api.config().probe_timeout_ms);
    let (storage, session, routing) = tokio::join!(
        timeout(limit, storage.describe(DescribeRequest {})),
        // An empty key is nobody's: being told so is the sign of life.
        timeout(limit, session.authenticate_key(AuthenticateKeyRequest::default())),
        timeout(limit, routing.ends(EndsRequest::default())),
    );
    let mut degraded: Vec<Degraded> =
        gateway.degraded.iter().map(|part| Degraded::new(part, "does not take new clients", !gateway.ready)).collect();
    match storage {
        Ok(Ok(reply)) if !reply.get_ref().writable => {
            let detail = "less than `store.min_free_bytes` left: appends are refused, reads go on";
            degraded.push(Degraded::new("storage", detail, false));
        }
        other => degraded.extend(silent("storage", other.map(|answer| answer.map(drop)))),
    }
    if let Some(session) = silent("session", session.map(|answer| answer.map(drop))) {
        // The lease is renewed through it: one cause, one name.
        degraded.retain(|part| part.part != "presence");
        degraded.push(session);
    }
    degraded.extend(silent("routing", routing.map(|answer| answer.map(drop))));
    Ready::of(degraded)
}

/// A part that gives no sign of life. Any answer of its own is one.
fn silent<E>(part: &str, answer: Result<Result<(), Status>, E>) -> Option<Degraded> {
    let detail = match answer {
        Err(_) => "does not answer in time".to_owned(),
        Ok(Err(status)) if matches!(status.code(), Code::Unavailable | Code::DeadlineExceeded | Code::Unknown) => {
            status.message().to_owned()
        }
        Ok(_) => return None,
    };
    Some(Degraded::new(part, detail, true))
}

impl Degraded {
    fn new(part: &str, detail: impl Into<String>, fatal: bool) -> Self {
        Self { part: part.to_owned(), detail: detail.into(), fatal }
    }
}

impl Ready {
    fn of(degraded: Vec<Degraded>) -> Self {
        let status = match degraded.iter().map(|part| part.fatal).max() {
            None => ReadyStatus::Ready,
            Some(false) => ReadyStatus::Degraded,
            Some(true) => ReadyStatus::Unready,
        };
        Self { status, degraded }
    }
}
