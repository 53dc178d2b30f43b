//! The router over the wired services, with keys for it.

use axum::{Router, body::Body};
use http::{HeaderMap, HeaderName, Method, Request, Response, header};
use http_body_util::BodyExt;
use posthorn_errors::Failure;
use posthorn_proto::internal::{
    AuthenticateReply, AuthenticateRequest, ConnectRequest, CreateApiKeyRequest, CreateTenantRequest, KeyScope,
    ListRecordsRequest, Table,
};
use posthorn_rpc::SessionClient;
use serde_json::Value;
use tower::ServiceExt;

use crate::{
    GatewayConfig,
    http::{
        Api, HttpConfig, assembled,
        idempotency::row::{Keyed, Row, State},
    },
    wired::Wired,
};

pub const TENANT: &str = "demo";

pub struct Place {
    pub api: Api,
    router: Router,
    pub tenant_key: String,
    /// Of another tenant.
    pub other_key: String,
    pub operator_key: String,
    pub wired: Wired,
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
        place.wired.gateway.when_leased().await;
        place
    }

    /// See [`Wired::without_session`].
    pub async fn without_session() -> Self {
        Self::start(HttpConfig::default()).await
    }

    pub fn bind_session(&self) {
        self.wired.bind_session();
    }

    async fn start(http: HttpConfig) -> Self {
        let wired = Wired::without_session(GatewayConfig { http, ..GatewayConfig::default() }).await;
        let mut client = wired.session.session();
        let tenant_key = tenant(&mut client, TENANT).await;
        let other_key = tenant(&mut client, "other").await;
        let operator_key = key(&mut client, "", KeyScope::Operator).await;
        let api = Api::new(wired.gateway.clone());
        Self { router: assembled(&api), api, tenant_key, other_key, operator_key, wired }
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
        let reply = self.wired.session.session().authenticate(request).await;
        reply.map(tonic::Response::into_inner).map_err(|status| posthorn_errors::failure_of(&status))
    }

    /// A device of the tenant connects.
    pub async fn connect(&self, user: &str, device: &str, client: &str) {
        let (user, device, client) = (user.to_owned(), device.to_owned(), client.to_owned());
        let request = ConnectRequest { tenant: TENANT.to_owned(), user, device, client, ..ConnectRequest::default() };
        self.api.gateway.deps.session.clone().connect(request).await.unwrap();
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
