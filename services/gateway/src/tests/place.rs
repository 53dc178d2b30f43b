//! Two tenants with people, conversations and keys, and the door to them.

use axum::{Router, body::Body};
use hyper::{Request, body::Incoming, server::conn::http1, service::service_fn};
use hyper_util::rt::{TokioIo, TokioTimer};
use posthorn_proto::internal::{
    AddSigningKeyRequest, CreateApiKeyRequest, CreateTenantRequest, KeyScope, MintTokenRequest, RevokeRequest,
};
use posthorn_rpc::SessionClient;
use serde_json::{Value, json};
use tokio::io::DuplexStream;
use tower::ServiceExt;

use super::{
    signed::{Pem, pem_pair},
    wire::{Person, Wire, text},
};
use crate::{GatewayConfig, wired::Wired, ws::Protocol};

pub const TENANT: &str = "t";
pub const OTHER: &str = "other";

/// The HS256 secret that the tenant signs with, under the key id `k1`; the other tenant has another under that id.
pub const SECRET: [u8; 32] = [1; 32];
pub const OTHER_SECRET: [u8; 32] = [2; 32];

/// What a socket may hold before its writer waits.
const SOCKET_BYTES: usize = 1 << 16;

pub struct Place {
    pub wired: Wired,
    router: Router,
    /// API keys.
    pub key: String,
    pub other_key: String,
    pub operator_key: String,
    /// The ES256 key of the tenant, under the key id `k2`.
    pub pem: Pem,
}

impl Place {
    pub async fn new() -> Self {
        let wired = Wired::start(GatewayConfig::default()).await;
        let router = crate::http::router(wired.gateway.clone());
        let mut session = wired.session.session();
        let mut keys = Vec::new();
        for (tenant, secret) in [(TENANT, SECRET), (OTHER, OTHER_SECRET)] {
            session.create_tenant(CreateTenantRequest { tenant: tenant.into() }).await.unwrap();
            add_key(&mut session, tenant, "k1", "HS256", &secret).await;
            keys.push(api_key(&mut session, tenant, KeyScope::Tenant).await);
        }
        let operator_key = api_key(&mut session, "", KeyScope::Operator).await;
        let pem = pem_pair();
        add_key(&mut session, TENANT, "k2", "ES256", pem.public.as_bytes()).await;
        let [key, other_key] = keys.try_into().unwrap();
        Self { wired, router, key, other_key, operator_key, pem }
    }

    pub fn now_ms(&self) -> u64 {
        self.wired.gateway.clock().now_ms()
    }

    /// A new socket at the listener, served as libs/node/src/http does it.
    pub fn dial(&self) -> DuplexStream {
        let (ours, theirs) = tokio::io::duplex(SOCKET_BYTES);
        let router = self.router.clone();
        let service = service_fn(move |request: Request<Incoming>| router.clone().oneshot(request.map(Body::new)));
        self.wired.gateway.deps.tasks.background("http connection", async move {
            let http = http1::Builder::new()
                .timer(TokioTimer::new())
                .header_read_timeout(std::time::Duration::from_secs(10))
                .max_buf_size(64 * 1024)
                .max_headers(100)
                .serve_connection(TokioIo::new(theirs), service)
                .with_upgrades();
            let _ = http.await;
        });
        ours
    }

    pub async fn token(&self, tenant: &str, user: &str) -> String {
        let (tenant, user, device) = (tenant.into(), user.into(), "phone".into());
        let request = MintTokenRequest { tenant, user, device, ttl_s: 86_400, limit_class: "unlimited".into() };
        self.wired.session.session().mint_token(request).await.unwrap().into_inner().token
    }

    /// A connection of the user, ready for requests.
    pub async fn connected(&self, protocol: Protocol, tenant: &str, user: &str) -> Wire {
        let mut wire = Wire::open(self, protocol).await;
        let token = self.token(tenant, user).await;
        wire.connect(&token).await;
        wire
    }

    pub async fn person(&self, tenant: &str, user: &str) -> Person {
        Person::new(self.connected(Protocol::Json, tenant, user).await)
    }

    /// Every token of the user that was issued so far.
    pub async fn revoke(&self, tenant: &str, user: &str) {
        let request = RevokeRequest { tenant: tenant.into(), user: user.into(), ..RevokeRequest::default() };
        self.wired.session.session().revoke(request).await.unwrap();
    }

    /// The answer to a request of HTTP: status, and the body where it is JSON.
    pub async fn http(&self, request: &[u8]) -> Option<(u16, Value)> {
        Wire::raw(self.dial()).http(request).await
    }

    /// A group: who makes it, and the others with their roles.
    pub async fn group(&self, tenant: &str, name: &str, owner: &str, others: &[(&str, &str)]) {
        let members: Vec<Value> = others.iter().map(|(user, role)| json!({ "user": user, "role": role })).collect();
        let mut person = self.person(tenant, owner).await;
        let create = json!({ "conversation": name, "title": name, "members": members });
        person.ask("create_conversation", create).await.unwrap();
    }

    /// Whether the door is open and somebody who did nothing wrong is served.
    pub async fn is_well(&self, neighbour: &mut Wire) -> bool {
        let live = self.http(b"GET /livez HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n").await;
        neighbour.write(&text(r#"{"id":5,"ping":{}}"#)).await;
        let answered = neighbour.until_id(5).await.is_some_and(|frame| frame["pong"].is_object());
        answered && live.is_some_and(|(status, _)| status == 200)
    }
}

async fn add_key(session: &mut SessionClient, tenant: &str, id: &str, algorithm: &str, key: &[u8]) {
    let (tenant, key_id, algorithm) = (tenant.into(), id.into(), algorithm.into());
    let request = AddSigningKeyRequest { tenant, key_id, algorithm, key: key.to_vec().into() };
    session.add_signing_key(request).await.unwrap();
}

async fn api_key(session: &mut SessionClient, tenant: &str, scope: KeyScope) -> String {
    let request = CreateApiKeyRequest { tenant: tenant.into(), scope: scope.into() };
    session.create_api_key(request).await.unwrap().into_inner().key
}
