//! What operators see of sessions.

use posthorn_proto::internal::LeaseState;
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
    pub unknown_lookups: Counter,
    pub unregistered: Counter,
    pub gateways_dropped: Counter,
    pub untold: Counter,
    leases: Family<Outcome, Counter>,
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
            unknown_lookups: m.register(
                "session_unknown_lookups",
                "Lookups that the presence engine did not answer; events went to all gateways",
                Counter::default(),
            ),
            unregistered: m.register(
                "session_unregistered_connects",
                "Connects that the presence engine did not take; their gateways register them again",
                Counter::default(),
            ),
            gateways_dropped: m.register(
                "session_gateways_dropped",
                "Gateways whose lease ended and whose connections were dropped",
                Counter::default(),
            ),
            untold: m.register(
                "session_untold_presence",
                "Users whose coming or going a sweep told: whoever had to ended, or the engine did not answer",
                Counter::default(),
            ),
            leases: m.register(
                "session_leases_not_kept",
                "Renewals that found no lease (lost) or other connections than the gateway's (differs)",
                counter_family(),
            ),
        }
    }

    pub fn authenticated(&self, result: &'static str) {
        self.authentications.get_or_create(&Outcome { result: Word(result) }).inc();
    }

    pub fn device(&self, result: &'static str) {
        self.devices.get_or_create(&Outcome { result: Word(result) }).inc();
    }

    pub fn lease(&self, state: LeaseState) {
        let result = if state == LeaseState::Lost { "lost" } else { "differs" };
        self.leases.get_or_create(&Outcome { result: Word(result) }).inc();
    }

    pub fn transition(&self, result: &'static str) {
        self.transitions.get_or_create(&Outcome { result: Word(result) }).inc();
    }
}
