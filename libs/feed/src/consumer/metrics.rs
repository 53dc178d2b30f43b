//! What operators see of consumer groups.

use posthorn_telemetry::{Metrics, Word, counter_family};
use prometheus_client::{
    encoding::EncodeLabelSet,
    metrics::{counter::Counter, family::Family, gauge::Gauge},
};

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Group {
    group: Word,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Outcome {
    group: Word,
    result: Word,
}

#[derive(Clone)]
pub struct ConsumerMetrics {
    entries: Family<Outcome, Counter>,
    retries: Family<Group, Counter>,
    waiting: Family<Group, Gauge>,
    failures: Family<Group, Counter>,
}

impl ConsumerMetrics {
    #[must_use]
    pub fn new(m: &Metrics) -> Self {
        let help = "Entries of the feed by what became of them: handled, filled (from the log), duplicate, damaged, \
                    dead (parked), redriven";
        Self {
            entries: m.register("feed_consumer_entries", help, counter_family()),
            retries: m.register("feed_consumer_retries", "Entries that were handled once more", counter_family()),
            waiting: m.register(
                "feed_consumer_waiting_entries",
                "Entries read from the feed and not handled yet",
                Family::default(),
            ),
            failures: m.register(
                "feed_consumer_failures",
                "Times that the feed, the log or the dead letters did not answer a consumer",
                counter_family(),
            ),
        }
    }

    pub(super) fn entry(&self, group: &'static str, result: &'static str) {
        self.entries.get_or_create(&Outcome { group: Word(group), result: Word(result) }).inc();
    }

    pub(super) fn retry(&self, group: &'static str) {
        self.retries.get_or_create(&Group { group: Word(group) }).inc();
    }

    pub(super) fn failure(&self, group: &'static str) {
        self.failures.get_or_create(&Group { group: Word(group) }).inc();
    }

    pub(super) fn waiting(&self, group: &'static str, change: i64) {
        self.waiting.get_or_create(&Group { group: Word(group) }).inc_by(change);
    }
}
