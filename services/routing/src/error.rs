//! Refusals of the core as failures of the one table.

use posthorn_core::{InvalidId, conversation::Refusal};
use posthorn_errors::{Code, Failure};

pub fn refused(refusal: Refusal) -> Failure {
    match refusal {
        Refusal::NotFound => Code::NotFound.into(),
        Refusal::Forbidden => Code::Forbidden.into(),
        Refusal::MessageIdReused => Code::MessageIdReused.into(),
        Refusal::Precondition { end_seq } => Failure::plain(Code::PreconditionFailed).end_seq(end_seq),
        Refusal::MembersLimit => Failure::plain(Code::MembersLimit).limit("routing.max_members"),
        Refusal::LastOwner => Code::LastOwner.into(),
        Refusal::AfterEnd => Failure::new(
            Code::StaleGeneration,
            "`after_seq` lies beyond the end of the conversation: sync from nothing",
        ),
        Refusal::NoSuchEntry(field) => {
            Failure::new(Code::InvalidArgument, format!("`{field}` names no entry that its author may see"))
        }
    }
}

pub fn bad_id(error: &InvalidId) -> Failure {
    Failure::new(Code::InvalidArgument, error.to_string())
}

pub fn missing(field: &str) -> Failure {
    Failure::new(Code::InvalidArgument, format!("`{field}` is missing or out of range"))
}
