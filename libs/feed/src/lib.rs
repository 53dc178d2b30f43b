//! The event feed: every entry, in order per conversation, at least once, to durable consumer
//! groups. Transport and replay, never the record. On one machine it is a table of the store,
//! written in the same commit as the rows.

pub mod conformance;
pub mod consumer;
pub mod embedded;
pub mod letters;
pub mod memory;

use async_trait::async_trait;
use posthorn_proto::internal::FeedEntry;
use tokio::sync::watch;

/// How many partitions a feed has; a conversation's is its shard modulo this.
pub const PARTITIONS: u16 = posthorn_store::FEED_PARTITIONS;

#[derive(Debug, thiserror::Error)]
pub enum FeedError {
    #[error("the feed does not answer: {0}")]
    Unavailable(String),
    #[error("damaged: {0}")]
    Damaged(String),
    /// It never will fit: trying again does not help.
    #[error("an entry of {bytes} bytes is more than the feed takes ({max})")]
    TooLarge { bytes: usize, max: usize },
}

pub type Result<T, E = FeedError> = std::result::Result<T, E>;

/// An entry at its place in a partition.
#[derive(Clone, Debug)]
pub struct Fed {
    /// Ascending within the partition; never used twice.
    pub offset: u64,
    pub entry: FeedEntry,
}

/// Read side. First copies come in order per conversation; any copy may come again: a consumer drops
/// what is not beyond its last (generation, seq) of the conversation.
#[async_trait]
pub trait Feed: Send + Sync + 'static {
    fn driver(&self) -> &'static str;

    /// Up to `limit` entries beyond `after`, now. What every known group's cursor has passed is trimmed,
    /// and so is what is older or more than the driver's bounds: who comes later reads the log. Where the
    /// transport lost what it had, its entries come again, at greater offsets.
    async fn read(&self, partition: u16, after: u64, limit: usize) -> Result<Vec<Fed>>;

    /// Returns when there may be more beyond `after`, or after a while. To be called after a read beyond
    /// `after` came back empty. Cancel-safe.
    async fn wait(&self, partition: u16, after: u64);

    /// The group's cursor: everything up to it was handled. 0 for a new group.
    async fn cursor(&self, group: &str, partition: u16) -> Result<u64>;

    /// Moves the cursor; it never goes back.
    async fn commit(&self, group: &str, partition: u16, offset: u64) -> Result<()>;
}

/// Write side, of a feed that is not a table of the store.
#[async_trait]
pub trait FeedSink: Send + Sync + 'static {
    /// Returns when the feed has taken all of them, those of one conversation in the order given. After an
    /// error any of them may be in; the same call again adds only what is missing, as long as the feed
    /// remembers, and the order stays. One call at a time per conversation.
    async fn publish(&self, entries: Vec<FeedEntry>) -> Result<()>;

    /// Counts how often the feed was found to have lost what it had taken: what was published of late is
    /// to be published again.
    fn losses(&self) -> watch::Receiver<u64>;
}
