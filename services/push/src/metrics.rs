//! What operators see of push.

use posthorn_telemetry::{Metrics, Word, counter_family};
use prometheus_client::{
    encoding::EncodeLabelSet,
    metrics::{counter::Counter, family::Family, gauge::Gauge},
};

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
pub struct Outcome {
    pub result: Word,
}

#[derive(Clone)]
pub struct PushMetrics {
    pub attempts: Family<Outcome, Counter>,
    pub decided: Counter,
    pub waiting: Gauge,
    pub duplicates: Counter,
    pub looked_again: Counter,
    pub untold: Counter,
    pub partitions: Gauge,
}

impl PushMetrics {
    pub fn new(m: &Metrics) -> Self {
        Self {
            attempts: m.register("push_attempts", "Notifications given to a provider", counter_family()),
            decided: m.register("push_entries_decided", "Entries of the feed that were decided", Counter::default()),
            waiting: m.register(
                "broker_lag_messages",
                "Entries read from the feed and not decided yet",
                Gauge::default(),
            ),
            looked_again: m.register(
                "push_register_looks",
                "Further looks for registers of members who were not told of joining yet",
                Counter::default(),
            ),
            untold: m.register(
                "push_registers_missing",
                "Members who were decided by the list of members: their register was not told in time",
                Counter::default(),
            ),
            partitions: m.register(
                "push_partitions",
                "Partitions of the feed that are this process's",
                Gauge::default(),
            ),
            duplicates: m.register("broker_redeliveries", "Second copies of feed entries, dropped", Counter::default()),
        }
    }

    pub fn attempt(&self, result: &'static str) {
        self.attempts.get_or_create(&Outcome { result: Word(result) }).inc();
    }
}
