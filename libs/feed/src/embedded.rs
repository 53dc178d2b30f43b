//! The feed of a store that keeps it beside the rows: the embedded one, or the model in memory.

use std::{sync::Arc, time::Duration};

use async_trait::async_trait;
use posthorn_clock::timeout;
use posthorn_store::{FeedTable, StoreError};
use tokio::sync::watch;

use crate::{Fed, Feed, FeedError, Result};

/// How long [`Feed::wait`] waits at most.
const MAX_WAIT: Duration = Duration::from_secs(1);
/// Entries of one read at most, whatever is asked.
const MAX_READ: usize = 1_000;

/// Over the table. Any number of consumers may share a handle.
pub struct EmbeddedFeed {
    table: Arc<dyn FeedTable>,
    changes: watch::Receiver<u64>,
}

impl EmbeddedFeed {
    #[must_use]
    pub fn new(table: Arc<dyn FeedTable>) -> Self {
        let changes = table.feed_changes();
        Self { table, changes }
    }
}

fn failed(error: StoreError) -> FeedError {
    match error {
        StoreError::Damaged(what) => FeedError::Damaged(what),
        error => FeedError::Unavailable(error.to_string()),
    }
}

#[async_trait]
impl Feed for EmbeddedFeed {
    fn driver(&self) -> &'static str {
        "store"
    }

    async fn read(&self, partition: u16, after: u64, limit: usize) -> Result<Vec<Fed>> {
        let entries = self.table.feed_read(partition, after, limit.min(MAX_READ)).await.map_err(failed)?;
        Ok(entries.into_iter().map(|(offset, entry)| Fed { offset, entry }).collect())
    }

    async fn wait(&self, partition: u16, after: u64) {
        let mut changes = self.changes.clone();
        let more = async {
            loop {
                changes.borrow_and_update();
                // A commit between the caller's read and here shows in this one.
                if self.table.feed_read(partition, after, 1).await.is_ok_and(|page| !page.is_empty()) {
                    return;
                }
                if changes.changed().await.is_err() {
                    // The end of the store; the next read says so.
                    return;
                }
            }
        };
        let _ = timeout(MAX_WAIT, more).await;
    }

    async fn cursor(&self, group: &str, partition: u16) -> Result<u64> {
        self.table.feed_cursor(group, partition).await.map_err(failed)
    }

    async fn commit(&self, group: &str, partition: u16, offset: u64) -> Result<()> {
        self.table.feed_commit(group, partition, offset).await.map_err(failed)
    }
}

#[cfg(test)]
mod tests {
    use posthorn_store::embedded::{EmbeddedStore, StoreConfig};
    use posthorn_telemetry::Metrics;

    use crate::conformance;

    #[tokio::test]
    async fn the_embedded_feed_conforms() {
        let dir = tempfile::tempdir().expect("a directory");
        let data_dir = dir.path().to_owned();
        let config = StoreConfig { data_dir, min_free_bytes: 0, housekeeping_ms: 10, ..StoreConfig::default() };
        let store = EmbeddedStore::open(config, &Metrics::default()).expect("opens");
        conformance::run_over(store).await;
    }
}
