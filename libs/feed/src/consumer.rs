//! A consumer group: follows the feed, one loop a partition, and hands every entry to a handler, in order
//! per conversation. Second copies are dropped and holes are filled from the log. What fails is tried
//! again with growing pauses and then parked as a dead letter, so that one bad entry stops nobody for long.
//! Where several processes are one group, they share the partitions.

mod follow;
mod metrics;
mod sharing;
#[cfg(test)]
mod tests;

use std::{collections::BTreeSet, sync::Arc, time::Duration};

use async_trait::async_trait;
use posthorn_bus::Bus;
use posthorn_clock::Clock;
use posthorn_core::ConversationKey;
use posthorn_proto::internal::{FeedEntry, Row};
use posthorn_tasks::Tasks;

pub use metrics::ConsumerMetrics;

use crate::{
    Feed, PARTITIONS, Result,
    letters::{DeadLetters, LetterId, LetterPage, check_group},
};
use sharing::Shares;

/// Between tries where the feed, the log, the dead letters or what a handler needs do not answer.
const AWAY: Duration = Duration::from_secs(1);

/// Bounds of one group.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConsumerConfig {
    /// Entries of a partition that are read, handled and committed together.
    pub max_batch_entries: usize,
    /// Entries of one conversation that the handler gets together.
    pub max_run_entries: usize,
    /// Conversations of a partition that are handled at once.
    pub max_in_flight: usize,
    /// Times an entry is handled before it is parked.
    pub max_attempts: u32,
    /// The first pause between two of them, and the longest.
    pub retry_ms: u64,
    pub max_retry_ms: u64,
    /// Conversations whose last entry is remembered, over all partitions: to know second copies and holes.
    pub max_remembered: usize,
    /// Rows that are taken from the log at once to fill a hole.
    pub max_fill_entries: u32,
    /// How often a process says to the others of its group that it is there, and the silence after which
    /// it is taken for gone.
    pub beat_ms: u64,
    pub suspect_ms: u64,
    /// How long a partition rests before another process goes on with it.
    pub takeover_ms: u64,
}

impl Default for ConsumerConfig {
    fn default() -> Self {
        Self {
            max_batch_entries: 256,
            max_run_entries: 1,
            max_in_flight: 16,
            max_attempts: 6,
            retry_ms: 200,
            max_retry_ms: 10_000,
            max_remembered: 100_000,
            max_fill_entries: 256,
            beat_ms: 1_000,
            suspect_ms: 4_000,
            takeover_ms: 10_000,
        }
    }
}

/// Entries of one conversation and one generation, ascending.
#[derive(Clone, Debug)]
pub struct Run {
    pub entries: Vec<FeedEntry>,
    /// For these users alone, where an attempt before left them out; `None`: for everybody.
    pub users: Option<BTreeSet<String>>,
}

/// What a handler could not do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Undone {
    /// Of which entry.
    pub seq: u64,
    /// For whom; empty where the entry as a whole was not handled.
    pub user: String,
    /// In words that name no content.
    pub why: String,
    /// Trying again may help.
    pub again: bool,
}

/// What every entry needs does not answer: no fault of these.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct Away(pub String);

/// What a group does with entries. At least once: (tenant, conversation, generation, seq) tells copies.
#[async_trait]
pub trait Handler: Send + Sync + 'static {
    /// How long what was just read rests before it is handled.
    fn rest(&self, _batch: &[FeedEntry]) -> Duration {
        Duration::ZERO
    }

    /// What is left of it. After an error all of it is handed over again, and no attempt is counted.
    async fn handle(&self, run: &Run) -> Result<Vec<Undone>, Away>;
}

/// Where holes are filled from.
#[async_trait]
pub trait Log: Send + Sync + 'static {
    /// Rows of the seqs `from..=to`, ascending, `limit` at most; what is not there any more is left out.
    async fn rows(&self, key: &ConversationKey, from: u64, to: u64, limit: u32) -> Result<Vec<Row>>;
}

/// What a consumer is made of.
pub struct ConsumerDeps {
    /// The group's name: its cursors and letters are kept under it.
    pub group: &'static str,
    pub config: ConsumerConfig,
    pub feed: Arc<dyn Feed>,
    pub log: Arc<dyn Log>,
    pub letters: Arc<dyn DeadLetters>,
    pub handler: Arc<dyn Handler>,
    /// Where the other processes of the group are heard; `None`: there are none.
    pub bus: Option<Arc<dyn Bus>>,
    pub clock: Clock,
    /// One for all groups of a process.
    pub metrics: ConsumerMetrics,
    pub tasks: Tasks,
}

/// (generation, seq), which compares as one.
type At = (u64, u64);

/// The last entry of each conversation. What is forgotten may be handled twice, and its holes are not seen.
type Remembered = posthorn_core::remembered::Remembered<ConversationKey, At>;

pub struct Consumer {
    deps: ConsumerDeps,
    shares: Shares,
}

/// What became of a letter that was handled again.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Redriven {
    /// It is handled and gone.
    Done,
    /// It stays, and why.
    Kept(String),
    /// There is none.
    Missing,
}

impl Consumer {
    /// Begins where the group's cursors are, and ends with its tasks.
    ///
    /// # Errors
    /// The group's name does not fit.
    pub fn start(deps: ConsumerDeps) -> Result<Arc<Self>> {
        check_group(deps.group)?;
        let (group, tasks) = (deps.group, deps.tasks.clone());
        let shares = match deps.bus.clone() {
            Some(bus) => Shares::among(bus, &deps),
            None => Shares::all(),
        };
        let consumer = Arc::new(Self { deps, shares });
        for partition in 0..PARTITIONS {
            let consumer = Arc::clone(&consumer);
            tasks.critical(group, tasks.until_stopped(async move { consumer.follow(partition).await }));
        }
        Ok(consumer)
    }

    /// The group's dead letters, a page of them.
    pub async fn letters(&self, from: Option<&str>, limit: usize) -> Result<LetterPage> {
        self.deps.letters.list(self.deps.group, from, limit).await
    }

    /// Handles a letter once more, now, and takes it away if that is done. Later entries of its
    /// conversation were handled long ago.
    pub async fn redrive(&self, id: &LetterId) -> Result<Redriven> {
        let deps = &self.deps;
        let Some(mut letter) = deps.letters.get(deps.group, id).await? else { return Ok(Redriven::Missing) };
        let Some(entry) = letter.entry.clone() else { return Ok(Redriven::Kept("it holds no entry".to_owned())) };
        let undone = match deps.handler.handle(&Run { entries: vec![entry], users: letter.users() }).await {
            Ok(undone) => undone,
            Err(away) => return Ok(Redriven::Kept(away.to_string())),
        };
        letter.attempts += 1;
        if letter.leave(undone) {
            let why = letter.why.clone();
            deps.letters.park(deps.group, id, letter).await?;
            return Ok(Redriven::Kept(why));
        }
        deps.letters.discard(deps.group, id).await?;
        deps.metrics.entry(deps.group, "redriven");
        Ok(Redriven::Done)
    }

    /// Throws a letter away; false if there is none.
    pub async fn discard(&self, id: &LetterId) -> Result<bool> {
        let was = self.deps.letters.discard(self.deps.group, id).await?;
        if was {
            self.deps.metrics.entry(self.deps.group, "discarded");
        }
        Ok(was)
    }
}
