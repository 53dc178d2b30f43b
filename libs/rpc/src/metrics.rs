//! Durations by service, method and code, from either side of a link.

use std::{collections::HashMap, sync::Arc, time::Duration};

use http::HeaderMap;
use parking_lot::RwLock;
use posthorn_errors::failure_of;
use posthorn_telemetry::{Metrics, Word, counter_family, histogram_family};
use prometheus_client::{
    encoding::EncodeLabelSet,
    metrics::{counter::Counter, family::Family, gauge::Gauge, histogram::Histogram},
};
use tonic::{Code as GrpcCode, Status};

/// Methods told apart per service. A peer can ask for any path; a label set must stay bounded.
const MAX_METHODS: usize = 64;
const OTHER: &str = "other";

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Labels {
    service: Word,
    method: String,
    code: Word,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct ServiceLabel {
    service: Word,
}

type DurationFamily = Family<Labels, Histogram>;

/// The families of one node.
#[derive(Clone)]
pub(crate) struct RpcMetrics {
    client: DurationFamily,
    server: DurationFamily,
    in_flight: Family<ServiceLabel, Gauge>,
    endpoints: Family<ServiceLabel, Gauge>,
    ejected: Family<ServiceLabel, Gauge>,
    shed: Family<ServiceLabel, Counter>,
}

impl RpcMetrics {
    pub(crate) fn new(metrics: &Metrics) -> Self {
        let durations = |name, help| metrics.register(name, help, histogram_family());
        Self {
            client: durations("rpc_client_duration_seconds", "Calls to a service, as their caller sees them"),
            server: durations("rpc_server_duration_seconds", "Requests to a service, as it sees them"),
            in_flight: metrics.register("rpc_in_flight", "Requests that a service works on", Family::default()),
            endpoints: metrics.register("rpc_endpoints", "Processes of a service that are known", Family::default()),
            ejected: metrics.register("rpc_endpoints_ejected", "Of those, left alone for a while", Family::default()),
            shed: metrics.register("rpc_shed", "Requests refused at rpc.max_in_flight", counter_family()),
        }
    }

    pub(crate) fn client(&self, service: &'static str) -> Durations {
        Durations { service: Word(service), family: self.client.clone(), methods: RwLock::default() }
    }

    pub(crate) fn server(&self, service: &'static str) -> Durations {
        Durations { service: Word(service), family: self.server.clone(), methods: RwLock::default() }
    }

    pub(crate) fn in_flight(&self, service: &'static str) -> Gauge {
        self.in_flight.get_or_create_owned(&ServiceLabel { service: Word(service) })
    }

    /// Known, and left alone.
    pub(crate) fn endpoints(&self, service: &'static str) -> (Gauge, Gauge) {
        let label = ServiceLabel { service: Word(service) };
        (self.endpoints.get_or_create_owned(&label), self.ejected.get_or_create_owned(&label))
    }

    pub(crate) fn shed(&self, service: &'static str) -> Counter {
        self.shed.get_or_create_owned(&ServiceLabel { service: Word(service) })
    }
}

/// One service's durations. The success of a known method costs one shared read.
pub(crate) struct Durations {
    service: Word,
    family: DurationFamily,
    methods: RwLock<HashMap<String, Arc<Histogram>>>,
}

impl Durations {
    pub(crate) fn observe(&self, method: &str, code: &'static str, took: Duration) {
        if code == OK {
            self.succeeded(method).observe(took.as_secs_f64());
            return;
        }
        let known = self.methods.read();
        let method = if known.contains_key(method) || known.len() < MAX_METHODS && code != UNIMPLEMENTED {
            method
        } else {
            OTHER
        };
        self.family.get_or_create(&self.labels(method, code)).observe(took.as_secs_f64());
    }

    fn succeeded(&self, method: &str) -> Arc<Histogram> {
        if let Some(histogram) = self.methods.read().get(method) {
            return Arc::clone(histogram);
        }
        let mut methods = self.methods.write();
        let method = if methods.len() < MAX_METHODS { method } else { OTHER };
        let made = || Arc::new(self.family.get_or_create_owned(&self.labels(method, OK)));
        Arc::clone(methods.entry(method.to_owned()).or_insert_with(made))
    }

    fn labels(&self, method: &str, code: &'static str) -> Labels {
        Labels { service: self.service, method: method.to_owned(), code: Word(code) }
    }
}

pub(crate) const OK: &str = "ok";
const UNIMPLEMENTED: &str = "unimplemented";

/// The code of a unary answer, by its headers: a failure comes as headers alone, so an answer
/// without `grpc-status` there succeeded.
pub(crate) fn code_of(headers: &HeaderMap) -> &'static str {
    if !headers.contains_key(Status::GRPC_STATUS) {
        return OK;
    }
    Status::from_header_map(headers).map_or(OK, |status| code_of_status(&status))
}

pub(crate) fn code_of_status(status: &Status) -> &'static str {
    match status.code() {
        GrpcCode::Ok => OK,
        GrpcCode::Unimplemented => UNIMPLEMENTED,
        _ => failure_of(status).code.as_str(),
    }
}

/// The method of a gRPC path, `/package.Service/Method`.
pub(crate) fn method_of(path: &str) -> &str {
    path.rsplit('/').next().unwrap_or(path)
}
