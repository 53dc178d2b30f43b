//! A consumer group: follows the feed, one loop a partition, and hands every entry to a handler, in order
//! per conversation. Second copies are dropped and holes are filled from the log. What fails is tried
//! again with growing pauses and then parked as a dead letter, so that one bad entry stops nobody for long.

mod follow;
mod metrics;
#[cfg(test)]
mod tests;

use std::{sync::Arc, time::Duration};

use async_trait::async_trait;
use posthorn_clock::Clock;
use posthorn_core::ConversationKey;
use posthorn_proto::internal::{FeedEntry, Row};
use posthorn_tasks::Tasks;
use serde::{Deserialize, Serialize};

pub use metrics::ConsumerMetrics;

use crate::{
    Feed, PARTITIONS, Result,
    letters::{DeadLetters, LetterId, LetterPage, check_group},
};

/// Between tries where the feed, the log or the dead letters do not answer.
const AWAY: Duration = Duration::from_secs(1);

/// Bounds of one group.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ConsumerConfig {
    /// Entries of a partition that are read, handled and committed together.
    pub max_batch_entries: usize,
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
}

impl Default for ConsumerConfig {
    fn default() -> Self {
        Self {
            max_batch_entries: 256,
            max_in_flight: 16,
            max_attempts: 6,
            retry_ms: 200,
            max_retry_ms: 10_000,
            max_remembered: 100_000,
            max_fill_entries: 256,
        }
    }
}

/// What became of an entry. The words name no content.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Handled {
    Done,
    /// Trying again may help.
    Retry(String),
    /// It never will.
    Dead(String),
}

/// What a group does with an entry. At least once: (tenant, conversation, generation, seq) tells copies.
#[async_trait]
pub trait Handler: Send + Sync + 'static {
    async fn handle(&self, entry: &FeedEntry) -> Handled;
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
        let consumer = Arc::new(Self { deps });
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
        let Some(entry) = &letter.entry else { return Ok(Redriven::Kept("it holds no entry".to_owned())) };
        match deps.handler.handle(entry).await {
            Handled::Done => {
                deps.letters.discard(deps.group, id).await?;
                deps.metrics.entry(deps.group, "redriven");
                Ok(Redriven::Done)
            }
            Handled::Retry(why) | Handled::Dead(why) => {
                letter.attempts += 1;
                letter.why.clone_from(&why);
                deps.letters.park(deps.group, id, letter).await?;
                Ok(Redriven::Kept(why))
            }
        }
    }

    /// Throws a letter away; false if there is none.
    pub async fn discard(&self, id: &LetterId) -> Result<bool> {
        self.deps.letters.discard(self.deps.group, id).await
    }
}
