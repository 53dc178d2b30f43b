//! What the feed was given: a consumer of the test's own reads it from before the talk to its end.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use anyhow::{Context, Result, bail, ensure};
use posthorn_clock::{Clock, Instant, sleep};
use posthorn_feed::{Feed, PARTITIONS};
use posthorn_history::{Item, body_digest};
use posthorn_nats::{Connection, JetStreamFeed};
use posthorn_node::ConfigSource;
use posthorn_proto::{client::Kind, convert::entry_of};
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
    /// What was read of each, in its order.
    entries: BTreeMap<String, Vec<Item>>,
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
        Ok(Self { feed, after, seen: BTreeMap::new(), entries: BTreeMap::new(), tasks })
    }

    /// Every entry of each conversation up to its head is there, its first copy in order, and the push service has
    /// handled all of it. What the feed had of each, in the order in which it came.
    pub async fn complete(mut self, conversations: &[(String, u64)]) -> Result<Vec<(String, Vec<Item>)>> {
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
        let entries = std::mem::take(&mut self.entries).into_iter();
        Ok(entries.filter(|(name, _)| conversations.iter().any(|(one, _)| one == name)).collect())
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
                    let entry = entry_of(&fed.entry.row.context("an entry without its row")?)?;
                    let (seq, text) = (entry.seq, entry.body.as_ref().map_or("", |body| body.text.as_str()));
                    // As the replay names them.
                    let item = match entry.kind() {
                        Kind::Message => Item::new(seq, entry.message_id.as_str(), body_digest(text.as_bytes())),
                        _ => Item::new(seq, "", 0),
                    };
                    self.entries.entry(fed.entry.conversation.clone()).or_default().push(item);
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
