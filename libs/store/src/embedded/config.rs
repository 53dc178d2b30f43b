//! `[store]`: the bounds of the embedded store.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

/// The `[store]` section.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct StoreConfig {
    /// Where everything durable lives; one process at a time.
    pub data_dir: PathBuf,
    /// Below this much free space on the data directory's file system appends are refused and reads go on.
    pub min_free_bytes: u64,
    /// Writes that wait for their commit.
    pub max_queue_bytes: u32,
    /// How long a write waits for room in that queue before it is refused.
    pub queue_wait_ms: u64,
    /// Writes in one commit, and their bytes.
    pub max_commit_ops: usize,
    pub max_commit_bytes: usize,
    /// After a commit of many, how long the next one waits for as many again. 0: never.
    pub gather_us: u64,
    /// How often what need not be durable at once is synced, and free space is looked at.
    pub housekeeping_ms: u64,
    /// Blocks of tables kept in memory.
    pub cache_bytes: u64,
    /// Size at which the memory of one table goes to disk.
    pub memtable_bytes: u64,
    /// All journal files together; at least 64 MiB. A restart reads them.
    pub max_journal_bytes: u64,
    /// Threads that write and merge tables.
    pub worker_threads: usize,
    /// Reads of ranges that run at once; more wait their turn.
    pub max_running_reads: usize,
    /// Feed entries kept in one partition although a consumer group has not handled them, and for how long.
    pub feed_max_entries: u64,
    pub feed_max_age_ms: u64,
}

const MIB: u64 = 1024 * 1024;
const DAY_MS: u64 = 24 * 3_600_000;

impl Default for StoreConfig {
    fn default() -> Self {
        Self {
            data_dir: PathBuf::from("posthorn-data"),
            min_free_bytes: 256 * MIB,
            max_queue_bytes: 64 * 1024 * 1024,
            queue_wait_ms: 2_000,
            max_commit_ops: 4_096,
            max_commit_bytes: 8 * 1024 * 1024,
            gather_us: 200,
            housekeeping_ms: 1_000,
            cache_bytes: 64 * MIB,
            memtable_bytes: 16 * MIB,
            max_journal_bytes: 256 * MIB,
            worker_threads: 2,
            max_running_reads: 16,
            feed_max_entries: 1_000_000,
            feed_max_age_ms: 7 * DAY_MS,
        }
    }
}
