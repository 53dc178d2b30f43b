//! The feed's stream, and whether it is still the one it was.
//!
//! All partitions share one stream, with a subject each: one group of replicas to keep, one bound to set. Its
//! sequence ascends within every partition, and a read of one is one request: the servers find the next
//! messages of a subject from a sequence on.
//!
//! A stream can lose what it took: its storage is gone, or a power cut took what was not yet on disk. Its
//! sequence then goes back, and numbers that consumers have passed are given to other entries. So an offset
//! is (incarnation, sequence): whoever finds the stream behind what was seen of it begins a new incarnation,
//! whose offsets are all beyond those before, and consumers read again what is there.

mod ensure;
mod offset;
mod records;

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use async_nats::jetstream::{
    self, Context,
    stream::{Info, LastRawMessageErrorKind},
};
use parking_lot::Mutex;
use posthorn_clock::Instant;
use posthorn_feed::{FeedError, Result};
use tokio::sync::watch;

pub use ensure::{ensure, feed_config, kept_config};
pub use offset::{Offset, Seen};
use records::Incarnation;
pub use records::{Records, Written};

use crate::{Connection, connection::Away};

/// Tries to agree with others on the incarnation.
const AGREE_TRIES: u32 = 16;

impl From<Away> for FeedError {
    fn from(away: Away) -> Self {
        Self::Unavailable(away.to_string())
    }
}

/// A failure of a request, in the library's words.
#[allow(clippy::needless_pass_by_value, reason = "the shape that map_err wants")]
pub fn unavailable(error: impl std::fmt::Display) -> FeedError {
    FeedError::Unavailable(error.to_string())
}

pub struct FeedStream {
    pub connection: Connection,
    pub context: Context,
    pub name: String,
    pub records: Records,
    known: Mutex<Option<Known>>,
    /// The furthest entry that is known to have been in the stream.
    seen: Mutex<Seen>,
    suspect: AtomicBool,
    verifying: tokio::sync::Mutex<()>,
    losses: watch::Sender<u64>,
}

/// What the last look found.
#[derive(Clone, Copy)]
struct Known {
    epoch: u64,
    incarnation: u64,
    at: Instant,
}

impl FeedStream {
    pub fn new(connection: &Connection) -> Arc<Self> {
        let config = &connection.0.config;
        let context = jetstream::context::ContextBuilder::new()
            .max_ack_inflight(config.feed.max_in_flight.max(1))
            .ack_timeout(connection.request_timeout())
            .timeout(connection.request_timeout())
            .build(connection.0.client.clone());
        Arc::new(Self {
            name: format!("{}_feed", config.prefix),
            records: Records::new(connection, &context),
            connection: connection.clone(),
            context,
            known: Mutex::default(),
            seen: Mutex::default(),
            suspect: AtomicBool::new(false),
            verifying: tokio::sync::Mutex::default(),
            losses: watch::Sender::default(),
        })
    }

    pub fn subject(&self, partition: u16) -> String {
        format!("{}.feed.{partition}", self.connection.0.config.prefix)
    }

    pub fn losses(&self) -> watch::Receiver<u64> {
        self.losses.subscribe()
    }

    /// Something is not as it was: the next one that asks looks.
    pub fn suspect(&self) {
        self.suspect.store(true, Ordering::Relaxed);
    }

    /// This entry is, or was, in the stream.
    pub fn saw(&self, seen: Seen) {
        let mut furthest = self.seen.lock();
        *furthest = seen.max(*furthest);
    }

    /// The present incarnation; makes the streams where they are not.
    pub async fn incarnation(&self) -> Result<u64> {
        self.connection.require()?;
        if let Some(known) = self.fresh() {
            return Ok(known.incarnation);
        }
        let _one = self.verifying.lock().await;
        if let Some(known) = self.fresh() {
            return Ok(known.incarnation);
        }
        self.verify(None).await
    }

    fn fresh(&self) -> Option<Known> {
        let config = &self.connection.0.config;
        let known = (*self.known.lock())?;
        let fresh = known.epoch == self.connection.link().borrow().epoch
            && known.at.elapsed() < Duration::from_millis(config.feed.verify_ms)
            && !self.suspect.load(Ordering::Relaxed);
        fresh.then_some(known)
    }

    /// `witness`: an entry that was there, beside the furthest.
    async fn verify(&self, witness: Option<Seen>) -> Result<u64> {
        let (epoch, at) = (self.connection.link().borrow().epoch, Instant::now());
        self.suspect.store(false, Ordering::Relaxed);
        let found = self.agree(witness).await.inspect_err(|_| self.suspect());
        let (incarnation, lost) = found?;
        let before = self.known.lock().replace(Known { epoch, incarnation, at });
        if lost || before.is_some_and(|before| before.incarnation != incarnation) {
            tracing::error!(incarnation, "the feed lost entries that it had taken: what it has is read again");
            self.connection.0.metrics.feed_losses.inc();
            self.losses.send_modify(|losses| *losses += 1);
        }
        Ok(incarnation)
    }

    /// The incarnation that is written down, or a new one where the stream is not the one it was.
    async fn agree(&self, witness: Option<Seen>) -> Result<(u64, bool)> {
        let before = (*self.known.lock()).map(|known| known.incarnation);
        for _ in 0..AGREE_TRIES {
            // Before the look at the stream: what is seen meanwhile is beyond it.
            let seen = *self.seen.lock();
            let info = ensure(&self.connection, &self.context, feed_config(&self.connection)).await?;
            self.records.ensure().await?;
            let created = info.created.to_string();
            let Some((revision, written)) = self.records.incarnation().await? else {
                let (incarnation, lost) = before.map_or((1, false), |before| (before + 1, true));
                if self.records.begin(0, Incarnation { incarnation, created }).await? {
                    return Ok((incarnation, lost));
                }
                continue;
            };
            let mut gone = created != written.created;
            for seen in [Some(seen), witness].into_iter().flatten() {
                gone = gone || self.is_gone(seen, written.incarnation, &info).await?;
            }
            if !gone {
                return Ok((written.incarnation, false));
            }
            let incarnation = written.incarnation + 1;
            if self.records.begin(revision, Incarnation { incarnation, created }).await? {
                return Ok((incarnation, true));
            }
        }
        Err(FeedError::Unavailable("others change the feed all the time".to_owned()))
    }

    /// Whether what was seen of this incarnation is not what the stream has there.
    async fn is_gone(&self, seen: Seen, incarnation: u64, info: &Info) -> Result<bool> {
        if seen.offset.incarnation != incarnation || seen.offset.sequence == 0 {
            return Ok(false);
        }
        if seen.offset.sequence > info.state.last_sequence {
            return Ok(true);
        }
        if seen.mark == 0 || seen.offset.sequence < info.state.first_sequence {
            return Ok(false);
        }
        let stream = self.context.get_stream_no_info(&self.name).await.map_err(unavailable)?;
        let there = self.connection.answered(stream.get_raw_message(seen.offset.sequence)).await?;
        match there {
            Ok(message) => Ok(Seen::mark(&message.headers) != seen.mark),
            // Discarded meanwhile.
            Err(error) if error.kind() == LastRawMessageErrorKind::NoMessageFound => Ok(false),
            Err(error) => Err(unavailable(error)),
        }
    }

    /// A cursor stands on this entry: if the stream has another one there, a new incarnation begins.
    pub async fn check(&self, stood_on: Seen) -> Result<()> {
        let incarnation = self.incarnation().await?;
        let stream = self.context.get_stream_no_info(&self.name).await.map_err(unavailable)?;
        let info = self.connection.answered(stream.get_info()).await?.map_err(unavailable)?;
        if self.is_gone(stood_on, incarnation, &info).await? {
            let _one = self.verifying.lock().await;
            self.verify(Some(stood_on)).await?;
        }
        Ok(())
    }
}
