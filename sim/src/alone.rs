//! One process with everything in it, on a disk whose syncs take time and which a power cut empties of the rest.

use std::{
    cell::{Cell, RefCell},
    rc::Rc,
    sync::Arc,
    time::Duration,
};

use posthorn_clock::Clock;
use posthorn_node::{Engines, Node, NodeParts, Roles, Tcp, Topology};
use posthorn_store::memory::{MemoryOptions, MemoryStore};
use posthorn_telemetry::Metrics;
use tokio::sync::Notify;

use crate::{
    broken::Broken,
    engines::FarStore,
    net::SimListener,
    storm::{Engine, Storm, Way},
    world::{PORT, World, unhurried},
};

pub const HOST: &str = "server";
/// How long a modelled sync takes.
const SYNC: Duration = Duration::from_millis(3);
/// Where nobody waits for it, so long that a cut meets one.
const UNSYNCED: Duration = Duration::from_millis(100);

#[derive(Clone)]
pub struct Alone(Rc<Inner>);

struct Inner {
    world: World,
    disk: RefCell<Option<Arc<MemoryStore>>>,
    starts: RefCell<u64>,
    /// The power was cut, and the disk has not lost its unsynced writes yet.
    cut: Cell<bool>,
    power: Notify,
}

impl Alone {
    pub fn new(world: World) -> Self {
        let (disk, starts, cut, power) = (RefCell::default(), RefCell::default(), Cell::new(false), Notify::new());
        Self(Rc::new(Inner { world, disk, starts, cut, power }))
    }

    /// At its next step the server's disk keeps only what was synced. The host is crashed after it.
    pub fn cut_power(&self) {
        self.0.cut.set(true);
        // Only who waits already: a server that is still starting finds out when it starts again.
        self.0.power.notify_waiters();
    }

    /// What the process has written to the feed.
    pub fn feed(&self) -> Option<Arc<MemoryStore>> {
        self.0.disk.borrow().clone()
    }

    /// What a cut leaves of the disk.
    fn lose_unsynced(&self) {
        if self.0.cut.take() {
            let mut disk = self.0.disk.borrow_mut();
            *disk = disk.take().map(|store| store.crash());
        }
    }

    /// The software of the server's host; called anew after each crash.
    pub async fn serve(self) -> turmoil::Result {
        let start = {
            let mut starts = self.0.starts.borrow_mut();
            *starts += 1;
            *starts
        };
        let clock = self.0.world.clock(start << 32, 0);
        self.lose_unsynced();
        let disk = self.0.disk.borrow().clone();
        let sync = if self.0.world.broken() == Some(Broken::Unsynced) { UNSYNCED } else { SYNC };
        let store = disk.unwrap_or_else(|| {
            MemoryStore::with_options(clock.clone(), MemoryOptions { sync, ..MemoryOptions::default() })
        });
        *self.0.disk.borrow_mut() = Some(Arc::clone(&store));
        let listener = turmoil::net::TcpListener::bind(("0.0.0.0", PORT)).await?;
        let parts = NodeParts {
            listener: Box::new(SimListener(listener)),
            metrics: Metrics::default(),
            topology: Topology::Local,
            roles: Roles::ALL,
            grpc: None,
            network: Tcp::shared(),
            engines: self.engines(store, &clock),
            clock,
            pages: axum::Router::new(),
        };
        let node = Node::start(unhurried(), parts).await?;
        self.0.world.provision(&node).await?;
        tokio::select! {
            biased;
            () = self.0.power.notified() => self.lose_unsynced(),
            () = node.died() => {
                let task = node.shutdown().await.failed.unwrap_or_default();
                return Err(format!("critical task `{task}` died").into());
            }
        }
        std::future::pending().await
    }

    fn engines(&self, store: Arc<MemoryStore>, clock: &Clock) -> Engines {
        let engines = Engines::over(Arc::clone(&store));
        if self.0.world.broken() != Some(Broken::Unsynced) {
            return engines;
        }
        let way = Way::new(0, Engine::Store, Storm::none(), clock.clone());
        Engines { store: Some(Arc::new(FarStore { inner: store, way, hasty: true })), ..engines }
    }
}
