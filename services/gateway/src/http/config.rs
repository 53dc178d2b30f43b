//! `[edge.http]`: the bounds of the HTTP API.

use std::time::Duration;

use serde::{Deserialize, Serialize};

/// The `[edge.http]` section. What clients must know of (page sizes, lengths) is fixed in the schemas
/// of `/v1/openapi.json` instead.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct HttpConfig {
    /// Largest request body.
    pub max_body_bytes: usize,
    /// Requests at work at once, health and metrics apart; more are refused as `overloaded`.
    pub max_in_flight: usize,
    /// Requests a second of one API key, a tenant's or an operator's, and how many at once. 0: no limit.
    pub requests_per_s: u32,
    pub request_burst: u32,
    /// API keys that are counted at once; beyond, the one that was away longest is forgotten.
    pub max_limited_keys: usize,
    /// From the first byte of a request's head being read to its answer.
    pub request_timeout_ms: u64,
    /// How long the answer to an `Idempotency-Key` is kept; at most a day and not less than `request_timeout_ms`.
    pub idempotency_ttl_ms: u64,
    /// How long a duplicate waits for the answer to the first request of its key.
    pub idempotency_wait_ms: u64,
    /// Largest answer that is kept for an `Idempotency-Key`.
    pub max_kept_answer_bytes: usize,
    /// Between two removals of idempotency rows that are past their time.
    pub idempotency_sweep_ms: u64,
    /// Longest wait for a part's sign of life in `/readyz`, and how long the finding is reused.
    pub probe_timeout_ms: u64,
    pub probe_reuse_ms: u64,
}

impl Default for HttpConfig {
    fn default() -> Self {
        Self {
            max_body_bytes: 256 * 1024,
            max_in_flight: 1_024,
            requests_per_s: 1_000,
            request_burst: 4_000,
            max_limited_keys: 10_000,
            request_timeout_ms: 15_000,
            idempotency_ttl_ms: DAY_MS,
            idempotency_wait_ms: 5_000,
            max_kept_answer_bytes: 64 * 1024,
            idempotency_sweep_ms: 3_600_000,
            probe_timeout_ms: 1_000,
            probe_reuse_ms: 500,
        }
    }
}

/// Milliseconds of a day: the width of a window of idempotency rows.
pub(crate) const DAY_MS: u64 = 24 * 3_600_000;

impl HttpConfig {
    pub(crate) const fn request_timeout(&self) -> Duration {
        Duration::from_millis(self.request_timeout_ms)
    }
}
