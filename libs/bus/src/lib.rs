//! The bus: what travels up, from services to gateways. May lose messages; who listens notices by
//! the numbers inside (`internal.v1.Publication`) and reads the log.

pub mod conformance;
pub mod memory;
mod metrics;

use async_trait::async_trait;
use bytes::Bytes;

pub use metrics::{BusMetrics, Dropped};

#[derive(Debug, thiserror::Error)]
pub enum BusError {
    #[error("the bus does not answer: {0}")]
    Unavailable(String),
}

/// At most once, in order per (publisher, subject, subscription) among what arrives.
#[async_trait]
pub trait Bus: Send + Sync + 'static {
    fn driver(&self) -> &'static str;

    /// Gives the message to the transport. `Ok` does not mean that anybody got it. Never blocks on a
    /// slow subscriber: its bounded queue drops the message and the drop is reported there.
    async fn publish(&self, subject: &str, message: Bytes) -> Result<(), BusError>;

    /// Everything published on the subject after this returned, while the subscription lives.
    async fn subscribe(&self, subject: &str) -> Result<Box<dyn Subscription>, BusError>;
}

/// What a subscription yields.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Delivery {
    Message(Bytes),
    /// This many messages were dropped here, between the one before and the one after.
    Dropped(u64),
}

#[async_trait]
pub trait Subscription: Send {
    /// The next delivery; `None` when the bus is gone. Cancel-safe.
    async fn next(&mut self) -> Option<Delivery>;
}
