//! The only place that knows one process from many, and one engine from another: it picks drivers
//! and links. Everything above and below sees traits and clients.

use std::{sync::Arc, time::Duration};

use posthorn_bus::{Bus, BusMetrics, memory::MemoryBus};
use posthorn_clock::Clock;
use posthorn_feed::{Feed, embedded::EmbeddedFeed};
use posthorn_gateway::{Gateway, GatewayDeps};
use posthorn_presence::{Presence, memory::MemoryPresence};
use posthorn_push::{LogProvider, PushDeps, PushService};
use posthorn_routing::{RoutingDeps, RoutingService};
use posthorn_rpc::{Link, RoutingClient, Rpc, SessionClient, StorageClient, serve};
use posthorn_session::{SessionDeps, SessionService};
use posthorn_storage::{StorageDeps, StorageService};
use posthorn_store::{FeedTable, Store, embedded::EmbeddedStore, memory::MemoryStore};
use posthorn_tasks::Tasks;
use posthorn_telemetry::Metrics;
use tokio::net::TcpListener;
use tonic::service::Routes;

use crate::{NodeConfig, NodeParts, StartError};

/// For the tasks of a start that failed.
const ABANDON: Duration = Duration::from_secs(5);

/// How the services of a node reach each other.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Topology {
    /// By calls within the process.
    #[default]
    Local,
    /// Every service is served over gRPC on a loopback port of its own and called through it.
    Loopback,
}

/// The engines below the services.
#[derive(Clone)]
pub struct Engines {
    pub store: Arc<dyn Store>,
    pub feed: Arc<dyn Feed>,
    pub bus: Arc<dyn Bus>,
    pub presence: Arc<dyn Presence>,
    /// The store again, where it is the embedded one: the only one that backs itself up.
    pub embedded: Option<Arc<EmbeddedStore>>,
}

impl Engines {
    /// Everything on this machine: the log in `store.data_dir`, the rest in memory.
    pub async fn embedded(config: &NodeConfig, metrics: &Metrics) -> Result<Self, StartError> {
        let (config, metrics) = (config.store.clone(), metrics.clone());
        let bus = MemoryBus::counted(BusMetrics::new(&metrics));
        // Reads the journal of the last run: seconds, perhaps.
        let opened = tokio::task::spawn_blocking(move || EmbeddedStore::open(config, &metrics)).await;
        let store = opened.map_err(|_| StartError::StorePanicked)??;
        Ok(Self {
            feed: Arc::new(EmbeddedFeed::new(Arc::clone(&store) as Arc<dyn FeedTable>)),
            embedded: Some(Arc::clone(&store)),
            store,
            bus,
            presence: MemoryPresence::new(),
        })
    }

    /// Nothing on disk. Outlives the node, so that another can be started on it.
    #[must_use]
    pub fn memory(clock: &Clock) -> Self {
        Self::over(MemoryStore::new(clock.clone()))
    }

    /// As [`Engines::memory`], over a store that the caller has made (and may crash).
    #[must_use]
    pub fn over(store: Arc<MemoryStore>) -> Self {
        Self {
            feed: Arc::new(EmbeddedFeed::new(Arc::clone(&store) as Arc<dyn FeedTable>)),
            embedded: None,
            store,
            bus: MemoryBus::new(),
            presence: MemoryPresence::new(),
        }
    }

    /// Writes what waits and closes the files.
    pub(crate) async fn close(&self) {
        if let Some(store) = self.embedded.clone() {
            let _ = tokio::task::spawn_blocking(move || store.close()).await;
        }
    }
}

/// The clients of the services of a node.
#[derive(Clone)]
pub struct Clients {
    pub routing: RoutingClient,
    pub session: SessionClient,
    pub storage: StorageClient,
}

/// A started service: its tasks stop together.
pub(crate) struct Part {
    pub name: &'static str,
    pub tasks: Tasks,
}

pub(crate) struct Wired {
    pub gateway: Arc<Gateway>,
    pub clients: Clients,
    /// In the order of their start.
    pub parts: Vec<Part>,
}

/// Starts storage, session, routing, push and the gateway, each on links to those before it. On an
/// error what was started is stopped.
pub(crate) async fn wire(config: &NodeConfig, parts: &NodeParts, rpc: &Rpc) -> Result<Wired, StartError> {
    let mut wiring = Wiring { config, node: parts, rpc, parts: Vec::new() };
    match wiring.services().await {
        Ok((gateway, clients)) => Ok(Wired { gateway, clients, parts: wiring.parts }),
        Err(error) => {
            for part in wiring.parts.iter().rev() {
                part.tasks.stop();
                part.tasks.ended(ABANDON).await;
            }
            Err(error)
        }
    }
}

struct Wiring<'a> {
    config: &'a NodeConfig,
    node: &'a NodeParts,
    rpc: &'a Rpc,
    parts: Vec<Part>,
}

impl Wiring<'_> {
    async fn services(&mut self) -> Result<(Arc<Gateway>, Clients), StartError> {
        let storage = self.storage().await?.storage();
        let session = self.session(storage.clone()).await?.session();
        let routing = self.routing(storage.clone(), session.clone()).await?.routing();
        let clients = Clients { routing, session, storage };
        self.push(&clients).await?;
        Ok((self.gateway(&clients), clients))
    }

    async fn storage(&mut self) -> Result<Link, StartError> {
        let tasks = self.part("storage");
        let service = StorageService::new(StorageDeps { store: Arc::clone(&self.node.engines.store) });
        self.link("storage", posthorn_storage::grpc::routes(service), &tasks).await
    }

    async fn session(&mut self, storage: StorageClient) -> Result<Link, StartError> {
        let tasks = self.part("session");
        let deps = SessionDeps {
            config: self.config.session.clone(),
            storage,
            presence: Arc::clone(&self.node.engines.presence),
            bus: Arc::clone(&self.node.engines.bus),
            clock: self.node.clock.clone(),
            metrics: self.node.metrics.clone(),
            tasks: tasks.clone(),
        };
        let service = SessionService::new(deps);
        service.load().await.map_err(|why| StartError::Service { service: "session", why })?;
        self.link("session", posthorn_session::grpc::routes(service), &tasks).await
    }

    async fn routing(&mut self, storage: StorageClient, session: SessionClient) -> Result<Link, StartError> {
        let tasks = self.part("routing");
        // An owner calls the owners of others' state, here itself: through a link, as anybody does.
        let peers = Link::not_yet();
        let deps = RoutingDeps {
            config: self.config.routing.clone(),
            storage,
            session,
            peers: peers.routing(),
            bus: Arc::clone(&self.node.engines.bus),
            clock: self.node.clock.clone(),
            metrics: self.node.metrics.clone(),
            tasks: tasks.clone(),
            address: "local".to_owned(),
        };
        let started = RoutingService::start(deps).await;
        let service = started.map_err(|why| StartError::Service { service: "routing", why })?;
        let link = self.link("routing", posthorn_routing::grpc::routes(Arc::clone(&service)), &tasks).await?;
        let bound = peers.bind(link.clone());
        debug_assert!(bound, "nobody else has this link");
        // Needs the peers: registers are told through them.
        let stopping = tasks.stopping();
        tasks.background("settle", async move {
            tokio::select! {
                () = service.settle_inherited() => {}
                () = stopping.cancelled() => {}
            }
        });
        Ok(link)
    }

    async fn push(&mut self, clients: &Clients) -> Result<(), StartError> {
        let tasks = self.part("push");
        let deps = PushDeps {
            config: self.config.push.clone(),
            feed: Arc::clone(&self.node.engines.feed),
            session: clients.session.clone(),
            storage: clients.storage.clone(),
            provider: Arc::new(LogProvider),
            clock: self.node.clock.clone(),
            metrics: self.node.metrics.clone(),
            tasks,
        };
        PushService::start(deps);
        Ok(())
    }

    fn gateway(&mut self, clients: &Clients) -> Arc<Gateway> {
        let tasks = self.part("gateway");
        Gateway::new(GatewayDeps {
            config: self.config.edge.clone(),
            routing: clients.routing.clone(),
            session: clients.session.clone(),
            storage: clients.storage.clone(),
            bus: Arc::clone(&self.node.engines.bus),
            clock: self.node.clock.clone(),
            metrics: self.node.metrics.clone(),
            tasks,
        })
    }

    fn part(&mut self, name: &'static str) -> Tasks {
        let tasks = Tasks::new();
        self.parts.push(Part { name, tasks: tasks.clone() });
        tasks
    }

    /// To a service of this process, the way the topology says; the layers are the same.
    async fn link(&self, service: &'static str, routes: Routes, tasks: &Tasks) -> Result<Link, StartError> {
        let routes = self.rpc.guard(service, routes);
        match self.node.topology {
            Topology::Local => Ok(Link::local(self.rpc, service, routes)),
            Topology::Loopback => {
                let bound = TcpListener::bind("127.0.0.1:0").await;
                let listener = bound.map_err(|why| StartError::Loopback { service, why })?;
                let addr = listener.local_addr().map_err(|why| StartError::Loopback { service, why })?;
                let (rpc, stop) = (self.rpc.clone(), tasks.stopping());
                tasks.critical("grpc server", async move {
                    if let Err(error) = serve(&rpc, routes, listener, stop.cancelled_owned()).await {
                        tracing::error!(%error, service, "the gRPC server ended");
                    }
                });
                Link::remote(self.rpc, service, &format!("http://{addr}"))
                    .map_err(|why| StartError::Link { service, why })
            }
        }
    }
}
