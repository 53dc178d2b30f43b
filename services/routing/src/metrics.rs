//! What operators see of owners.

use posthorn_telemetry::{Metrics, histogram};
use prometheus_client::metrics::{counter::Counter, gauge::Gauge, histogram::Histogram};

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
    pub publications: Counter,
    pub publications_dropped: Counter,
    pub broadcasts: Counter,
    pub publish_seconds: Histogram,
    pub overloaded: Counter,
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
            publications: m.register("broker_publications", "Publications given to the bus", Counter::default()),
            publications_dropped: m.register(
                "broker_publications_dropped",
                "Publications lost to a full queue or a failing bus; gateways notice and resync",
                Counter::default(),
            ),
            broadcasts: m.register(
                "broker_broadcasts",
                "Publications to all gateways, the presence engine being away",
                Counter::default(),
            ),
            publish_seconds: m.register(
                "broker_publish_duration_seconds",
                "Lookup and publication of a batch",
                histogram(),
            ),
            overloaded: m.register("routing_overloaded", "Sends refused for a full queue", Counter::default()),
        }
    }
}
