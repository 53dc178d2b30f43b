//! NATS behind the traits: [`NatsBus`] on core NATS, [`JetStreamFeed`] and [`JetStreamLetters`] on JetStream,
//! all over one [`Connection`].
//!
//! The client library keeps quiet about three things that are said here: publications that it holds or loses
//! while it is disconnected are errors, and what a subscription missed, by a reconnect or for want of room,
//! is a [`posthorn_bus::Delivery::Dropped`].

mod bus;
mod config;
mod connection;
mod feed;
mod letters;
mod metrics;
mod stream;

pub use bus::NatsBus;
pub use config::{FeedConfig, NatsConfig};
pub use connection::{Connection, OpenError};
pub use feed::JetStreamFeed;
pub use letters::JetStreamLetters;
