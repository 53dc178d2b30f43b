//! `[push]`: every bound, by name and unit.

use posthorn_feed::consumer::ConsumerConfig;
use serde::{Deserialize, Serialize};

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct PushConfig {
    /// How long an entry may take to be delivered before its recipients are notified.
    pub delay_ms: u64,
    /// Entries decided at once, and conversations of theirs that are at work at once.
    pub max_batch_entries: usize,
    pub max_in_flight: usize,
    /// Members of a conversation up to which it notifies.
    pub max_members: usize,
    /// Conversations whose last entry is remembered, to drop second copies and to see holes.
    pub max_remembered: usize,
    /// Entries that are read from the log at once, where the feed lost some.
    pub max_fill_entries: u32,
    /// Tries of a provider for one notification, after which it is a dead letter; the first delay between them
    /// and the longest.
    pub max_attempts: u32,
    pub retry_ms: u64,
    pub max_retry_ms: u64,
    /// Looks for the register of a member who was not told of joining yet, and the delay between them.
    /// After the last one the members' own list decides.
    pub max_register_looks: u32,
    pub register_retry_ms: u64,
    /// How often a process says to the others of its group that it is there, and the silence after which
    /// it is taken for gone.
    pub beat_ms: u64,
    pub suspect_ms: u64,
    /// How long a partition rests before another process goes on with it.
    pub takeover_ms: u64,
}

impl Default for PushConfig {
    fn default() -> Self {
        Self {
            delay_ms: 3_000,
            max_batch_entries: 256,
            max_in_flight: 16,
            max_members: 10_000,
            max_remembered: 100_000,
            max_fill_entries: 256,
            max_attempts: 4,
            retry_ms: 200,
            max_retry_ms: 10_000,
            max_register_looks: 10,
            register_retry_ms: 500,
            beat_ms: 1_000,
            suspect_ms: 4_000,
            takeover_ms: 10_000,
        }
    }
}

impl PushConfig {
    /// Whatever a batch has of a conversation is decided together: a burst is one notification.
    pub(crate) const fn consumer(&self) -> ConsumerConfig {
        ConsumerConfig {
            max_batch_entries: self.max_batch_entries,
            max_run_entries: self.max_batch_entries,
            max_in_flight: self.max_in_flight,
            max_attempts: self.max_attempts,
            retry_ms: self.retry_ms,
            max_retry_ms: self.max_retry_ms,
            max_remembered: self.max_remembered,
            max_fill_entries: self.max_fill_entries,
            beat_ms: self.beat_ms,
            suspect_ms: self.suspect_ms,
            takeover_ms: self.takeover_ms,
        }
    }
}
