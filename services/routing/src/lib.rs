//! The routing service: owns conversations (membership, order, deduplication, fan-out) and users'
//! own state. One instance owns every shard of a single node; the protocol is the same.

mod appends;
pub mod config;
mod conversation;
mod error;
mod fanout;
pub mod grpc;
mod metrics;
mod ownership;
mod people;
mod room;
mod service;
mod users;
mod views;

pub use config::RoutingConfig;
pub use service::{RoutingDeps, RoutingService};
