//! A node: reads the configuration, picks drivers and links, starts the services in order, serves the
//! listener, and stops everything in the written order within one budget.

mod admin;
mod config;
pub mod docs;
mod error;
mod http;
mod listener;
mod node;
mod ops;
mod roles;
mod source;
mod wiring;

#[cfg(test)]
mod tests;

pub use config::{ClusterConfig, ListenConfig, LogConfig, LogFormat, NodeConfig, NodeSection};
pub use error::StartError;
pub use listener::{Io, Listener};
pub use node::{Node, NodeParts, Stopped};
pub use roles::{Role, Roles};
pub use source::ConfigSource;
pub use wiring::{Clients, Engines, Topology};
