//! The bus of one process: bounded queues, and what does not fit is dropped and reported.

use std::{collections::HashMap, sync::Arc};

use async_trait::async_trait;
use bytes::Bytes;
use parking_lot::Mutex;

use crate::{
    Bus, BusError, BusMetrics, Delivery, Subscription, check_subject,
    queue::{Bounds, Queue},
};

/// Messages that may wait for one subscriber.
pub const MAX_QUEUED_MESSAGES: usize = 16_384;
/// Bytes that may wait for one subscriber.
pub const MAX_QUEUED_BYTES: usize = 64 * 1024 * 1024;

type Subjects = Mutex<HashMap<String, Vec<Arc<Queue>>>>;

#[derive(Default)]
pub struct MemoryBus {
    subjects: Arc<Subjects>,
    metrics: BusMetrics,
}

impl MemoryBus {
    #[must_use]
    pub fn new() -> Arc<Self> {
        Arc::new(Self::default())
    }

    /// One whose queues are counted.
    #[must_use]
    pub fn counted(metrics: BusMetrics) -> Arc<Self> {
        Arc::new(Self { metrics, ..Self::default() })
    }
}

#[async_trait]
impl Bus for MemoryBus {
    fn driver(&self) -> &'static str {
        "memory"
    }

    async fn publish(&self, subject: &str, message: Bytes) -> Result<(), BusError> {
        check_subject(subject)?;
        if let Some(queues) = self.subjects.lock().get(subject) {
            for queue in queues {
                let bytes = message.len();
                match queue.push(message.clone()) {
                    Ok(()) => self.metrics.queued(bytes),
                    Err(why) => self.metrics.dropped(why, 1),
                }
            }
        }
        Ok(())
    }

    async fn subscribe(&self, subject: &str) -> Result<Box<dyn Subscription>, BusError> {
        check_subject(subject)?;
        let bounds = Bounds { max_messages: MAX_QUEUED_MESSAGES, max_bytes: MAX_QUEUED_BYTES };
        let queue = Arc::new(Queue::new(bounds));
        self.subjects.lock().entry(subject.to_owned()).or_default().push(Arc::clone(&queue));
        let subjects = Arc::clone(&self.subjects);
        Ok(Box::new(MemorySubscription { subjects, subject: subject.to_owned(), queue, metrics: self.metrics.clone() }))
    }
}

struct MemorySubscription {
    subjects: Arc<Subjects>,
    subject: String,
    queue: Arc<Queue>,
    metrics: BusMetrics,
}

impl Drop for MemorySubscription {
    fn drop(&mut self) {
        let mut subjects = self.subjects.lock();
        if let Some(queues) = subjects.get_mut(&self.subject) {
            queues.retain(|queue| !Arc::ptr_eq(queue, &self.queue));
            if queues.is_empty() {
                subjects.remove(&self.subject);
            }
        }
        drop(subjects);
        let (messages, bytes) = self.queue.close();
        self.metrics.gone(messages, bytes);
    }
}

#[async_trait]
impl Subscription for MemorySubscription {
    async fn next(&mut self) -> Option<Delivery> {
        let delivery = self.queue.next().await;
        if let Some(Delivery::Message(message)) = &delivery {
            self.metrics.gone(1, message.len());
        }
        delivery
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn the_memory_bus_conforms() {
        crate::conformance::run(MemoryBus::new()).await;
    }

    #[tokio::test]
    async fn a_subscriber_that_does_not_read_is_told_how_many_it_missed() {
        let bus = MemoryBus::new();
        let mut slow = bus.subscribe("s").await.expect("a subscription");
        for n in 0..MAX_QUEUED_MESSAGES + 3 {
            bus.publish("s", Bytes::from(n.to_string())).await.expect("published");
        }
        for n in 0..MAX_QUEUED_MESSAGES {
            assert_eq!(slow.next().await, Some(Delivery::Message(n.to_string().into())));
        }
        assert_eq!(slow.next().await, Some(Delivery::Dropped(3)));
        bus.publish("s", Bytes::from_static(b"again")).await.expect("published");
        assert_eq!(slow.next().await, Some(Delivery::Message(Bytes::from_static(b"again"))));
    }

    #[tokio::test]
    async fn a_subject_that_nobody_listens_to_is_forgotten() {
        let bus = MemoryBus::new();
        let (one, other) = (bus.subscribe("s").await.expect("one"), bus.subscribe("s").await.expect("another"));
        drop(one);
        assert_eq!(bus.subjects.lock()["s"].len(), 1);
        drop(other);
        assert!(bus.subjects.lock().is_empty());
    }

    #[tokio::test]
    async fn what_waits_and_what_was_dropped_is_counted_by_reason() {
        let metrics = posthorn_telemetry::Metrics::default();
        let bus = MemoryBus::counted(BusMetrics::new(&metrics));
        let check = |expected: [&str; 2]| {
            let text = metrics.encode();
            for line in expected {
                assert!(text.contains(&format!("posthorn_bus_{line}\n")), "{line} is not in\n{text}");
            }
        };
        let mut few = bus.subscribe("few").await.expect("a subscription");
        let mut large = bus.subscribe("large").await.expect("a subscription");
        for _ in 0..MAX_QUEUED_MESSAGES + 2 {
            bus.publish("few", Bytes::from_static(b"12")).await.expect("published");
        }
        check([r#"dropped_total{reason="queued_messages"} 2"#, &format!("queued_messages {MAX_QUEUED_MESSAGES}")]);
        check([&format!("queued_bytes {}", 2 * MAX_QUEUED_MESSAGES), "queued_messages 16384"]);
        few.next().await.expect("a message");
        bus.publish("large", Bytes::from(vec![0; MAX_QUEUED_BYTES])).await.expect("published");
        bus.publish("large", Bytes::from_static(b"1")).await.expect("published");
        check([r#"dropped_total{reason="queued_bytes"} 1"#, "queued_messages 16384"]);
        large.next().await.expect("a message");
        drop(few);
        // Nobody wants it any more: neither queued nor dropped.
        bus.publish("few", Bytes::from_static(b"12")).await.expect("published");
        check(["queued_messages 0", "queued_bytes 0"]);
    }
}
