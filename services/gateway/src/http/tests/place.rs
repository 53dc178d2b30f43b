//! All services on the memory drivers, linked locally, with the router on top.

use std::sync::Arc;

use axum::{Router, body::Body};
use http::{HeaderMap, HeaderName, Method, Request, Response, header};
use http_body_util::BodyExt;
use posthorn_bus::{Bus, memory::MemoryBus};
use posthorn_clock::Clock;
use posthorn_errors::Failure;
use posthorn_presence::memory::MemoryPresence;
use posthorn_proto::internal::{
    AuthenticateReply, AuthenticateRequest, CreateApiKeyRequest, CreateTenantRequest, KeyScope, ListRecordsRequest,
    Table,
};
use posthorn_routing::{RoutingConfig, RoutingDeps, RoutingService};
use posthorn_rpc::{Link, Rpc, RpcConfig, SessionClient};
use posthorn_session::{SessionConfig, SessionDeps, SessionService};
use posthorn_storage::{StorageDeps, StorageService};
use posthorn_store::memory::MemoryStore;
use posthorn_tasks::Tasks;
use posthorn_telemetry::Metrics;
use serde_json::Value;
use tower::ServiceExt;

use crate::{
    Gateway, GatewayConfig, GatewayDeps,
    http::{
        Api, HttpConfig, assembled,
        idempotency::row::{Keyed, Row, State},
    },
};

pub const TENANT: &str = "demo";
const NOW_MS: u64 = 1_790_000_000_000;

pub struct Place {
    pub api: Api,
    router: Router,
    pub tenant_key: String,
    /// Of another tenant.
    pub other_key: String,
    pub operator_key: String,
    late: Link,
    session: Link,
}

/// What came back.
#[derive(Debug)]
pub struct Answer {
    pub status: u16,
    pub headers: HeaderMap,
    /// Null where there was none.
    pub body: Value,
}

impl Answer {
    pub async fn of(response: Response<Body>) -> Self {
        let (parts, body) = response.into_parts();
        let bytes = body.collect().await.unwrap().to_bytes();
        let body = if bytes.is_empty() {
            Value::Null
        } else {
            serde_json::from_slice(&bytes).unwrap_or_else(|_| String::from_utf8_lossy(&bytes).into())
        };
        Self { status: parts.status.as_u16(), headers: parts.headers, body }
    }

    pub fn header(&self, name: HeaderName) -> &str {
        self.headers.get(name).map_or("", |value| value.to_str().unwrap())
    }
}

impl Place {
    pub async fn new() -> Self {
        Self::with(HttpConfig::default()).await
    }

    pub async fn with(config: HttpConfig) -> Self {
        let place = Self::start(config).await;
        place.bind_session();
        place
    }

    /// The gateway's link to the session service leads nowhere until [`Place::bind_session`].
    pub async fn without_session() -> Self {
        Self::start(HttpConfig::default()).await
    }

    pub fn bind_session(&self) {
        assert!(self.late.bind(self.session.clone()));
    }

    async fn start(http: HttpConfig) -> Self {
        let (metrics, tasks, clock) = (Metrics::default(), Tasks::new(), Clock::simulated(7, NOW_MS));
        let rpc = Rpc::new(RpcConfig::default(), &metrics, clock.clone());
        let bus: Arc<dyn Bus> = Arc::new(MemoryBus::default());
        let local = |name, routes| Link::local(&rpc, name, rpc.guard(name, routes));

        let store = MemoryStore::new(clock.clone());
        let storage = StorageService::new(StorageDeps { store });
        let storage = local("storage", posthorn_storage::grpc::routes(storage));
        let session = session(&storage, &bus, &clock, &metrics, &tasks).await;
        let session = local("session", posthorn_session::grpc::routes(session));
        let peers = Link::not_yet();
        let routing = RoutingService::start(RoutingDeps {
            config: RoutingConfig::default(),
            storage: storage.storage(),
            session: session.session(),
            peers: peers.routing(),
            bus: bus.clone(),
            clock: clock.clone(),
            metrics: metrics.clone(),
            tasks: tasks.clone(),
            address: "local".to_owned(),
        });
        let routing = local("routing", posthorn_routing::grpc::routes(routing.await.unwrap()));
        assert!(peers.bind(routing.clone()));

        let late = Link::not_yet();
        let gateway = Gateway::new(GatewayDeps {
            config: GatewayConfig { http, ..GatewayConfig::default() },
            routing: routing.routing(),
            session: late.session(),
            storage: storage.storage(),
            bus,
            clock,
            metrics,
            tasks,
        });
        gateway.when_reachable().await;
        let mut client = session.session();
        let tenant_key = tenant(&mut client, TENANT).await;
        let other_key = tenant(&mut client, "other").await;
        let operator_key = key(&mut client, "", KeyScope::Operator).await;
        let api = Api::new(gateway);
        Self { router: assembled(&api), api, tenant_key, other_key, operator_key, late, session }
    }

    pub async fn send(
        &self,
        method: Method,
        path: &str,
        key: &str,
        headers: &[(&str, &str)],
        body: impl AsRef<[u8]>,
    ) -> Answer {
        let mut request = Request::builder().method(method).uri(path);
        if !key.is_empty() {
            request = request.header(header::AUTHORIZATION, format!("Bearer {key}"));
        }
        for (name, value) in headers {
            request = request.header(*name, value.as_bytes());
        }
        let request = request.body(Body::from(body.as_ref().to_vec())).unwrap();
        Answer::of(self.router.clone().oneshot(request).await.unwrap()).await
    }

    /// The body as it is, where it is no JSON.
    pub async fn send_text(&self, method: Method, path: &str) -> String {
        let request = Request::builder().method(method).uri(path).body(Body::empty()).unwrap();
        let response = self.router.clone().oneshot(request).await.unwrap();
        String::from_utf8(response.into_body().collect().await.unwrap().to_bytes().to_vec()).unwrap()
    }

    pub async fn tenant(&self, method: Method, path: &str, body: &[u8]) -> Answer {
        self.send(method, path, &self.tenant_key, &[("content-type", "application/json")], body).await
    }

    pub async fn other_tenant(&self, method: Method, path: &str, body: &[u8]) -> Answer {
        self.send(method, path, &self.other_key, &[("content-type", "application/json")], body).await
    }

    pub async fn operator(&self, method: Method, path: &str, body: &[u8]) -> Answer {
        self.send(method, path, &self.operator_key, &[("content-type", "application/json")], body).await
    }

    pub async fn authenticate(&self, token: &str) -> Result<AuthenticateReply, Failure> {
        let request = AuthenticateRequest { token: token.to_owned(), resume_token: String::new() };
        let reply = self.session.session().authenticate(request).await;
        reply.map(tonic::Response::into_inner).map_err(|status| posthorn_errors::failure_of(&status))
    }

    pub async fn find(&self, keyed: &Keyed) -> Option<Row> {
        let now_ms = self.api.deps().clock.now_ms();
        keyed.get(&self.api, &keyed.name(now_ms)).await.unwrap()
    }

    /// The row as it stood before its answer was noted.
    pub async fn forget_answer(&self, keyed: &Keyed) {
        let row = self.find(keyed).await.unwrap();
        assert_eq!(row.state, State::Done);
        let name = keyed.name(row.begun_ms);
        let row = Row { state: State::Working, status: 0, body: None, content_type: None, location: None, ..row };
        keyed.put(&self.api, &name, &row).await.unwrap();
    }

    /// Of all tenants, as stored.
    pub async fn idempotency_rows(&self) -> Vec<String> {
        let request = ListRecordsRequest { table: Table::Idempotency.into(), limit: 1_000, ..Default::default() };
        let records = self.api.deps().storage.clone().list_records(request).await.unwrap().into_inner().records;
        let ours = records.into_iter().filter(|record| record.key.starts_with("http."));
        ours.map(|record| String::from_utf8_lossy(&record.value).into_owned()).collect()
    }
}

async fn tenant(client: &mut SessionClient, name: &str) -> String {
    client.create_tenant(CreateTenantRequest { tenant: name.to_owned() }).await.unwrap();
    key(client, name, KeyScope::Tenant).await
}

async fn key(client: &mut SessionClient, tenant: &str, scope: KeyScope) -> String {
    let request = CreateApiKeyRequest { tenant: tenant.to_owned(), scope: scope.into() };
    client.create_api_key(request).await.unwrap().into_inner().key
}

async fn session(
    storage: &Link,
    bus: &Arc<dyn Bus>,
    clock: &Clock,
    metrics: &Metrics,
    tasks: &Tasks,
) -> Arc<SessionService> {
    SessionService::new(SessionDeps {
        config: SessionConfig::default(),
        storage: storage.storage(),
        presence: Arc::new(MemoryPresence::default()),
        bus: bus.clone(),
        clock: clock.clone(),
        metrics: metrics.clone(),
        tasks: tasks.clone(),
    })
}
