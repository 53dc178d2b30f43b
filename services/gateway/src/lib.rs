//! The edge: client connections and the HTTP API. No durable state.

pub mod config;
pub mod service;

pub use config::GatewayConfig;
pub use service::{Gateway, GatewayDeps};
