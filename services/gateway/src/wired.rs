//! A gateway over the real services on the memory drivers, linked locally: what the tests of both
//! transports stand on.

use std::sync::Arc;

use posthorn_bus::{Bus, memory::MemoryBus};
use posthorn_clock::Clock;
use posthorn_presence::memory::MemoryPresence;
use posthorn_routing::{InstanceDeps, RoutingConfig, RoutingInstance};
use posthorn_rpc::{Link, Rpc, RpcConfig};
use posthorn_session::{SessionConfig, SessionDeps, SessionService};
use posthorn_storage::{StorageDeps, StorageService};
use posthorn_store::memory::MemoryStore;
use posthorn_tasks::Tasks;
use posthorn_telemetry::Metrics;

use crate::{Gateway, GatewayConfig, GatewayDeps};

const NOW_MS: u64 = 1_790_000_000_000;

pub struct Wired {
    pub gateway: Arc<Gateway>,
    pub session: Link,
    /// The gateway's own link to the session service.
    late: Link,
    /// That to push, which runs in no test that does not bind it.
    pub push: Link,
    pub storage: Link,
    pub store: Arc<MemoryStore>,
    pub rpc: Rpc,
}

impl Wired {
    pub async fn start(config: GatewayConfig) -> Self {
        let wired = Self::without_session(config).await;
        wired.bind_session();
        wired.gateway.when_leased().await;
        wired
    }

    /// The gateway's link to the session service leads nowhere until [`Wired::bind_session`].
    pub async fn without_session(config: GatewayConfig) -> Self {
        let (metrics, tasks, clock) = (Metrics::default(), Tasks::new(), Clock::simulated(7, NOW_MS));
        let rpc = Rpc::new(RpcConfig::default(), &metrics, clock.clone());
        let bus: Arc<dyn Bus> = MemoryBus::new();
        let local = |name, routes| Link::local(&rpc, name, rpc.guard(name, routes));

        let store = MemoryStore::new(clock.clone());
        let storage = StorageService::new(StorageDeps { store: store.clone(), feed: None });
        let storage = local("storage", posthorn_storage::grpc::routes(storage));
        let session = SessionService::new(SessionDeps {
            config: SessionConfig::default(),
            storage: storage.storage(),
            presence: Arc::new(MemoryPresence::default()),
            bus: bus.clone(),
            clock: clock.clone(),
            metrics: metrics.clone(),
            tasks: tasks.clone(),
        });
        session.load().await.unwrap();
        let session = local("session", posthorn_session::grpc::routes(session));
        let peers = Link::not_yet();
        let routing = RoutingInstance::start(InstanceDeps {
            config: RoutingConfig::default(),
            storage: storage.storage(),
            session: session.session(),
            peers: peers.routing(),
            bus: bus.clone(),
            clock: clock.clone(),
            metrics: metrics.clone(),
            tasks: tasks.clone(),
            address: "local".to_owned(),
            alone: true,
        });
        let routing = local("routing", posthorn_routing::grpc::routes(routing.await.unwrap()));
        assert!(peers.bind(routing.clone()));

        let (late, push) = (Link::not_yet(), Link::not_yet());
        let gateway = Gateway::new(GatewayDeps {
            config,
            routing: routing.routing(),
            session: late.session(),
            storage: storage.storage(),
            push: push.push(),
            bus,
            clock,
            metrics,
            tasks,
        });
        gateway.when_reachable().await;
        Self { gateway, session, late, push, storage, store, rpc }
    }

    pub fn bind_session(&self) {
        assert!(self.late.bind(self.session.clone()));
    }
}
