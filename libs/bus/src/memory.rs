//! The bus of one process: bounded queues, and what does not fit is dropped and reported.

use std::{collections::HashMap, sync::Arc};

use async_trait::async_trait;
use bytes::Bytes;
use parking_lot::Mutex;

use crate::{
    Bus, BusError, Delivery, Subscription, check_subject,
    queue::{Bounds, Queue},
};

/// Messages that may wait for one subscriber.
pub const MAX_QUEUED_MESSAGES: usize = 16_384;
/// Bytes that may wait for one subscriber.
pub const MAX_QUEUED_BYTES: usize = 64 * 1024 * 1024;

#[derive(Default)]
pub struct MemoryBus {
    subjects: Mutex<HashMap<String, Vec<Arc<Queue>>>>,
}

impl MemoryBus {
    #[must_use]
    pub fn new() -> Arc<Self> {
        Arc::new(Self::default())
    }
}

#[async_trait]
impl Bus for MemoryBus {
    fn driver(&self) -> &'static str {
        "memory"
    }

    async fn publish(&self, subject: &str, message: Bytes) -> Result<(), BusError> {
        check_subject(subject)?;
        let mut subjects = self.subjects.lock();
        if let Some(queues) = subjects.get_mut(subject) {
            queues.retain(|queue| !queue.is_closed());
            for queue in queues.iter() {
                queue.push(message.clone());
            }
            if queues.is_empty() {
                subjects.remove(subject);
            }
        }
        Ok(())
    }

    async fn subscribe(&self, subject: &str) -> Result<Box<dyn Subscription>, BusError> {
        check_subject(subject)?;
        let bounds = Bounds { max_messages: MAX_QUEUED_MESSAGES, max_bytes: MAX_QUEUED_BYTES };
        let queue = Arc::new(Queue::new(bounds));
        self.subjects.lock().entry(subject.to_owned()).or_default().push(Arc::clone(&queue));
        Ok(Box::new(MemorySubscription(queue)))
    }
}

struct MemorySubscription(Arc<Queue>);

impl Drop for MemorySubscription {
    fn drop(&mut self) {
        self.0.close();
    }
}

#[async_trait]
impl Subscription for MemorySubscription {
    async fn next(&mut self) -> Option<Delivery> {
        self.0.next().await
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
}
