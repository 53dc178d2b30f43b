//! What operators see of Redis.

use posthorn_telemetry::{Metrics, Word, counter_family, gauge, histogram_family};
use prometheus_client::{
    encoding::EncodeLabelSet,
    metrics::{counter::Counter, family::Family, gauge::Gauge, histogram::Histogram},
};

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct OfOperation {
    operation: Word,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct OfError {
    operation: Word,
    cause: Word,
}

pub(crate) struct RedisMetrics {
    seconds: Family<OfOperation, Histogram>,
    errors: Family<OfError, Counter>,
    pub in_flight: Gauge,
    pub connected: Gauge,
    pub reconnects: Counter,
}

impl RedisMetrics {
    pub fn new(m: &Metrics) -> Self {
        Self {
            seconds: m.register("redis_operation_duration_seconds", "Operations on Redis", histogram_family()),
            errors: m.register("redis_errors", "Operations that failed, by cause", counter_family()),
            in_flight: m.register("redis_in_flight", "Operations at this moment", gauge()),
            connected: m.register("redis_connected", "1 while there is a connection", gauge()),
            reconnects: m.register("redis_reconnects", "Connections lost, and tries that failed", Counter::default()),
        }
    }

    pub fn took(&self, operation: &'static str, seconds: f64) {
        self.seconds.get_or_create(&OfOperation { operation: Word(operation) }).observe(seconds);
    }

    pub fn failed(&self, operation: &'static str, cause: &'static str) {
        self.errors.get_or_create(&OfError { operation: Word(operation), cause: Word(cause) }).inc();
    }
}
