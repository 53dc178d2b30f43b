//! Sends without an `after_seq` (HTTP): a durable row remembers, for at least 24 hours, where the log
//! ended when the send was first tried, so that a retry of it looks for the first copy beyond there.

use crate::{ConversationId, MessageId, UserId};

/// Every key of such a row begins with it, and goes on with the day: old rows are together.
pub const PREFIX: &str = "send.";
pub const DAY_MS: u64 = 86_400_000;

/// The key of a send that was first tried on `day` (since 1970).
#[must_use]
pub fn key(day: u64, conversation: &ConversationId, author: &UserId, id: MessageId) -> String {
    format!("{PREFIX}{day:08}.{conversation}/{author}/{id}")
}

/// Keys below it are of days that no retry within 24 hours can be of.
#[must_use]
pub fn oldest(now_ms: u64) -> String {
    format!("{PREFIX}{:08}.", (now_ms / DAY_MS).saturating_sub(1))
}
