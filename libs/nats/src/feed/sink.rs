//! The write side.

use std::collections::BTreeMap;

use async_nats::{
    HeaderMap,
    header::{NATS_EXPECTED_STREAM, NATS_MESSAGE_ID},
    jetstream::context::PublishErrorKind,
};
use async_trait::async_trait;
use futures_util::{StreamExt, TryStreamExt, stream};
use posthorn_core::ConversationKey;
use posthorn_feed::{
    FeedError, FeedSink, Result,
    letters::{LetterId, key_of},
};
use posthorn_proto::internal::FeedEntry;
use posthorn_store::feed_partition;
use prost::Message;
use tokio::sync::watch;

use super::JetStreamFeed;
use crate::stream::{Offset, Seen, unavailable};

#[async_trait]
impl FeedSink for JetStreamFeed {
    async fn publish(&self, entries: Vec<FeedEntry>) -> Result<()> {
        let waiting = i64::try_from(entries.len()).unwrap_or(i64::MAX);
        let metrics = &self.stream.connection.0.metrics;
        metrics.feed_in_flight.inc_by(waiting);
        let published = self.publish_all(entries).await;
        metrics.feed_in_flight.dec_by(waiting);
        published.inspect_err(|_| {
            metrics.feed_failures.inc();
        })
    }

    fn losses(&self) -> watch::Receiver<u64> {
        self.stream.losses()
    }
}

impl JetStreamFeed {
    /// Conversations beside each other; of one, an entry goes out when the one before it is in. Were they on
    /// their way together, a reconnect between them could lose the first and deliver the second.
    async fn publish_all(&self, entries: Vec<FeedEntry>) -> Result<()> {
        let incarnation = self.stream.incarnation().await?;
        let mut conversations: BTreeMap<ConversationKey, Vec<FeedEntry>> = BTreeMap::new();
        for entry in entries {
            conversations.entry(key_of(&entry)?).or_default().push(entry);
        }
        let run = |(key, entries): (ConversationKey, Vec<FeedEntry>)| async move {
            let subject = self.stream.subject(feed_partition(&key));
            for entry in entries {
                self.publish_one(&subject, entry, incarnation).await?;
            }
            Ok(())
        };
        let runs: Vec<_> = conversations.into_iter().map(run).collect();
        let in_flight = self.stream.connection.0.config.feed.max_in_flight.max(1);
        stream::iter(runs).buffer_unordered(in_flight).try_collect().await
    }

    async fn publish_one(&self, subject: &str, entry: FeedEntry, incarnation: u64) -> Result<()> {
        let LetterId { key, generation, seq } = LetterId::of(&entry)?;
        let id = format!("{}:{}:{generation}:{seq}", key.tenant, key.conversation);
        let mark = Seen::mark_of(&id);
        let mut headers = HeaderMap::new();
        headers.insert(NATS_MESSAGE_ID, id);
        headers.insert(NATS_EXPECTED_STREAM, self.stream.name.as_str());
        let (connection, context) = (&self.stream.connection, &self.stream.context);
        let message = entry.encode_to_vec();
        let bytes = message.len();
        let published = async {
            let acknowledged = context.publish_with_headers(subject.to_owned(), headers, message.into()).await?;
            acknowledged.await
        };
        match connection.answered(published).await? {
            Ok(acknowledged) => {
                let offset = Offset { incarnation, sequence: acknowledged.sequence };
                self.stream.saw(Seen { offset, mark });
                connection.0.metrics.feed_published.inc();
                if acknowledged.duplicate {
                    connection.0.metrics.feed_duplicates.inc();
                }
                Ok(())
            }
            Err(error) if error.kind() == PublishErrorKind::MaxPayloadExceeded => {
                Err(FeedError::TooLarge { bytes, max: connection.0.client.max_payload() })
            }
            Err(error) => {
                // Perhaps there is no stream any more.
                self.stream.suspect();
                Err(unavailable(error))
            }
        }
    }
}
