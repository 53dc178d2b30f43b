//! How services call each other: one client type whether the callee is in this process or not.
//!
//! `XClient<Link>` of the generated code is the only client of a service. A [`Link`] is either the
//! service's own routes in this process or a channel to another one; the layers around it (deadline,
//! limit, metrics, trace) are the same.

mod link;
pub mod trace;

pub use link::Link;

/// The clients of the three services that are called.
pub type RoutingClient = posthorn_proto::internal::routing_client::RoutingClient<Link>;
pub type SessionClient = posthorn_proto::internal::session_client::SessionClient<Link>;
pub type StorageClient = posthorn_proto::internal::storage_client::StorageClient<Link>;
