//! The edge: client connections and the HTTP API. No durable state.

mod admission;
mod calls;
pub mod config;
pub mod conversations;
mod drain;
mod error;
pub mod history;
pub mod http;
mod lease;
mod limits;
mod live;
mod metrics;
mod presence;
pub mod sends;
pub mod service;
#[cfg(test)]
mod tests;
#[cfg(test)]
mod wired;
pub mod ws;

pub use config::GatewayConfig;
pub use service::{Gateway, GatewayDeps, Readiness};
