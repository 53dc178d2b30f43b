//! The service behind its own routes, over the real storage service on the store's model, in virtual time.

mod devices;
mod gateways;
mod identity;
mod presence;
mod tokens;

use std::sync::Arc;

use posthorn_bus::{Bus, Delivery, Subscription, memory::MemoryBus};
use posthorn_clock::Clock;
use posthorn_errors::{Code, failure_of};
use posthorn_presence::{Presence, memory::MemoryPresence};
use posthorn_proto::internal::{
    AuthenticateReply, AuthenticateRequest, ConnectReply, ConnectRequest, CreateTenantRequest, DisconnectRequest,
    MintTokenRequest, Publication, publication::What,
};
use posthorn_rpc::{Link, Rpc, RpcConfig, SessionClient};
use posthorn_storage::{StorageDeps, StorageService};
use posthorn_store::memory::MemoryStore;
use posthorn_tasks::Tasks;
use posthorn_telemetry::Metrics;
use prost::Message;

use crate::{SessionConfig, SessionDeps, SessionService};

/// When the tests begin, ms.
const START_MS: u64 = 1_790_000_000_000;

struct Place {
    client: SessionClient,
    clock: Clock,
    store: Arc<MemoryStore>,
    bus: Arc<MemoryBus>,
    presence: Arc<MemoryPresence>,
    tasks: Tasks,
}

impl Place {
    /// With the tenants `t` and `other`.
    async fn new() -> Self {
        let clock = Clock::simulated(11, START_MS);
        let mut place = Self::over(MemoryStore::new(clock.clone()), clock).await;
        for tenant in ["t", "other"] {
            let created = place.client.create_tenant(CreateTenantRequest { tenant: tenant.into() }).await;
            assert!(!created.expect("created").into_inner().existed);
        }
        place
    }

    async fn over(store: Arc<MemoryStore>, clock: Clock) -> Self {
        let (bus, presence, tasks) = (MemoryBus::new(), MemoryPresence::new(), Tasks::new());
        let client = instance(&store, &clock, &bus, presence.clone(), &tasks).await;
        Self { client, clock, store, bus, presence, tasks }
    }

    /// A second instance beside it, which sees presence through another driver.
    async fn beside(&self, presence: Arc<dyn Presence>) -> SessionClient {
        instance(&self.store, &self.clock, &self.bus, presence, &self.tasks).await
    }

    /// Another instance over the same store.
    async fn restarted(&self) -> Self {
        self.tasks.stop();
        Self::over(self.store.clone(), self.clock.clone()).await
    }

    async fn mint(&self, user: &str, device: &str) -> String {
        let (tenant, user, device) = ("t".into(), user.into(), device.into());
        let request = MintTokenRequest { tenant, user, device, ttl_s: 60, limit_class: "fast".into() };
        self.client.clone().mint_token(request).await.expect("minted").into_inner().token
    }

    async fn authenticate(&self, token: &str) -> Result<AuthenticateReply, Code> {
        self.resume(token, "").await
    }

    async fn resume(&self, token: &str, resume_token: &str) -> Result<AuthenticateReply, Code> {
        let request = AuthenticateRequest { token: token.into(), resume_token: resume_token.into() };
        let reply = self.client.clone().authenticate(request).await;
        reply.map(tonic::Response::into_inner).map_err(|status| failure_of(&status).code)
    }

    async fn connect(&self, user: &str, gateway: &str, connection: u64) -> ConnectReply {
        connect(&self.client, user, gateway, connection).await
    }

    async fn disconnect(&self, user: &str, gateway: &str, connection: u64) {
        disconnect(&self.client, user, gateway, connection).await;
    }

    async fn listen(&self, subject: &str) -> Box<dyn Subscription> {
        self.bus.subscribe(subject).await.expect("subscribed")
    }
}

async fn connect(instance: &SessionClient, user: &str, gateway: &str, connection: u64) -> ConnectReply {
    let request = ConnectRequest {
        tenant: "t".into(),
        user: user.into(),
        device: "phone".into(),
        session: String::new(),
        connection,
        gateway: gateway.into(),
        client: "test/1".into(),
    };
    instance.clone().connect(request).await.expect("connected").into_inner()
}

async fn disconnect(instance: &SessionClient, user: &str, gateway: &str, connection: u64) {
    let (tenant, user, gateway) = ("t".into(), user.into(), gateway.into());
    let request = DisconnectRequest { tenant, user, connection, gateway };
    instance.clone().disconnect(request).await.expect("disconnected");
}

async fn instance(
    store: &Arc<MemoryStore>,
    clock: &Clock,
    bus: &Arc<MemoryBus>,
    presence: Arc<dyn Presence>,
    tasks: &Tasks,
) -> SessionClient {
    let metrics = Metrics::default();
    let rpc = Rpc::new(RpcConfig::default(), &metrics, clock.clone());
    let storage = StorageService::new(StorageDeps { store: store.clone(), feed: None });
    let storage = Link::local(&rpc, "storage", rpc.guard("storage", posthorn_storage::grpc::routes(storage)));
    let service = SessionService::new(SessionDeps {
        storage: storage.storage(),
        presence,
        bus: bus.clone(),
        clock: clock.clone(),
        config: SessionConfig { max_signing_keys: 2, max_api_keys: 2, ..SessionConfig::default() },
        metrics,
        tasks: tasks.clone(),
    });
    service.load().await.expect("loads");
    Link::local(&rpc, "session", rpc.guard("session", crate::grpc::routes(service))).session()
}

/// The next one that is no heartbeat.
async fn publication(from: &mut Box<dyn Subscription>) -> Publication {
    loop {
        let publication = any_publication(from).await;
        if !matches!(publication.what, Some(What::Heartbeat(_))) {
            return publication;
        }
    }
}

async fn any_publication(from: &mut Box<dyn Subscription>) -> Publication {
    match from.next().await {
        Some(Delivery::Message(bytes)) => Publication::decode(bytes).expect("a publication"),
        other => panic!("no publication: {other:?}"),
    }
}
