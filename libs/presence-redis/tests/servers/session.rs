//! The session service on Redis: what it answers while Redis is away or after it lost everything.

use posthorn_bus::memory::MemoryBus;
use posthorn_errors::{Code, failure_of};
use posthorn_proto::{
    client::Status,
    internal::{
        AuthenticateRequest, ConnectRequest, CreateTenantRequest, LeaseRequest, LeaseState, LookupReply, LookupRequest,
        MintTokenRequest, PresenceRequest, RevokeRequest,
    },
};
use posthorn_rpc::{Link, Rpc, RpcConfig, SessionClient};
use posthorn_session::{SessionConfig, SessionDeps, SessionService};
use posthorn_storage::{StorageDeps, StorageService};
use posthorn_store::memory::MemoryStore;

use super::*;

/// A session service over the model of the store; tenant `acme` is there.
async fn session(place: &Place) -> SessionClient {
    let clock = Clock::system();
    let metrics = Metrics::default();
    let rpc = Rpc::new(RpcConfig::default(), &metrics, clock.clone());
    let storage = StorageService::new(StorageDeps { store: MemoryStore::new(clock.clone()), feed: None });
    let storage = Link::local(&rpc, "storage", rpc.guard("storage", posthorn_storage::grpc::routes(storage)));
    let service = SessionService::new(SessionDeps {
        config: SessionConfig::default(),
        storage: storage.storage(),
        presence: place.presence.clone(),
        bus: MemoryBus::new(),
        clock,
        metrics,
        tasks: place.tasks.clone(),
    });
    service.load().await.expect("loads");
    let link = Link::local(&rpc, "session", rpc.guard("session", posthorn_session::grpc::routes(service)));
    let tenant = CreateTenantRequest { tenant: "acme".into() };
    link.session().create_tenant(tenant).await.expect("created");
    link.session()
}

async fn connect(client: &SessionClient, connection: u64) {
    let request = ConnectRequest {
        tenant: "acme".into(),
        user: "ann".into(),
        device: "phone".into(),
        connection,
        gateway: "g".into(),
        ..ConnectRequest::default()
    };
    client.clone().connect(request).await.expect("connected");
}

async fn lookup(client: &SessionClient) -> LookupReply {
    let request = LookupRequest { tenant: "acme".into(), users: vec!["ann".into()] };
    client.clone().lookup(request).await.expect("answered").into_inner()
}

async fn status(client: &SessionClient) -> Status {
    let request = PresenceRequest { tenant: "acme".into(), users: vec!["ann".into()] };
    client.clone().presence(request).await.expect("answered").into_inner().now[0].status()
}

async fn lease(client: &SessionClient, connections: &[u64]) -> Option<LeaseState> {
    let mut held = Held::default();
    for connection in connections {
        held.add(&ann(), *connection);
    }
    let request = LeaseRequest { gateway: "g".into(), count: held.count, hash: held.hash, renew_only: false };
    client.clone().lease(request).await.ok().map(|lease| lease.into_inner().state())
}

#[tokio::test]
async fn while_redis_is_away_connects_go_on_and_where_users_are_is_unknown() {
    let Some((mut server, place)) = one_server(|_| {}).await else { return };
    let client = session(&place).await;
    assert_eq!(lease(&client, &[]).await, Some(LeaseState::Lost));
    connect(&client, 1).await;
    assert_eq!((lookup(&client).await.unknown, status(&client).await), (false, Status::Online));

    server.process().kill().expect("killed");
    connect(&client, 2).await;
    let found = lookup(&client).await;
    assert!(found.unknown && found.gateways.is_empty());
    assert_eq!(status(&client).await, Status::Unknown, "and not offline");
    assert_eq!(lease(&client, &[1, 2]).await, None);

    server.restart().await.expect("starts");
    until("the lease is taken", async || lease(&client, &[1, 2]).await, Option::is_some).await;
    assert_eq!(lease(&client, &[1, 2]).await, Some(LeaseState::Differs), "both are missing");
    for connection in [1, 2] {
        connect(&client, connection).await;
    }
    assert_eq!(lease(&client, &[1, 2]).await, Some(LeaseState::Kept));
    assert_eq!(lookup(&client).await.gateways[0].connections, [1, 2]);
}

#[tokio::test]
async fn a_revoked_token_stays_revoked_although_redis_was_flushed() {
    let Some((server, place)) = one_server(|_| {}).await else { return };
    let client = session(&place).await;
    let mint = MintTokenRequest {
        tenant: "acme".into(),
        user: "ann".into(),
        device: "phone".into(),
        ttl_s: 600,
        ..MintTokenRequest::default()
    };
    let token = client.clone().mint_token(mint).await.expect("minted").into_inner().token;
    let authenticate = async || {
        let request = AuthenticateRequest { token: token.clone(), ..AuthenticateRequest::default() };
        client.clone().authenticate(request).await.map(|_| ()).map_err(|status| failure_of(&status).code)
    };
    assert_eq!(authenticate().await, Ok(()));
    let revoke = RevokeRequest { tenant: "acme".into(), user: "ann".into(), ..RevokeRequest::default() };
    client.clone().revoke(revoke).await.expect("revoked");
    assert_eq!(authenticate().await, Err(Code::TokenRevoked));
    server.ask(&["FLUSHALL"]).expect("flushed");
    assert_eq!(authenticate().await, Err(Code::TokenRevoked));
}
