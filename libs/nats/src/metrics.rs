//! What operators see of NATS.

use posthorn_telemetry::{Metrics, Word, counter_family, gauge, histogram};
use prometheus_client::{
    encoding::EncodeLabelSet,
    metrics::{counter::Counter, family::Family, gauge::Gauge, histogram::Histogram},
};

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Reason {
    reason: Word,
}

#[derive(Clone)]
pub struct NatsMetrics {
    pub connected: Gauge,
    pub reconnects: Counter,
    pub round_trip: Histogram,
    pub published: Counter,
    refused: Family<Reason, Counter>,
    dropped: Family<Reason, Counter>,
    pub publishes_waiting: Gauge,
    pub queued_messages: Gauge,
    pub queued_bytes: Gauge,
    pub feed_published: Counter,
    pub feed_duplicates: Counter,
    pub feed_failures: Counter,
    pub feed_in_flight: Gauge,
    pub feed_losses: Counter,
}

impl NatsMetrics {
    pub fn new(m: &Metrics) -> Self {
        Self {
            connected: m.register("nats_connected", "1 while messages come through", gauge()),
            reconnects: m.register("nats_reconnects", "Connections after the first", Counter::default()),
            round_trip: m.register("nats_round_trip_seconds", "To the server and back", histogram()),
            published: m.register("bus_published_messages", "Given to the bus", Counter::default()),
            refused: m.register("bus_refused_messages", "Publications that failed, by reason", counter_family()),
            dropped: m.register(
                "bus_dropped_messages",
                "What subscribers were told is missing, at least, by reason",
                counter_family(),
            ),
            publishes_waiting: m.register("bus_publishes_waiting", "Waiting for room to go out", gauge()),
            queued_messages: m.register("bus_queued_messages", "Waiting for their subscribers", gauge()),
            queued_bytes: m.register("bus_queued_bytes", "Waiting for their subscribers", gauge()),
            feed_published: m.register("feed_published_entries", "Acknowledged by the feed", Counter::default()),
            feed_duplicates: m.register(
                "feed_published_duplicates",
                "Acknowledged by the feed, which had them already",
                Counter::default(),
            ),
            feed_failures: m.register(
                "feed_publish_failures",
                "Batches that the feed did not take",
                Counter::default(),
            ),
            feed_in_flight: m.register("feed_in_flight_entries", "Waiting for acknowledgement", gauge()),
            feed_losses: m.register(
                "feed_losses",
                "Times that the feed was found to have lost what it had taken",
                Counter::default(),
            ),
        }
    }

    pub fn refused(&self, reason: &'static str) {
        self.refused.get_or_create(&Reason { reason: Word(reason) }).inc();
    }

    pub fn dropped(&self, reason: &'static str, count: u64) {
        self.dropped.get_or_create(&Reason { reason: Word(reason) }).inc_by(count);
    }
}
