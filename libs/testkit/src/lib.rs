//! A whole Posthorn in a test. [`Cluster`] is a node in this process, on a port of its own and a
//! directory that goes with it, in the topology that the test is given; [`Server`] is the real binary
//! in a process of its own, for what only `kill -9` shows.

mod cluster;
mod server;
mod tenant;

pub use cluster::{Cluster, ClusterOptions, Storage};
pub use posthorn_node::Topology;
pub use server::{Demo, DemoUser, Ready, Server};
pub use tenant::Tenant;

/// Every topology: a scenario is run in each.
pub const TOPOLOGIES: [Topology; 2] = [Topology::Local, Topology::Loopback];
