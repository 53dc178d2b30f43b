//! What operators see: structured logs and `/metrics`.

mod logs;
mod metrics;

pub use logs::{LogFormat, init_logs};
pub use metrics::{Metrics, OPENMETRICS, Word, counter_family, gauge, histogram, histogram_family, latency_buckets};
