//! What surrounds every request: its trace, its time limit, a bound on how many are at work, panics
//! that become `internal`, problem documents, metrics and a log line.

use std::panic::AssertUnwindSafe;

use axum::{
    extract::{MatchedPath, Request, State},
    middleware::Next,
    response::{IntoResponse, Response},
};
use futures_util::FutureExt;
use http::{HeaderName, HeaderValue, header};
use posthorn_clock::{Instant, timeout};
use posthorn_errors::{Code, Failure};
use posthorn_rpc::{Context, TraceContext};
use posthorn_telemetry::{Metrics, Word, counter_family, gauge, histogram_family};
use prometheus_client::{
    encoding::EncodeLabelSet,
    metrics::{counter::Counter, family::Family, gauge::Gauge, histogram::Histogram},
};
use tokio::sync::OwnedSemaphorePermit;

use super::{Api, problem::Problem};

const TRACEPARENT: HeaderName = HeaderName::from_static("traceparent");
const OVERLOADED_RETRY_MS: u64 = 1_000;

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct RequestLabels {
    /// The route's pattern, never the path.
    route: String,
    status: u16,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct RouteLabels {
    route: String,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct ScopeLabels {
    scope: Word,
}

/// `http_*`.
pub(crate) struct HttpMetrics {
    requests: Family<RequestLabels, Counter>,
    durations: Family<RouteLabels, Histogram>,
    in_flight: Gauge,
    rate_limited: Family<ScopeLabels, Counter>,
    pub(super) idempotency_rows_removed: Counter,
}

impl HttpMetrics {
    pub fn new(metrics: &Metrics) -> Self {
        Self {
            requests: metrics.register("http_requests", "HTTP requests by route and status", counter_family()),
            durations: metrics.register(
                "http_request_duration_seconds",
                "From the head of a request to its answer",
                histogram_family(),
            ),
            in_flight: metrics.register("http_in_flight", "HTTP requests at work; bound: max_in_flight", gauge()),
            rate_limited: metrics.register(
                "http_rate_limited",
                "HTTP requests refused because their API key asks too often, by the key's scope",
                counter_family(),
            ),
            idempotency_rows_removed: metrics.register(
                "http_idempotency_rows_removed",
                "Idempotency rows removed after their time",
                Counter::default(),
            ),
        }
    }
}

impl HttpMetrics {
    pub fn rate_limited(&self, scope: &'static str) {
        self.rate_limited.get_or_create(&ScopeLabels { scope: Word(scope) }).inc();
    }
}

/// The right to be at work: goes with the work where it outlives its connection.
#[derive(Clone)]
pub(crate) struct Permit {
    _permit: std::sync::Arc<OwnedSemaphorePermit>,
}

/// The outermost layer.
pub(crate) async fn around(State(api): State<Api>, request: Request, next: Next) -> Response {
    let started = Instant::now();
    let clock = &api.deps().clock;
    let trace = TraceContext::of(request.headers()).map_or_else(|| TraceContext::root(clock), |t| t.child(clock));
    let route = request.extensions().get::<MatchedPath>().map_or("unmatched", MatchedPath::as_str).to_owned();
    let method = request.method().clone();
    let context = Context { trace, deadline: Some(started + api.config().request_timeout()) };

    let counted = Counted::new(&api.metrics.in_flight);
    let work = AssertUnwindSafe(posthorn_rpc::within(context, bounded(&api, &route, request, next))).catch_unwind();
    let response = timeout(api.config().request_timeout(), work).await;
    drop(counted);

    let response = match response {
        Ok(Ok(response)) => response,
        Ok(Err(_)) => {
            tracing::error!(route, trace_id = trace.trace_id(), "handler panicked");
            Problem::new(Code::Internal, Code::Internal.advice()).into_response()
        }
        Err(_) => refusal(Failure::plain(Code::DeadlineExceeded).limit("edge.http.request_timeout_ms")),
    };
    let response = finish(response, trace);
    let status = response.status().as_u16();
    let took = started.elapsed();
    api.metrics.requests.get_or_create(&RequestLabels { route: route.clone(), status }).inc();
    api.metrics.durations.get_or_create(&RouteLabels { route: route.clone() }).observe(took.as_secs_f64());
    tracing::debug!(%method, route, status, took_us = took.as_micros(), trace_id = trace.trace_id(), "http request");
    response
}

/// Counts down also when the client went away and the work was dropped.
struct Counted(Gauge);

impl Counted {
    fn new(gauge: &Gauge) -> Self {
        gauge.inc();
        Self(gauge.clone())
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        self.0.dec();
    }
}

fn refusal(failure: Failure) -> Response {
    Problem::from(failure).into_response()
}

/// Health and metrics answer also when nothing else does any more.
async fn bounded(api: &Api, route: &str, mut request: Request, next: Next) -> Response {
    if !matches!(route, "/livez" | "/readyz" | "/metrics") {
        let Ok(permit) = api.in_flight.clone().try_acquire_owned() else {
            let failure = Failure::plain(Code::Overloaded).limit("edge.http.max_in_flight");
            return refusal(failure.retry_after_ms(OVERLOADED_RETRY_MS));
        };
        request.extensions_mut().insert(Permit { _permit: permit.into() });
    }
    next.run(request).await
}

fn finish(mut response: Response, trace: TraceContext) -> Response {
    if let Some(problem) = response.extensions_mut().remove::<Problem>() {
        let rendered = problem.render(trace);
        let allow = response.headers_mut().remove(header::ALLOW);
        response = rendered;
        if let Some(allow) = allow {
            response.headers_mut().insert(header::ALLOW, allow);
        }
    }
    let headers = response.headers_mut();
    if let Ok(value) = HeaderValue::from_str(&trace.to_string()) {
        headers.insert(TRACEPARENT, value);
    }
    headers.insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    headers.entry(header::CACHE_CONTROL).or_insert(HeaderValue::from_static("no-store"));
    response
}
