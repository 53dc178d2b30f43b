//! A node: reads the configuration, picks drivers and links, starts the services in order, serves the
//! listener, and stops everything in the written order within one budget.

mod admin;
mod config;
pub mod docs;
mod error;
mod http;
#[cfg(feature = "networked")]
mod networked;
mod node;
mod ops;
mod roles;
mod source;
mod waiting;
mod wiring;

#[cfg(test)]
mod tests;

pub use config::{
    BusEngine, ClusterConfig, EnginesConfig, ListenConfig, LogConfig, LogFormat, NodeConfig, NodeSection,
    PresenceEngine, StoreEngine,
};
pub use error::StartError;
#[cfg(feature = "networked")]
pub use networked::open;
pub use node::{Node, NodeParts, Stopped};
pub use posthorn_rpc::{Io, Listener, Network, Tcp};
pub use roles::{Role, Roles};
pub use source::ConfigSource;
pub use waiting::{Reason, while_waiting};
pub use wiring::{Clients, Engines, Topology};
