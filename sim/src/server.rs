//! The node under simulation: all services on memory drivers whose syncs take time and can be lost.

use std::{
    cell::{Cell, RefCell},
    collections::BTreeMap,
    rc::Rc,
    sync::Arc,
    time::Duration,
};

use anyhow::{Context, Result};
use posthorn_clock::Clock;
use posthorn_node::{Engines, Node, NodeConfig, NodeParts, Roles, Topology};
use posthorn_proto::{
    client::{Membership, Role},
    internal::{Caller, CreateRequest, CreateTenantRequest, MintTokenRequest},
};
use posthorn_store::memory::{MemoryOptions, MemoryStore};
use posthorn_telemetry::Metrics;
use tokio::sync::Notify;

use crate::net::SimListener;

pub const HOST: &str = "server";
pub const PORT: u16 = 7200;
pub const TENANT: &str = "sim";
/// 2027-01-15T08:00:00Z
pub const START_MS: u64 = 1_800_000_000_000;
/// How long a modelled sync takes.
const SYNC: Duration = Duration::from_millis(3);

/// What survives a crash, and what the clients are handed.
#[derive(Clone)]
pub struct World(Rc<Inner>);

struct Inner {
    seed: u64,
    users: Vec<String>,
    conversations: Vec<String>,
    disk: RefCell<Option<Arc<MemoryStore>>>,
    starts: RefCell<u64>,
    tokens: RefCell<BTreeMap<String, String>>,
    /// The power was cut, and the disk has not lost its unsynced writes yet.
    cut: Cell<bool>,
    power: Notify,
}

impl World {
    pub fn new(seed: u64, users: Vec<String>, conversations: Vec<String>) -> Self {
        Self(Rc::new(Inner {
            seed,
            users,
            conversations,
            disk: RefCell::default(),
            starts: RefCell::default(),
            tokens: RefCell::default(),
            cut: Cell::new(false),
            power: Notify::new(),
        }))
    }

    pub fn token(&self, user: &str) -> Option<String> {
        self.0.tokens.borrow().get(user).cloned()
    }

    /// At its next step the server's disk keeps only what was synced. The host is crashed after it.
    pub fn cut_power(&self) {
        self.0.cut.set(true);
        // Only who waits already: a server that is still starting finds out when it starts again.
        self.0.power.notify_waiters();
    }

    /// What a cut leaves of the disk.
    fn lose_unsynced(&self) {
        if self.0.cut.take() {
            let mut disk = self.0.disk.borrow_mut();
            *disk = disk.take().map(|store| store.crash());
        }
    }

    /// The clock of a process: the simulation's time, and entropy of its own.
    pub fn clock(&self, process: u64) -> Clock {
        let elapsed = turmoil::sim_elapsed().unwrap_or_default();
        let elapsed_ms = u64::try_from(elapsed.as_millis()).unwrap_or(u64::MAX);
        Clock::simulated(self.0.seed.wrapping_mul(1_000_003) ^ process, START_MS + elapsed_ms)
    }

    /// The software of the server's host; called anew after each crash.
    pub async fn serve(self) -> turmoil::Result {
        let start = {
            let mut starts = self.0.starts.borrow_mut();
            *starts += 1;
            *starts
        };
        let clock = self.clock(start << 32);
        self.lose_unsynced();
        let disk = self.0.disk.borrow().clone();
        let store = disk.unwrap_or_else(|| {
            MemoryStore::with_options(clock.clone(), MemoryOptions { sync: SYNC, ..MemoryOptions::default() })
        });
        *self.0.disk.borrow_mut() = Some(Arc::clone(&store));
        let listener = turmoil::net::TcpListener::bind(("0.0.0.0", PORT)).await?;
        let mut config = NodeConfig::default();
        // The demo of slow people is not the point here.
        config.edge.requests_per_s = 10_000;
        config.edge.request_burst = 10_000;
        let parts = NodeParts {
            listener: Box::new(SimListener(listener)),
            clock,
            metrics: Metrics::default(),
            topology: Topology::Local,
            roles: Roles::ALL,
            grpc: None,
            network: posthorn_node::Tcp::shared(),
            engines: Engines::over(store),
            pages: axum::Router::new(),
        };
        let node = Node::start(config, parts).await?;
        if start == 1 {
            self.provision(&node).await?;
        }
        self.0.power.notified().await;
        self.lose_unsynced();
        std::future::pending().await
    }

    async fn provision(&self, node: &Node) -> Result<()> {
        let mut session = node.clients().session.clone();
        session.create_tenant(CreateTenantRequest { tenant: TENANT.into() }).await.context("tenant")?;
        for conversation in &self.0.conversations {
            let member = |user: &String| Membership { user: user.clone(), role: Role::Member.into() };
            let request = CreateRequest {
                caller: Some(Caller { tenant: TENANT.into(), backend: true, ..Caller::default() }),
                conversation: conversation.clone(),
                members: self.0.users.iter().map(member).collect(),
                message_id: vec![1; 16].into(),
                ..CreateRequest::default()
            };
            node.clients().routing.clone().create(request).await.context("conversation")?;
        }
        for user in &self.0.users {
            let request = MintTokenRequest {
                tenant: TENANT.into(),
                user: user.clone(),
                device: "sim".into(),
                ttl_s: 86_400,
                limit_class: "unlimited".into(),
            };
            let token = session.mint_token(request).await.context("token")?.into_inner().token;
            self.0.tokens.borrow_mut().insert(user.clone(), token);
        }
        Ok(())
    }
}
