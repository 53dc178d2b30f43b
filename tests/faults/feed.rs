//! What the feed was given: a consumer of the test's own reads it from before the talk to its end.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use anyhow::{Context, Result, bail, ensure};
use posthorn_clock::{Clock, Instant, sleep};
use posthorn_feed::{Feed, PARTITIONS};
use posthorn_nats::{Connection, JetStreamFeed};
use posthorn_node::ConfigSource;
use posthorn_tasks::Tasks;
use posthorn_telemetry::Metrics;
use posthorn_testkit::Deployment;

/// For what the feed is still owed when the talk has ended.
const PATIENCE: Duration = Duration::from_secs(60);
const POLL: Duration = Duration::from_millis(200);
/// Entries of one read.
const BATCH: usize = 500;
/// The group that the push service is.
const PUSH: &str = "push";

pub struct Follower {
    feed: Arc<JetStreamFeed>,
    after: BTreeMap<u16, u64>,
    /// The first and the last seq of each conversation.
    seen: BTreeMap<String, (u64, u64)>,
    tasks: Tasks,
}

impl Drop for Follower {
    fn drop(&mut self) {
        self.tasks.stop();
    }
}

impl Follower {
    /// From where the push service is now.
    pub async fn start(cluster: &Deployment) -> Result<Self> {
        let config = cluster.dir().join("config/push-1.toml");
        let (config, _) = ConfigSource::from_env(Some(&config)).load()?;
        let tasks = Tasks::new();
        let connection = Connection::open(config.nats, Clock::system(), &Metrics::default(), &tasks).await?;
        connection.connected().await;
        let feed = JetStreamFeed::new(&connection);
        let mut after = BTreeMap::new();
        for partition in 0..PARTITIONS {
            after.insert(partition, feed.cursor(PUSH, partition).await?);
        }
        Ok(Self { feed, after, seen: BTreeMap::new(), tasks })
    }

    /// Every entry of each conversation up to its head is there, its first copy in order, and the push service has
    /// handled all of it.
    pub async fn complete(mut self, conversations: &[(String, u64)]) -> Result<()> {
        let begun = Instant::now();
        loop {
            let read = self.read().await?;
            let mut behind = Vec::new();
            for (conversation, head) in conversations {
                let (first, seq) = self.seen.get(conversation).copied().unwrap_or_default();
                ensure!(first <= 1 && seq <= *head, "the feed has {first} to {seq} of {conversation}, not 1 to {head}");
                if seq < *head {
                    behind.push(format!("{conversation} up to {seq} of {head}"));
                }
            }
            let handled = self.handled().await?;
            if behind.is_empty() && !read && handled {
                break;
            }
            if begun.elapsed() > PATIENCE {
                bail!("the feed lacks {behind:?}, handled by push: {handled}");
            }
            sleep(POLL).await;
        }
        Ok(())
    }

    /// What is there now; false if that was nothing.
    async fn read(&mut self) -> Result<bool> {
        let mut any = false;
        for (partition, after) in &mut self.after {
            loop {
                let batch = self.feed.read(*partition, *after, BATCH).await?;
                let Some(end) = batch.last() else { break };
                (*after, any) = (end.offset, true);
                for fed in batch {
                    let seq = fed.entry.row.context("an entry without its row")?.seq;
                    let (_, last) = self.seen.entry(fed.entry.conversation).or_insert((seq, seq - 1));
                    // Copies may come late.
                    ensure!(seq <= *last + 1, "after {last} the feed has {seq}");
                    *last = seq.max(*last);
                }
            }
        }
        Ok(any)
    }

    async fn handled(&self) -> Result<bool> {
        for (partition, after) in &self.after {
            if self.feed.cursor(PUSH, *partition).await? < *after {
                return Ok(false);
            }
        }
        Ok(true)
    }
}
