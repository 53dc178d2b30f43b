//! The feed of the model: for tests and simulations.

use std::sync::Arc;

use async_trait::async_trait;
use posthorn_store::memory::MemoryStore;

use crate::{Fed, Feed, Result, embedded::EmbeddedFeed};

/// As [`EmbeddedFeed`], over [`MemoryStore`]: on virtual time, without threads.
pub struct MemoryFeed(EmbeddedFeed);

impl MemoryFeed {
    #[must_use]
    pub fn new(store: Arc<MemoryStore>) -> Self {
        Self(EmbeddedFeed::new(store))
    }
}

#[async_trait]
impl Feed for MemoryFeed {
    fn driver(&self) -> &'static str {
        "memory"
    }

    async fn read(&self, partition: u16, after: u64, limit: usize) -> Result<Vec<Fed>> {
        self.0.read(partition, after, limit).await
    }

    async fn wait(&self, partition: u16, after: u64) {
        self.0.wait(partition, after).await;
    }

    async fn cursor(&self, group: &str, partition: u16) -> Result<u64> {
        self.0.cursor(group, partition).await
    }

    async fn commit(&self, group: &str, partition: u16, offset: u64) -> Result<()> {
        self.0.commit(group, partition, offset).await
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use posthorn_clock::Clock;
    use posthorn_store::memory::MemoryOptions;

    use super::*;
    use crate::conformance;

    #[tokio::test(start_paused = true)]
    async fn the_models_feed_conforms() {
        conformance::run_over(MemoryStore::new(Clock::simulated(1, 0))).await;
    }

    #[tokio::test(start_paused = true)]
    async fn the_models_feed_conforms_where_it_is_settled_apart() {
        let options = MemoryOptions { sync: Duration::from_millis(3), settle_apart: true };
        conformance::run_over(MemoryStore::with_options(Clock::simulated(1, 0), options)).await;
    }
}
