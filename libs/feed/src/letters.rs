//! Dead letters: entries that a consumer group gave up, kept until somebody looks at them.

pub mod conformance;
mod records;

use std::{collections::BTreeSet, fmt, str::FromStr};

use async_trait::async_trait;
use posthorn_core::{ConversationId, ConversationKey, TenantId};
use posthorn_proto::internal::FeedEntry;

use crate::{FeedError, Result, consumer::Undone};
pub use records::RecordLetters;

/// Users that a letter names; where they are more it is everybody's.
const MAX_USERS: usize = 1_000;
const MAX_WHY_CHARS: usize = 200;

/// Which entry. One letter of it per group, however often it is parked. As text:
/// `tenant/conversation/generation/seq`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct LetterId {
    pub key: ConversationKey,
    pub generation: u64,
    pub seq: u64,
}

impl LetterId {
    /// Of an entry of the feed; an error where it names no conversation or has no row.
    pub fn of(entry: &FeedEntry) -> Result<Self> {
        let key = key_of(entry)?;
        let row = entry.row.as_ref().ok_or_else(|| FeedError::Damaged("an entry without its row".to_owned()))?;
        Ok(Self { key, generation: entry.generation, seq: row.seq })
    }
}

/// The conversation of an entry of the feed.
pub fn key_of(entry: &FeedEntry) -> Result<ConversationKey> {
    let damaged = |_| FeedError::Damaged("an entry that names no conversation".to_owned());
    let tenant = TenantId::new(&entry.tenant).map_err(damaged)?;
    Ok(ConversationKey { tenant, conversation: ConversationId::new(&entry.conversation).map_err(damaged)? })
}

impl fmt::Display for LetterId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let ConversationKey { tenant, conversation } = &self.key;
        write!(f, "{tenant}/{conversation}/{}/{}", self.generation, self.seq)
    }
}

/// The text is no id of a letter.
#[derive(Debug, thiserror::Error)]
#[error("{0:?} is not tenant/conversation/generation/seq")]
pub struct NoLetterId(String);

impl FromStr for LetterId {
    type Err = NoLetterId;

    fn from_str(text: &str) -> Result<Self, NoLetterId> {
        let id = || {
            let mut parts = text.split('/');
            let tenant = TenantId::new(parts.next()?).ok()?;
            let conversation = ConversationId::new(parts.next()?).ok()?;
            let (generation, seq) = (parts.next()?.parse().ok()?, parts.next()?.parse().ok()?);
            let key = ConversationKey { tenant, conversation };
            parts.next().is_none().then_some(Self { key, generation, seq })
        };
        id().ok_or_else(|| NoLetterId(text.to_owned()))
    }
}

/// As kept.
#[derive(Clone, PartialEq, prost::Message)]
pub struct DeadLetter {
    #[prost(message, optional, tag = "1")]
    pub entry: Option<FeedEntry>,
    /// Why it was given up, in words that name no content.
    #[prost(string, tag = "2")]
    pub why: String,
    /// How often it was handled.
    #[prost(uint32, tag = "3")]
    pub attempts: u32,
    #[prost(uint64, tag = "4")]
    pub parked_ms: u64,
    /// For whom it is not done; empty: for everybody.
    #[prost(string, repeated, tag = "5")]
    pub users: Vec<String>,
}

impl DeadLetter {
    pub(crate) fn users(&self) -> Option<BTreeSet<String>> {
        (!self.users.is_empty()).then(|| self.users.iter().cloned().collect())
    }

    /// Notes what of its entry is not done. False if nothing is.
    pub(crate) fn leave(&mut self, undone: Vec<Undone>) -> bool {
        let Some(first) = undone.first() else { return false };
        self.why = first.why.chars().take(MAX_WHY_CHARS).collect();
        let whole = undone.len() > MAX_USERS || undone.iter().any(|undone| undone.user.is_empty());
        self.users = if whole { Vec::new() } else { undone.into_iter().map(|undone| undone.user).collect() };
        true
    }
}

/// Some letters of a group, and where the next ones begin.
#[derive(Clone, Debug, Default)]
pub struct LetterPage {
    pub letters: Vec<(LetterId, DeadLetter)>,
    /// For the next call; `None` at the end.
    pub next: Option<String>,
}

/// Where they are kept. A group's name is of `a-z0-9_-`.
#[async_trait]
pub trait DeadLetters: Send + Sync + 'static {
    /// Durable on return. Parking it again replaces the letter.
    async fn park(&self, group: &str, id: &LetterId, letter: DeadLetter) -> Result<()>;

    async fn get(&self, group: &str, id: &LetterId) -> Result<Option<DeadLetter>>;

    /// Up to `limit`, from where a page before ended or from the beginning. No order is promised.
    async fn list(&self, group: &str, from: Option<&str>, limit: usize) -> Result<LetterPage>;

    /// False if it was not there.
    async fn discard(&self, group: &str, id: &LetterId) -> Result<bool>;
}

/// Fits into keys and subjects.
pub fn check_group(group: &str) -> Result<()> {
    let word = |c: u8| c.is_ascii_lowercase() || c.is_ascii_digit() || c == b'_' || c == b'-';
    let fits = (1..=32).contains(&group.len()) && group.bytes().all(word);
    if fits { Ok(()) } else { Err(FeedError::Damaged(format!("{group:?} is no name of a group"))) }
}
