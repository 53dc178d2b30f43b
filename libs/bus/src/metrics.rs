//! What operators see of a bus: the same names whatever driver carries it.

use posthorn_telemetry::{Metrics, Word, counter_family};
use prometheus_client::{
    encoding::EncodeLabelSet,
    metrics::{counter::Counter, family::Family, gauge::Gauge},
};

/// Why a message did not reach a subscription.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Dropped {
    /// Its queue held as many messages as it may.
    QueuedMessages,
    /// Its queue held as many bytes as it may.
    QueuedBytes,
}

impl Dropped {
    const fn word(self) -> Word {
        Word(match self {
            Self::QueuedMessages => "queued_messages",
            Self::QueuedBytes => "queued_bytes",
        })
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Reason {
    reason: Word,
}

/// The counts of one bus, over all of its subscriptions. Cheap to clone; the default is seen by nobody.
#[derive(Clone, Default)]
pub struct BusMetrics {
    queued_messages: Gauge,
    queued_bytes: Gauge,
    dropped: Family<Reason, Counter>,
}

impl BusMetrics {
    #[must_use]
    pub fn new(metrics: &Metrics) -> Self {
        let gauge = |name, help| metrics.register(name, help, Gauge::default());
        Self {
            queued_messages: gauge("bus_queued_messages", "Messages that wait for their subscribers"),
            queued_bytes: gauge("bus_queued_bytes", "Bytes of the messages that wait for their subscribers"),
            dropped: metrics.register(
                "bus_dropped",
                "Messages that did not reach a subscription, by reason; who listens is told and reads the log",
                counter_family(),
            ),
        }
    }

    /// A message of so many bytes waits for a subscriber.
    pub fn queued(&self, bytes: usize) {
        self.queued_messages.inc();
        self.queued_bytes.inc_by(signed(bytes));
    }

    /// So many messages, of so many bytes together, wait no longer: they were taken, or nobody wants
    /// them any more.
    pub fn gone(&self, messages: usize, bytes: usize) {
        self.queued_messages.dec_by(signed(messages));
        self.queued_bytes.dec_by(signed(bytes));
    }

    pub fn dropped(&self, why: Dropped, messages: u64) {
        self.dropped.get_or_create(&Reason { reason: why.word() }).inc_by(messages);
    }
}

fn signed(count: usize) -> i64 {
    i64::try_from(count).unwrap_or(i64::MAX)
}
