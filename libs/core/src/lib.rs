//! The rules of a conversation, without any IO: ids, entries and their chain, what a member may
//! see, unread counts, deduplication, permissions, cursors, rates and retry schedules. No tokio, no
//! clock, no entropy: everything comes in as an argument.

pub mod backoff;
pub mod blind;
pub mod chain;
pub mod conversation;
pub mod cursor;
pub mod entry;
pub mod held;
pub mod ids;
pub mod permissions;
pub mod placement;
pub mod ranges;
pub mod rate;
pub mod recent;
pub mod remembered;
pub mod suspicion;
pub mod unread;

pub use chain::Chain;
pub use entry::{ConversationKind, Envelope, Kind, Number, Role, Visibility};
pub use held::Held;
pub use ids::{
    ConversationId, ConversationKey, DeviceId, InvalidId, MessageId, SHARDS, Shard, TenantId, UserId, UserKey,
    direct_id,
};
pub use ranges::{Range, Ranges};
