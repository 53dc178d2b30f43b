//! The store: the log, its projections, ownership and journals, registers and small records, behind
//! one trait. Drivers: `memory` (the model, with syncs that a simulation can lose) and `embedded`
//! (fjall). `conformance` is the suite that every driver passes.
//!
//! docs/storage.md lists the full key of every table.

mod beats;
pub mod bench;
pub mod conformance;
pub mod embedded;
mod error;
mod feed;
pub mod memory;
pub mod rules;
pub mod transfer;
mod types;

use async_trait::async_trait;
use posthorn_core::{ConversationKey, Shard, UserId, UserKey};
use posthorn_proto::internal::{Head, MemberRecord, RegisterRecord, Row};

pub use error::StoreError;
pub use feed::{FEED_PARTITIONS, FeedTable, feed_partition};
pub use rules::{BUCKET_ROWS, MAX_RECORD_KEY_BYTES};
pub use types::{
    Append, Beat, Claimed, Durability, InstanceId, Page, ReadRange, RecordKey, Settlement, ShardRow, Table,
};

pub type Result<T, E = StoreError> = std::result::Result<T, E>;

/// What the services need of a database. Every write has returned `Ok` only when it is as durable as
/// [`Store::durability`] says; an `Err` whose [`StoreError::ambiguous`] is true may have been applied.
#[async_trait]
pub trait Store: Send + Sync + 'static {
    /// A short name for logs: `memory`, `embedded`, ...
    fn driver(&self) -> &'static str;

    /// What `Ok` of [`Store::append`] means.
    fn durability(&self) -> Durability;

    /// Changes when the store was restored from a backup, and then never goes back.
    fn generation(&self) -> u64;

    /// False while appends are refused for want of space; reads go on.
    fn writable(&self) -> bool;

    /// Whether [`Store::append`] leaves feed, heads and members to [`Store::settle`].
    fn settles_apart(&self) -> bool {
        false
    }

    // Ownership. Conditional and linearizable: only these writes are.

    /// absent -> active. An incarnation registers once: [`StoreError::Exists`] otherwise.
    async fn register(&self, instance: &InstanceId, address: &str) -> Result<()>;

    /// Whether the instance is `active`. Missing means fenced. A check that begins after a write has
    /// returned and finds `active` proves that whoever takes over later will see that write.
    async fn check(&self, instance: &InstanceId) -> Result<bool>;

    /// active -> fenced, for good. Fencing a fenced or missing instance is no error.
    async fn fence(&self, instance: &InstanceId) -> Result<()>;

    /// Every shard that was ever claimed.
    async fn shards(&self) -> Result<Vec<ShardRow>>;

    /// Takes those of `shards` that are free or owned by a fenced instance (or by the claimer), each
    /// under an epoch greater than any before it; the previous owner joins `inherits`. An error means that
    /// none is known to be taken; those that are, are found as the claimer's own and claimed again.
    async fn claim(&self, shards: &[Shard], instance: &InstanceId, address: &str) -> Result<Vec<Claimed>>;

    /// Gives a shard back. With `unsettled` the own journal is added to `inherits`. Does nothing
    /// unless (shard, epoch, instance) is the present claim.
    async fn release(&self, shard: Shard, epoch: u64, instance: &InstanceId, unsettled: bool) -> Result<()>;

    /// The names of `inherits` now stand in the instance's own journal: empties it.
    async fn carried_over(&self, shards: &[Shard], instance: &InstanceId) -> Result<()>;

    // Signs of life: plain writes. Whoever suspects by them fences before it acts.

    /// Replaces the instance's last beat.
    async fn beat(&self, beat: &Beat) -> Result<()>;

    /// The last beat of each instance that was not forgotten.
    async fn beats(&self) -> Result<Vec<Beat>>;

    /// Of an instance that is fenced and owns nothing.
    async fn forget_beat(&self, instance: &InstanceId) -> Result<()>;

    // Journal. The owner numbers its notes of a name, ascending: a removal names the note, so it cannot
    // take a later one along, whichever process of the storage tier carries it out.

    /// The conversations that the instance has not settled, each once.
    async fn journal(&self, instance: &InstanceId) -> Result<Vec<ConversationKey>>;

    /// Puts names in, each under a number of the instance's own.
    async fn note(&self, instance: &InstanceId, notes: &[(ConversationKey, u64)]) -> Result<()>;

    // The log.

    /// The head of each, in the order asked; `None` where there is no conversation. What no journal
    /// names is exactly as its head says.
    async fn heads(&self, keys: &[ConversationKey]) -> Result<Vec<Option<Head>>>;

    /// Writes rows (ascending, dense) with a note in the journal, where the owner gives a number for one.
    /// True if the driver put feed, head and members into the same commit, so that without effects
    /// nothing is left to settle (the note is then written only where `effects` is set). The rows of a
    /// bucket are visible and durable together, or not at all.
    async fn append(&self, append: Append) -> Result<bool>;

    /// Heads and members (each only if it is newer than what is there: heads by `seq` and then by list
    /// version, members by `as_of_seq`; two of one mark carry the same record; whoever reads a head and then the members
    /// finds them as new as the head, or newer), feed entries in order and
    /// the feed's mark, and removal of the notes that are named. Need not be durable on return: what is
    /// lost of it is settled again.
    async fn settle(&self, instance: &InstanceId, settlements: Vec<Settlement>) -> Result<()>;

    /// Per seq the row of the highest number. The caller's `range.to` is a confirmed seq.
    async fn read(&self, key: &ConversationKey, range: ReadRange) -> Result<Page>;

    /// All rows of all numbers beyond `after`, ascending by (seq, number): for a loader.
    async fn read_tail(&self, key: &ConversationKey, after: u64) -> Result<Vec<Row>>;

    /// The members projection, by user id.
    async fn members(&self, key: &ConversationKey) -> Result<Vec<(String, MemberRecord)>>;

    // A user's registers.

    async fn registers(&self, user: &UserKey) -> Result<Vec<(String, RegisterRecord)>>;

    /// One conversation's cell of each of these users of its tenant, in the order asked.
    async fn registers_of(&self, key: &ConversationKey, users: &[UserId]) -> Result<Vec<Option<RegisterRecord>>>;

    /// Whole cells, by conversation; each only if its version is newer than what is there. Two writes of
    /// one version carry the same cell.
    async fn write_registers(&self, user: &UserKey, registers: Vec<(String, RegisterRecord)>) -> Result<()>;

    // Small records.

    async fn get_record(&self, key: &RecordKey) -> Result<Option<bytes::Bytes>>;

    /// With `if_absent`, what is there stays and is returned: linearizable per key.
    async fn put_record(&self, key: &RecordKey, value: bytes::Bytes, if_absent: bool) -> Result<Option<bytes::Bytes>>;

    /// Ascending by (tenant, key), beyond (`tenant`, `after`); of all tenants where `tenant` is empty.
    async fn list_records(
        &self,
        table: Table,
        tenant: &str,
        after: &str,
        limit: usize,
    ) -> Result<Vec<(RecordKey, bytes::Bytes)>>;

    async fn delete_record(&self, key: &RecordKey) -> Result<()>;
}
