//! What a store can answer instead of a result.

#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum StoreError {
    /// Conditional: what should be absent is there.
    #[error("{0} exists already")]
    Exists(String),
    /// Nothing was written: less than `store.min_free_bytes` are free.
    #[error("{free_bytes} bytes are free, `store.min_free_bytes` is {min_free_bytes}")]
    Full { free_bytes: u64, min_free_bytes: u64 },
    /// Nothing was written: the instance is fenced, or the shard was claimed under a later epoch. Only
    /// from drivers that write rows and head in one commit: there, a late write of a former owner would
    /// not be harmless.
    #[error("not the owner: {0}")]
    Fenced(String),
    /// Nothing was done.
    #[error("the store does not answer: {0}")]
    Unavailable(String),
    /// It may have been done.
    #[error("the write may or may not have been applied: {0}")]
    Ambiguous(String),
    /// Stored bytes that do not decode, or that contradict each other.
    #[error("damaged: {0}")]
    Damaged(String),
    /// The caller broke the trait's rules.
    #[error("misused: {0}")]
    Misused(String),
}

impl StoreError {
    /// The write may have been applied: repeat it identically, or load again.
    #[must_use]
    pub const fn ambiguous(&self) -> bool {
        matches!(self, Self::Ambiguous(_))
    }
}
