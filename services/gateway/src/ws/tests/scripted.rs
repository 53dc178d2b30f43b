//! Services that answer by a script, behind the real clients and links: for what a connection does in
//! time. What the services themselves do is proven with the real ones, in the tests crate.

use std::{convert::Infallible, pin::Pin, sync::Arc, task, time::Duration};

use async_trait::async_trait;
use axum::http::{Request, Response};
use bytes::Bytes;
use parking_lot::Mutex;
use posthorn_bus::{Bus, BusError, Delivery, Subscription};
use posthorn_clock::{Clock, sleep};
use posthorn_errors::{Code, Failure};
use posthorn_proto::{
    client::{PresenceNow, Sent},
    internal::{
        AppendReply, AppendRequest, AppendResult, AuthenticateReply, AuthenticateRequest, ConnectReply, ConnectRequest,
        DescribeReply, DescribeRequest, DisconnectReply, DisconnectRequest, LeaseReply, LeaseRequest, LeaseState,
        Missed, MissedReply, MissedRequest, PruneReply, PruneRequest, Publication, RegisterAgainReply,
        RegisterAgainRequest, WatchAllowedReply, WatchAllowedRequest, WatchReply, WatchRequest, append_result,
    },
};
use posthorn_rpc::{Link, Rpc, RpcConfig};
use posthorn_tasks::Tasks;
use posthorn_telemetry::Metrics;
use prost::Message;
use tokio::sync::mpsc;
use tonic::{Status, body::Body, server::Grpc};
use tonic_prost::ProstCodec;

use crate::{Gateway, GatewayConfig, GatewayDeps};

/// What the services saw, and how they answer.
#[derive(Default)]
pub struct Script {
    /// How long an append takes.
    pub append_ms: Mutex<u64>,
    /// The request's `after_seq`s (tests number their sends by it) of each append, in order.
    pub appends: Mutex<Vec<(String, Vec<u64>)>>,
    pub disconnects: Mutex<Vec<u64>>,
    /// Published while a `connect` is being answered.
    pub while_connecting: Mutex<Option<Publication>>,
    /// Users nobody may watch; `None`: who may is not known.
    pub unwatchable: Mutex<Option<Vec<String>>>,
    /// Every question who may be watched, and every set that was given to the session service.
    pub asked: Mutex<Vec<Vec<String>>>,
    pub watches: Mutex<Vec<Vec<String>>>,
    /// Those who are watched have gone.
    pub offline: Mutex<bool>,
    /// What the next renewals of the lease find, and what was asked after them.
    pub leases: Mutex<Vec<LeaseState>>,
    /// Found its users as soon as a lease began, and came before that was answered.
    pub as_it_begins: Mutex<Option<Publication>>,
    /// Renewals are made and not answered.
    pub lease_silent: Mutex<bool>,
    /// Whoever connects is not registered.
    pub unregistered: Mutex<bool>,
    pub registered: Mutex<Vec<u64>>,
    pub pruned: Mutex<Vec<PruneRequest>>,
    /// What the routing instance has of its publications.
    pub kept: Mutex<Vec<Publication>>,
    /// Questions for it.
    pub missed: Mutex<u64>,
    pub bus: Arc<TestBus>,
    seq: Mutex<u64>,
    gateway: Mutex<String>,
}

impl Script {
    pub async fn publish(&self, publication: Publication) {
        let subject = format!("gateway.{}", self.gateway.lock());
        self.bus.publish(&subject, publication.encode_to_vec().into()).await.unwrap();
    }

    pub async fn publish_to_all(&self, publication: Publication) {
        self.bus.publish("gateways", publication.encode_to_vec().into()).await.unwrap();
    }

    async fn append(&self, request: AppendRequest) -> Result<AppendReply, Status> {
        let ids = request.items.iter().map(|item| item.after_seq).collect();
        self.appends.lock().push((request.conversation.clone(), ids));
        let ms = *self.append_ms.lock();
        sleep(Duration::from_millis(ms)).await;
        let sent = |_| {
            let mut seq = self.seq.lock();
            *seq += 1;
            let sent = Sent { conversation: request.conversation.clone(), seq: *seq, ..Sent::default() };
            AppendResult { result: Some(append_result::Result::Sent(sent)) }
        };
        Ok(AppendReply { results: request.items.iter().map(sent).collect() })
    }

    /// A token is `USER` or `USER@EXPIRES_MS`; a resume token is `resume:SESSION`.
    fn authenticate(&self, request: &AuthenticateRequest) -> Result<AuthenticateReply, Status> {
        let (user, expires) = request.token.split_once('@').unwrap_or((&request.token, "0"));
        if user == "nobody" {
            return Err(Failure::plain(Code::Unauthenticated).into());
        }
        Ok(AuthenticateReply {
            tenant: "t".into(),
            user: user.trim_end_matches('!').into(),
            device: "d".into(),
            expires_ms: expires.parse().unwrap(),
            limit_class: if user.ends_with('!') { "unlimited".into() } else { String::new() },
            issued_ms: 1,
            session: request.resume_token.strip_prefix("resume:").unwrap_or_default().into(),
            ..AuthenticateReply::default()
        })
    }

    async fn connect(&self, request: ConnectRequest) -> Result<ConnectReply, Status> {
        *self.gateway.lock() = request.gateway.clone();
        let early = self.while_connecting.lock().take();
        if let Some(publication) = early {
            self.publish(publication).await;
            sleep(Duration::from_millis(50)).await;
        }
        let session = match request.session.as_str() {
            "" => format!("s{}", request.connection),
            known => known.to_owned(),
        };
        let unregistered = *self.unregistered.lock();
        Ok(ConnectReply { resume_token: format!("resume:{session}"), session, unregistered })
    }

    /// Of publisher `routing`.
    fn missed(&self, request: &MissedRequest) -> MissedReply {
        *self.missed.lock() += 1;
        let has = request.heard.iter().find(|heard| heard.publisher == "routing").map_or(0, |heard| heard.own);
        let kept = self.kept.lock();
        let beyond = kept.iter().filter(|publication| publication.number > has);
        let own = Missed {
            last: kept.last().map_or(0, |publication| publication.number),
            publications: beyond.map(|publication| publication.encode_to_vec().into()).collect(),
        };
        MissedReply { publisher: "routing".into(), own: Some(own), all: Some(Missed::default()), moved: None }
    }

    fn watch_allowed(&self, request: WatchAllowedRequest) -> Result<WatchAllowedReply, Status> {
        self.asked.lock().push(request.users.clone());
        let unwatchable = self.unwatchable.lock().clone();
        let unwatchable = unwatchable.ok_or_else(|| Status::from(Failure::plain(Code::Unavailable)))?;
        Ok(WatchAllowedReply { users: request.users.into_iter().filter(|user| !unwatchable.contains(user)).collect() })
    }

    async fn call(&self, request: Request<Body>) -> Response<Body> {
        match request.uri().path().rsplit('/').next().unwrap_or_default() {
            "Authenticate" => unary(request, async |r| self.authenticate(&r)).await,
            "Connect" => unary(request, async |r| self.connect(r).await).await,
            "Disconnect" => {
                unary(request, async |r: DisconnectRequest| {
                    self.disconnects.lock().push(r.connection);
                    Ok(DisconnectReply {})
                })
                .await
            }
            "Missed" => unary(request, async |r| Ok(self.missed(&r))).await,
            "WatchAllowed" => unary(request, async |r| self.watch_allowed(r)).await,
            "Watch" => {
                unary(request, async |r: WatchRequest| {
                    self.watches.lock().push(r.users.clone());
                    let status = if *self.offline.lock() { 2 } else { 1 };
                    let now = |user| PresenceNow { user, status, last_seen_ms: 0 };
                    let now = if r.silent { Vec::new() } else { r.users.into_iter().map(now).collect() };
                    Ok(WatchReply { now, ..WatchReply::default() })
                })
                .await
            }
            "Lease" => {
                unary(request, async |r: LeaseRequest| {
                    if *self.lease_silent.lock() {
                        return Err(Status::from(Failure::plain(Code::Unavailable)));
                    }
                    if !r.renew_only {
                        let publication = self.as_it_begins.lock().take();
                        if let Some(publication) = publication {
                            self.publish(publication).await;
                            sleep(Duration::from_secs(1)).await;
                        }
                        return Ok(LeaseReply { state: LeaseState::Lost.into(), ttl_ms: 30_000 });
                    }
                    let state = self.leases.lock().pop().unwrap_or(LeaseState::Kept);
                    Ok(LeaseReply { state: state.into(), ttl_ms: 30_000 })
                })
                .await
            }
            "RegisterAgain" => {
                unary(request, async |r: RegisterAgainRequest| {
                    self.registered.lock().extend(r.connections.iter().map(|one| one.connection));
                    Ok(RegisterAgainReply {})
                })
                .await
            }
            "Prune" => {
                unary(request, async |r: PruneRequest| {
                    self.pruned.lock().push(r);
                    Ok(PruneReply {})
                })
                .await
            }
            "Append" => unary(request, async |r| self.append(r).await).await,
            "Describe" => {
                unary(request, async |_: DescribeRequest| {
                    Ok(DescribeReply { generation: 1, ..DescribeReply::default() })
                })
                .await
            }
            _ => Status::unimplemented("not in the script").into_http(),
        }
    }
}

/// Decodes the request, answers, encodes the reply: what a generated server does.
async fn unary<Q, R>(request: Request<Body>, answer: impl AsyncFnOnce(Q) -> Result<R, Status>) -> Response<Body>
where
    Q: Message + Default + 'static,
    R: Message + Default + Clone + 'static,
{
    // The codec wants a service that outlives this call: it takes the request out and puts the reply in.
    let taken: Arc<Mutex<Option<Q>>> = Arc::default();
    let slot = taken.clone();
    let (parts, body) = request.into_parts();
    let headers = parts.headers.clone();
    let echo = tower::service_fn(move |request: tonic::Request<Q>| {
        *slot.lock() = Some(request.into_inner());
        std::future::ready(Ok::<_, Status>(tonic::Response::new(R::default())))
    });
    let _ = Grpc::new(ProstCodec::<R, Q>::default()).unary(echo, Request::from_parts(parts, body)).await;
    let request = taken.lock().take().expect("a request that decodes");
    let reply = match answer(request).await {
        Ok(reply) => reply,
        Err(status) => return status.into_http(),
    };
    let give = tower::service_fn(move |_: tonic::Request<R>| {
        std::future::ready(Ok::<_, Status>(tonic::Response::new(reply.clone())))
    });
    let mut empty = Request::new(Body::new(http_body_util::Full::new(Bytes::from_static(&[0; 5]))));
    *empty.headers_mut() = headers;
    Grpc::new(ProstCodec::<R, R>::default()).unary(give, empty).await
}

#[derive(Clone)]
struct Scripted(Arc<Script>);

impl tower::Service<Request<axum::body::Body>> for Scripted {
    type Response = Response<Body>;
    type Error = Infallible;
    type Future = Pin<Box<dyn Future<Output = Result<Response<Body>, Infallible>> + Send>>;

    fn poll_ready(&mut self, _: &mut task::Context<'_>) -> task::Poll<Result<(), Infallible>> {
        task::Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<axum::body::Body>) -> Self::Future {
        let script = self.0.clone();
        Box::pin(async move { Ok(script.call(request.map(Body::new)).await) })
    }
}

/// Everything published goes to whoever is subscribed, at once.
#[derive(Default)]
pub struct TestBus(Mutex<Vec<(String, mpsc::UnboundedSender<Delivery>)>>);

#[async_trait]
impl Bus for TestBus {
    fn driver(&self) -> &'static str {
        "test"
    }

    async fn publish(&self, subject: &str, message: Bytes) -> Result<(), BusError> {
        for (_, queue) in self.0.lock().iter().filter(|(of, _)| of == subject) {
            let _ = queue.send(Delivery::Message(message.clone()));
        }
        Ok(())
    }

    async fn subscribe(&self, subject: &str) -> Result<Box<dyn Subscription>, BusError> {
        let (queue, rest) = mpsc::unbounded_channel();
        self.0.lock().push((subject.to_owned(), queue));
        Ok(Box::new(TestSubscription(rest)))
    }
}

struct TestSubscription(mpsc::UnboundedReceiver<Delivery>);

#[async_trait]
impl Subscription for TestSubscription {
    async fn next(&mut self) -> Option<Delivery> {
        self.0.recv().await
    }
}

/// A gateway over scripted services; its wall clock begins at 1,000,000 ms.
pub fn gateway(config: GatewayConfig) -> (Arc<Gateway>, Arc<Script>) {
    let (metrics, clock) = (Metrics::default(), Clock::simulated(7, 1_000_000));
    let script = Arc::new(Script { unwatchable: Mutex::new(Some(Vec::new())), ..Script::default() });
    let rpc = Rpc::new(RpcConfig::default(), &metrics, clock.clone());
    let services = axum::Router::new().fallback_service(Scripted(script.clone()));
    let link = Link::local(&rpc, "script", rpc.guard("script", tonic::service::Routes::from(services)));
    let gateway = Gateway::new(GatewayDeps {
        config,
        routing: link.routing(),
        session: link.session(),
        storage: link.storage(),
        push: link.push(),
        bus: script.bus.clone(),
        clock,
        metrics,
        tasks: Tasks::new(),
    });
    (gateway, script)
}
