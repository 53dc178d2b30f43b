//! The storage service: the store behind gRPC, with bounds on what one call may ask.

mod error;
pub mod grpc;
mod service;

pub use service::{StorageDeps, StorageService};
