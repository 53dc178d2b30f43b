//! Entries: what a log is made of.

use crate::{DeviceId, MessageId, UserId};

/// Version of the envelope's encoding that this build writes.
pub const FORMAT: u32 = 1;

#[derive(Clone, Copy, PartialEq, Eq, Debug, Hash)]
pub enum Kind {
    Message,
    Created,
    Joined,
    Left,
    Removed,
    Role,
    Title,
    System,
    Edit,
    Redaction,
    Reaction,
    Pin,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug, Hash)]
pub enum ConversationKind {
    Direct,
    Group,
}

/// Ordered by what it may do.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Hash)]
pub enum Role {
    Member,
    Admin,
    Owner,
}

/// What a member may see of the log.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Hash, Default)]
pub enum Visibility {
    /// From each join to the leave that ends it.
    #[default]
    SinceJoin,
    /// All of it, up to the leave.
    All,
}

/// What a row is written under: who claimed the shard, and which of its loads of the conversation.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Hash, Default)]
pub struct Number {
    pub epoch: u64,
    pub load: u32,
}

/// The part of an entry that servers read; `libs/proto` encodes it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Envelope {
    pub kind: Kind,
    pub author: UserId,
    pub device: Option<DeviceId>,
    pub message_id: MessageId,
    pub time_ms: u64,
    pub after_seq: u64,
    pub ordinal: u64,
    pub author_ordinal: u64,
    pub reply_to: u64,
    pub thread: u64,
    pub target: u64,
    pub mentions: Vec<UserId>,
    pub media: Vec<String>,
    pub expires_ms: u64,
    pub content_type: String,
    pub encrypted: bool,
    pub body_hash: Option<[u8; 32]>,
}

impl Kind {
    /// Whether it counts for `ordinal` and unread, where it is in no thread.
    #[must_use]
    pub const fn countable(self) -> bool {
        matches!(self, Self::Message | Self::System)
    }
}

impl Envelope {
    #[must_use]
    pub const fn countable(&self) -> bool {
        self.kind.countable() && self.thread == 0
    }
}
