//! What a store answers, as failures of the one table.

use posthorn_errors::{Code, Failure};
use posthorn_store::StoreError;

/// Reads and conditional writes that found nothing wrong with the request are never blamed on it.
pub fn failure(error: &StoreError) -> Failure {
    let code = match error {
        StoreError::Exists(_) => Code::AlreadyExists,
        StoreError::Full { .. } => Code::StoreFull,
        StoreError::Unavailable(_) => Code::Unavailable,
        StoreError::Ambiguous(_) => Code::NotConfirmed,
        StoreError::Damaged(_) => Code::DataLoss,
        StoreError::Misused(_) => Code::InvalidArgument,
    };
    if code == Code::DataLoss {
        tracing::error!(%error, "the store is damaged");
    }
    let failure = Failure::new(code, error.to_string());
    if code == Code::StoreFull { failure.limit("store.min_free_bytes").retry_after_ms(2_000) } else { failure }
}

pub fn invalid(field: &str) -> Failure {
    Failure::new(Code::InvalidArgument, format!("`{field}` is missing or out of range"))
}
