//! The feed as a table of the store: written in the commit of the rows, read by `posthorn-feed`.

use async_trait::async_trait;
use posthorn_core::{ConversationKey, Shard};
use posthorn_proto::internal::FeedEntry;
use tokio::sync::watch;

use crate::Result;

/// How many partitions the feed has; a conversation's is its shard modulo this. Never changes.
pub const FEED_PARTITIONS: u16 = 16;

/// The partition of a conversation.
#[must_use]
pub fn feed_partition(key: &ConversationKey) -> u16 {
    feed_partition_of(key.shard())
}

pub(crate) fn feed_partition_of(Shard(shard): Shard) -> u16 {
    shard % FEED_PARTITIONS
}

/// The feed of a driver that keeps it beside the rows. An entry is a pointer to its row, so it shows
/// what the log shows: a body that was erased is gone here as well.
#[async_trait]
pub trait FeedTable: Send + Sync + 'static {
    /// Up to `limit` entries with offsets beyond `after`, ascending. Offsets begin at 1; those of
    /// trimmed entries and of rows that are gone are left out.
    async fn feed_read(&self, partition: u16, after: u64, limit: usize) -> Result<Vec<(u64, FeedEntry)>>;

    /// Changes whenever entries were added.
    fn feed_changes(&self) -> watch::Receiver<u64>;

    /// 0 for a new group.
    async fn feed_cursor(&self, group: &str, partition: u16) -> Result<u64>;

    /// Moves the cursor, never back. Not synced on its own: after a power cut entries may come again.
    async fn feed_commit(&self, group: &str, partition: u16, offset: u64) -> Result<()>;
}
