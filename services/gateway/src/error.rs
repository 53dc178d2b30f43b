//! What a failed call of a service below means to the client.

use posthorn_errors::{Code, Failure, failure_of};
use tonic::Status;

/// Of a call that changes nothing, or that can be repeated without harm.
pub(crate) fn failure(status: &Status) -> Failure {
    failure_of(status)
}

/// Of an append. A status that the link itself made says nothing about what the owner did: the entry
/// may be in the log.
pub(crate) fn append_failure(status: &Status) -> Failure {
    let failure = failure_of(status);
    let from_the_link = status.details().is_empty();
    let ambiguous = matches!(failure.code, Code::Unavailable | Code::DeadlineExceeded | Code::Internal);
    if (from_the_link && ambiguous) || failure.code == Code::DeadlineExceeded {
        Failure::plain(Code::NotConfirmed)
    } else {
        failure
    }
}

/// A field of a request is missing, malformed or out of range.
pub(crate) fn invalid(message: impl Into<String>) -> Failure {
    Failure::new(Code::InvalidArgument, message)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_broken_link_never_says_that_nothing_was_stored() {
        for status in [Status::unavailable("gone"), Status::deadline_exceeded("late"), Status::cancelled("dropped")] {
            assert_eq!(append_failure(&status).code, Code::NotConfirmed);
        }
        let refused: Status = Failure::plain(Code::StoreFull).into();
        assert_eq!(append_failure(&refused).code, Code::StoreFull);
        let late: Status = Failure::plain(Code::DeadlineExceeded).into();
        assert_eq!(append_failure(&late).code, Code::NotConfirmed);
    }
}
