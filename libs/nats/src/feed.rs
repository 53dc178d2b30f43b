//! The feed on JetStream: both sides of it.

mod cursors;
mod news;
pub(crate) mod page;
mod sink;

use std::{sync::Arc, time::Duration};

use async_trait::async_trait;
use posthorn_clock::timeout;
use posthorn_feed::{Fed, Feed, FeedError, PARTITIONS, Result, letters::check_group};
use posthorn_proto::internal::FeedEntry;
use prost::Message;

use crate::{
    Connection,
    stream::{FeedStream, Offset, Seen},
};
use cursors::Cursors;
use news::News;

/// How long [`Feed::wait`] waits at most.
const MAX_WAIT: Duration = Duration::from_secs(1);
/// Entries of one read at most, whatever is asked.
const MAX_READ: usize = 1_000;

pub struct JetStreamFeed {
    stream: Arc<FeedStream>,
    cursors: Cursors,
    news: Arc<News>,
}

impl JetStreamFeed {
    /// Returns at once: the streams are made when they are first needed.
    #[must_use]
    pub fn new(connection: &Connection) -> Arc<Self> {
        let stream = FeedStream::new(connection);
        let news = News::follow(&stream);
        Arc::new(Self { cursors: Cursors::new(&stream), stream, news })
    }
}

#[async_trait]
impl Feed for JetStreamFeed {
    fn driver(&self) -> &'static str {
        "jetstream"
    }

    async fn read(&self, partition: u16, after: u64, limit: usize) -> Result<Vec<Fed>> {
        let mut incarnation = self.stream.incarnation().await?;
        let after = Offset::from(after);
        if after.incarnation > incarnation {
            // Others know better.
            self.stream.suspect();
            incarnation = self.stream.incarnation().await?;
        }
        let before = self.news.last(partition);
        let begin = after.sequence_in(incarnation);
        let page = page::read(&self.stream, &self.stream.subject(partition), begin + 1, limit.min(MAX_READ)).await?;
        if page.messages.is_empty() {
            self.news.nothing_beyond(partition, begin, before);
        }
        let mut entries = Vec::with_capacity(page.messages.len());
        for message in page.messages {
            let offset = Offset { incarnation, sequence: message.sequence };
            self.cursors.passed(partition, Seen { offset, mark: Seen::mark(&message.headers) });
            let entry = FeedEntry::decode(message.payload).unwrap_or_else(|error| {
                // Handed over empty: a consumer counts it and goes on.
                tracing::error!(partition, sequence = message.sequence, %error, "an entry of the feed does not decode");
                FeedEntry::default()
            });
            entries.push(Fed { offset: offset.into(), entry });
        }
        Ok(entries)
    }

    async fn wait(&self, partition: u16, after: u64) {
        let _ = timeout(MAX_WAIT, self.news.beyond(partition, Offset::from(after).sequence)).await;
    }

    async fn cursor(&self, group: &str, partition: u16) -> Result<u64> {
        check(group, partition)?;
        self.stream.incarnation().await?;
        self.cursors.get(group, partition).await
    }

    async fn commit(&self, group: &str, partition: u16, offset: u64) -> Result<()> {
        check(group, partition)?;
        self.stream.incarnation().await?;
        self.cursors.commit(group, partition, offset).await
    }
}

fn check(group: &str, partition: u16) -> Result<()> {
    check_group(group)?;
    if partition < PARTITIONS { Ok(()) } else { Err(FeedError::Damaged(format!("there is no partition {partition}"))) }
}
