//! The only place that knows one process from many, and one engine from another: it picks drivers
//! and links. Everything above and below sees traits and clients.

use std::{sync::Arc, time::Duration};

use posthorn_bus::{Bus, BusMetrics, Nudges, memory::MemoryBus};
use posthorn_clock::{Clock, sleep};
use posthorn_core::backoff::Backoff;
use posthorn_feed::{Feed, FeedSink, embedded::EmbeddedFeed, letters};
use posthorn_gateway::{Gateway, GatewayDeps};
use posthorn_presence::{Presence, memory::MemoryPresence};
use posthorn_push::{LogProvider, PushDeps, PushService};
use posthorn_routing::{InstanceDeps, RoutingInstance};
use posthorn_rpc::{
    Link, Listener, NUDGE_SUBJECT, PushClient, RoutingClient, Rpc, SessionClient, ShardMap, StorageClient, serve,
    together,
};
use posthorn_session::{SessionDeps, SessionService};
use posthorn_storage::{StorageDeps, StorageService};
use posthorn_store::{FeedTable, Store, embedded::EmbeddedStore, memory::MemoryStore};
use posthorn_tasks::Tasks;
use posthorn_telemetry::Metrics;
use tokio::net::TcpListener;
use tonic::service::Routes;

use crate::{NodeConfig, NodeParts, StartError, roles::Role};

/// Between two tries of what waits for another process, ms.
const FIRST_TRY_MS: u64 = 100;
const LAST_TRY_MS: u64 = 2_000;
/// For the tasks of a start that failed, and for those of engines at the end.
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

/// The engines below the services. Those that no service of the process needs are absent.
#[derive(Clone)]
pub struct Engines {
    pub store: Option<Arc<dyn Store>>,
    pub feed: Option<Arc<dyn Feed>>,
    /// Where the feed is apart from the store.
    pub feed_sink: Option<Arc<dyn FeedSink>>,
    /// What the feed's consumer groups gave up; kept where the feed is.
    pub letters: Option<Arc<dyn letters::DeadLetters>>,
    pub bus: Arc<dyn Bus>,
    pub presence: Option<Arc<dyn Presence>>,
    /// What keeps connections to engines, where there are any; stopped last.
    pub tasks: Option<Tasks>,
    /// The store again, where it is the embedded one: the only one that backs itself up.
    pub embedded: Option<Arc<EmbeddedStore>>,
    /// No other process uses the store: one routing instance owns everything.
    pub alone: bool,
}

impl Engines {
    /// Everything on this machine: the log in `store.data_dir`, the rest in memory.
    pub async fn embedded(config: &NodeConfig, metrics: &Metrics) -> Result<Self, StartError> {
        let bus = MemoryBus::counted(BusMetrics::new(metrics));
        Ok(Self { bus, ..Self::on_disk(config, metrics).await? })
    }

    /// As [`Engines::embedded`], for whoever brings the bus.
    pub(crate) async fn on_disk(config: &NodeConfig, metrics: &Metrics) -> Result<Self, StartError> {
        let (config, metrics) = (config.store.clone(), metrics.clone());
        // Reads the journal of the last run: seconds, perhaps.
        let opened = tokio::task::spawn_blocking(move || EmbeddedStore::open(config, &metrics)).await;
        let store = opened.map_err(|_| StartError::StorePanicked)??;
        Ok(Self { embedded: Some(Arc::clone(&store)), ..Self::in_process(store) })
    }

    /// Nothing on disk. Outlives the node, so that another can be started on it.
    #[must_use]
    pub fn memory(clock: &Clock) -> Self {
        Self::over(MemoryStore::new(clock.clone()))
    }

    /// As [`Engines::memory`], over a store that the caller has made (and may crash).
    #[must_use]
    pub fn over(store: Arc<MemoryStore>) -> Self {
        Self::in_process(store)
    }

    /// For services that need none.
    #[must_use]
    pub fn none() -> Self {
        Self {
            store: None,
            feed: None,
            feed_sink: None,
            letters: None,
            bus: MemoryBus::new(),
            presence: None,
            tasks: None,
            embedded: None,
            alone: false,
        }
    }

    fn in_process<S: Store + FeedTable>(store: Arc<S>) -> Self {
        Self {
            feed: Some(Arc::new(EmbeddedFeed::new(Arc::clone(&store) as Arc<dyn FeedTable>))),
            letters: Some(Arc::new(letters::RecordLetters::new(Arc::clone(&store) as Arc<dyn Store>))),
            store: Some(store),
            presence: Some(MemoryPresence::new()),
            alone: true,
            ..Self::none()
        }
    }

    /// Writes what waits and closes the files.
    pub(crate) async fn close(&self) {
        if let Some(store) = self.embedded.clone() {
            let _ = tokio::task::spawn_blocking(move || store.close()).await;
        }
        if let Some(tasks) = &self.tasks {
            tasks.stop();
            tasks.ended(ABANDON).await;
        }
    }
}

/// The clients of the services that a node calls. One that it neither runs nor is told the address of
/// answers `unavailable`.
#[derive(Clone)]
pub struct Clients {
    pub routing: RoutingClient,
    pub session: SessionClient,
    pub storage: StorageClient,
    /// For the operator alone.
    pub push: PushClient,
}

/// What runs in this process and is asked about itself.
#[derive(Clone, Default)]
pub(crate) struct Local {
    pub gateway: Option<Arc<Gateway>>,
    pub routing: Option<Arc<RoutingInstance>>,
}

/// A started service: its tasks stop together.
pub(crate) struct Part {
    pub name: &'static str,
    pub tasks: Tasks,
}

pub(crate) struct Wired {
    pub local: Local,
    pub clients: Clients,
    /// In the order of their start.
    pub parts: Vec<Part>,
}

/// Starts storage, session, routing, push and the gateway, as far as they belong to this process, each on
/// links to those before it. On an error what was started is stopped.
pub(crate) async fn wire(
    config: &NodeConfig,
    parts: &NodeParts,
    rpc: &Rpc,
    grpc: Option<Box<dyn Listener>>,
) -> Result<Wired, StartError> {
    let mut wiring = Wiring { config, node: parts, rpc, parts: Vec::new(), served: Vec::new() };
    match wiring.services(grpc).await {
        Ok((local, clients)) => Ok(Wired { local, clients, parts: wiring.parts }),
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
    /// What other processes may call here.
    served: Vec<Routes>,
}

impl Wiring<'_> {
    async fn services(&mut self, grpc: Option<Box<dyn Listener>>) -> Result<(Local, Clients), StartError> {
        let links = self.part("links");
        let network = Arc::clone(&self.node.network);
        links.background("network", links.until_stopped(async move { network.maintain().await }));
        let storage = match self.node.roles.has(Role::Storage) {
            true => self.storage().await?,
            false => self.elsewhere(Role::Storage, &self.config.cluster.storage, &links)?,
        };
        let storage = storage.storage();
        let session = match self.node.roles.has(Role::Session) {
            true => self.session(storage.clone()).await?,
            false => self.elsewhere(Role::Session, &self.config.cluster.session, &links)?,
        };
        let session = session.session();
        let mut local = Local::default();
        let here = Link::not_yet();
        let owners = self.owners(&storage, &here, &links);
        if self.node.roles.has(Role::Routing) {
            local.routing = Some(self.routing(&storage, &session, owners.clone(), &here).await?);
        }
        let push = match self.node.roles.has(Role::Push) {
            true => self.push(&storage, &session).await?,
            // Nothing that clients ask for needs it.
            false if self.config.cluster.push.is_empty() => Link::not_yet(),
            false => self.elsewhere(Role::Push, &self.config.cluster.push, &links)?,
        };
        let clients = Clients { routing: owners, session, storage, push: push.push() };
        if self.node.roles.has(Role::Gateway) {
            local.gateway = Some(self.gateway(&clients));
        }
        if let Some(listener) = grpc {
            let tasks = self.part("grpc");
            let routes = together(std::mem::take(&mut self.served));
            self.serve(listener, "services", routes, &tasks);
        }
        Ok((local, clients))
    }

    /// A service of other processes. Where nothing here calls it, no address is needed.
    fn elsewhere(&self, role: Role, addresses: &[String], links: &Tasks) -> Result<Link, StartError> {
        if !self.node.roles.calls(role) {
            return Ok(Link::not_yet());
        }
        let link = Link::any(self.rpc, role.name(), addresses);
        let link = link.map_err(|why| StartError::Link { service: role.name(), why })?;
        let (discovered, rpc) = (link.clone(), self.rpc.clone());
        links.background("discovery", links.until_stopped(async move { discovered.discover(&rpc).await }));
        Ok(link)
    }

    /// The routing tier: the one instance of this process where that owns everything, else the owners by
    /// the map in the store.
    fn owners(&self, storage: &StorageClient, here: &Link, links: &Tasks) -> RoutingClient {
        if self.node.engines.alone || !self.node.roles.calls(Role::Routing) {
            return here.routing();
        }
        let advertised = self.config.cluster.advertise.as_str();
        let here = self.node.roles.has(Role::Routing).then(|| (advertised, here.clone()));
        let map = ShardMap::new(self.rpc, storage.clone(), here);
        let followed = Arc::clone(&map);
        let (nudged, mut nudges) = (Arc::clone(&map), Nudges::new(Arc::clone(&self.node.engines.bus), NUDGE_SUBJECT));
        let work = async move {
            let nudging = async {
                loop {
                    nudges.next().await;
                    nudged.nudge();
                }
            };
            tokio::select! {
                () = followed.follow() => {}
                () = nudging => {}
            }
        };
        links.background("shard map", links.until_stopped(work));
        RoutingClient::owners(map)
    }

    async fn storage(&mut self) -> Result<Link, StartError> {
        let tasks = self.part("storage");
        let store = self.node.engines.store.clone().ok_or(StartError::Engine { role: "storage", engine: "store" })?;
        let feed = self.node.engines.feed_sink.clone();
        let service = StorageService::new(StorageDeps { store, feed });
        tasks.background("feed losses", tasks.until_stopped(Arc::clone(&service).follow_losses()));
        self.link("storage", posthorn_storage::grpc::routes(service), &tasks).await
    }

    async fn session(&mut self, storage: StorageClient) -> Result<Link, StartError> {
        let tasks = self.part("session");
        let presence = self.node.engines.presence.clone();
        let deps = SessionDeps {
            config: self.config.session.clone(),
            storage,
            presence: presence.ok_or(StartError::Engine { role: "session", engine: "presence" })?,
            bus: Arc::clone(&self.node.engines.bus),
            clock: self.node.clock.clone(),
            metrics: self.node.metrics.clone(),
            tasks: tasks.clone(),
        };
        let service = SessionService::new(deps);
        let mut backoff = Backoff::new(FIRST_TRY_MS, LAST_TRY_MS);
        // Processes start in any order: storage may come later.
        while let Err(why) = service.load().await {
            if self.node.roles.has(Role::Storage) || !why.code.retryable() {
                return Err(StartError::Service { service: "session", why });
            }
            tracing::warn!(%why, "session waits for storage");
            sleep(Duration::from_millis(backoff.next_ms(self.node.clock.random()))).await;
        }
        self.link("session", posthorn_session::grpc::routes(service), &tasks).await
    }

    async fn routing(
        &mut self,
        storage: &StorageClient,
        session: &SessionClient,
        // An owner calls the owners of others' state, here itself: through a link, as anybody does.
        peers: RoutingClient,
        here: &Link,
    ) -> Result<Arc<RoutingInstance>, StartError> {
        let tasks = self.part("routing");
        let deps = InstanceDeps {
            config: self.config.routing.clone(),
            storage: storage.clone(),
            session: session.clone(),
            peers,
            bus: Arc::clone(&self.node.engines.bus),
            clock: self.node.clock.clone(),
            metrics: self.node.metrics.clone(),
            tasks: tasks.clone(),
            address: self.config.cluster.advertise.clone(),
            alone: self.node.engines.alone,
        };
        let started = RoutingInstance::start(deps).await;
        let instance = started.map_err(|why| StartError::Service { service: "routing", why })?;
        let link = self.link("routing", posthorn_routing::grpc::routes(Arc::clone(&instance)), &tasks).await?;
        let bound = here.bind(link);
        debug_assert!(bound, "nobody else has this link");
        // Needs the peers: registers are told through them.
        let inheriting = Arc::clone(&instance);
        tasks.background("settle", tasks.until_stopped(async move { inheriting.settle_inherited().await }));
        Ok(instance)
    }

    async fn push(&mut self, storage: &StorageClient, session: &SessionClient) -> Result<Link, StartError> {
        let tasks = self.part("push");
        let engines = &self.node.engines;
        let feed = engines.feed.clone().ok_or(StartError::Engine { role: "push", engine: "feed" })?;
        let letters = engines.letters.clone().ok_or(StartError::Engine { role: "push", engine: "letters" })?;
        let deps = PushDeps {
            config: self.config.push.clone(),
            feed,
            letters,
            session: session.clone(),
            storage: storage.clone(),
            provider: Arc::new(LogProvider),
            bus: (!engines.alone).then(|| Arc::clone(&engines.bus)),
            clock: self.node.clock.clone(),
            metrics: self.node.metrics.clone(),
            tasks: tasks.clone(),
        };
        let started = PushService::start(deps);
        let service = started.map_err(|why| StartError::Service { service: "push", why })?;
        self.link("push", posthorn_push::grpc::routes(service), &tasks).await
    }

    fn gateway(&mut self, clients: &Clients) -> Arc<Gateway> {
        let tasks = self.part("gateway");
        Gateway::new(GatewayDeps {
            config: self.config.edge.clone(),
            routing: clients.routing.clone(),
            session: clients.session.clone(),
            storage: clients.storage.clone(),
            push: clients.push.clone(),
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
    async fn link(&mut self, service: &'static str, routes: Routes, tasks: &Tasks) -> Result<Link, StartError> {
        let routes = self.rpc.guard(service, routes);
        self.served.push(routes.clone());
        match self.node.topology {
            Topology::Local => Ok(Link::local(self.rpc, service, routes)),
            Topology::Loopback => {
                let bound = TcpListener::bind("127.0.0.1:0").await;
                let listener = bound.map_err(|why| StartError::Loopback { service, why })?;
                let addr = listener.local_addr().map_err(|why| StartError::Loopback { service, why })?;
                self.serve(Box::new(listener), service, routes, tasks);
                Link::remote(self.rpc, service, &format!("{}://{addr}", self.node.network.scheme()))
                    .map_err(|why| StartError::Link { service, why })
            }
        }
    }

    fn serve(&self, listener: Box<dyn Listener>, service: &'static str, routes: Routes, tasks: &Tasks) {
        let (rpc, stop) = (self.rpc.clone(), tasks.stopping());
        tasks.critical("grpc server", async move {
            if let Err(error) = serve(&rpc, routes, listener, stop.cancelled_owned()).await {
                tracing::error!(%error, service, "the gRPC server ended");
            }
        });
    }
}
