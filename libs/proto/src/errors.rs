//! `client.v1.Error` from a failure, and back.

use posthorn_errors::{Code, Failure};

use crate::client;

impl From<&Failure> for client::Error {
    fn from(failure: &Failure) -> Self {
        Self {
            code: failure.code.as_str().to_owned(),
            message: failure.message.clone(),
            retryable: failure.code.retryable(),
            side_effect_free: failure.code.side_effect_free(),
            retry_after_ms: failure.retry_after_ms,
            limit: failure.limit.clone(),
            end_seq: failure.end_seq,
        }
    }
}

impl From<&client::Error> for Failure {
    /// A code that this build does not know becomes `internal`, or `unavailable` if it says retryable.
    fn from(error: &client::Error) -> Self {
        let fallback = if error.retryable { Code::NotConfirmed } else { Code::Internal };
        Self {
            code: error.code.parse().unwrap_or(fallback),
            message: error.message.clone(),
            retry_after_ms: error.retry_after_ms,
            limit: error.limit.clone(),
            end_seq: error.end_seq,
        }
    }
}
