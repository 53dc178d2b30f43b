//! What operators see of push.

use posthorn_telemetry::{Metrics, Word, counter_family};
use prometheus_client::{
    encoding::EncodeLabelSet,
    metrics::{counter::Counter, family::Family},
};

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
pub struct Outcome {
    pub result: Word,
}

#[derive(Clone)]
pub struct PushMetrics {
    pub attempts: Family<Outcome, Counter>,
    pub looked_again: Counter,
    pub untold: Counter,
}

impl PushMetrics {
    pub fn new(m: &Metrics) -> Self {
        Self {
            attempts: m.register("push_attempts", "Notifications given to a provider", counter_family()),
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
        }
    }

    pub fn attempt(&self, result: &'static str) {
        self.attempts.get_or_create(&Outcome { result: Word(result) }).inc();
    }
}
