//! Live delivery while the bus loses messages, or is away: two gateways and two routing instances on one
//! store. Nobody reconnects, nobody reads from the log; what people are shown comes live, in order and once.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use async_trait::async_trait;
use bytes::Bytes;
use futures_util::future::join_all;
use posthorn_bus::{Bus, BusError, Delivery, Subscription};
use posthorn_client::{
    Format,
    proto::{self, Connect, server_frame::Frame},
};
use posthorn_clock::{Clock, Instant, sleep, timeout};
use posthorn_core::SHARDS;
use posthorn_node::{Engines, Node, NodeConfig, NodeParts, Role, Roles, Topology};
use posthorn_proto::internal::{Caller, CreateTenantRequest, MintTokenRequest, Publication, publication::What};
use posthorn_store::{
    Store,
    memory::{MemoryOptions, MemoryStore},
};
use posthorn_telemetry::Metrics;
use prost::Message;
use tokio::{net::TcpListener, sync::watch};

use crate::raw::{Raw, seqs};

const TENANT: &str = "t";
const LIMIT: Duration = Duration::from_secs(60);

/// A node's way to the bus, which can be cut, and which can lose what the node publishes.
struct Way {
    bus: Arc<dyn Bus>,
    up: watch::Sender<bool>,
    /// Of what this node publishes to one gateway, each with a number that this divides is lost; 0: none.
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
        if lose > 0 && subject.starts_with("gateway.") && !is_heartbeat(&message) {
            let number = self.published.fetch_add(1, Ordering::Relaxed) + 1;
            if number.is_multiple_of(lose) {
                return Ok(());
            }
        }
        self.bus.publish(subject, message).await
    }

    async fn subscribe(&self, subject: &str) -> Result<Box<dyn Subscription>, BusError> {
        let inner = self.bus.subscribe(subject).await?;
        Ok(Box::new(Cuttable { inner, up: self.up.subscribe() }))
    }
}

fn is_heartbeat(message: &Bytes) -> bool {
    let publication = Publication::decode(message.clone()).expect("a publication");
    matches!(publication.what, Some(What::Heartbeat(_)))
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

struct Fleet {
    nodes: Vec<(Node, String, Metrics)>,
    ways: Vec<Arc<Way>>,
    store: Arc<MemoryStore>,
}

fn backend() -> Caller {
    Caller { tenant: TENANT.into(), backend: true, ..Caller::default() }
}

impl Fleet {
    /// Node 0 and 1 are gateways, 2 and 3 routing instances.
    async fn start() -> Self {
        let clock = Clock::system();
        let options = MemoryOptions { settle_apart: true, ..MemoryOptions::default() };
        let store = MemoryStore::with_options(clock.clone(), options);
        let engines = Engines { alone: false, ..Engines::over(Arc::clone(&store)) };
        let mut fleet = Self { nodes: Vec::new(), ways: Vec::new(), store };
        let mut front = String::new();
        for roles in [
            &[Role::Storage, Role::Session, Role::Push, Role::Gateway][..],
            &[Role::Gateway],
            &[Role::Routing],
            &[Role::Routing],
        ] {
            let listen = || TcpListener::bind("127.0.0.1:0");
            let (http, grpc) = (listen().await.expect("a free port"), listen().await.expect("a free port"));
            let address = format!("http://{}", grpc.local_addr().expect("bound"));
            if front.is_empty() {
                front.clone_from(&address);
            }
            let ws = format!("ws://{}/v1/ws", http.local_addr().expect("bound"));
            let mut config = NodeConfig::default();
            (config.edge.drain_cap_ms, config.node.stop_budget_ms) = (500, 30_000);
            (config.routing.beat_ms, config.routing.shards_ms, config.rpc.shard_map_ms) = (50, 200, 200);
            // A third of the defaults: the test need not take long.
            (config.routing.link_beat_ms, config.session.link_beat_ms, config.edge.ask_ms) = (300, 300, 300);
            (config.cluster.storage, config.cluster.session) = (vec![front.clone()], vec![front.clone()]);
            config.cluster.advertise = address;
            let (way, metrics) = (Way::over(&engines.bus), Metrics::default());
            let parts = NodeParts {
                listener: Box::new(http),
                clock: clock.clone(),
                metrics: metrics.clone(),
                topology: Topology::Local,
                roles: Roles::of(roles),
                grpc: Some(grpc),
                engines: Engines { bus: Arc::clone(&way) as Arc<dyn Bus>, ..engines.clone() },
                pages: axum::Router::new(),
            };
            fleet.nodes.push((Node::start(config, parts).await.expect("a node that starts"), ws, metrics));
            fleet.ways.push(way);
        }
        timeout(LIMIT, fleet.owned_by_two()).await.expect("all shards find an owner");
        let mut session = fleet.nodes[0].0.clients().session.clone();
        session.create_tenant(CreateTenantRequest { tenant: TENANT.into() }).await.expect("created");
        fleet
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

    async fn join(&self, gateway: usize, user: &str) -> Raw {
        let (tenant, user, device) = (TENANT.to_owned(), user.to_owned(), "phone".to_owned());
        let request = MintTokenRequest { tenant, user, device, ttl_s: 3_600, limit_class: "unlimited".to_owned() };
        let token = self.nodes[0].0.clients().session.clone().mint_token(request).await.expect("minted");
        let connect = Connect { token: token.into_inner().token, ..Connect::default() };
        Raw::connect(&self.nodes[gateway].1, Format::Proto, connect).await.expect("connected")
    }

    async fn create(&self, conversation: &str) {
        let member = |user: &str| proto::Membership { user: user.into(), role: proto::Role::Member.into() };
        let request = proto::CreateConversation {
            conversation: conversation.into(),
            members: ["ann", "ben", "cyd"].map(member).into(),
            ..proto::CreateConversation::default()
        };
        let gateway = self.nodes[0].0.gateway().expect("a gateway");
        gateway.create_conversation(&backend(), request).await.expect("created");
    }

    fn bus(&self, up: bool) {
        for way in &self.ways {
            way.up.send_replace(up);
        }
    }

    fn lose(&self, every: u64) {
        for way in &self.ways {
            way.lose.store(every, Ordering::Relaxed);
        }
    }

    async fn stop(self) {
        for (node, ..) in self.nodes.into_iter().rev() {
            let stopped = node.shutdown().await;
            assert!(stopped.clean(), "{stopped:?}");
        }
    }
}

/// People at both gateways, and what each has seen of every conversation.
struct People {
    people: Vec<Raw>,
    conversations: Vec<String>,
    seq: u64,
}

impl People {
    async fn meet(fleet: &Fleet) -> Self {
        let mut people = Vec::new();
        for (gateway, user) in [(0, "ann"), (1, "ben"), (0, "cyd"), (1, "cyd")] {
            people.push(fleet.join(gateway, user).await);
        }
        let conversations: Vec<String> = (0..8).map(|n| format!("c{n}")).collect();
        for conversation in &conversations {
            fleet.create(conversation).await;
        }
        Self { people, conversations, seq: 1 }
    }

    /// Ann says something everywhere; everybody is shown it, as the next entry, within `within`.
    async fn talk(&mut self, within: Duration) {
        self.seq += 1;
        for conversation in &self.conversations {
            let sent = self.people[0].say(conversation, "hello").await.expect("sends go on");
            assert_eq!(sent.seq, self.seq);
        }
        let begun = Instant::now();
        let (seq, conversations) = (self.seq, &self.conversations);
        let from = if seq == 2 { 1 } else { seq };
        join_all(self.people.iter_mut().map(|person| async move {
            for conversation in conversations {
                let came = person.entries_to(conversation, seq).await.expect("it comes");
                assert_eq!(seqs(&came), (from..=seq).collect::<Vec<_>>(), "{conversation}");
            }
        }))
        .await;
        assert!(begun.elapsed() < within, "{:?}", begun.elapsed());
    }

    /// Nothing came twice, and nobody was told to read or to come back.
    fn undisturbed(&self) {
        for person in &self.people {
            let left: Vec<&Frame> = person.events.iter().filter(|event| !matches!(event, Frame::Marks(_))).collect();
            assert!(left.is_empty(), "{left:?}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_the_bus_loses_is_shown_all_the_same_also_the_last_of_it() {
    let fleet = Fleet::start().await;
    let mut people = People::meet(&fleet).await;
    people.talk(LIMIT).await;
    for every in [3, 2, 1] {
        fleet.lose(every);
        for _ in 0..3 {
            people.talk(Duration::from_secs(5)).await;
        }
    }
    fleet.lose(0);
    people.talk(Duration::from_secs(5)).await;
    people.undisturbed();
    fleet.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn while_the_bus_is_away_people_see_messages_and_afterwards_nothing_twice() {
    let fleet = Fleet::start().await;
    let mut people = People::meet(&fleet).await;
    people.talk(LIMIT).await;
    for _ in 0..2 {
        fleet.bus(false);
        let begun = Instant::now();
        while begun.elapsed() < Duration::from_secs(3) {
            people.talk(Duration::from_secs(5)).await;
        }
        fleet.bus(true);
        for _ in 0..5 {
            people.talk(Duration::from_secs(5)).await;
            sleep(Duration::from_millis(400)).await;
        }
        people.undisturbed();
    }
    // Nobody goes on asking.
    let asked = |fleet: &Fleet| {
        let count = |metrics: &Metrics| {
            let text = metrics.encode();
            let line =
                text.lines().find_map(|line| line.strip_prefix(r#"posthorn_edge_questions_total{result="ok"} "#));
            line.and_then(|count| count.parse::<u64>().ok()).unwrap_or(0)
        };
        [count(&fleet.nodes[0].2), count(&fleet.nodes[1].2)]
    };
    let before = asked(&fleet);
    assert!(before.iter().all(|&count| count > 0), "{before:?}");
    sleep(Duration::from_secs(2)).await;
    assert_eq!(asked(&fleet), before);
    fleet.stop().await;
}
