//! The way to a feed that is apart from the store. What it took of late is remembered, by conversation: where
//! the feed loses what it had, that is read from the log and published again. Consumers drop what they have.

use std::{
    collections::{BTreeMap, HashMap},
    sync::Arc,
    time::Duration,
};

use parking_lot::Mutex;
use posthorn_clock::{Instant, sleep};
use posthorn_core::ConversationKey;
use posthorn_feed::{FeedError, FeedSink};
use posthorn_proto::internal::{FeedEntry, Row};
use posthorn_store::{ReadRange, Store, StoreError};
use tokio::sync::RwLock;

/// How long it is remembered, at least, what was published; twice as long at most.
const REMEMBER: Duration = Duration::from_secs(300);
/// Conversations that are remembered. Beyond it those from before are forgotten early.
const MAX_REMEMBERED: usize = 65_536;
/// Between two looks at whether the feed still has what it had.
const LOOK: Duration = Duration::from_secs(1);
/// Entries that are published again at once: what is new waits that long.
const PAGE_ROWS: usize = 500;
const PAGE_BYTES: usize = 2 * 1024 * 1024;

#[derive(Debug, thiserror::Error)]
enum AgainError {
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error(transparent)]
    Feed(#[from] FeedError),
}

/// First and last seq.
type Spans = HashMap<ConversationKey, (u64, u64)>;

pub(crate) struct Feeding {
    sink: Arc<dyn FeedSink>,
    store: Arc<dyn Store>,
    recent: Mutex<Recent>,
    /// What is new goes out beside each other; what comes again, alone.
    turn: RwLock<()>,
}

struct Recent {
    now: Spans,
    before: Spans,
    began: Instant,
}

impl Recent {
    fn new() -> Self {
        Self { now: Spans::new(), before: Spans::new(), began: Instant::now() }
    }

    fn note(&mut self, key: &ConversationKey, seq: u64) {
        if self.began.elapsed() >= REMEMBER || self.now.len() >= MAX_REMEMBERED {
            self.before = std::mem::take(&mut self.now);
            self.began = Instant::now();
        }
        match self.now.get_mut(key) {
            Some((first, last)) => (*first, *last) = (seq.min(*first), seq.max(*last)),
            None => drop(self.now.insert(key.clone(), (seq, seq))),
        }
    }

    fn all(&self) -> BTreeMap<ConversationKey, (u64, u64)> {
        let mut all = BTreeMap::new();
        for (key, &(first, last)) in self.before.iter().chain(&self.now) {
            let span = all.entry(key.clone()).or_insert((first, last));
            *span = (first.min(span.0), last.max(span.1));
        }
        all
    }
}

impl Feeding {
    pub fn new(sink: Arc<dyn FeedSink>, store: Arc<dyn Store>) -> Self {
        Self { sink, store, recent: Mutex::new(Recent::new()), turn: RwLock::default() }
    }

    /// The new rows of conversations, in the order given.
    pub async fn publish(&self, rows: Vec<(ConversationKey, Row)>) -> Result<(), FeedError> {
        if rows.is_empty() {
            return Ok(());
        }
        let _beside = self.turn.read().await;
        let entries = rows.iter().map(|(key, row)| self.entry(key, row.clone())).collect();
        self.sink.publish(entries).await?;
        let mut recent = self.recent.lock();
        for (key, row) in &rows {
            recent.note(key, row.seq);
        }
        Ok(())
    }

    fn entry(&self, key: &ConversationKey, row: Row) -> FeedEntry {
        let (tenant, conversation) = ((&key.tenant).into(), (&key.conversation).into());
        FeedEntry { tenant, conversation, generation: self.store.generation(), row: Some(row) }
    }

    /// Publishes again what the feed lost, whenever it does. Runs until it is dropped.
    pub async fn follow_losses(&self) {
        let mut losses = self.sink.losses();
        losses.mark_unchanged();
        let mut owed = BTreeMap::new();
        loop {
            sleep(LOOK).await;
            // The sink looks when it is asked for something: this is for times when nobody publishes.
            if let Err(error) = self.sink.publish(Vec::new()).await {
                tracing::debug!(%error, "whether the feed has what it had is not known");
                continue;
            }
            if losses.has_changed().is_ok_and(|changed| changed) {
                losses.mark_unchanged();
                owed = self.recent.lock().all();
                tracing::warn!(conversations = owed.len(), "what the feed took of late is published again");
            }
            while let Some((key, (first, last))) = owed.pop_first() {
                if let Err((next, error)) = self.again(&key, first, last).await {
                    tracing::warn!(%error, left = owed.len() + 1, "the feed cannot be given what it lost, trying again");
                    owed.insert(key, (next, last));
                    break;
                }
            }
        }
    }

    /// After an error: from where on.
    async fn again(&self, key: &ConversationKey, first: u64, last: u64) -> Result<(), (u64, AgainError)> {
        let mut from = first;
        while from <= last {
            let range = ReadRange { from, to: last, limit: PAGE_ROWS, max_bytes: PAGE_BYTES, reverse: false };
            let page = self.store.read(key, range).await.map_err(|error| (from, error.into()))?;
            let Some(end) = page.rows.last().map(|row| row.seq) else { break };
            let _alone = self.turn.write().await;
            let entries = page.rows.into_iter().map(|row| self.entry(key, row)).collect();
            self.sink.publish(entries).await.map_err(|error| (from, error.into()))?;
            from = end + 1;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(name: &str) -> ConversationKey {
        ConversationKey { tenant: "t".parse().expect("an id"), conversation: name.parse().expect("an id") }
    }

    #[tokio::test(start_paused = true)]
    async fn what_was_published_of_late_is_remembered_within_a_bound() {
        let mut recent = Recent::new();
        let first = |recent: &Recent, name: &str| recent.all().get(&key(name)).copied();
        for seq in 5..=7 {
            recent.note(&key("a"), seq);
        }
        sleep(REMEMBER).await;
        recent.note(&key("a"), 8);
        recent.note(&key("b"), 1);
        assert_eq!((first(&recent, "a"), first(&recent, "b")), (Some((5, 8)), Some((1, 1))));
        sleep(REMEMBER).await;
        recent.note(&key("b"), 2);
        assert_eq!((first(&recent, "a"), first(&recent, "b")), (Some((8, 8)), Some((1, 2))));
        for n in 0..3 * MAX_REMEMBERED {
            recent.note(&key(&format!("c{n}")), 1);
        }
        assert!(recent.all().len() <= 2 * MAX_REMEMBERED && first(&recent, "a").is_none());
    }
}
