//! Dead letters in a stream of their own, a subject each.

use async_nats::jetstream::{Context, context::ContextBuilder, stream::Config, stream::LastRawMessageErrorKind};
use async_trait::async_trait;
use bytes::Bytes;
use posthorn_feed::{
    FeedError, Result,
    letters::{DeadLetter, DeadLetters, LetterId, LetterPage, check_group},
};
use prost::Message;
use tokio::sync::Mutex;

use crate::{
    Connection,
    feed::page,
    stream::{ensure, kept_config, unavailable},
};

const KEPT: &str = "dead";

pub struct JetStreamLetters {
    connection: Connection,
    context: Context,
    stream: String,
    /// The connection in which the stream was found.
    found: Mutex<u64>,
}

impl JetStreamLetters {
    /// Returns at once: the stream is made when it is first needed.
    #[must_use]
    pub fn new(connection: &Connection) -> Self {
        let context = ContextBuilder::new().timeout(connection.request_timeout()).build(connection.0.client.clone());
        let stream = format!("{}_{KEPT}", connection.0.config.prefix);
        Self { connection: connection.clone(), context, stream, found: Mutex::default() }
    }

    /// `PREFIX.dead.GROUP.ID`, the id as one token: `.` is `~`, which no id holds, and `/` is `:`.
    fn subject(&self, group: &str, id: &LetterId) -> Result<String> {
        check_group(group)?;
        let id = id.to_string().replace('.', "~").replace('/', ":");
        Ok(format!("{}.{KEPT}.{group}.{id}", self.connection.0.config.prefix))
    }

    async fn ensure(&self) -> Result<()> {
        let epoch = self.connection.link().borrow().epoch;
        let mut found = self.found.lock().await;
        if *found != epoch || epoch == 0 {
            let max = self.connection.0.config.feed.max_dead_bytes;
            let config =
                Config { max_bytes: i64::try_from(max).unwrap_or(i64::MAX), ..kept_config(&self.connection, KEPT) };
            ensure(&self.connection, &self.context, config).await?;
            *found = epoch;
        }
        Ok(())
    }
}

fn letter(payload: Bytes) -> Result<DeadLetter> {
    DeadLetter::decode(payload).map_err(|error| FeedError::Damaged(error.to_string()))
}

#[async_trait]
impl DeadLetters for JetStreamLetters {
    async fn park(&self, group: &str, id: &LetterId, letter: DeadLetter) -> Result<()> {
        let subject = self.subject(group, id)?;
        self.ensure().await?;
        let published = async {
            let acknowledged = self.context.publish(subject, letter.encode_to_vec().into()).await?;
            acknowledged.await
        };
        self.connection.answered(published).await?.map(drop).map_err(unavailable)
    }

    async fn get(&self, group: &str, id: &LetterId) -> Result<Option<DeadLetter>> {
        let subject = self.subject(group, id)?;
        self.ensure().await?;
        let stream = self.context.get_stream_no_info(&self.stream).await.map_err(unavailable)?;
        match self.connection.answered(stream.get_last_raw_message_by_subject(&subject)).await? {
            Ok(message) => letter(message.payload).map(Some),
            Err(error) if error.kind() == LastRawMessageErrorKind::NoMessageFound => Ok(None),
            Err(error) => Err(unavailable(error)),
        }
    }

    async fn list(&self, group: &str, from: Option<&str>, limit: usize) -> Result<LetterPage> {
        check_group(group)?;
        self.ensure().await?;
        let after =
            from.map_or(Ok(0), str::parse).map_err(|_| FeedError::Damaged("no place in the list".to_owned()))?;
        let subjects = format!("{}.{KEPT}.{group}.*", self.connection.0.config.prefix);
        let page = page::of(&self.connection, &self.stream, &subjects, after + 1, limit).await?;
        let next = page.messages.last().filter(|_| page.more).map(|last| last.sequence.to_string());
        let mut letters = Vec::with_capacity(page.messages.len());
        for stored in page.messages {
            let letter = letter(stored.payload)?;
            let entry = letter.entry.as_ref().ok_or_else(|| FeedError::Damaged("a letter without entry".to_owned()))?;
            letters.push((LetterId::of(entry)?, letter));
        }
        Ok(LetterPage { letters, next })
    }

    async fn discard(&self, group: &str, id: &LetterId) -> Result<bool> {
        let subject = self.subject(group, id)?;
        self.ensure().await?;
        let stream = self.context.get_stream_no_info(&self.stream).await.map_err(unavailable)?;
        let purged = self.connection.answered(async { stream.purge().filter(subject).await }).await?;
        Ok(purged.map_err(unavailable)?.purged > 0)
    }
}
