//! The storage service: the log and its projections, ownership, registers and small records, over
//! whichever driver the node was given. It adds to the store's own guarantees only bounds and codes.

pub mod config;
mod error;
mod feeding;
pub mod grpc;
mod service;
#[cfg(test)]
mod tests;

pub use error::failure_of;
pub use service::{StorageDeps, StorageService};
