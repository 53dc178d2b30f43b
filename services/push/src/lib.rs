//! The push service: who has not received what, told to a provider. It consumes the feed, and so goes
//! on where it was after a restart; what the provider does not take is parked as a dead letter.

pub mod config;
mod decide;
pub mod grpc;
mod log;
mod metrics;
mod provider;
mod service;
mod telling;

#[cfg(test)]
mod tests;

pub use config::PushConfig;
pub use provider::{LogProvider, Notification, Provider, ProviderError};
pub use service::{GROUP, MAX_PAGE_LETTERS, PushDeps, PushService};
