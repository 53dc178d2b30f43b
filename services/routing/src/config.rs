//! `[routing]`: every bound of an owner, by name and unit.

use serde::{Deserialize, Serialize};

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct RoutingConfig {
    /// Entries in one append of a conversation.
    pub max_batch_entries: usize,
    /// Bytes of bodies in one append of a conversation.
    pub max_batch_bytes: usize,
    /// Sends of one conversation that may wait for the append in flight.
    pub max_queued_sends: usize,
    /// Confirmed batches of one conversation that may wait for their fan-out.
    pub max_queued_batches: usize,
    /// Publications that may wait for one gateway.
    pub max_queued_publications: usize,
    /// How often each gateway is told the number of the last publication to it.
    pub link_beat_ms: u64,
    /// For how long after that publication; the link to all gateways beats always.
    pub link_idle_ms: u64,
    /// Bytes of the last publications to one gateway that are kept for it to ask for.
    pub max_replay_bytes: usize,
    /// Members up to which each gateway is told of their connections; a larger conversation is published
    /// once, on a subject of its own.
    pub direct_members: usize,
    /// Larger conversations of which is remembered up to where they were published.
    pub max_remembered_ends: usize,
    /// Members of a conversation.
    pub max_members: usize,
    /// Entries of a conversation's end that are kept in memory.
    pub recent_entries: usize,
    /// Entries that are read to find the first copy of a retry.
    pub max_retry_scan_entries: u64,
    /// Members up to which the others see each other's marks.
    pub receipts_max_members: usize,
    /// Members up to which typing is shown.
    pub typing_max_members: usize,
    /// Conversations of one user that one page of `sync` may name.
    pub max_sync_page: usize,
    /// Conversations of one user.
    pub max_conversations: usize,
    /// How long what is confirmed gathers before it is settled, where the store settles apart.
    pub settle_ms: u64,
    /// How often an instance that shares the shards gives a sign of life, about.
    pub beat_ms: u64,
    /// Silence after which another instance is fenced, and its shards taken.
    pub suspect_ms: u64,
    /// Instances that one instance may fence in a minute.
    pub max_fences_per_min: usize,
    /// How often the table of shards is read without a reason, about.
    pub shards_ms: u64,
    /// Conversations in memory. Beyond it the one that was idle for longest leaves; where all are at work,
    /// a request that needs another is refused.
    pub max_loaded_conversations: usize,
    /// Users in memory, in the same way.
    pub max_loaded_users: usize,
    /// After which an unused conversation or user leaves the memory.
    pub idle_ms: u64,
    /// How long after its members' last marks a conversation stays in the journal. Longer than a mark takes
    /// to be written: `rpc.deadline_ms`.
    pub settle_marks_ms: u64,
}

impl Default for RoutingConfig {
    fn default() -> Self {
        Self {
            max_batch_entries: 64,
            max_batch_bytes: 1024 * 1024,
            max_queued_sends: 1_024,
            max_queued_batches: 64,
            max_queued_publications: 8_192,
            link_beat_ms: 1_000,
            link_idle_ms: 60_000,
            max_replay_bytes: 2 * 1024 * 1024,
            direct_members: 200,
            max_remembered_ends: 16_384,
            max_members: 10_000,
            recent_entries: 1_024,
            max_retry_scan_entries: 8_192,
            receipts_max_members: 32,
            typing_max_members: 200,
            max_sync_page: 500,
            max_conversations: 10_000,
            settle_ms: 200,
            beat_ms: 250,
            suspect_ms: 2_000,
            max_fences_per_min: 6,
            shards_ms: 2_000,
            max_loaded_conversations: 20_000,
            max_loaded_users: 50_000,
            idle_ms: 600_000,
            settle_marks_ms: 15_000,
        }
    }
}
