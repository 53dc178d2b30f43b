//! One registry per node. Names follow the Prometheus rules: `_total`, `_seconds`, `_bytes`, base
//! units. Labels are bounded sets only: never a user, a conversation or a device.

use std::sync::Arc;

use parking_lot::Mutex;
use prometheus_client::{
    encoding::{EncodeLabelSet, EncodeLabelValue, text},
    metrics::{counter::Counter, family::Family, gauge::Gauge, histogram::Histogram},
    registry::{Metric, Registry},
};

/// The media type of [`Metrics::encode`].
pub const OPENMETRICS: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// The node's registry; every name is prefixed with `posthorn_`. Cheap to clone.
#[derive(Clone)]
pub struct Metrics(Arc<Mutex<Registry>>);

impl Default for Metrics {
    fn default() -> Self {
        Self(Arc::new(Mutex::new(Registry::with_prefix("posthorn"))))
    }
}

impl Metrics {
    /// Registers `metric` under `posthorn_{name}` and hands it back. Counters: leave `_total` off the
    /// name, the format adds it.
    pub fn register<M: Metric + Clone>(&self, name: &str, help: &str, metric: M) -> M {
        self.0.lock().register(name, help, metric.clone());
        metric
    }

    /// The OpenMetrics text of `/metrics`.
    #[must_use]
    pub fn encode(&self) -> String {
        let mut out = String::new();
        // Writing to a string cannot fail.
        let _ = text::encode(&mut out, &self.0.lock());
        out
    }
}

/// From 50 us to 26 s, doubling.
pub fn latency_buckets() -> impl Iterator<Item = f64> {
    prometheus_client::metrics::histogram::exponential_buckets(0.000_05, 2.0, 20)
}

#[must_use]
pub fn gauge() -> Gauge {
    Gauge::default()
}

#[must_use]
pub fn histogram() -> Histogram {
    Histogram::new(latency_buckets())
}

/// A counter per label set.
#[must_use]
pub fn counter_family<L>() -> Family<L, Counter>
where
    L: Clone + std::hash::Hash + Eq + EncodeLabelSet,
{
    Family::default()
}

/// A latency histogram per label set.
#[must_use]
pub fn histogram_family<L>() -> Family<L, Histogram>
where
    L: Clone + std::hash::Hash + Eq + EncodeLabelSet,
{
    Family::new_with_constructor(histogram)
}

/// A label value that is a word of the code.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Word(pub &'static str);

impl EncodeLabelValue for Word {
    fn encode(&self, encoder: &mut prometheus_client::encoding::LabelValueEncoder<'_>) -> Result<(), std::fmt::Error> {
        EncodeLabelValue::encode(&self.0, encoder)
    }
}
