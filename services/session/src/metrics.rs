//! What operators see of sessions.

use posthorn_telemetry::{Metrics, Word, counter_family, histogram};
use prometheus_client::{
    encoding::EncodeLabelSet,
    metrics::{counter::Counter, family::Family, histogram::Histogram},
};

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
pub struct Outcome {
    pub result: Word,
}

pub struct SessionMetrics {
    pub authentications: Family<Outcome, Counter>,
    pub transitions: Family<Outcome, Counter>,
    pub revocations: Counter,
    pub devices: Family<Outcome, Counter>,
    pub cuts_not_repeated: Counter,
    pub publications_dropped: Counter,
    pub lookup_seconds: Histogram,
}

impl SessionMetrics {
    pub fn new(m: &Metrics) -> Self {
        Self {
            authentications: m.register("session_authentications", "Tokens and keys looked at", counter_family()),
            transitions: m.register("presence_transitions", "Users who came or went", counter_family()),
            revocations: m.register("session_revocations", "Revocations written", Counter::default()),
            devices: m.register(
                "session_devices",
                "Connecting devices: written down, fresh in the store, remembered, or failed to be written",
                counter_family(),
            ),
            cuts_not_repeated: m.register(
                "session_cuts_not_repeated",
                "Revocations published once only, `session.max_waiting_cuts` being reached",
                Counter::default(),
            ),
            publications_dropped: m.register(
                "session_publications_dropped",
                "Publications that the bus did not take; gateways notice and resync",
                Counter::default(),
            ),
            lookup_seconds: m.register("session_lookup_seconds", "Lookup of recipients' connections", histogram()),
        }
    }

    pub fn authenticated(&self, result: &'static str) {
        self.authentications.get_or_create(&Outcome { result: Word(result) }).inc();
    }

    pub fn device(&self, result: &'static str) {
        self.devices.get_or_create(&Outcome { result: Word(result) }).inc();
    }

    pub fn transition(&self, result: &'static str) {
        self.transitions.get_or_create(&Outcome { result: Word(result) }).inc();
    }
}
