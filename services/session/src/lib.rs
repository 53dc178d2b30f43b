//! The session service: who somebody is (tenants, users, keys, tokens, revocations) and where they are
//! (connections, presence). One place verifies tokens and keys, for every transport.

pub mod config;
mod connections;
mod devices;
mod error;
mod gateways;
pub mod grpc;
mod keys;
mod metrics;
mod people;
mod publishing;
mod records;
mod resume;
mod revocations;
mod service;
mod tokens;

#[cfg(test)]
mod tests;

pub use config::SessionConfig;
pub use service::{SessionDeps, SessionService};
