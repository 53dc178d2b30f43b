//! `[push]`: every bound, by name and unit.

use serde::{Deserialize, Serialize};

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct PushConfig {
    /// How long an entry may take to be delivered before its recipients are notified.
    pub delay_ms: u64,
    /// Entries decided at once.
    pub max_batch_entries: usize,
    /// Members of a conversation up to which it notifies.
    pub max_members: usize,
    /// Conversations whose last entry is remembered, to drop second copies.
    pub max_remembered: usize,
    /// Tries of a provider for one notification, and the first delay between them.
    pub max_attempts: u32,
    pub retry_ms: u64,
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
            max_members: 10_000,
            max_remembered: 100_000,
            max_attempts: 4,
            retry_ms: 200,
            max_register_looks: 10,
            register_retry_ms: 500,
            beat_ms: 1_000,
            suspect_ms: 4_000,
            takeover_ms: 10_000,
        }
    }
}
