//! The edge: client connections and the HTTP API. No durable state.

pub mod config;
pub mod http;
pub mod service;
pub mod ws;

pub use config::GatewayConfig;
pub use service::{Gateway, GatewayDeps};
