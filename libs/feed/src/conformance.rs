//! What every feed must do. A failure is a panic that names the property.

use std::{collections::BTreeMap, sync::Arc};

use async_trait::async_trait;
use bytes::Bytes;
use parking_lot::Mutex;
use posthorn_core::{Chain, ConversationId, ConversationKey, Shard, TenantId};
use posthorn_proto::internal::{FeedEntry, Head, Row};
use posthorn_store::{Append, FeedTable, InstanceId, Settlement, Store, feed_partition};

use crate::{Fed, Feed, FeedSink, PARTITIONS, embedded::EmbeddedFeed};

/// How entries come into the feed under test.
#[async_trait]
pub trait Writer: Send + Sync {
    /// Rows of one conversation, beyond those before; returns when the feed has them.
    async fn write(&self, key: &ConversationKey, rows: Vec<Row>);
}

/// Through the appends of a store, by an instance that owns all its shards.
struct StoreWriter<S> {
    store: Arc<S>,
    epochs: Mutex<BTreeMap<Shard, u64>>,
}

impl<S: Store> StoreWriter<S> {
    async fn epoch(&self, shard: Shard) -> u64 {
        if let Some(epoch) = self.epochs.lock().get(&shard) {
            return *epoch;
        }
        let claimed = self.store.claim(&[shard], &instance(), "here").await.expect("claims");
        let epoch = claimed.first().expect("ours").epoch;
        self.epochs.lock().insert(shard, epoch);
        epoch
    }
}

fn instance() -> InstanceId {
    InstanceId("owner".to_owned())
}

#[async_trait]
impl<S: Store> Writer for StoreWriter<S> {
    async fn write(&self, key: &ConversationKey, mut rows: Vec<Row>) {
        let epoch = self.epoch(key.shard()).await;
        rows.iter_mut().for_each(|row| row.epoch = epoch);
        let (instance, feed) = (instance(), rows.clone());
        let head = Head { seq: rows.last().map_or(0, |row| row.seq), ..Head::default() };
        let (key, members) = (key.clone(), Vec::new());
        let append =
            Append { key: key.clone(), instance, rows, head: head.clone(), members, effects: false, note: Some(1) };
        // What the driver left to settle is settled.
        if !self.store.append(append).await.expect("appends") {
            let (fed_seq, members) = (head.seq, Vec::new());
            let settlement = Settlement { key, head: Some(head), members, feed, fed_seq, remove: vec![1] };
            self.store.settle(&self::instance(), vec![settlement]).await.expect("settles");
        }
    }
}

/// Through the write side of a feed.
pub struct SinkWriter(pub Arc<dyn FeedSink>);

#[async_trait]
impl Writer for SinkWriter {
    async fn write(&self, key: &ConversationKey, rows: Vec<Row>) {
        self.0.publish(rows.into_iter().map(|row| entry(key, row)).collect()).await.expect("publishes");
    }
}

/// An entry of the first generation.
#[must_use]
pub fn entry(key: &ConversationKey, row: Row) -> FeedEntry {
    let (tenant, conversation) = (key.tenant.to_string(), key.conversation.to_string());
    FeedEntry { tenant, conversation, generation: 1, row: Some(row) }
}

/// A conversation under the hand of its owner.
pub struct Talk {
    pub key: ConversationKey,
    chain: Chain,
    pub seq: u64,
}

impl Talk {
    /// Of tenant `t`.
    #[must_use]
    pub fn new(name: &str) -> Self {
        let tenant = TenantId::new("t").expect("a valid id");
        let key = ConversationKey { tenant, conversation: ConversationId::new(name).expect("a valid id") };
        Self { key, chain: Chain::START, seq: 0 }
    }

    /// The next `count` rows.
    pub fn rows(&mut self, count: u64) -> Vec<Row> {
        let row = |_| {
            self.seq += 1;
            let envelope = Bytes::from(format!("{} {}", self.key.conversation, self.seq));
            self.chain = self.chain.link(&envelope);
            let (chain, body) = (Bytes::copy_from_slice(&self.chain.0), Some(envelope.clone()));
            Row { seq: self.seq, epoch: 1, load: 1, chain, envelope, body }
        };
        (0..count).map(row).collect()
    }

    async fn say(&mut self, writer: &dyn Writer, count: u64) {
        let rows = self.rows(count);
        writer.write(&self.key, rows).await;
    }
}

/// Everything beyond the cursors, in small pages; commits them.
pub async fn drain(feed: &dyn Feed, group: &str) -> Vec<(u16, Fed)> {
    let mut all = Vec::new();
    for partition in 0..PARTITIONS {
        let mut after = feed.cursor(group, partition).await.expect("reads");
        loop {
            let page = feed.read(partition, after, 7).await.expect("reads");
            let Some(last) = page.last() else { break };
            assert!(page.len() <= 7);
            assert!(page.windows(2).all(|pair| pair[0].offset < pair[1].offset), "ascending");
            assert!(page[0].offset > after, "beyond what was asked");
            after = last.offset;
            all.extend(page.into_iter().map(|fed| (partition, fed)));
        }
        feed.commit(group, partition, after).await.expect("commits");
    }
    all
}

/// The seqs of each conversation as they came.
#[must_use]
pub fn by_conversation(all: &[(u16, Fed)]) -> BTreeMap<String, Vec<u64>> {
    let mut seqs: BTreeMap<String, Vec<u64>> = BTreeMap::new();
    for (_, fed) in all {
        let row = fed.entry.row.as_ref().expect("a row");
        seqs.entry(fed.entry.conversation.clone()).or_default().push(row.seq);
    }
    seqs
}

/// Runs the suite on the feed of a new store.
pub async fn run_over<S: Store + FeedTable>(store: Arc<S>) {
    store.register(&instance(), "here").await.expect("registers");
    let feed = || EmbeddedFeed::new(Arc::clone(&store) as Arc<dyn FeedTable>);
    run(&feed(), &feed(), &StoreWriter { store: Arc::clone(&store), epochs: Mutex::default() }).await;
}

/// Runs the suite on a new feed. `again` is another handle on it.
pub async fn run(feed: &dyn Feed, again: &dyn Feed, writer: &dyn Writer) {
    assert!(drain(feed, "push").await.is_empty(), "a new feed is empty");
    let mut talks: Vec<Talk> = (0..20).map(|n| Talk::new(&format!("c{n}"))).collect();
    for count in [1, 3, 2] {
        for talk in &mut talks {
            talk.say(writer, count).await;
        }
    }
    every_entry_comes_in_order_in_its_partition(feed, &talks).await;
    cursors_are_kept_per_group_and_never_go_back(feed, again).await;
    a_wait_ends_with_a_commit_since_the_last_read(feed, writer, &mut talks[0]).await;
}

async fn every_entry_comes_in_order_in_its_partition(feed: &dyn Feed, talks: &[Talk]) {
    let all = drain(feed, "push").await;
    let seqs = by_conversation(&all);
    assert_eq!(seqs.len(), talks.len());
    for (name, seqs) in &seqs {
        assert_eq!(*seqs, [1, 2, 3, 4, 5, 6], "{name}");
    }
    for (partition, fed) in &all {
        let talk = talks.iter().find(|talk| talk.key.conversation.as_str() == fed.entry.conversation);
        let talk = talk.expect("one of ours");
        assert_eq!(feed_partition(&talk.key), *partition);
        assert_eq!(fed.entry.tenant, "t");
        assert_eq!(fed.entry.generation, 1);
        let row = fed.entry.row.as_ref().expect("a row");
        assert_eq!(row.envelope, format!("{} {}", talk.key.conversation, row.seq));
        assert_eq!(row.body.as_ref(), Some(&row.envelope));
    }
    assert!(drain(feed, "push").await.is_empty(), "what was committed does not come again");
}

async fn cursors_are_kept_per_group_and_never_go_back(feed: &dyn Feed, again: &dyn Feed) {
    let mut committed = 0;
    for partition in 0..PARTITIONS {
        let cursor = feed.cursor("push", partition).await.expect("reads");
        committed += cursor;
        feed.commit("push", partition, cursor.saturating_sub(1)).await.expect("commits");
        assert_eq!(feed.cursor("push", partition).await.expect("reads"), cursor, "never back");
        again.commit("push", partition, cursor.saturating_sub(1)).await.expect("commits");
        assert_eq!(again.cursor("push", partition).await.expect("reads"), cursor, "kept outside of the handle");
        assert_eq!(feed.cursor("another", partition).await.expect("reads"), 0, "0 for a new group");
    }
    assert!(committed > 0);
}

async fn a_wait_ends_with_a_commit_since_the_last_read(feed: &dyn Feed, writer: &dyn Writer, talk: &mut Talk) {
    assert!(drain(feed, "push").await.is_empty());
    let partition = feed_partition(&talk.key);
    let after = feed.cursor("push", partition).await.expect("reads");
    // Said between the read and the wait: must not be waited past.
    talk.say(writer, 1).await;
    let begun = posthorn_clock::Instant::now();
    feed.wait(partition, after).await;
    assert!(begun.elapsed().as_millis() < 900, "not woken, but timed out");
    let news = drain(feed, "push").await;
    assert_eq!(news.len(), 1, "offsets go on where they were");
    assert_eq!(news[0].1.entry.row.as_ref().map(|row| row.seq), Some(talk.seq));
    let idle = posthorn_clock::Instant::now();
    let after = news[0].1.offset;
    feed.wait(partition, after).await;
    feed.wait(partition, after).await;
    assert!(idle.elapsed().as_millis() >= 900, "with nothing new it takes its time");
}
