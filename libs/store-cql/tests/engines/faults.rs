//! On three nodes, while one is killed, paused or cut off: what was acknowledged is there, in order, and
//! ownership moves.

use std::{sync::Arc, time::Duration};

use posthorn_clock::{Instant, sleep};
use posthorn_core::{Chain, ConversationKey};
use posthorn_proto::internal::Row;
use posthorn_store::{
    Durability, InstanceId, Store, StoreError,
    conformance::{self, Driver, append, instance, key, owner, read_all, rows},
};
use posthorn_store_cql::{CqlConfig, CqlStore};
use posthorn_tasks::Tasks;

use super::{place, proxy::Proxy};

/// How long one message may take while a node is away.
const PATIENCE: Duration = Duration::from_secs(60);

/// One conversation, as its owner writes it.
struct Talk {
    store: Arc<CqlStore>,
    key: ConversationKey,
    owner: InstanceId,
    epoch: u64,
    chain: Chain,
    acknowledged: Vec<Row>,
    slowest: Duration,
}

impl Talk {
    async fn new(store: &Arc<CqlStore>, name: &str, owned_by: &str) -> Self {
        let key = key("t", name);
        let (owner, epoch) = owner(&(Arc::clone(store) as Driver), owned_by, &[&key]).await;
        let store = Arc::clone(store);
        Self { store, key, owner, epoch, chain: Chain::START, acknowledged: Vec::new(), slowest: Duration::ZERO }
    }

    /// Appends `count` messages of one row each. One that is in doubt is repeated as it is.
    async fn say(&mut self, count: u64) {
        for _ in 0..count {
            let seq = self.acknowledged.len() as u64 + 1;
            let batch = rows(self.chain, seq..=seq, (self.epoch, 1));
            let begun = Instant::now();
            while let Err(error) = self.store.append(append(&self.key, &self.owner, batch.clone())).await {
                let passes = matches!(error, StoreError::Ambiguous(_) | StoreError::Unavailable(_));
                assert!(passes && begun.elapsed() < PATIENCE, "{seq}: {error}");
            }
            while self.store.check(&self.owner).await != Ok(true) {
                assert!(begun.elapsed() < PATIENCE, "{seq} is not confirmed");
            }
            self.slowest = self.slowest.max(begun.elapsed());
            self.chain = Chain::from_slice(&batch[0].chain).expect("a chain");
            self.acknowledged.extend(batch);
        }
    }

    async fn is_whole(&self) {
        let store = Arc::clone(&self.store) as Driver;
        assert_eq!(read_all(&store, &self.key).await, self.acknowledged, "what was acknowledged, and nothing else");
        let tail = store.read_tail(&self.key, 0).await.expect("reads");
        assert_eq!(tail.len(), self.acknowledged.len());
    }

    /// Another instance fences the owner and takes over.
    async fn hand_to(&mut self, name: &str) {
        let next = instance(name);
        self.store.register(&next, "there").await.expect("registers");
        self.store.fence(&self.owner).await.expect("fences");
        assert_eq!(self.store.check(&self.owner).await, Ok(false));
        let claimed = self.store.claim(&[self.key.shard()], &next, "there").await.expect("claims").remove(0);
        assert!(claimed.epoch > self.epoch);
        assert_eq!(claimed.inherits, std::slice::from_ref(&self.owner));
        let names = self.store.journal(&self.owner).await.expect("reads the journal");
        assert_eq!(names, std::slice::from_ref(&self.key), "nothing of it is settled");
        let notes: Vec<_> = names.iter().cloned().zip(1..).collect();
        self.store.note(&next, &notes).await.expect("notes");
        self.store.carried_over(&[self.key.shard()], &next).await.expect("carries over");
        assert_eq!(self.store.journal(&next).await, Ok(names));
        self.is_whole().await;
        (self.owner, self.epoch) = (next, claimed.epoch);
    }
}

/// A fence, a claim and messages that two replicas acknowledged are there when one of them was killed and the
/// other is away: not so, were a replica to forget what it acknowledged (commit log `periodic`).
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn with_each_node_killed_in_turn_nothing_acknowledged_is_lost_and_no_fence_undone() {
    if !place::on() {
        return;
    }
    let mut three = place::three().await;
    let store = place::open(&three.config).await;
    assert_eq!(store.durability(), Durability::Synced);
    let nodes = &mut three.nodes;
    let mut talk = Talk::new(&store, "lobby", "a").await;
    talk.say(20).await;
    nodes.kill(1).expect("kills");
    talk.say(40).await;
    talk.hand_to("b").await;
    talk.say(20).await;
    nodes.kill(0).expect("kills");
    nodes.restart(0).await.expect("comes back");
    nodes.restart(1).await.expect("comes back");
    // All that was said while it was away, of those two only the one has that was killed after it.
    nodes.kill(2).expect("kills");
    reachable(&store, &talk).await;
    assert_eq!(store.check(&instance("a")).await, Ok(false), "the fence stands");
    assert_eq!(store.check(&talk.owner).await, Ok(true));
    talk.is_whole().await;
    talk.say(20).await;
    nodes.restart(2).await.expect("comes back");
    talk.is_whole().await;
    println!("killed: slowest message {:?}", talk.slowest);
}

/// Were a level lowered when a quorum does not answer, this would be acknowledged.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn with_two_of_three_nodes_paused_nothing_is_acknowledged_and_what_was_sent_is_in_doubt() {
    if !place::on() {
        return;
    }
    let mut three = place::three().await;
    let config = CqlConfig { attempt_timeout_ms: 1_000, conditional_timeout_ms: 3_000, ..three.config.clone() };
    let store = place::open(&config).await;
    let nodes = &mut three.nodes;
    let mut talk = Talk::new(&store, "lobby", "a").await;
    talk.say(10).await;
    for node in [1, 2] {
        nodes.pause(node).expect("pauses");
    }
    let lost = rows(talk.chain, 11..=11, (talk.epoch, 1));
    let unknown = store.append(append(&talk.key, &talk.owner, lost.clone())).await.expect_err("there is no quorum");
    assert!(unknown.ambiguous(), "{unknown}");
    store.check(&talk.owner).await.expect_err("nobody knows");
    store.read(&talk.key, conformance::ALL).await.expect_err("nobody knows");
    let b = instance("b");
    store.register(&b, "there").await.expect_err("there is no quorum");
    for node in [1, 2] {
        nodes.resume(node).expect("resumes");
    }
    reachable(&store, &talk).await;
    // It may be there or not: the next owner takes it if it finds it, under a number of its own.
    let c = instance("c");
    store.register(&c, "there").await.expect("registers");
    store.fence(&talk.owner).await.expect("fences");
    let claimed = store.claim(&[talk.key.shard()], &c, "there").await.expect("claims").remove(0);
    let tail = store.read_tail(&talk.key, 10).await.expect("reads");
    assert!(tail.is_empty() || tail == lost, "{tail:?}");
    (talk.owner, talk.epoch) = (c, claimed.epoch);
    talk.say(5).await;
    // A late copy of it changes nothing.
    store.append(append(&talk.key, &instance("a"), lost)).await.expect("rows go in, whoever sends them");
    assert_eq!(read_all(&(Arc::clone(&store) as Driver), &talk.key).await, talk.acknowledged);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn with_a_node_paused_messages_go_on_and_what_it_wakes_up_with_changes_nothing() {
    if !place::on() {
        return;
    }
    let mut three = place::three().await;
    let config = three.config.clone();
    let store = place::open(&config).await;
    let nodes = &mut three.nodes;
    let mut talk = Talk::new(&store, "lobby", "a").await;
    talk.say(20).await;
    nodes.pause(2).expect("pauses");
    talk.say(40).await;
    talk.hand_to("b").await;
    talk.say(10).await;
    nodes.resume(2).expect("resumes");
    talk.say(20).await;
    talk.is_whole().await;
    assert_eq!(store.check(&instance("a")).await, Ok(false), "nothing that was under way undoes the fence");
    println!("paused: slowest message {:?}", talk.slowest);
    drop(store);
    reconnected(&config, &talk).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn with_a_node_out_of_reach_messages_take_another_way() {
    if !place::on() {
        return;
    }
    let three = place::three().await;
    let tasks = Tasks::new();
    let (mut proxies, mut addresses) = (Vec::new(), Vec::new());
    for node in &three.config.nodes {
        let proxy = Proxy::to(node.parse().expect("an address"), &tasks).await;
        let (address, _) = node.rsplit_once(':').expect("a port");
        addresses.push(format!("{address}={}", proxy.address));
        proxies.push(proxy);
    }
    let contact = proxies[0].address.to_string();
    let config = CqlConfig { nodes: vec![contact], addresses, ..three.config.clone() };
    let store = place::open(&config).await;
    let mut talk = Talk::new(&store, "lobby", "a").await;
    talk.say(20).await;
    // The last is the one that the session was opened through: it has to find other news of the cluster.
    for cut in [2, 1, 0] {
        proxies[cut].cut(true);
        talk.say(20).await;
        if cut == 2 {
            talk.hand_to("b").await;
        }
        proxies[cut].cut(false);
        talk.say(10).await;
        talk.is_whole().await;
    }
    println!("cut off: slowest message {:?}", talk.slowest);
    drop(store);
    tasks.stop();
}

/// Until a quorum is seen to be up: the others of a node that was killed a moment ago need a while to notice,
/// and the one that came back to be noticed.
async fn reachable(store: &Arc<CqlStore>, talk: &Talk) {
    let begun = Instant::now();
    while store.read(&talk.key, conformance::ALL).await.is_err() {
        assert!(begun.elapsed() < PATIENCE, "no quorum came back");
        sleep(Duration::from_millis(100)).await;
    }
}

/// A new session finds the same.
async fn reconnected(config: &CqlConfig, talk: &Talk) {
    let store = place::open(config).await;
    assert_eq!(read_all(&(store as Driver), &talk.key).await, talk.acknowledged);
}
