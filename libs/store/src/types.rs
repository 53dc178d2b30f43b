//! Arguments and results of the trait.

use std::fmt;

use posthorn_core::{ConversationKey, Shard};
use posthorn_proto::internal::{Head, MemberRecord, Row};

/// A random incarnation of a process: never a pod's name, never used twice.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Debug)]
pub struct InstanceId(pub String);

impl fmt::Display for InstanceId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// What an acknowledgement is worth.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Durability {
    /// In this process: tests and simulations.
    Memory,
    /// In the memory of a quorum of machines.
    Quorum,
    /// On disk.
    Synced,
}

#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ShardRow {
    pub shard: Shard,
    pub epoch: u64,
    /// `None`: free.
    pub owner: Option<(InstanceId, String)>,
    pub inherits: Vec<InstanceId>,
}

/// A successful claim.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Claimed {
    pub shard: Shard,
    pub epoch: u64,
    /// Instances whose journals the shard depends on until they are carried over.
    pub inherits: Vec<InstanceId>,
}

/// One append to one conversation.
#[derive(Clone, Debug)]
pub struct Append {
    pub key: ConversationKey,
    pub instance: InstanceId,
    /// Ascending, dense, of one number.
    pub rows: Vec<Row>,
    /// As after `rows`.
    pub head: Head,
    pub members: Vec<(String, MemberRecord)>,
    /// Registers have to be told before this is settled.
    pub effects: bool,
    /// The owner's number for a note in the journal; `None` where one stands already.
    pub note: Option<u64>,
}

#[derive(Clone, Debug)]
pub struct Settlement {
    pub key: ConversationKey,
    pub head: Option<Head>,
    pub members: Vec<(String, MemberRecord)>,
    /// Owed to the feed; empty where `append` returned true, or where a feed of its own has them.
    pub feed: Vec<Row>,
    /// The feed has everything up to here; 0 says nothing.
    pub fed_seq: u64,
    /// The notes that go out of the journal.
    pub remove: Vec<u64>,
}

/// A sign of life of an instance. Nothing about order or ownership rests on it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Beat {
    pub instance: InstanceId,
    /// Where others reach it.
    pub address: String,
    /// Grows with every beat.
    pub count: u64,
    /// It hands its shards over and takes none.
    pub leaving: bool,
}

/// A bounded read of a log.
#[derive(Clone, Copy, Debug)]
pub struct ReadRange {
    /// Both included.
    pub from: u64,
    pub to: u64,
    pub limit: usize,
    /// At least one row comes, however large.
    pub max_bytes: usize,
    pub reverse: bool,
}

#[derive(Clone, Debug, Default)]
pub struct Page {
    /// In the order asked.
    pub rows: Vec<Row>,
    /// The limit or the bytes ended the page, not the range.
    pub more: bool,
}

#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Table {
    Tenants,
    SigningKeys,
    ApiKeys,
    Users,
    Devices,
    Revocations,
    Idempotency,
    LastSeen,
    DeadLetters,
}

impl Table {
    pub const ALL: [Self; 9] = [
        Self::Tenants,
        Self::SigningKeys,
        Self::ApiKeys,
        Self::Users,
        Self::Devices,
        Self::Revocations,
        Self::Idempotency,
        Self::LastSeen,
        Self::DeadLetters,
    ];

    /// As it stands in keys and files. Never changes.
    #[must_use]
    pub const fn number(self) -> u8 {
        match self {
            Self::Tenants => 1,
            Self::SigningKeys => 2,
            Self::ApiKeys => 3,
            Self::Users => 4,
            Self::Devices => 5,
            Self::Revocations => 6,
            Self::Idempotency => 7,
            Self::LastSeen => 8,
            Self::DeadLetters => 9,
        }
    }
}

#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct RecordKey {
    pub table: Table,
    pub tenant: String,
    pub key: String,
}
