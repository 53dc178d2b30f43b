//! What every feed over a store must do. A failure is a panic that names the property.

use std::{collections::BTreeMap, sync::Arc};

use bytes::Bytes;
use posthorn_core::{Chain, ConversationId, ConversationKey, TenantId};
use posthorn_proto::internal::{Head, Row};
use posthorn_store::{Append, FeedTable, InstanceId, Settlement, Store, feed_partition};

use crate::{Fed, Feed, PARTITIONS, embedded::EmbeddedFeed};

/// A conversation under the hand of its owner.
struct Talk {
    key: ConversationKey,
    epoch: u64,
    chain: Chain,
    seq: u64,
}

fn instance() -> InstanceId {
    InstanceId("owner".to_owned())
}

impl Talk {
    async fn new(store: &dyn Store, name: &str) -> Self {
        let tenant = TenantId::new("t").expect("a valid id");
        let key = ConversationKey { tenant, conversation: ConversationId::new(name).expect("a valid id") };
        let claimed = store.claim(&[key.shard()], &instance(), "here").await.expect("claims");
        Self { key, epoch: claimed.first().expect("ours").epoch, chain: Chain::START, seq: 0 }
    }

    /// Appends `count` rows at once and settles what the driver left to settle.
    async fn say(&mut self, store: &dyn Store, count: u64) {
        let mut rows = Vec::new();
        for _ in 0..count {
            self.seq += 1;
            let envelope = Bytes::from(format!("{} {}", self.key.conversation, self.seq));
            self.chain = self.chain.link(&envelope);
            let (chain, body) = (Bytes::copy_from_slice(&self.chain.0), Some(envelope.clone()));
            rows.push(Row { seq: self.seq, epoch: self.epoch, load: 1, chain, envelope, body });
        }
        let head = Head { seq: self.seq, ..Head::default() };
        let (key, feed) = (self.key.clone(), rows.clone());
        let append = Append {
            key: key.clone(),
            instance: instance(),
            rows,
            head: head.clone(),
            members: Vec::new(),
            effects: false,
            note: Some(1),
        };
        if !store.append(append).await.expect("appends") {
            let (fed_seq, members) = (head.seq, Vec::new());
            let settlement = Settlement { key, head: Some(head), members, feed, fed_seq, remove: vec![1] };
            store.settle(&instance(), vec![settlement]).await.expect("settles");
        }
    }
}

/// Everything beyond the cursors, in small pages; commits them.
async fn drain(feed: &dyn Feed, group: &str) -> Vec<(u16, Fed)> {
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

fn by_conversation(all: &[(u16, Fed)]) -> BTreeMap<String, Vec<u64>> {
    let mut seqs: BTreeMap<String, Vec<u64>> = BTreeMap::new();
    for (_, fed) in all {
        let row = fed.entry.row.as_ref().expect("a row");
        seqs.entry(fed.entry.conversation.clone()).or_default().push(row.seq);
    }
    seqs
}

/// Runs the suite on a new store.
pub async fn run<S: Store + FeedTable>(store: Arc<S>) {
    let feed = EmbeddedFeed::new(Arc::clone(&store) as Arc<dyn FeedTable>);
    let store = &*store;
    store.register(&instance(), "here").await.expect("registers");
    assert!(drain(&feed, "push").await.is_empty(), "a new feed is empty");

    let names: Vec<String> = (0..20).map(|n| format!("c{n}")).collect();
    let mut talks = Vec::new();
    for name in &names {
        talks.push(Talk::new(store, name).await);
    }
    for count in [1, 3, 2] {
        for talk in &mut talks {
            talk.say(store, count).await;
        }
    }
    every_entry_comes_in_order_in_its_partition(&feed, &talks).await;
    cursors_are_kept_per_group_and_never_go_back(&feed, store).await;
    a_wait_ends_with_a_commit_since_the_last_read(&feed, store, &mut talks[0]).await;
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

async fn cursors_are_kept_per_group_and_never_go_back(feed: &dyn Feed, store: &(impl Store + FeedTable)) {
    let mut committed = 0;
    for partition in 0..PARTITIONS {
        let cursor = feed.cursor("push", partition).await.expect("reads");
        committed += cursor;
        feed.commit("push", partition, cursor.saturating_sub(1)).await.expect("commits");
        assert_eq!(feed.cursor("push", partition).await.expect("reads"), cursor, "never back");
        assert_eq!(store.feed_cursor("push", partition).await, Ok(cursor), "kept by the store");
        assert_eq!(feed.cursor("another", partition).await.expect("reads"), 0, "0 for a new group");
    }
    assert!(committed > 0);
}

async fn a_wait_ends_with_a_commit_since_the_last_read(feed: &dyn Feed, store: &dyn Store, talk: &mut Talk) {
    assert!(drain(feed, "push").await.is_empty());
    // Said between the read and the wait: must not be waited past.
    talk.say(store, 1).await;
    let begun = posthorn_clock::Instant::now();
    feed.wait().await;
    assert!(begun.elapsed().as_millis() < 900, "not woken, but timed out");
    let news = drain(feed, "push").await;
    assert_eq!(news.len(), 1, "offsets go on where they were");
    assert_eq!(news[0].1.entry.row.as_ref().map(|row| row.seq), Some(talk.seq));
    let idle = posthorn_clock::Instant::now();
    feed.wait().await;
    feed.wait().await;
    assert!(idle.elapsed().as_millis() >= 900, "with nothing new it takes its time");
}
