//! The bus: what travels up, from services to gateways. May lose messages; who listens notices by
//! the numbers inside (`internal.v1.Publication`) and reads the log.

pub mod conformance;
pub mod memory;
mod metrics;
mod nudges;
pub mod queue;
pub mod subjects;

use async_trait::async_trait;
use bytes::Bytes;

pub use metrics::{BusMetrics, Dropped};
pub use nudges::Nudges;

#[derive(Debug, thiserror::Error)]
pub enum BusError {
    #[error("the bus does not answer: {0}")]
    Unavailable(String),
    #[error("{0:?} is no subject")]
    Subject(String),
    #[error("{bytes} bytes are more than the bus takes at once ({max})")]
    TooLarge { bytes: usize, max: usize },
}

/// At most once, in order per (publisher, subject, subscription) among what arrives.
#[async_trait]
pub trait Bus: Send + Sync + 'static {
    fn driver(&self) -> &'static str;

    /// Gives the message to the transport. `Ok` does not mean that anybody got it; where the transport is
    /// known to be away it is an error, soon. Never blocks on a slow subscriber: its bounded queue drops
    /// the message and the drop is reported there.
    async fn publish(&self, subject: &str, message: Bytes) -> Result<(), BusError>;

    /// Everything published on the subject after this returned, while the subscription lives.
    async fn subscribe(&self, subject: &str) -> Result<Box<dyn Subscription>, BusError>;
}

/// What a subscription yields.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Delivery {
    Message(Bytes),
    /// At least this many messages are missing here, between the one before and the one after. After the
    /// transport was away nobody knows how many: 1 is said, once everything that is published arrives
    /// again. Whoever reads the log after it has missed nothing.
    Dropped(u64),
}

#[async_trait]
pub trait Subscription: Send {
    /// The next delivery; `None` when the bus is gone. Cancel-safe.
    async fn next(&mut self) -> Option<Delivery>;
}

/// A subject is tokens of `A-Za-z0-9_-`, joined by dots: none is empty and none a wildcard. An id that may
/// hold a dot is not a token; nothing checks what it would turn into.
///
/// # Errors
/// [`BusError::Subject`]: every driver refuses the same.
pub fn check_subject(subject: &str) -> Result<(), BusError> {
    let word = |c: u8| c.is_ascii_alphanumeric() || c == b'_' || c == b'-';
    let token = |token: &str| !token.is_empty() && token.bytes().all(word);
    if subject.split('.').all(token) { Ok(()) } else { Err(BusError::Subject(subject.to_owned())) }
}
