//! What a failed statement means: for its caller, and in a word for operators.

use posthorn_store::StoreError;
use scylla::errors::{DbError, ExecutionError, NewSessionError, RequestAttemptError};

/// Why the store cannot be used (yet).
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// Nothing in the configuration names a database, or what it names does not make sense.
    #[error("configuration: {0}")]
    Config(String),
    /// No node answers, or none lets us in.
    #[error("no session with the database: {0}")]
    Session(#[source] Box<NewSessionError>),
    /// The tables are older than what this build needs. `posthorn schema apply` makes them; until then a
    /// service is not ready.
    #[error("the schema of keyspace {keyspace} has version {found}, {needed} is needed: run `posthorn schema apply`")]
    Schema { keyspace: String, found: u32, needed: u32 },
    /// An import did not finish: what is there is no store.
    #[error("an import into keyspace {0} did not finish: run it again, from the same file")]
    Importing(String),
    /// The database answers, and refuses.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl OpenError {
    /// Trying again later may help: a service waits, not ready, instead of ending.
    #[must_use]
    pub const fn may_pass(&self) -> bool {
        !matches!(self, Self::Config(_))
    }
}

/// What is known of a statement that failed.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Effect {
    /// Nothing was done.
    None,
    /// It may have been done.
    Maybe,
    /// Nothing was done, and a repetition would not help.
    Refused,
}

/// A word of a small set, and the effect.
pub(crate) fn verdict(error: &ExecutionError) -> (&'static str, Effect) {
    match error {
        ExecutionError::BadQuery(_) => ("refused", Effect::Refused),
        ExecutionError::EmptyPlan | ExecutionError::ConnectionPoolError(_) | ExecutionError::PrepareError(_) => {
            ("no_connection", Effect::None)
        }
        ExecutionError::RequestTimeout(_) => ("timeout", Effect::Maybe),
        ExecutionError::LastAttemptError(attempt) => attempt_verdict(attempt),
        _ => ("protocol", Effect::Maybe),
    }
}

fn attempt_verdict(error: &RequestAttemptError) -> (&'static str, Effect) {
    match error {
        RequestAttemptError::SerializationError(_) | RequestAttemptError::CqlRequestSerialization(_) => {
            ("refused", Effect::Refused)
        }
        RequestAttemptError::UnableToAllocStreamId => ("busy", Effect::None),
        RequestAttemptError::BrokenConnectionError(_) => ("connection_lost", Effect::Maybe),
        RequestAttemptError::DbError(error, _) => database_verdict(error),
        _ => ("protocol", Effect::Maybe),
    }
}

fn database_verdict(error: &DbError) -> (&'static str, Effect) {
    match error {
        // Said before anything is sent to a replica.
        DbError::Unavailable { .. } => ("unavailable", Effect::None),
        DbError::IsBootstrapping => ("bootstrapping", Effect::None),
        DbError::RateLimitReached { rejected_by_coordinator: true, .. } => ("rate_limited", Effect::None),
        DbError::SyntaxError
        | DbError::Invalid
        | DbError::AlreadyExists { .. }
        | DbError::AuthenticationError
        | DbError::Unauthorized
        | DbError::ConfigError => ("refused", Effect::Refused),
        DbError::WriteTimeout { .. } => ("write_timeout", Effect::Maybe),
        DbError::ReadTimeout { .. } => ("read_timeout", Effect::Maybe),
        DbError::WriteFailure { .. } | DbError::ReadFailure { .. } => ("replica_failure", Effect::Maybe),
        DbError::Overloaded => ("overloaded", Effect::Maybe),
        _ => ("server", Effect::Maybe),
    }
}

/// Bytes of the database that this build cannot read.
pub(crate) fn damaged(what: &str, why: impl std::fmt::Display) -> StoreError {
    StoreError::Damaged(format!("{what}: {why}"))
}

#[cfg(test)]
mod tests {
    use scylla::{errors::WriteType, frame::types::Consistency};

    use super::*;

    fn database(error: DbError) -> ExecutionError {
        ExecutionError::LastAttemptError(RequestAttemptError::DbError(error, String::new()))
    }

    #[test]
    fn what_was_refused_before_it_was_sent_is_not_ambiguous_and_a_time_out_is() {
        let consistency = Consistency::LocalQuorum;
        let unavailable = database(DbError::Unavailable { consistency, required: 2, alive: 1 });
        assert_eq!(verdict(&unavailable), ("unavailable", Effect::None));
        let write_type = WriteType::Simple;
        let late = database(DbError::WriteTimeout { consistency, received: 1, required: 2, write_type });
        assert_eq!(verdict(&late), ("write_timeout", Effect::Maybe));
        let ours = ExecutionError::RequestTimeout(std::time::Duration::from_secs(1));
        assert_eq!(verdict(&ours), ("timeout", Effect::Maybe));
        assert_eq!(verdict(&ExecutionError::EmptyPlan), ("no_connection", Effect::None));
        assert_eq!(verdict(&database(DbError::Overloaded)), ("overloaded", Effect::Maybe));
        assert_eq!(verdict(&database(DbError::Invalid)), ("refused", Effect::Refused));
    }
}
