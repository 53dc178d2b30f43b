//! What operators see of sessions.

use posthorn_telemetry::{Metrics, Word, counter_family};
use prometheus_client::{
    encoding::EncodeLabelSet,
    metrics::{counter::Counter, family::Family, gauge::Gauge},
};

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
pub struct Outcome {
    pub result: Word,
}

pub struct SessionMetrics {
    pub authentications: Family<Outcome, Counter>,
    pub connections: Gauge,
    pub transitions: Family<Outcome, Counter>,
    pub revocations: Counter,
}

impl SessionMetrics {
    pub fn new(m: &Metrics) -> Self {
        Self {
            authentications: m.register("session_authentications", "Tokens and keys looked at", counter_family()),
            connections: m.register("session_connections", "Connections registered", Gauge::default()),
            transitions: m.register("presence_transitions", "Users who came or went", counter_family()),
            revocations: m.register("session_revocations", "Revocations written", Counter::default()),
        }
    }

    pub fn authenticated(&self, result: &'static str) {
        self.authentications.get_or_create(&Outcome { result: Word(result) }).inc();
    }

    pub fn transition(&self, result: &'static str) {
        self.transitions.get_or_create(&Outcome { result: Word(result) }).inc();
    }
}
