//! A history: what clients asked, were answered and were told, one JSON line an event. Replay, fault tests,
//! load tests and the simulation write the same form, and one checker judges it: [`Rule`] lists what may not
//! happen, [`Sight`] what a run must have shown to mean anything. docs/history.md is the format's page.
//!
//! [`Recorder`] writes, [`Reader`] reads, [`Checker`] takes one event after the other: it keeps the logs and
//! spans of seq, never the events, and takes time in proportion to them.

mod check;
mod event;
mod read;
mod record;
mod rule;

pub use check::{Checker, check, check_file};
pub use event::{Event, Item, Kind, Op, Scope, body_digest, user_of};
pub use read::{HistoryError, Reader};
pub use record::Recorder;
pub use rule::{Report, Rule, Sight, Violation};

/// Of the first line of a file: `{"posthorn_history":1}`.
pub const VERSION: u32 = 1;
/// Longest line, bytes: a read of some millions of entries.
pub const MAX_LINE_BYTES: u64 = 256 * 1024 * 1024;
