//! The bus of one process: bounded queues, and what does not fit is dropped and reported.

use std::{collections::HashMap, collections::VecDeque, sync::Arc};

use async_trait::async_trait;
use bytes::Bytes;
use parking_lot::Mutex;
use tokio::sync::Notify;

use crate::{Bus, BusError, Delivery, Subscription};

/// Messages that may wait for one subscriber.
pub const MAX_QUEUED_MESSAGES: usize = 16_384;
/// Bytes that may wait for one subscriber.
pub const MAX_QUEUED_BYTES: usize = 64 * 1024 * 1024;

#[derive(Default)]
pub struct MemoryBus {
    subjects: Mutex<HashMap<String, Vec<Arc<Queue>>>>,
}

#[derive(Default)]
struct Queue {
    state: Mutex<State>,
    arrived: Notify,
}

#[derive(Default)]
struct State {
    deliveries: VecDeque<Delivery>,
    bytes: usize,
    closed: bool,
}

impl MemoryBus {
    #[must_use]
    pub fn new() -> Arc<Self> {
        Arc::new(Self::default())
    }
}

impl Queue {
    fn push(&self, message: Bytes) {
        let mut state = self.state.lock();
        let fits = state.deliveries.len() < MAX_QUEUED_MESSAGES && state.bytes + message.len() <= MAX_QUEUED_BYTES;
        if fits {
            state.bytes += message.len();
            state.deliveries.push_back(Delivery::Message(message));
        } else if let Some(Delivery::Dropped(count)) = state.deliveries.back_mut() {
            *count += 1;
        } else {
            state.deliveries.push_back(Delivery::Dropped(1));
        }
        drop(state);
        self.arrived.notify_one();
    }

    fn pop(&self) -> Option<Delivery> {
        let mut state = self.state.lock();
        let delivery = state.deliveries.pop_front()?;
        if let Delivery::Message(message) = &delivery {
            state.bytes -= message.len();
        }
        Some(delivery)
    }
}

#[async_trait]
impl Bus for MemoryBus {
    fn driver(&self) -> &'static str {
        "memory"
    }

    async fn publish(&self, subject: &str, message: Bytes) -> Result<(), BusError> {
        let mut subjects = self.subjects.lock();
        if let Some(queues) = subjects.get_mut(subject) {
            queues.retain(|queue| !queue.state.lock().closed);
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
        let queue = Arc::new(Queue::default());
        self.subjects.lock().entry(subject.to_owned()).or_default().push(Arc::clone(&queue));
        Ok(Box::new(MemorySubscription(queue)))
    }
}

struct MemorySubscription(Arc<Queue>);

impl Drop for MemorySubscription {
    fn drop(&mut self) {
        let mut state = self.0.state.lock();
        state.closed = true;
        state.deliveries.clear();
    }
}

#[async_trait]
impl Subscription for MemorySubscription {
    async fn next(&mut self) -> Option<Delivery> {
        loop {
            if let Some(delivery) = self.0.pop() {
                return Some(delivery);
            }
            // A push between the pop and here has left its permit.
            self.0.arrived.notified().await;
        }
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
