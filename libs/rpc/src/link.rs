//! Local or remote, decided once by the wiring.

use std::{
    error::Error,
    pin::Pin,
    sync::{Arc, OnceLock},
    task::{Context, Poll},
    time::Duration,
};

use http::{Request, Response, Uri};
use http_body_util::{BodyExt, Full};
use hyper_util::rt::TokioIo;
use posthorn_clock::{Clock, Instant, timeout};
use posthorn_errors::{Code, Failure, failure_of, status_of};
use tonic::{
    ConnectError, Status, TimeoutExpired,
    body::Body,
    service::Routes,
    transport::{Channel, Endpoint},
};
use tower::{Service, ServiceExt};

use crate::{
    Address, MAX_MESSAGE_BYTES, PushClient, RoutingClient, Rpc, SessionClient, StorageClient,
    balanced::Endpoints,
    context, deadline,
    metrics::{Durations, code_of, code_of_status, method_of},
    routed::Instance,
    trace::{self, TraceContext},
};

const STREAM_WINDOW_BYTES: u32 = 1024 * 1024;
const CONNECTION_WINDOW_BYTES: u32 = 8 * 1024 * 1024;

/// The address of another process is none.
#[derive(Debug, thiserror::Error)]
#[error("{address:?} is no address of a service: {why}")]
pub struct LinkError {
    pub address: String,
    pub why: String,
}

/// A link to a service. Cheap to clone; boxed here, so that no generic crosses a crate edge.
///
/// A call ends with the callee's answer or, at its deadline, with `deadline_exceeded`. Where no
/// connection could be made it is `unavailable` (nothing was done); where one broke under a request,
/// `not_confirmed`.
#[derive(Clone)]
pub struct Link(Target);

#[derive(Clone)]
enum Target {
    Ready(Arc<Inner>),
    Late(Arc<OnceLock<Link>>),
}

struct Inner {
    to: To,
    deadline: Duration,
    durations: Durations,
    clock: Clock,
}

enum To {
    Here(Routes),
    There(Channel),
    /// Any of several processes.
    Any(Arc<Endpoints<Channel>>),
}

impl Link {
    /// To routes in this process ([`Rpc::guard`] made them): the same messages, without a socket.
    #[must_use]
    pub fn local(rpc: &Rpc, service: &'static str, routes: Routes) -> Self {
        Self::to(rpc, service, To::Here(routes.prepare()))
    }

    /// To another process, `http://HOST:PORT`, or `https://` where the services have certificates. Connects with the first call and again after a loss.
    /// Call it within a runtime.
    pub fn remote(rpc: &Rpc, service: &'static str, address: &str) -> Result<Self, LinkError> {
        let uri = rpc.address(address).map_err(|why| LinkError { address: address.to_owned(), why })?;
        Ok(Self::to(rpc, service, To::There(channel(rpc, uri))))
    }

    /// To any of the processes at these addresses: the less busy of two that answer. What another process
    /// may be asked as well, after one did not answer, is asked there.
    pub fn any(rpc: &Rpc, service: &'static str, addresses: &[String]) -> Result<Self, LinkError> {
        let scheme = rpc.network.scheme();
        let parse =
            |text: &String| Address::parse(text, scheme).map_err(|why| LinkError { address: text.clone(), why });
        let addresses = addresses.iter().map(parse).collect::<Result<Vec<_>, _>>()?;
        if addresses.is_empty() {
            return Err(LinkError { address: String::new(), why: format!("no address of {service} is configured") });
        }
        let shared = rpc.clone();
        let connect = move |address: &str| Some(channel(&shared, shared.address(address).ok()?));
        let (clock, gauges) = (rpc.clock.clone(), rpc.metrics.endpoints(service));
        let endpoints = Endpoints::new(addresses, scheme, clock, gauges, connect);
        Ok(Self::to(rpc, service, To::Any(Arc::new(endpoints))))
    }

    /// Looks the names of its addresses up, for as long as it runs: returns at once where there is none.
    pub async fn discover(&self, rpc: &Rpc) {
        if let Some(inner) = self.target()
            && let To::Any(endpoints) = &inner.to
        {
            endpoints.follow(Duration::from_millis(rpc.config.discovery_ms)).await;
        }
    }

    /// One that leads nowhere until [`Link::bind`]: for a service that calls its own peers. Until then
    /// calls are `unavailable`.
    #[must_use]
    pub fn not_yet() -> Self {
        Self(Target::Late(Arc::default()))
    }

    /// Where a link made by [`Link::not_yet`] leads from now on, in all its clones. False if it was
    /// bound before, or never had to be.
    #[must_use]
    pub fn bind(&self, to: Self) -> bool {
        match &self.0 {
            Target::Late(cell) => cell.set(to).is_ok(),
            Target::Ready(_) => false,
        }
    }

    #[must_use]
    pub fn routing(&self) -> RoutingClient {
        RoutingClient::one(self.instance())
    }

    pub(crate) fn instance(&self) -> Instance {
        Instance::new(self.clone()).max_decoding_message_size(MAX_MESSAGE_BYTES)
    }

    #[must_use]
    pub fn session(&self) -> SessionClient {
        SessionClient::new(self.clone()).max_decoding_message_size(MAX_MESSAGE_BYTES)
    }

    #[must_use]
    pub fn push(&self) -> PushClient {
        PushClient::new(self.clone()).max_decoding_message_size(MAX_MESSAGE_BYTES)
    }

    #[must_use]
    pub fn storage(&self) -> StorageClient {
        StorageClient::new(self.clone()).max_decoding_message_size(MAX_MESSAGE_BYTES)
    }

    fn to(rpc: &Rpc, service: &'static str, to: To) -> Self {
        let (deadline, durations, clock) = (rpc.config.deadline(), rpc.metrics.client(service), rpc.clock.clone());
        Self(Target::Ready(Arc::new(Inner { to, deadline, durations, clock })))
    }

    fn target(&self) -> Option<Arc<Inner>> {
        match &self.0 {
            Target::Ready(inner) => Some(Arc::clone(inner)),
            Target::Late(cell) => cell.get().and_then(Self::target),
        }
    }
}

impl Service<Request<Body>> for Link {
    type Response = Response<Body>;
    type Error = Status;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, Status>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Status>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<Body>) -> Self::Future {
        let Some(inner) = self.target() else {
            return Box::pin(async { Err(status_of(&Failure::plain(Code::Unavailable))) });
        };
        Box::pin(async move { inner.send(request).await })
    }
}

impl Inner {
    async fn send(&self, mut request: Request<Body>) -> Result<Response<Body>, Status> {
        let started = Instant::now();
        let caller = context::current();
        let allowed = self.allowed(&request, caller.and_then(|c| c.deadline), started);
        let trace = match (TraceContext::of(request.headers()), caller) {
            (Some(given), _) => given,
            (None, Some(caller)) => caller.trace.child(&self.clock),
            (None, None) => TraceContext::root(&self.clock),
        };
        request.headers_mut().insert(deadline::HEADER, deadline::encode(allowed));
        request.headers_mut().insert(trace::HEADER, trace.header());
        let path = request.uri().clone();

        let answer = timeout(allowed, self.transmit(request))
            .await
            .unwrap_or_else(|_| Err(status_of(&Failure::plain(Code::DeadlineExceeded))));
        let code = match &answer {
            Ok(response) => code_of(response.headers()),
            Err(status) => code_of_status(status),
        };
        self.durations.observe(method_of(path.path()), code, started.elapsed());
        answer
    }

    /// The shortest of the link's deadline, the request's own and what is left of the caller's.
    fn allowed(&self, request: &Request<Body>, until: Option<Instant>, now: Instant) -> Duration {
        let own = deadline::decode(request.headers()).unwrap_or(self.deadline);
        let left = until.map_or(self.deadline, |until| until.saturating_duration_since(now));
        own.min(left).min(self.deadline)
    }

    async fn transmit(&self, request: Request<Body>) -> Result<Response<Body>, Status> {
        match &self.to {
            To::Here(routes) => match routes.clone().call(request).await {
                Ok(response) => Ok(response),
                Err(never) => match never {},
            },
            To::There(channel) => through(channel.clone(), request).await,
            To::Any(endpoints) => any(endpoints, request).await,
        }
    }
}

async fn any(endpoints: &Endpoints<Channel>, request: Request<Body>) -> Result<Response<Body>, Status> {
    let (head, body) = request.into_parts();
    let body = body.collect().await?.to_bytes();
    let twice = asks_twice(head.uri.path());
    let mut tried: Vec<String> = Vec::new();
    loop {
        let Some(ticket) = endpoints.pick(&tried) else {
            return Err(status_of(&Failure::new(Code::Unavailable, "no process of this service is known yet")));
        };
        let endpoint = Arc::clone(&ticket.0);
        tried.push(endpoint.address.clone());
        let request = Request::from_parts(head.clone(), Body::new(Full::new(body.clone())));
        // Dropped by the deadline, it counts as silent.
        let mut silent = Silent(Some(&endpoint));
        let answer = through(endpoint.to.clone(), request).await;
        silent.0 = None;
        let Err(status) = answer else {
            endpoint.answered();
            return answer;
        };
        let code = failure_of(&status).code;
        match code {
            Code::Unavailable | Code::NotConfirmed => endpoint.broken(),
            Code::DeadlineExceeded => endpoint.silent(),
            _ => endpoint.answered(),
        }
        let elsewhere = code == Code::Unavailable || (twice && code == Code::NotConfirmed);
        if !elsewhere || tried.len() >= endpoints.len() {
            return Err(status);
        }
    }
}

struct Silent<'a>(Option<&'a Arc<crate::balanced::Endpoint<Channel>>>);

impl Drop for Silent<'_> {
    fn drop(&mut self) {
        if let Some(endpoint) = self.0 {
            endpoint.silent();
        }
    }
}

/// A channel to one process. Connects with the first call and again after a loss.
fn channel(rpc: &Rpc, uri: Uri) -> Channel {
    let (config, network) = (&rpc.config, Arc::clone(&rpc.network));
    let connector = tower::service_fn(move |to: Uri| {
        let network = Arc::clone(&network);
        async move { network.connect(&to).await.map(TokioIo::new) }
    });
    Endpoint::from(uri)
        .connect_timeout(Duration::from_millis(config.connect_timeout_ms))
        .http2_keep_alive_interval(Duration::from_millis(config.keep_alive_ms))
        .keep_alive_timeout(Duration::from_millis(config.keep_alive_timeout_ms))
        .keep_alive_while_idle(true)
        .initial_stream_window_size(STREAM_WINDOW_BYTES)
        .initial_connection_window_size(CONNECTION_WINDOW_BYTES)
        .connect_with_connector_lazy(connector)
}

async fn through(mut channel: Channel, request: Request<Body>) -> Result<Response<Body>, Status> {
    let channel = channel.ready().await.map_err(|e| broken(&e))?;
    channel.call(request).await.map_err(|e| broken(&e))
}

/// Calls of which two are as good as one. All of the others go to a second process only where the first
/// certainly did nothing.
fn asks_twice(path: &str) -> bool {
    let mut parts = path.rsplit('/');
    let (method, service) = (parts.next().unwrap_or_default(), parts.next().unwrap_or_default());
    match service {
        // A row is what its key says; cells and marks only grow. `Register` says `exists` the second time, and
        // `PutRecord` returns what the first one put there.
        "posthorn.internal.v1.Storage" => !matches!(method, "Register" | "PutRecord"),
        "posthorn.internal.v1.Session" => matches!(
            method,
            "Authenticate" | "AuthenticateKey" | "GetUsers" | "Disconnect" | "Lookup" | "Watch" | "Presence"
        ),
        "posthorn.internal.v1.Push" => method == "ListLetters",
        _ => false,
    }
}

/// A connection that failed. Only where none was made is it certain that nothing was done.
fn broken(error: &(dyn Error + 'static)) -> Status {
    let (mut cause, mut code) = (error, Code::NotConfirmed);
    loop {
        if cause.is::<ConnectError>() {
            code = Code::Unavailable;
        } else if cause.is::<TimeoutExpired>() {
            // The channel watches the deadline as well, and may be the first to see it pass.
            code = Code::DeadlineExceeded;
        }
        let Some(deeper) = cause.source() else { break };
        cause = deeper;
    }
    status_of(&Failure::new(code, cause.to_string()))
}
