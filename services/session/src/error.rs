//! Failures of identity. What is wrong with a token is never told in more detail than its holder needs.

use posthorn_core::InvalidId;
use posthorn_errors::{Code, Failure};

pub fn unauthenticated(why: &str) -> Failure {
    Failure::new(Code::Unauthenticated, why)
}

pub fn invalid(why: impl Into<String>) -> Failure {
    Failure::new(Code::InvalidArgument, why)
}

pub fn bad_id(error: &InvalidId) -> Failure {
    invalid(error.to_string())
}
