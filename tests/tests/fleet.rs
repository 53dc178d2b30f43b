//! Two gateways and two routing instances on one store, over a bus that can be cut, or lose messages.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use async_trait::async_trait;
use bytes::Bytes;
use posthorn_bus::{Bus, BusError, Delivery, Subscription};
use posthorn_client::{
    Format,
    proto::{self, Connect},
};
use posthorn_clock::{Clock, sleep, timeout};
use posthorn_core::SHARDS;
use posthorn_node::{Engines, Network, Node, NodeConfig, NodeParts, Role, Roles, Tcp, Topology};
use posthorn_proto::internal::{Caller, CreateTenantRequest, MintTokenRequest, Publication, publication::What};
use posthorn_store::{
    Store,
    memory::{MemoryOptions, MemoryStore},
};
use posthorn_telemetry::Metrics;
use prost::Message;
use tokio::{net::TcpListener, sync::watch};

use crate::raw::Raw;

const TENANT: &str = "t";
pub const LIMIT: Duration = Duration::from_secs(60);

/// A node's way to the bus, which can be cut, and which can lose what the node publishes.
pub struct Way {
    bus: Arc<dyn Bus>,
    up: watch::Sender<bool>,
    /// Of what this node publishes to one gateway, or on a conversation's subject, each with a number that this
    /// divides is lost; 0: none.
    lose: AtomicU64,
    published: AtomicU64,
}

impl Way {
    fn over(bus: &Arc<dyn Bus>) -> Arc<Self> {
        let (lose, published) = (AtomicU64::new(0), AtomicU64::new(0));
        Arc::new(Self { bus: Arc::clone(bus), up: watch::Sender::new(true), lose, published })
    }
}

#[async_trait]
impl Bus for Way {
    fn driver(&self) -> &'static str {
        "test"
    }

    async fn publish(&self, subject: &str, message: Bytes) -> Result<(), BusError> {
        if !*self.up.borrow() {
            return Err(BusError::Unavailable("cut".to_owned()));
        }
        let lose = self.lose.load(Ordering::Relaxed);
        let kept = ["gateway.", "conversation."].iter().any(|kind| subject.starts_with(kind));
        if lose > 0 && kept && !is_heartbeat(&message) {
            let number = self.published.fetch_add(1, Ordering::Relaxed) + 1;
            if number.is_multiple_of(lose) {
                return Ok(());
            }
        }
        self.bus.publish(subject, message).await
    }

    async fn subscribe(&self, subject: &str) -> Result<Box<dyn Subscription>, BusError> {
        if !*self.up.borrow() {
            return Err(BusError::Unavailable("cut".to_owned()));
        }
        let inner = self.bus.subscribe(subject).await?;
        Ok(Box::new(Cuttable { inner, up: self.up.subscribe() }))
    }
}

fn is_heartbeat(message: &Bytes) -> bool {
    let publication = Publication::decode(message.clone()).expect("a publication");
    matches!(publication.what, Some(What::Heartbeat(_) | What::End(_)))
}

/// As a subscription of NATS: it says nothing of an outage until that is over.
struct Cuttable {
    inner: Box<dyn Subscription>,
    up: watch::Receiver<bool>,
}

#[async_trait]
impl Subscription for Cuttable {
    async fn next(&mut self) -> Option<Delivery> {
        loop {
            tokio::select! {
                biased;
                changed = self.up.changed() => {
                    changed.ok()?;
                    if *self.up.borrow_and_update() {
                        return Some(Delivery::Dropped(1));
                    }
                }
                delivery = self.inner.next() => {
                    if *self.up.borrow() {
                        return delivery;
                    }
                }
            }
        }
    }
}

pub struct Fleet {
    pub nodes: Vec<(Node, String, Metrics)>,
    ways: Vec<Arc<Way>>,
    store: Arc<MemoryStore>,
    engines: Engines,
    clock: Clock,
    network: Arc<dyn Network>,
    /// Where storage and session are.
    front: String,
    change: Box<dyn Fn(&mut NodeConfig) + Send + Sync>,
}

pub fn backend() -> Caller {
    Caller { tenant: TENANT.into(), backend: true, ..Caller::default() }
}

impl Fleet {
    /// Node 0 and 1 are gateways, 2 and 3 routing instances.
    pub async fn start() -> Self {
        Self::start_with(|_| {}).await
    }

    pub async fn start_with(change: impl Fn(&mut NodeConfig) + Send + Sync + 'static) -> Self {
        Self::start_over(Tcp::shared(), change).await
    }

    pub async fn start_over(
        network: Arc<dyn Network>,
        change: impl Fn(&mut NodeConfig) + Send + Sync + 'static,
    ) -> Self {
        let clock = Clock::system();
        let options = MemoryOptions { settle_apart: true, ..MemoryOptions::default() };
        let store = MemoryStore::with_options(clock.clone(), options);
        let engines = Engines { alone: false, ..Engines::over(Arc::clone(&store)) };
        let (front, change) = (String::new(), Box::new(change));
        let (nodes, ways) = (Vec::new(), Vec::new());
        let mut fleet = Self { nodes, ways, store, engines, clock, network, front, change };
        for roles in [
            &[Role::Storage, Role::Session, Role::Push, Role::Gateway][..],
            &[Role::Gateway],
            &[Role::Routing],
            &[Role::Routing],
        ] {
            fleet.add(roles, true).await;
        }
        timeout(LIMIT, fleet.owned_by_two()).await.expect("all shards find an owner");
        let mut session = fleet.nodes[0].0.clients().session.clone();
        session.create_tenant(CreateTenantRequest { tenant: TENANT.into() }).await.expect("created");
        fleet
    }

    /// Starts one more, whose way to the bus is there or cut.
    pub async fn add(&mut self, roles: &[Role], up: bool) -> usize {
        let listen = || TcpListener::bind("127.0.0.1:0");
        let (http, grpc) = (listen().await.expect("a free port"), listen().await.expect("a free port"));
        let address = format!("{}://{}", self.network.scheme(), grpc.local_addr().expect("bound"));
        if self.front.is_empty() {
            self.front.clone_from(&address);
        }
        let ws = format!("ws://{}/v1/ws", http.local_addr().expect("bound"));
        let mut config = NodeConfig::default();
        (config.edge.drain_cap_ms, config.node.stop_budget_ms) = (500, 30_000);
        (config.routing.beat_ms, config.routing.shards_ms, config.rpc.shard_map_ms) = (50, 200, 200);
        // A third of the defaults: the test need not take long.
        (config.routing.link_beat_ms, config.session.link_beat_ms, config.edge.ask_ms) = (300, 300, 300);
        (config.cluster.storage, config.cluster.session) = (vec![self.front.clone()], vec![self.front.clone()]);
        config.cluster.advertise = address;
        (self.change)(&mut config);
        let (way, metrics) = (Way::over(&self.engines.bus), Metrics::default());
        way.up.send_replace(up);
        let parts = NodeParts {
            listener: Box::new(http),
            clock: self.clock.clone(),
            metrics: metrics.clone(),
            topology: Topology::Local,
            roles: Roles::of(roles),
            grpc: Some(Box::new(grpc)),
            network: Arc::clone(&self.network),
            engines: Engines { bus: Arc::clone(&way) as Arc<dyn Bus>, ..self.engines.clone() },
            pages: axum::Router::new(),
        };
        self.nodes.push((Node::start(config, parts).await.expect("a node that starts"), ws, metrics));
        self.ways.push(way);
        self.nodes.len() - 1
    }

    async fn owned_by_two(&self) {
        loop {
            let rows = self.store.shards().await.expect("lists");
            let owners: std::collections::BTreeSet<String> =
                rows.iter().filter_map(|row| Some(row.owner.as_ref()?.1.clone())).collect();
            if owners.len() == 2 && rows.iter().filter(|row| row.owner.is_some()).count() == usize::from(SHARDS) {
                return;
            }
            sleep(Duration::from_millis(20)).await;
        }
    }

    pub async fn join(&self, gateway: usize, user: &str) -> Raw {
        let (tenant, user, device) = (TENANT.to_owned(), user.to_owned(), "phone".to_owned());
        let request = MintTokenRequest { tenant, user, device, ttl_s: 3_600, limit_class: "unlimited".to_owned() };
        let token = self.nodes[0].0.clients().session.clone().mint_token(request).await.expect("minted");
        let connect = Connect { token: token.into_inner().token, ..Connect::default() };
        Raw::connect(&self.nodes[gateway].1, Format::Proto, connect).await.expect("connected")
    }

    pub async fn create(&self, conversation: &str, users: &[&str]) {
        let member = |user: &&str| proto::Membership { user: (*user).into(), role: proto::Role::Member.into() };
        let request = proto::CreateConversation {
            conversation: conversation.into(),
            members: users.iter().map(member).collect(),
            ..proto::CreateConversation::default()
        };
        let gateway = self.nodes[0].0.gateway().expect("a gateway");
        gateway.create_conversation(&backend(), request).await.expect("created");
    }

    pub fn bus(&self, up: bool) {
        for way in &self.ways {
            way.up.send_replace(up);
        }
    }

    pub fn lose(&self, every: u64) {
        for way in &self.ways {
            way.lose.store(every, Ordering::Relaxed);
        }
    }

    pub async fn stop(self) {
        for (node, ..) in self.nodes.into_iter().rev() {
            let stopped = node.shutdown().await;
            assert!(stopped.clean(), "{stopped:?}");
        }
    }

    /// A counter or gauge of one node, over all its labels that begin so.
    pub fn metric(&self, node: usize, name: &str) -> u64 {
        let text = self.nodes[node].2.encode();
        let of = |line: &str| {
            line.strip_prefix("posthorn_")?.strip_prefix(name)?.split(' ').next_back()?.parse::<f64>().ok()
        };
        text.lines().filter_map(of).sum::<f64>() as u64
    }
}
