//! `[rpc]`: the bounds of the links between services.

use std::time::Duration;

use serde::{Deserialize, Serialize};

/// The `[rpc]` section.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct RpcConfig {
    /// How long a call may take where its caller set nothing shorter.
    pub deadline_ms: u64,
    /// Requests that one service works on at once; beyond it is `overloaded`.
    pub max_in_flight: usize,
    /// Time to connect to another process.
    pub connect_timeout_ms: u64,
    /// How often an HTTP/2 connection is pinged, and how long the answer may take.
    pub keep_alive_ms: u64,
    pub keep_alive_timeout_ms: u64,
    /// How long a call to the routing tier follows a shard that moves.
    pub route_wait_ms: u64,
    /// How often the map of owners is read without a reason.
    pub shard_map_ms: u64,
    /// How often names of services are looked up.
    pub discovery_ms: u64,
}

impl Default for RpcConfig {
    fn default() -> Self {
        Self {
            deadline_ms: 10_000,
            max_in_flight: 16_384,
            connect_timeout_ms: 2_000,
            keep_alive_ms: 10_000,
            keep_alive_timeout_ms: 5_000,
            route_wait_ms: 8_000,
            shard_map_ms: 2_000,
            discovery_ms: 5_000,
        }
    }
}

impl RpcConfig {
    pub(crate) const fn deadline(&self) -> Duration {
        Duration::from_millis(self.deadline_ms)
    }
}
