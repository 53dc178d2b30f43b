//! What operators see of the driver.

use posthorn_clock::Instant;
use posthorn_telemetry::{Metrics, Word, counter_family, gauge, histogram_family};
use prometheus_client::{
    encoding::EncodeLabelSet,
    metrics::{
        counter::Counter,
        family::Family,
        gauge::Gauge,
        histogram::{Histogram, exponential_buckets},
    },
};

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct OpLabels {
    op: Word,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct ErrorLabels {
    op: Word,
    error: Word,
}

pub(crate) struct StoreMetrics {
    ops: Family<OpLabels, Histogram, fn() -> Histogram>,
    statements: Family<OpLabels, Counter>,
    errors: Family<ErrorLabels, Counter>,
    pub conditional: Counter,
    pub retries: Counter,
    pub refused: Counter,
    pub in_flight: Gauge,
    pub notes: Histogram,
}

impl StoreMetrics {
    pub(crate) fn new(metrics: &Metrics) -> Self {
        let name = "store_op_duration_seconds";
        let notes = Histogram::new(exponential_buckets(1.0, 2.0, 10));
        Self {
            ops: metrics.register(name, "Time of a store operation, waiting included", histogram_family()),
            statements: metrics.register("store_statements", "Statements sent, by operation", counter_family()),
            errors: metrics.register(
                "store_errors",
                "Statements that failed, by operation and error",
                counter_family(),
            ),
            conditional: metrics.register(
                "store_conditional_statements",
                "Conditional statements and reads at serial level: none is on the path of a message",
                Counter::default(),
            ),
            retries: metrics.register("store_retries", "Statements sent again", Counter::default()),
            refused: metrics.register(
                "store_refused",
                "Statements refused because too many were under way for `cql.queue_wait_ms`",
                Counter::default(),
            ),
            in_flight: metrics.register("store_in_flight", "Statements at the database", gauge()),
            notes: metrics.register("store_note_batch_size", "Notes and settlements in one journal write", notes),
        }
    }

    pub(crate) fn timed(&self, op: &'static str, since: Instant) {
        self.ops.get_or_create(&OpLabels { op: Word(op) }).observe(since.elapsed().as_secs_f64());
    }

    pub(crate) fn sent(&self, op: &'static str) {
        self.statements.get_or_create(&OpLabels { op: Word(op) }).inc();
    }

    pub(crate) fn failed(&self, op: &'static str, error: &'static str) {
        self.errors.get_or_create(&ErrorLabels { op: Word(op), error: Word(error) }).inc();
    }
}
