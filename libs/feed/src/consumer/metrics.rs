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
    duplicates: Family<Group, Counter>,
    partitions: Family<Group, Gauge>,
}

impl ConsumerMetrics {
    #[must_use]
    pub fn new(m: &Metrics) -> Self {
        let help = "Entries of the feed by what became of them: handled, filled (from the log), damaged; and their \
                    dead letters: dead (parked), redriven, discarded";
        Self {
            entries: m.register("feed_consumer_entries", help, counter_family()),
            retries: m.register("feed_consumer_retries", "Entries that were handled once more", counter_family()),
            waiting: m.register(
                "broker_lag_messages",
                "Entries read from the feed and not handled yet",
                Family::default(),
            ),
            failures: m.register(
                "feed_consumer_failures",
                "Times that the feed, the log, the dead letters or what a handler needs did not answer a consumer",
                counter_family(),
            ),
            duplicates: m.register(
                "broker_redeliveries",
                "Second copies of entries of the feed, dropped",
                counter_family(),
            ),
            partitions: m.register(
                "feed_consumer_partitions",
                "Partitions of the feed that are this process's",
                Family::default(),
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

    pub(super) fn duplicate(&self, group: &'static str) {
        self.duplicates.get_or_create(&Group { group: Word(group) }).inc();
    }

    pub(super) fn partitions(&self, group: &'static str, mine: usize) {
        self.partitions.get_or_create(&Group { group: Word(group) }).set(i64::try_from(mine).unwrap_or(i64::MAX));
    }

    pub(super) fn waiting(&self, group: &'static str, change: i64) {
        self.waiting.get_or_create(&Group { group: Word(group) }).inc_by(change);
    }
}
