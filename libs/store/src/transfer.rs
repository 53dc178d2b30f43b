//! Moving the content of a store into another one, of whatever driver: `posthorn export` and `import`.
//!
//! A source stands still: its services have stopped, in order. What goes over is what readers see (of each
//! seq the row of the highest number), with everything that cursors rest on: ids, seqs, versions, marks,
//! epochs and the generation. What the source had not settled goes along as the journals of instances that
//! are gone: whoever claims the shards of the new store inherits them, as after a crash.
//!
//! The feed itself stays behind. A conversation of which some consumer group has not handled everything gets
//! a lower mark of the feed and a name in such a journal: its next owner gives the rest to the new feed.

mod file;
mod reading;
#[cfg(test)]
mod tests;
mod wire;

use async_trait::async_trait;
use bytes::Bytes;
use futures_util::{TryStreamExt, stream};
use posthorn_core::{ConversationKey, UserKey};
use posthorn_proto::internal::{Head, MemberRecord, RegisterRecord, Row};
use serde::Serialize;
use tokio::sync::mpsc;

use crate::{InstanceId, RecordKey, Result, ShardRow, Store, StoreError};
pub use file::{Header, Reader, Writer, Written, check};
pub use reading::export;

/// Pieces that a target takes at once.
const TAKEN_AT_ONCE: usize = 32;
/// Pieces between the two ends of a move.
pub const PIECES_WAITING: usize = 64;

/// A part of what a store holds. Every one may be written again.
#[derive(Clone, Debug, PartialEq)]
pub enum Piece {
    Record {
        key: RecordKey,
        value: Bytes,
    },
    /// Of each seq the row of the highest number, ascending, dense.
    Rows {
        key: ConversationKey,
        rows: Vec<Row>,
    },
    Members {
        key: ConversationKey,
        members: Vec<(String, MemberRecord)>,
    },
    /// `fed_seq`: what the feed need not be given again.
    Head {
        key: ConversationKey,
        head: Head,
    },
    Registers {
        user: UserKey,
        registers: Vec<(String, RegisterRecord)>,
    },
    /// What an instance that is gone has not settled.
    Journal {
        instance: InstanceId,
        names: Vec<ConversationKey>,
    },
    /// Every shard that was ever claimed. None has an owner; each inherits the journals that it depends on.
    Shards(Vec<ShardRow>),
}

/// How much there is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Counts {
    pub conversations: u64,
    pub entries: u64,
    /// Who have registers.
    pub users: u64,
    /// Small records.
    pub records: u64,
}

impl Counts {
    pub fn add(&mut self, piece: &Piece) {
        match piece {
            Piece::Record { .. } => self.records += 1,
            Piece::Rows { rows, .. } => self.entries += rows.len() as u64,
            Piece::Head { .. } => self.conversations += 1,
            Piece::Registers { .. } => self.users += 1,
            Piece::Members { .. } | Piece::Journal { .. } | Piece::Shards(_) => {}
        }
    }
}

/// What a scan comes across.
#[derive(Clone, Debug, PartialEq)]
pub enum Found {
    /// `unhandled`: from this seq on the store's own feed has entries that some group has not handled.
    Conversation {
        key: ConversationKey,
        unhandled: Option<u64>,
    },
    /// Has registers.
    User(UserKey),
    Record(RecordKey, Bytes),
}

/// A store that can say what it holds.
#[async_trait]
pub trait Source: Store {
    /// Sends every conversation, user and record once, in any order. Nobody writes meanwhile.
    async fn scan(&self, found: mpsc::Sender<Found>) -> Result<()>;
}

/// A new store in the making. It is none before [`Target::finish`] has returned, and says so to who opens it.
#[async_trait]
pub trait Target: Send + Sync {
    /// In any order, several at once.
    async fn take(&self, piece: Piece) -> Result<()>;

    /// Nothing more comes. Everything is as durable as the driver's writes are, and the store may be opened.
    async fn finish(&self) -> Result<()>;
}

/// Puts what comes into `target`. It is finished only if that comes to `expected`: a sender that died looks
/// like one that is done.
pub async fn import(target: &dyn Target, pieces: mpsc::Receiver<Result<Piece>>, expected: Counts) -> Result<()> {
    let next = |mut pieces: mpsc::Receiver<Result<Piece>>| async { Some((pieces.recv().await?, pieces)) };
    let mut counts = Counts::default();
    let counted = stream::unfold(pieces, next).inspect_ok(|piece| counts.add(piece));
    counted.try_for_each_concurrent(TAKEN_AT_ONCE, |piece| target.take(piece)).await?;
    if counts != expected {
        return Err(StoreError::Damaged(format!("{counts:?} came, and not {expected:?}")));
    }
    target.finish().await
}
