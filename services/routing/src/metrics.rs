//! What operators see of owners.

use posthorn_telemetry::{Metrics, Word, counter_family, histogram};
use prometheus_client::{
    encoding::EncodeLabelSet,
    metrics::{counter::Counter, family::Family, gauge::Gauge, histogram::Histogram},
};

/// What has a bound in memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Loaded {
    Conversation,
    User,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
pub struct What {
    what: Word,
}

impl Loaded {
    const fn label(self) -> What {
        What {
            what: Word(match self {
                Self::Conversation => "conversation",
                Self::User => "user",
            }),
        }
    }
}

pub struct RoutingMetrics {
    pub stored: Counter,
    pub duplicates: Counter,
    pub not_confirmed: Counter,
    pub batch: Histogram,
    pub append_seconds: Histogram,
    pub conversations: Gauge,
    pub users: Gauge,
    pub shards: Gauge,
    pub unsettled: Gauge,
    pub claims: Counter,
    pub releases: Counter,
    pub fences: Counter,
    pub fences_capped: Counter,
    pub fenced: Counter,
    pub settled: Counter,
    pub publications: Counter,
    pub publications_dropped: Counter,
    pub broadcasts: Counter,
    pub large: Gauge,
    pub large_publications: Counter,
    pub replayed: Counter,
    pub publish_seconds: Histogram,
    pub overloaded: Counter,
    evicted: Family<What, Counter>,
    refused: Family<What, Counter>,
}

impl RoutingMetrics {
    pub fn new(m: &Metrics) -> Self {
        let sizes = || Histogram::new([1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 64.0]);
        Self {
            stored: m.register("messages_stored", "Entries confirmed", Counter::default()),
            duplicates: m.register("duplicates_suppressed", "Retries that found their first copy", Counter::default()),
            not_confirmed: m.register("appends_not_confirmed", "Appends whose outcome is unknown", Counter::default()),
            batch: m.register("routing_batch_entries", "Entries in one append of a conversation", sizes()),
            append_seconds: m.register("routing_append_seconds", "Write and check of one append", histogram()),
            conversations: m.register("routing_conversations", "Conversations in memory", Gauge::default()),
            users: m.register("routing_users", "Users in memory", Gauge::default()),
            shards: m.register("routing_shards", "Shards owned", Gauge::default()),
            unsettled: m.register("routing_unsettled", "Conversations that the journal names", Gauge::default()),
            claims: m.register("routing_shards_claimed", "Shards claimed", Counter::default()),
            releases: m.register("routing_shards_released", "Shards given back", Counter::default()),
            fences: m.register("routing_fences", "Silent instances fenced by this one", Counter::default()),
            fences_capped: m.register(
                "routing_fences_capped",
                "Silent instances left alone at routing.max_fences_per_min",
                Counter::default(),
            ),
            fenced: m.register(
                "routing_incarnations_fenced",
                "Times that this instance was fenced",
                Counter::default(),
            ),
            settled: m.register(
                "routing_settled",
                "Conversations that were taken out of the journal",
                Counter::default(),
            ),
            publications: m.register("broker_publications", "Publications given to the bus", Counter::default()),
            publications_dropped: m.register(
                "broker_publications_dropped",
                "Publications that the bus did not take; gateways notice and ask for them",
                Counter::default(),
            ),
            replayed: m.register(
                "broker_publications_replayed",
                "Publications that gateways asked for, the bus not having brought them",
                Counter::default(),
            ),
            broadcasts: m.register(
                "broker_broadcasts",
                "Publications to all gateways, the presence engine being away",
                Counter::default(),
            ),
            large: m.register(
                "broker_large_conversations",
                "Conversations with a subject of their own whose ends are remembered; bound: routing.max_remembered_ends",
                Gauge::default(),
            ),
            large_publications: m.register(
                "broker_large_publications",
                "Publications given to the bus on a conversation's own subject, each for all gateways",
                Counter::default(),
            ),
            publish_seconds: m.register("broker_publish_duration_seconds", "Lookup and publication", histogram()),
            overloaded: m.register("routing_overloaded", "Sends refused for a full queue", Counter::default()),
            evicted: m.register(
                "routing_evicted",
                "Conversations and users that left the memory to make room",
                counter_family(),
            ),
            refused: m.register(
                "routing_no_room",
                "Conversations and users that were not loaded: all in memory were at work",
                counter_family(),
            ),
        }
    }

    pub fn evicted(&self, what: Loaded, count: u64) {
        self.evicted.get_or_create(&what.label()).inc_by(count);
    }

    pub fn refused(&self, what: Loaded) {
        self.refused.get_or_create(&what.label()).inc();
    }
}
