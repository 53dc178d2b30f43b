//! `[edge]` and `[limits]`: every bound of the edge, by name and unit.

use serde::{Deserialize, Serialize};

/// The `[edge]` section.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct GatewayConfig {
    /// Largest frame accepted from a client.
    pub max_frame_bytes: usize,
    /// Largest encoded body of an entry.
    pub max_body_bytes: usize,
    /// Requests of one connection that may wait for their replies.
    pub max_pending_requests: usize,
    /// Largest page of history or of conversations.
    pub max_page_entries: u32,
    /// Bytes queued for one connection before it is told to resync.
    pub max_queue_bytes: usize,
    /// Users whose presence one connection may watch.
    pub max_watched_users: usize,
    /// Time for `connect` after the handshake.
    pub connect_timeout_ms: u64,
    pub ping_interval_ms: u64,
    pub ping_timeout_ms: u64,
    pub write_timeout_ms: u64,
    /// Handshakes a second that are admitted, and how many at once; resumes have a budget of their own.
    pub handshakes_per_s: u32,
    pub handshake_burst: u32,
    pub resumes_per_s: u32,
    pub resume_burst: u32,
    /// Mean age at which a connection is asked to come back elsewhere, with +-25 % jitter.
    pub max_connection_age_ms: u64,
    /// Requests a second of a connection of limit class `default`, and how many at once.
    pub requests_per_s: u32,
    pub request_burst: u32,
    /// Drain: how long unready before the first `reconnect`, connections told a second, and the cap.
    pub drain_propagation_ms: u64,
    pub drain_per_s: u32,
    pub drain_cap_ms: u64,
}

impl Default for GatewayConfig {
    fn default() -> Self {
        Self {
            max_frame_bytes: 256 * 1024,
            max_body_bytes: 64 * 1024,
            max_pending_requests: 256,
            max_page_entries: 500,
            max_queue_bytes: 1024 * 1024,
            max_watched_users: 1_000,
            connect_timeout_ms: 10_000,
            ping_interval_ms: 25_000,
            ping_timeout_ms: 10_000,
            write_timeout_ms: 15_000,
            handshakes_per_s: 2_000,
            handshake_burst: 4_000,
            resumes_per_s: 4_000,
            resume_burst: 8_000,
            max_connection_age_ms: 4 * 3_600_000,
            requests_per_s: 100,
            request_burst: 400,
            drain_propagation_ms: 0,
            drain_per_s: 500,
            drain_cap_ms: 30_000,
        }
    }
}
