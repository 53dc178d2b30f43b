//! What the feed remembers beside its entries: the cursors of the groups, and the incarnation.

use async_nats::{
    HeaderMap,
    header::NATS_EXPECTED_LAST_SUBJECT_SEQUENCE,
    jetstream::{Context, context::PublishErrorKind, stream::LastRawMessageErrorKind},
};
use posthorn_feed::{FeedError, Result};
use serde::{Deserialize, Serialize, de::DeserializeOwned};

use super::{ensure, kept_config, unavailable};
use crate::Connection;

const KEPT: &str = "cursor";

/// The stream of this name began at `created`, and its offsets are of `incarnation`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Incarnation {
    pub incarnation: u64,
    pub created: String,
}

/// Up to where a group has handled a partition.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Written {
    pub offset: u64,
    /// What stood there.
    pub mark: u64,
}

pub struct Records {
    connection: Connection,
    context: Context,
    stream: String,
    prefix: String,
}

impl Records {
    pub fn new(connection: &Connection, context: &Context) -> Self {
        let prefix = connection.0.config.prefix.clone();
        let (stream, prefix) = (format!("{prefix}_{KEPT}"), format!("{prefix}.{KEPT}"));
        Self { connection: connection.clone(), context: context.clone(), stream, prefix }
    }

    pub async fn ensure(&self) -> Result<()> {
        ensure(&self.connection, &self.context, kept_config(&self.connection, KEPT)).await.map(drop)
    }

    pub async fn incarnation(&self) -> Result<Option<(u64, Incarnation)>> {
        self.last("incarnation").await
    }

    /// False if somebody else was first.
    pub async fn begin(&self, revision: u64, incarnation: Incarnation) -> Result<bool> {
        Ok(self.write("incarnation", revision, &incarnation).await?.is_some())
    }

    /// With its revision, 0 where there is none.
    pub async fn cursor(&self, group: &str, partition: u16) -> Result<(u64, Written)> {
        Ok(self.last(&format!("group.{group}.{partition}")).await?.unwrap_or_default())
    }

    /// The new revision; `None` if the revision is not the last.
    pub async fn move_cursor(&self, group: &str, partition: u16, revision: u64, to: Written) -> Result<Option<u64>> {
        self.write(&format!("group.{group}.{partition}"), revision, &to).await
    }

    /// As the stream's leader has it: a replica may be behind.
    async fn last<T: DeserializeOwned>(&self, what: &str) -> Result<Option<(u64, T)>> {
        let stream = self.context.get_stream_no_info(&self.stream).await.map_err(unavailable)?;
        let subject = format!("{}.{what}", self.prefix);
        match self.connection.answered(stream.get_last_raw_message_by_subject(&subject)).await? {
            Ok(message) => {
                let value = serde_json::from_slice(&message.payload);
                let value = value.map_err(|error| FeedError::Damaged(format!("{what}: {error}")))?;
                Ok(Some((message.sequence, value)))
            }
            Err(error) if error.kind() == LastRawMessageErrorKind::NoMessageFound => Ok(None),
            Err(error) => Err(unavailable(error)),
        }
    }

    async fn write(&self, what: &str, revision: u64, value: &impl Serialize) -> Result<Option<u64>> {
        let value = serde_json::to_vec(value).map_err(unavailable)?;
        let mut headers = HeaderMap::new();
        headers.insert(NATS_EXPECTED_LAST_SUBJECT_SEQUENCE, revision.to_string());
        let subject = format!("{}.{what}", self.prefix);
        let published = async {
            let acknowledged = self.context.publish_with_headers(subject, headers, value.into()).await?;
            acknowledged.await
        };
        match self.connection.answered(published).await? {
            Ok(acknowledged) => Ok(Some(acknowledged.sequence)),
            Err(error) if error.kind() == PublishErrorKind::WrongLastSequence => Ok(None),
            Err(error) => Err(unavailable(error)),
        }
    }
}
