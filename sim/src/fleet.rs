//! Two processes of each tier, on engines that outlive them and that misbehave.

use std::{cell::RefCell, rc::Rc, sync::Arc, time::Duration};

use posthorn_clock::{Clock, sleep};
use posthorn_node::{Engines, Listener, Node, NodeConfig, NodeParts, Role, Roles, Topology};
use posthorn_presence::memory::MemoryPresence;
use posthorn_store::memory::MemoryStore;
use posthorn_telemetry::Metrics;
use tokio::sync::Notify;

use crate::{
    broken::Broken,
    engines::{FarBus, FarStore},
    net::{SimListener, SimNetwork},
    quorum::{QuorumStore, Replicas},
    soft::{FarFeed, FarPresence, Times},
    storm::{Engine, Storm, Way},
    world::{PORT, World, unhurried},
};

pub const HOSTS: [(&str, &[Role]); 6] = [
    ("front1", &[Role::Storage, Role::Session, Role::Push]),
    ("front2", &[Role::Storage, Role::Session, Role::Push]),
    ("route1", &[Role::Routing]),
    ("route2", &[Role::Routing]),
    ("gate1", &[Role::Gateway]),
    ("gate2", &[Role::Gateway]),
];
pub const GATES: [&str; 2] = ["gate1", "gate2"];
/// Sets everything up, once.
const FIRST: &str = "gate1";
const GRPC: u16 = 7300;
/// Before a process that could not start is started again.
const PAUSE: Duration = Duration::from_millis(200);

#[derive(Clone)]
pub struct Fleet(Rc<Inner>);

struct Inner {
    world: World,
    storm: Storm,
    engines: RefCell<Option<(Engines, Replicas)>>,
    presence: Arc<MemoryPresence>,
    times: Times,
    hosts: Vec<Host>,
}

struct Host {
    skew_ms: i64,
    /// Of the process that runs.
    clock: RefCell<Option<Clock>>,
    starts: RefCell<u64>,
    /// SIGTERM.
    stop: Notify,
}

impl Fleet {
    /// With clocks that are off by so much, host by host.
    pub fn new(world: World, storm: Storm, skews_ms: Vec<i64>) -> Self {
        let host =
            |skew_ms| Host { skew_ms, clock: RefCell::default(), starts: RefCell::default(), stop: Notify::new() };
        let hosts = skews_ms.into_iter().map(host).collect();
        let (presence, times) = (MemoryPresence::new(), Times::default());
        Self(Rc::new(Inner { world, storm, engines: RefCell::default(), presence, times, hosts }))
    }

    pub fn stop(&self, host: usize) {
        self.0.hosts[host].stop.notify_waiters();
    }

    /// Somebody sets the clock of the process that runs.
    pub fn jump(&self, host: usize, ms: i64) {
        if let Some(clock) = &*self.0.hosts[host].clock.borrow() {
            clock.jump(ms);
        }
    }

    /// What the services have written to the feed.
    pub fn feed(&self) -> Option<Arc<MemoryStore>> {
        self.0.engines.borrow().as_ref().map(|(_, all)| all.linear())
    }

    pub fn owners(&self) -> String {
        self.0.engines.borrow().as_ref().map_or_else(String::new, |(_, all)| all.owners())
    }

    /// The engines of all hosts; their time is the simulation's.
    fn engines(&self) -> (Engines, Replicas) {
        let mut engines = self.0.engines.borrow_mut();
        let made = engines.get_or_insert_with(|| {
            let replicas = Replicas::new(&self.0.world.clock(1 << 60, 0));
            (Engines { alone: false, ..Engines::over(replicas.linear()) }, replicas)
        });
        made.clone()
    }

    /// The software of a host; called anew after each crash.
    pub async fn serve(self, at: usize) -> turmoil::Result {
        let host = &self.0.hosts[at];
        let start = {
            let mut starts = host.starts.borrow_mut();
            *starts += 1;
            *starts
        };
        let clock = self.0.world.clock((at as u64 + 1) << 48 | start << 32, host.skew_ms);
        *host.clock.borrow_mut() = Some(clock.clone());
        let node = loop {
            match self.start(at, &clock).await {
                Ok(node) => break node,
                Err(_) => sleep(PAUSE).await,
            }
        };
        if HOSTS[at].0 == FIRST {
            self.0.world.provision(&node).await?;
        }
        tokio::select! {
            biased;
            () = host.stop.notified() => {}
            () = node.died() => {}
        }
        // Its task has ended before it was told to.
        if let Some(task) = node.shutdown().await.failed {
            return Err(format!("{}: critical task `{task}` died", HOSTS[at].0).into());
        }
        std::future::pending().await
    }

    async fn start(&self, at: usize, clock: &Clock) -> anyhow::Result<Node> {
        let (name, roles) = HOSTS[at];
        let http = turmoil::net::TcpListener::bind(("0.0.0.0", PORT)).await?;
        let grpc = turmoil::net::TcpListener::bind(("0.0.0.0", GRPC)).await?;
        let (engines, all) = self.engines();
        let hasty = self.0.world.broken() == Some(Broken::OneReplica);
        let way = Way::new(at, Engine::Store, self.0.storm.clone(), clock.clone());
        if self.0.world.broken() == Some(Broken::Panics) {
            way.tasks.background("broken", async { panic!("on purpose") });
        }
        let bus = Arc::new(FarBus { inner: Arc::clone(&engines.bus), way: way.to(Engine::Bus) });
        let (presence, times) = (Arc::clone(&self.0.presence), self.0.times.clone());
        let presence = Some(Arc::new(FarPresence { presence, times, way: way.to(Engine::Presence) }) as _);
        let feed = engines.feed.clone().map(|inner| Arc::new(FarFeed { inner, way: way.to(Engine::Feed) }) as _);
        let quorum = Arc::new(QuorumStore { all, way: way.to(Engine::Replica), hasty });
        let store = Some(Arc::new(FarStore { inner: quorum, way, hasty: false }) as _);
        let parts = NodeParts {
            listener: Box::new(SimListener(http)),
            clock: clock.clone(),
            metrics: Metrics::default(),
            topology: Topology::Local,
            roles: Roles::of(roles),
            grpc: Some(Box::new(SimListener(grpc)) as Box<dyn Listener>),
            network: Arc::new(SimNetwork),
            engines: Engines { store, bus, presence, feed, ..engines },
            pages: axum::Router::new(),
        };
        Ok(Node::start(config(name), parts).await?)
    }
}

/// Everything that waits for somebody who is silent waits less: the simulation need not take long.
fn config(name: &str) -> NodeConfig {
    let mut config = unhurried();
    (config.edge.drain_cap_ms, config.node.stop_budget_ms) = (500, 5_000);
    (config.edge.ping_interval_ms, config.edge.ping_timeout_ms) = (1_000, 1_000);
    (config.edge.ask_ms, config.routing.link_beat_ms, config.session.link_beat_ms) = (300, 300, 300);
    (config.routing.beat_ms, config.routing.shards_ms, config.rpc.shard_map_ms) = (250, 500, 300);
    (config.rpc.deadline_ms, config.rpc.connect_timeout_ms) = (3_000, 500);
    (config.rpc.keep_alive_ms, config.rpc.keep_alive_timeout_ms) = (500, 500);
    (config.session.presence_grace_ms, config.session.sweep_ms) = (1_000, 1_000);
    let fronts = || HOSTS.iter().filter(|(name, _)| name.starts_with("front"));
    let fronts: Vec<String> = fronts().map(|(name, _)| format!("http://{name}:{GRPC}")).collect();
    (config.cluster.storage, config.cluster.session, config.cluster.push) = (fronts.clone(), fronts.clone(), fronts);
    config.cluster.advertise = format!("http://{name}:{GRPC}");
    config
}
