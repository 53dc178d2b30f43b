//! The routing service: owns conversations (membership, order, deduplication, fan-out) and users'
//! own state. Instances share the shards among them; one that is alone owns them all, by the same protocol.

mod appends;
mod beats;
mod checker;
mod claims;
pub mod config;
mod conversation;
mod error;
mod fanout;
pub mod grpc;
mod incarnations;
mod large;
mod links;
mod metrics;
mod ownership;
mod people;
mod room;
mod service;
mod settler;
mod steward;
mod users;
mod views;

pub use config::RoutingConfig;
pub use incarnations::{InstanceDeps, RoutingInstance};
