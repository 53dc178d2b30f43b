//! One service around the service proper, rather than a tower of five: each hop of a tower boxes a
//! future, and a local call costs little more than its boxes.

use std::{
    convert::Infallible,
    panic::AssertUnwindSafe,
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    task::{Context as TaskContext, Poll},
};

use futures_util::FutureExt;
use http::{Request, Response};
use posthorn_clock::{Clock, Instant, timeout};
use posthorn_errors::{Code, Failure, status_of};
use prometheus_client::metrics::{counter::Counter, gauge::Gauge};
use tower::{Layer, Service};
use tracing::Instrument;

use crate::{
    Rpc,
    context::{self, Context},
    deadline,
    metrics::{Durations, code_of, method_of},
    trace::TraceContext,
};

/// What all clones of one service's guard share.
pub(crate) struct Shared {
    service: &'static str,
    max_in_flight: usize,
    in_flight: AtomicUsize,
    in_flight_gauge: Gauge,
    shed: Counter,
    durations: Durations,
    clock: Clock,
}

impl Shared {
    pub(crate) fn new(rpc: &Rpc, service: &'static str) -> Self {
        Self {
            service,
            max_in_flight: rpc.config.max_in_flight,
            in_flight: AtomicUsize::new(0),
            in_flight_gauge: rpc.metrics.in_flight(service),
            shed: rpc.metrics.shed(service),
            durations: rpc.metrics.server(service),
            clock: rpc.clock.clone(),
        }
    }
}

/// A request that is being worked on: dropped with its future, also when the caller goes away.
struct InFlight(Arc<Shared>);

impl InFlight {
    fn enter(shared: &Arc<Shared>) -> Option<Self> {
        let before = shared.in_flight.fetch_add(1, Ordering::Relaxed);
        shared.in_flight_gauge.inc();
        let entered = Self(Arc::clone(shared));
        (before < shared.max_in_flight).then_some(entered)
    }
}

impl Drop for InFlight {
    fn drop(&mut self) {
        self.0.in_flight.fetch_sub(1, Ordering::Relaxed);
        self.0.in_flight_gauge.dec();
    }
}

#[derive(Clone)]
pub(crate) struct GuardLayer(pub(crate) Arc<Shared>);

impl<S> Layer<S> for GuardLayer {
    type Service = Guard<S>;

    fn layer(&self, inner: S) -> Guard<S> {
        Guard { inner, shared: Arc::clone(&self.0) }
    }
}

#[derive(Clone)]
pub(crate) struct Guard<S> {
    inner: S,
    shared: Arc<Shared>,
}

impl<S, B, R> Service<Request<B>> for Guard<S>
where
    S: Service<Request<B>, Response = Response<R>, Error = Infallible>,
    S::Future: Send + 'static,
    B: 'static,
    R: Default + Send + 'static,
{
    type Response = Response<R>;
    type Error = Infallible;
    type Future = Pin<Box<dyn Future<Output = Result<Response<R>, Infallible>> + Send>>;

    fn poll_ready(&mut self, cx: &mut TaskContext<'_>) -> Poll<Result<(), Infallible>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, request: Request<B>) -> Self::Future {
        let shared = Arc::clone(&self.shared);
        let started = Instant::now();
        let method = method_of(request.uri().path()).to_owned();
        let allowed = deadline::decode(request.headers());
        let trace = TraceContext::of(request.headers()).unwrap_or_else(|| TraceContext::root(&shared.clock));
        let work = self.inner.call(request);
        Box::pin(async move {
            let Some(in_flight) = InFlight::enter(&shared) else {
                shared.shed.inc();
                return Ok(refusal(&Failure::plain(Code::Overloaded).limit("rpc.max_in_flight")));
            };
            let scope = Context { trace, deadline: allowed.map(|allowed| started + allowed) };
            let span = span_of(shared.service, &method, trace);
            let work = context::within(scope, AssertUnwindSafe(work).catch_unwind()).instrument(span.clone());
            let ended = match allowed {
                Some(allowed) => timeout(allowed, work).await.ok(),
                None => Some(work.await),
            };
            let response = match ended {
                Some(Ok(Ok(response))) => response,
                Some(Err(_panic)) => {
                    tracing::error!(service = shared.service, method, trace_id = trace.trace_id(), "handler panicked");
                    let message = format!("a bug in the server, trace {}", trace.trace_id());
                    refusal(&Failure::new(Code::Internal, message))
                }
                None => refusal(&Failure::plain(Code::DeadlineExceeded)),
            };
            let (code, took) = (code_of(response.headers()), started.elapsed());
            shared.durations.observe(&method, code, took);
            if trace.sampled() {
                tracing::info!(parent: &span, code, us = took.as_micros(), "answered");
            }
            drop(in_flight);
            Ok(response)
        })
    }
}

fn refusal<R: Default>(failure: &Failure) -> Response<R> {
    status_of(failure).into_http()
}

/// A span costs more than a local call, so that at the usual level only what somebody asked to record
/// has one.
fn span_of(service: &'static str, method: &str, trace: TraceContext) -> tracing::Span {
    if trace.sampled() {
        tracing::info_span!("rpc", service, method, trace_id = trace.trace_id(), span_id = trace.span_id())
    } else {
        tracing::debug_span!("rpc", service, method, trace_id = trace.trace_id(), span_id = trace.span_id())
    }
}
