//! The store's answers as codes of the one table.

use posthorn_errors::{Code, Failure};
use posthorn_proto::convert::ConvertError;
use posthorn_store::StoreError;

/// How long to wait before a write is worth another try while the disk is full.
const FULL_RETRY_MS: u64 = 1_000;

/// The failure that a caller sees. What an operator must act on is logged here, once.
#[must_use]
pub fn failure_of(error: StoreError) -> Failure {
    let text = error.to_string();
    match error {
        StoreError::Exists(_) => Failure::new(Code::AlreadyExists, text),
        StoreError::Full { .. } => {
            Failure::new(Code::StoreFull, text).limit("store.min_free_bytes").retry_after_ms(FULL_RETRY_MS)
        }
        StoreError::Fenced(_) => Failure::new(Code::WrongOwner, text),
        StoreError::Unavailable(_) => Failure::new(Code::Unavailable, text),
        StoreError::Ambiguous(_) => Failure::new(Code::NotConfirmed, text),
        StoreError::Damaged(_) => {
            tracing::error!(error = text, "the store is damaged");
            Failure::new(Code::DataLoss, text)
        }
        StoreError::Misused(_) => Failure::new(Code::InvalidArgument, text),
    }
}

pub(crate) fn unreadable(error: impl Into<ConvertError>) -> Failure {
    Failure::new(Code::InvalidArgument, error.into().to_string())
}

pub(crate) fn invalid(what: &str) -> Failure {
    Failure::new(Code::InvalidArgument, what)
}

/// `count` of what `limit` bounds is too many.
pub(crate) fn too_many(limit: &'static str, count: usize, max: usize) -> Failure {
    Failure::new(Code::InvalidArgument, format!("{count} are more than `{limit}` = {max}")).limit(limit)
}
