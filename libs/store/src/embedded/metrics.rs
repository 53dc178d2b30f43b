//! What operators see of the store.

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
struct ReasonLabels {
    reason: Word,
}

pub(crate) struct StoreMetrics {
    ops: Family<OpLabels, Histogram, fn() -> Histogram>,
    pub batch: Histogram,
    pub queue: Gauge,
    pub free: Gauge,
    pub commits: Counter,
    refused: Family<ReasonLabels, Counter>,
    pub reopened: Counter,
}

impl StoreMetrics {
    pub(crate) fn new(metrics: &Metrics) -> Self {
        let batch = Histogram::new(exponential_buckets(1.0, 2.0, 13));
        let name = "store_op_duration_seconds";
        Self {
            ops: metrics.register(name, "Time of a store operation, waiting included", histogram_family()),
            batch: metrics.register("store_commit_batch_size", "Writes in one commit", batch),
            queue: metrics.register("store_queue_bytes", "Bytes of writes that wait for their commit", gauge()),
            free: metrics.register("store_free_bytes", "Free space of the data directory's file system", gauge()),
            commits: metrics.register("store_commits", "Commits", Counter::default()),
            refused: metrics.register("store_refused", "Writes refused, by reason", counter_family()),
            reopened: metrics.register("store_reopened", "Times the store was opened again", Counter::default()),
        }
    }

    pub(crate) fn timed(&self, op: &'static str, since: Instant) {
        self.ops.get_or_create(&OpLabels { op: Word(op) }).observe(since.elapsed().as_secs_f64());
    }

    pub(crate) fn refused(&self, reason: &'static str, count: u64) {
        self.refused.get_or_create(&ReasonLabels { reason: Word(reason) }).inc_by(count);
    }
}
