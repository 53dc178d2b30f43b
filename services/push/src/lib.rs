//! The push service: who has not received what, told to a provider. It consumes the feed, and so goes
//! on where it was after a restart.

pub mod config;
mod decide;
mod metrics;
mod provider;
mod service;
mod sharing;

#[cfg(test)]
mod tests;

pub use config::PushConfig;
pub use provider::{LogProvider, Notification, Provider, ProviderError};
pub use service::{PushDeps, PushService};
