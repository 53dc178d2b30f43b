//! What the edge counts. Labels are words of the code, never of a client.

use posthorn_telemetry::{Metrics, Word, counter_family, gauge, histogram, histogram_family};
use prometheus_client::{
    encoding::EncodeLabelSet,
    metrics::{counter::Counter, family::Family, gauge::Gauge, histogram::Histogram},
};

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
pub(crate) struct ResultLabel {
    pub result: Word,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
pub(crate) struct EndLabel {
    pub code: Word,
    /// `client`, `network`, `server` or `operator`.
    pub by: Word,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
pub(crate) struct RequestLabel {
    pub request: Word,
    pub result: Word,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
pub(crate) struct RouteLabel {
    pub route: Word,
}

/// Of large conversations, which are followed.
pub(crate) struct LargeMetrics {
    pub followed: Gauge,
    pub subjects: Gauge,
    pub entries_read: Counter,
}

impl LargeMetrics {
    fn new(m: &Metrics) -> Self {
        let followed = "Large conversations that somebody here follows";
        let subjects = "Those of them that are heard on their subjects; bound: edge.max_conversation_subjects";
        let read = "Entries of large conversations read from the log, the bus not having brought them";
        Self {
            followed: m.register("edge_followed_conversations", followed, gauge()),
            subjects: m.register("edge_conversation_subjects", subjects, gauge()),
            entries_read: m.register("edge_entries_read", read, Counter::default()),
        }
    }
}

/// The edge's metrics; cheap to clone handles inside.
pub(crate) struct EdgeMetrics {
    pub connections: Gauge,
    pub unauthenticated: Gauge,
    pub connects: Family<ResultLabel, Counter>,
    pub connect_seconds: Histogram,
    pub admission_refused: Counter,
    pub disconnects: Family<EndLabel, Counter>,
    pub resumes: Family<ResultLabel, Counter>,
    pub ping_rtt_seconds: Histogram,
    pub send_queue_bytes: Gauge,
    pub slow_consumers: Counter,
    pub resyncs: Family<ResultLabel, Counter>,
    pub repeated: Counter,
    pub large: LargeMetrics,
    pub draining: Gauge,
    pub drain_remaining: Gauge,
    pub requests: Family<RequestLabel, Counter>,
    pub rate_limited: Counter,
    pub publications: Counter,
    pub events_queued: Counter,
    pub bus_gaps: Counter,
    pub silent_publishers: Gauge,
    pub replayed: Counter,
    asked: Family<ResultLabel, Counter>,
    pub presence_checks: Family<ResultLabel, Counter>,
    pub presence_checks_waiting: Gauge,
    pub registered_again: Counter,
    pub send_to_ack_seconds: Histogram,
    ack_to_deliver: Family<RouteLabel, Histogram>,
}

impl EdgeMetrics {
    pub fn new(metrics: &Metrics) -> Self {
        let m = metrics;
        Self {
            connections: m.register("edge_connections", "Authenticated client connections", gauge()),
            unauthenticated: m.register("edge_inflight_handshakes", "Sockets that have not authenticated yet", gauge()),
            connects: m.register("edge_connects", "Connects by result: ok or the error's code", counter_family()),
            connect_seconds: m.register(
                "edge_handshake_duration_seconds",
                "From the socket to `connected`",
                histogram(),
            ),
            admission_refused: m.register(
                "edge_admission_refused",
                "Handshakes refused by the admission buckets",
                Counter::default(),
            ),
            disconnects: m.register("edge_disconnects", "Ended connections by code and by whom", counter_family()),
            resumes: m.register("edge_resumes", "Resume tokens by result: full, gap or refused", counter_family()),
            ping_rtt_seconds: m.register("edge_ping_rtt_seconds", "From a server's ping to its pong", histogram()),
            send_queue_bytes: m.register("edge_send_queue_bytes", "Bytes queued for all connections", gauge()),
            slow_consumers: m.register("edge_slow_consumers", "Queues that overflowed or stalled", Counter::default()),
            repeated: m.register(
                "edge_entries_repeated",
                "Published entries that were told before",
                Counter::default(),
            ),
            large: LargeMetrics::new(m),
            resyncs: m.register("edge_resyncs", "Resync frames by cause", counter_family()),
            draining: m.register("edge_draining", "1 while no new connections are taken and those here leave", gauge()),
            drain_remaining: m.register("edge_drain_remaining", "Connections that a drain still waits for", gauge()),
            requests: m.register("edge_requests", "Answered requests by kind and result", counter_family()),
            rate_limited: m.register("edge_rate_limited", "Requests refused by a rate limit", Counter::default()),
            publications: m.register("edge_publications", "Publications taken from the bus", Counter::default()),
            events_queued: m.register("edge_events_queued", "Events put into connections' queues", Counter::default()),
            bus_gaps: m.register("edge_bus_gaps", "Times that the bus said it lost something", Counter::default()),
            silent_publishers: m.register(
                "edge_silent_publishers",
                "Routing instances of which the bus brings nothing, not even heartbeats",
                gauge(),
            ),
            replayed: m.register("edge_publications_replayed", "Publications that were asked for", Counter::default()),
            asked: m.register(
                "edge_questions",
                "Questions to routing instances for what the bus did not bring, by result: ok or unanswered",
                counter_family(),
            ),
            presence_checks: m.register(
                "edge_presence_checks",
                "Connections asked anew whom they may watch, by result: ok or the error's code",
                counter_family(),
            ),
            presence_checks_waiting: m.register(
                "edge_presence_checks_waiting",
                "Connections that wait for that; bound: edge.max_connections",
                gauge(),
            ),
            registered_again: m.register(
                "edge_registered_again",
                "Connections registered again after the presence engine lost some",
                Counter::default(),
            ),
            send_to_ack_seconds: m.register("send_to_ack_seconds", "From a send's frame to its reply", histogram()),
            ack_to_deliver: m.register(
                "ack_to_deliver_seconds",
                "From an entry's confirmation to the first socket it was written to",
                histogram_family(),
            ),
        }
    }

    pub fn ended(&self, code: &'static str, by: &'static str) {
        self.disconnects.get_or_create(&EndLabel { code: Word(code), by: Word(by) }).inc();
    }

    pub fn connected(&self, result: &'static str) {
        self.connects.get_or_create(&ResultLabel { result: Word(result) }).inc();
    }

    pub fn resumed(&self, result: &'static str) {
        self.resumes.get_or_create(&ResultLabel { result: Word(result) }).inc();
    }

    pub fn resync(&self, cause: &'static str) {
        self.resyncs.get_or_create(&ResultLabel { result: Word(cause) }).inc();
    }

    pub fn asked(&self, result: &'static str) {
        self.asked.get_or_create(&ResultLabel { result: Word(result) }).inc();
    }

    pub fn presence_checked(&self, result: &'static str) {
        self.presence_checks.get_or_create(&ResultLabel { result: Word(result) }).inc();
    }

    pub fn answered(&self, request: &'static str, result: &'static str) {
        self.requests.get_or_create(&RequestLabel { request: Word(request), result: Word(result) }).inc();
    }

    pub fn queue_changed(&self, bytes: i64) {
        self.send_queue_bytes.inc_by(bytes);
    }

    pub fn delivered(&self, seconds: f64) {
        self.ack_to_deliver.get_or_create(&RouteLabel { route: Word("local") }).observe(seconds);
    }
}
