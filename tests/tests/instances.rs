//! Several routing instances on one store: shards move, instances are fenced, and nobody who sends or
//! reads notices. The store is the model with settlements apart, as on a database; links between the nodes are
//! gRPC over loopback.

use std::{
    collections::BTreeMap,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::Duration,
};

use bytes::Bytes;
use posthorn_clock::{Clock, sleep, timeout};
use posthorn_core::{MessageId, SHARDS, Shard, TenantId, UserId, UserKey, placement::wanted};
use posthorn_errors::{Code, Failure};
use posthorn_node::{Engines, Node, NodeConfig, NodeParts, Role, Roles, Topology};
use posthorn_proto::{
    client::{self, HistoryPage},
    internal::{AppendItem, Caller, Head, MemberChange, member_change::Op},
};
use posthorn_store::{
    InstanceId, Settlement, Store,
    memory::{MemoryOptions, MemoryStore},
};
use posthorn_telemetry::Metrics;
use prost::Message;
use tokio::net::TcpListener;

const TENANT: &str = "t";
const CONVERSATIONS: usize = 24;
const LIMIT: Duration = Duration::from_secs(60);

/// Storage, session, push and gateway in one node, and any number of routing nodes.
struct Fleet {
    clock: Clock,
    store: Arc<MemoryStore>,
    engines: Engines,
    front: Option<Node>,
    front_grpc: String,
    routing: BTreeMap<&'static str, (Node, Metrics)>,
    addresses: BTreeMap<&'static str, String>,
    suspect_ms: u64,
}

fn caller(user: Option<&str>) -> Caller {
    let user = user.map(str::to_owned);
    Caller { tenant: TENANT.into(), backend: user.is_none(), user: user.unwrap_or_default(), ..Caller::default() }
}

impl Fleet {
    async fn start() -> Self {
        let clock = Clock::system();
        let options = MemoryOptions { settle_apart: true, ..MemoryOptions::default() };
        let store = MemoryStore::with_options(clock.clone(), options);
        let engines = Engines { alone: false, ..Engines::over(Arc::clone(&store)) };
        let mut fleet = Self {
            clock,
            store,
            engines,
            front: None,
            front_grpc: String::new(),
            routing: BTreeMap::new(),
            addresses: BTreeMap::new(),
            suspect_ms: 1_000,
        };
        let grpc = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        fleet.front_grpc = format!("http://{}", grpc.local_addr().expect("bound"));
        let roles = Roles::of(&[Role::Storage, Role::Session, Role::Push, Role::Gateway]);
        fleet.front = Some(fleet.node(roles, Some(grpc), Metrics::default()).await);
        fleet
    }

    async fn node(&self, roles: Roles, grpc: Option<TcpListener>, metrics: Metrics) -> Node {
        let mut config = NodeConfig::default();
        config.edge.drain_cap_ms = 500;
        config.node.stop_budget_ms = 30_000;
        (config.routing.beat_ms, config.routing.suspect_ms) = (50, self.suspect_ms);
        (config.routing.shards_ms, config.rpc.shard_map_ms) = (200, 200);
        config.cluster.storage = vec![self.front_grpc.clone()];
        config.cluster.session = vec![self.front_grpc.clone()];
        if let Some(grpc) = &grpc {
            config.cluster.advertise = format!("http://{}", grpc.local_addr().expect("bound"));
        }
        let parts = NodeParts {
            listener: Box::new(TcpListener::bind("127.0.0.1:0").await.expect("a free port")),
            clock: self.clock.clone(),
            metrics,
            topology: Topology::Local,
            roles,
            grpc: grpc.map(|listener| Box::new(listener) as Box<dyn posthorn_node::Listener>),
            network: posthorn_node::Tcp::shared(),
            engines: self.engines.clone(),
            pages: axum::Router::new(),
        };
        Node::start(config, parts).await.expect("a node that starts")
    }

    async fn join(&mut self, name: &'static str) {
        let grpc = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        self.addresses.insert(name, format!("http://{}", grpc.local_addr().expect("bound")));
        let metrics = Metrics::default();
        let node = self.node(Roles::of(&[Role::Routing]), Some(grpc), metrics.clone()).await;
        self.routing.insert(name, (node, metrics));
    }

    async fn leave(&mut self, name: &'static str) {
        let (node, _) = self.routing.remove(name).expect("it runs");
        let stopped = node.shutdown().await;
        assert!(stopped.clean(), "{stopped:?}");
        self.addresses.remove(name);
    }

    /// Until all shards are owned, by all of these and nobody else.
    async fn balanced(&self) {
        let balanced = async {
            loop {
                let mut owned: BTreeMap<String, usize> = BTreeMap::new();
                for row in self.store.shards().await.expect("lists") {
                    if let Some((_, address)) = row.owner {
                        *owned.entry(address).or_default() += 1;
                    }
                }
                let fair = usize::from(SHARDS) / self.addresses.len().max(1);
                let each = self.addresses.values().all(|address| owned.get(address).is_some_and(|n| *n > fair / 2));
                if each && owned.len() == self.addresses.len() && owned.values().sum::<usize>() == usize::from(SHARDS) {
                    return;
                }
                sleep(Duration::from_millis(20)).await;
            }
        };
        timeout(LIMIT, balanced).await.expect("all shards find an owner");
    }

    fn gateway(&self) -> &Arc<posthorn_gateway::Gateway> {
        self.front.as_ref().and_then(Node::gateway).expect("the front runs a gateway")
    }

    async fn create(&self, conversation: &str) {
        let request = client::CreateConversation {
            conversation: conversation.into(),
            members: vec![client::Membership { user: "ann".into(), role: client::Role::Owner.into() }],
            ..client::CreateConversation::default()
        };
        self.gateway().create_conversation(&caller(None), request).await.expect("created");
    }

    async fn stop(mut self) {
        for name in self.routing.keys().copied().collect::<Vec<_>>() {
            let (node, _) = self.routing.remove(name).expect("it runs");
            let stopped = node.shutdown().await;
            assert!(stopped.clean(), "{stopped:?}");
        }
        assert!(self.front.take().expect("it runs").shutdown().await.clean());
    }
}

/// Someone who goes on sending to one conversation, each message until it is answered.
struct Sender {
    gateway: Arc<posthorn_gateway::Gateway>,
    clock: Clock,
    conversation: String,
    /// (text, seq) of what was acknowledged.
    acknowledged: Vec<(String, u64)>,
    refused: Vec<Failure>,
}

impl Sender {
    async fn run(mut self, stop: Arc<AtomicBool>, total: Arc<AtomicU64>) -> Self {
        let mut n = 0;
        while !stop.load(Ordering::Relaxed) {
            n += 1;
            let text = format!("{} {n}", self.conversation);
            let id = MessageId(self.clock.uuid_v7());
            let body = client::Body { text: text.clone(), ..client::Body::default() };
            let item = AppendItem {
                kind: client::Kind::Message.into(),
                message_id: Bytes::copy_from_slice(id.0.as_bytes()),
                after_seq: self.acknowledged.last().map_or(1, |(_, seq)| *seq),
                body: body.encode_to_vec().into(),
                ..AppendItem::default()
            };
            let answer = self.gateway.append(&caller(Some("ann")), &self.conversation, "", vec![item]).await;
            match answer.map(|answers| answers.into_iter().next().expect("one answer")) {
                Ok(Ok(sent)) => {
                    self.acknowledged.push((text, sent.seq));
                    total.fetch_add(1, Ordering::Relaxed);
                }
                Ok(Err(failure)) | Err(failure) => self.refused.push(failure),
            }
            sleep(Duration::from_millis(5)).await;
        }
        self
    }
}

/// People send while `act` is done to the fleet; then everything is compared with the log.
async fn under_load(mut fleet: Fleet, act: impl AsyncFnOnce(&mut Fleet, &AtomicU64)) -> Fleet {
    let (stop, total) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicU64::new(0)));
    let mut senders = tokio::task::JoinSet::new();
    for n in 0..CONVERSATIONS {
        let conversation = format!("c{n}");
        fleet.create(&conversation).await;
        let (gateway, clock) = (Arc::clone(fleet.gateway()), fleet.clock.clone());
        let sender = Sender { gateway, clock, conversation, acknowledged: Vec::new(), refused: Vec::new() };
        senders.spawn(sender.run(Arc::clone(&stop), Arc::clone(&total)));
    }
    act(&mut fleet, &total).await;
    stop.store(true, Ordering::Relaxed);
    let senders = senders.join_all().await;
    for sender in &senders {
        assert!(sender.refused.is_empty(), "{}: {:?}", sender.conversation, sender.refused);
        let seqs: Vec<u64> = sender.acknowledged.iter().map(|(_, seq)| *seq).collect();
        // One sender, and every entry once: dense behind the first.
        assert!(seqs.iter().copied().eq(2..=seqs.len() as u64 + 1), "{}: {seqs:?}", sender.conversation);
        let read = read_all(&fleet, &sender.conversation).await;
        assert_eq!(read, sender.acknowledged, "{}", sender.conversation);
    }
    // What was said to be settled is: heads end with the log, the feed has all, no journal has a name.
    drained(&fleet).await;
    fleet
}

/// Adds ben to a conversation and removes him, over and over.
struct Changer {
    gateway: Arc<posthorn_gateway::Gateway>,
    conversation: String,
    changes: u64,
}

impl Changer {
    /// Whether he is a member at the end.
    async fn run(mut self, stop: Arc<AtomicBool>) -> (String, bool) {
        let mut present = false;
        while !stop.load(Ordering::Relaxed) {
            let op = if present { Op::Remove } else { Op::Add };
            let change = MemberChange { op: op.into(), user: "ben".into(), ..MemberChange::default() };
            match self.gateway.change_members(&caller(None), &self.conversation, vec![change]).await {
                Ok(_) => present = !present,
                // It may be made, all the same.
                Err(failure) if failure.code == Code::NotConfirmed => present = self.is_present().await,
                Err(failure) => panic!("{op:?} after {} changes of {}: {failure:?}", self.changes, self.conversation),
            }
            self.changes += 1;
        }
        assert!(self.changes > 10, "{}: {}", self.conversation, self.changes);
        assert_eq!(self.is_present().await, present, "{}", self.conversation);
        (self.conversation, present)
    }

    async fn is_present(&self) -> bool {
        let request = client::ListMembers { conversation: self.conversation.clone(), ..client::ListMembers::default() };
        let listed = self.gateway.list_members(&caller(None), request).await.expect("a list");
        listed.members.iter().any(|member| member.user == "ben")
    }
}

async fn read_all(fleet: &Fleet, conversation: &str) -> Vec<(String, u64)> {
    let mut all = Vec::new();
    let mut after = 0;
    loop {
        let request = client::History {
            conversation: conversation.into(),
            after: Some(after),
            limit: 200,
            ..client::History::default()
        };
        let HistoryPage { entries, .. } = fleet.gateway().history(&caller(Some("ann")), request).await.expect("a page");
        let Some(last) = entries.last() else { return all };
        after = last.seq;
        let said = entries.iter().filter(|entry| entry.kind() == client::Kind::Message);
        all.extend(said.map(|entry| (entry.body.clone().unwrap_or_default().text, entry.seq)));
    }
}

async fn drained(fleet: &Fleet) {
    let drained = async {
        loop {
            let mut named = 0;
            for beat in fleet.store.beats().await.expect("lists") {
                named += fleet.store.journal(&beat.instance).await.expect("lists").len();
            }
            if named == 0 {
                return;
            }
            sleep(Duration::from_millis(20)).await;
        }
    };
    timeout(LIMIT, drained).await.expect("every journal empties");
    let keys: Vec<_> = (0..CONVERSATIONS)
        .map(|n| posthorn_core::ConversationKey {
            tenant: posthorn_core::TenantId::new(TENANT).expect("an id"),
            conversation: posthorn_core::ConversationId::new(&format!("c{n}")).expect("an id"),
        })
        .collect();
    for (key, head) in keys.iter().zip(fleet.store.heads(&keys).await.expect("reads")) {
        let head = head.expect("a head");
        assert_eq!(head.fed_seq, head.seq, "{key:?}");
        assert!(fleet.store.read_tail(key, head.seq).await.expect("reads").is_empty(), "{key:?}");
    }
}

/// So many more acknowledged sends.
async fn more(total: &AtomicU64, count: u64) {
    let until = total.load(Ordering::Relaxed) + count;
    let wait = async {
        while total.load(Ordering::Relaxed) < until {
            sleep(Duration::from_millis(5)).await;
        }
    };
    timeout(LIMIT, wait).await.expect("sends go on");
}

#[tokio::test(flavor = "multi_thread")]
async fn instances_come_and_go_under_load_and_no_send_is_refused() {
    let mut fleet = Fleet::start().await;
    fleet.join("a").await;
    fleet.balanced().await;
    let fleet = under_load(fleet, async |fleet, total| {
        more(total, 200).await;
        fleet.join("b").await;
        fleet.join("c").await;
        fleet.balanced().await;
        more(total, 200).await;
        fleet.leave("a").await;
        fleet.balanced().await;
        more(total, 200).await;
        fleet.leave("c").await;
        fleet.balanced().await;
        more(total, 200).await;
    });
    fleet.await.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn members_come_and_go_while_instances_do_and_no_change_is_made_twice_or_half() {
    let mut fleet = Fleet::start().await;
    fleet.join("a").await;
    fleet.balanced().await;
    let stop = Arc::new(AtomicBool::new(false));
    let mut changers = tokio::task::JoinSet::new();
    for n in 0..CONVERSATIONS {
        let conversation = format!("c{n}");
        fleet.create(&conversation).await;
        let changer = Changer { gateway: Arc::clone(fleet.gateway()), conversation, changes: 0 };
        changers.spawn(changer.run(Arc::clone(&stop)));
    }
    for _ in 0..3 {
        fleet.join("b").await;
        fleet.balanced().await;
        fleet.leave("b").await;
        fleet.balanced().await;
    }
    stop.store(true, Ordering::Relaxed);
    let present: BTreeMap<String, bool> = changers.join_all().await.into_iter().collect();
    drained(&fleet).await;
    let ben = UserKey { tenant: TenantId::new(TENANT).expect("an id"), user: UserId::new("ben").expect("an id") };
    let registers = fleet.store.registers(&ben).await.expect("reads");
    let told: BTreeMap<String, bool> =
        registers.into_iter().map(|(conversation, record)| (conversation, !record.removed)).collect();
    assert_eq!(told, present);
    fleet.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn who_is_fenced_finds_out_and_goes_on_under_another_name() {
    let mut fleet = Fleet::start().await;
    fleet.join("a").await;
    fleet.join("b").await;
    fleet.balanced().await;
    let fleet = under_load(fleet, async |fleet, total| {
        for _ in 0..2 {
            more(total, 100).await;
            let beats = fleet.store.beats().await.expect("lists");
            let victim = &beats.iter().find(|beat| beat.address == fleet.addresses["a"]).expect("a beats").instance;
            // As an instance does that wrongly suspects it.
            fleet.store.fence(victim).await.expect("fences");
            let gone = async {
                while fleet.store.beats().await.expect("lists").iter().any(|beat| beat.instance == *victim) {
                    sleep(Duration::from_millis(20)).await;
                }
            };
            timeout(LIMIT, gone).await.expect("the shards of the fenced are taken");
            fleet.balanced().await;
        }
        more(total, 100).await;
        let (_, metrics) = &fleet.routing["a"];
        assert!(metrics.encode().contains("posthorn_routing_incarnations_fenced_total 2"));
    });
    fleet.await.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn who_is_fenced_while_it_has_nothing_to_do_finds_out_and_no_shard_is_left() {
    let mut fleet = Fleet::start().await;
    fleet.join("one").await;
    fleet.join("two").await;
    fleet.balanced().await;
    let owners = async || -> BTreeMap<String, posthorn_store::InstanceId> {
        let rows = fleet.store.shards().await.expect("lists");
        rows.into_iter().filter_map(|row| row.owner.map(|(instance, address)| (address, instance))).collect()
    };
    let gone = owners().await[&fleet.addresses["one"]].clone();
    fleet.store.fence(&gone).await.expect("fenced");
    let replaced = async {
        while owners().await.values().any(|owner| *owner == gone) {
            sleep(Duration::from_millis(20)).await;
        }
    };
    timeout(LIMIT, replaced).await.expect("nobody is owned by who is fenced");
    fleet.balanced().await;
    fleet.stop().await;
}

/// Who hands over may itself have to claim the shard that an owner waits for: it waits for no such owner.
#[tokio::test(flavor = "multi_thread")]
async fn shards_move_while_their_owners_have_to_tell_a_user_whose_shard_nobody_serves() {
    let mut fleet = Fleet::start().await;
    // Nobody is suspected here.
    fleet.suspect_ms = 3_600_000;
    let ghost = InstanceId("ghost".to_owned());
    let ben = UserKey { tenant: TenantId::new(TENANT).expect("an id"), user: UserId::new("ben").expect("an id") };
    fleet.store.register(&ghost, "http://127.0.0.1:1").await.expect("registers");
    let claimed = fleet.store.claim(&[ben.shard()], &ghost, "http://127.0.0.1:1").await.expect("claims").remove(0);
    fleet.join("a").await;
    let owned_as_wanted = async |fleet: &Fleet| {
        let as_wanted = async {
            loop {
                let rows = fleet.store.shards().await.expect("lists");
                let owners: BTreeMap<u16, String> =
                    rows.into_iter().filter_map(|row| Some((row.shard.0, row.owner?.1))).collect();
                let addresses = || fleet.addresses.values().map(String::as_str);
                let others = (0..SHARDS).map(Shard).filter(|shard| *shard != claimed.shard);
                if others.clone().all(|shard| owners.get(&shard.0).map(String::as_str) == wanted(shard, addresses())) {
                    return;
                }
                sleep(Duration::from_millis(20)).await;
            }
        };
        timeout(LIMIT, as_wanted).await.expect("whatever one waits for, the other gets its shards");
    };
    owned_as_wanted(&fleet).await;
    let mut creations = tokio::task::JoinSet::new();
    for n in 0..CONVERSATIONS {
        let (gateway, message_id) = (Arc::clone(fleet.gateway()), fleet.clock.uuid_v7().to_string());
        creations.spawn(async move {
            let member = |user: &str| client::Membership { user: user.into(), role: client::Role::Owner.into() };
            let request = client::CreateConversation {
                conversation: format!("c{n}"),
                members: vec![member("ann"), member("ben")],
                message_id,
                ..client::CreateConversation::default()
            };
            while let Err(failure) = gateway.create_conversation(&caller(None), request.clone()).await {
                assert!(failure.code.retryable(), "{failure:?}");
                sleep(Duration::from_millis(100)).await;
            }
        });
    }
    let stored = async {
        let all = format!("posthorn_routing_conversations {CONVERSATIONS}\n");
        while !fleet.routing["a"].1.encode().contains(&all) {
            sleep(Duration::from_millis(20)).await;
        }
    };
    timeout(LIMIT, stored).await.expect("everything but the telling is done");
    fleet.join("b").await;
    owned_as_wanted(&fleet).await;
    assert!(!creations.is_empty() && creations.try_join_next().is_none(), "ben could not be told");
    fleet.store.release(claimed.shard, claimed.epoch, &ghost, false).await.expect("releases");
    timeout(LIMIT, creations.join_all()).await.expect("ben is told");
    let registers = fleet.store.registers(&ben).await.expect("reads");
    assert_eq!(registers.len(), CONVERSATIONS, "those that moved are told by who has them now");
    drained(&fleet).await;
    fleet.stop().await;
}

/// As where a replica that had acknowledged them lost its disk, and answered before it was repaired.
#[tokio::test(flavor = "multi_thread")]
async fn a_log_that_ends_below_its_head_is_refused() {
    let mut fleet = Fleet::start().await;
    fleet.join("a").await;
    fleet.balanced().await;
    fleet.create("c0").await;
    let key = posthorn_core::ConversationKey {
        tenant: posthorn_core::TenantId::new(TENANT).expect("an id"),
        conversation: posthorn_core::ConversationId::new("c0").expect("an id"),
    };
    let settled = async {
        loop {
            if let Some(head) = fleet.store.heads(std::slice::from_ref(&key)).await.expect("reads").remove(0) {
                return head;
            }
            sleep(Duration::from_millis(20)).await;
        }
    };
    let head = timeout(LIMIT, settled).await.expect("its creation is settled");
    let beat = fleet.store.beats().await.expect("lists").remove(0);
    let head = Head { seq: head.seq + 8, ..head };
    let (fed_seq, head, members, feed) = (head.seq, Some(head), Vec::new(), Vec::new());
    let settlement = Settlement { key, head, members, feed, fed_seq, remove: Vec::new() };
    fleet.store.settle(&beat.instance, vec![settlement]).await.expect("settles");
    // So that its owner loads it again.
    fleet.store.fence(&beat.instance).await.expect("fences");
    let item = AppendItem {
        kind: client::Kind::Message.into(),
        message_id: Bytes::copy_from_slice(MessageId(fleet.clock.uuid_v7()).0.as_bytes()),
        after_seq: 1,
        body: client::Body { text: "lost".into(), ..client::Body::default() }.encode_to_vec().into(),
        ..AppendItem::default()
    };
    let answers = fleet.gateway().append(&caller(Some("ann")), "c0", "", vec![item]).await;
    let answer = answers.and_then(|answers| answers.into_iter().next().expect("one answer"));
    let failure = answer.expect_err("nothing is built on what is not there");
    assert_eq!(failure.code, Code::DataLoss, "{failure:?}");
    // One that was fenced may have written the entry, and not confirmed it.
    assert!(failure.message.contains("its head at 9"), "{failure:?}");
    fleet.stop().await;
}
