//! What waits for one subscriber: bounded in messages and bytes; what does not fit is dropped and
//! counted in its place.

use std::collections::VecDeque;

use bytes::Bytes;
use parking_lot::Mutex;
use tokio::sync::Notify;

use crate::{Delivery, Dropped};

/// Of one subscription.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Bounds {
    pub max_messages: usize,
    pub max_bytes: usize,
}

/// Deliveries between whoever receives and one subscriber.
#[derive(Debug)]
pub struct Queue {
    bounds: Bounds,
    state: Mutex<State>,
    arrived: Notify,
}

#[derive(Debug, Default)]
struct State {
    deliveries: VecDeque<Delivery>,
    messages: usize,
    bytes: usize,
    ended: bool,
}

impl Queue {
    #[must_use]
    pub fn new(bounds: Bounds) -> Self {
        Self { bounds, state: Mutex::default(), arrived: Notify::new() }
    }

    /// Errors: it was dropped for this reason, and the subscriber is told.
    pub fn push(&self, message: Bytes) -> Result<(), Dropped> {
        let mut state = self.state.lock();
        let pushed = if state.messages >= self.bounds.max_messages {
            Err(Dropped::QueuedMessages)
        } else if state.bytes + message.len() > self.bounds.max_bytes {
            Err(Dropped::QueuedBytes)
        } else {
            Ok(())
        };
        if pushed.is_ok() {
            state.messages += 1;
            state.bytes += message.len();
            state.deliveries.push_back(Delivery::Message(message));
        } else {
            state.dropped(1);
        }
        drop(state);
        self.arrived.notify_one();
        pushed
    }

    /// At least `count` messages are missing here.
    pub fn lost(&self, count: u64) {
        self.state.lock().dropped(count);
        self.arrived.notify_one();
    }

    /// Nothing comes any more; what waits is still delivered.
    pub fn end(&self) {
        self.state.lock().ended = true;
        self.arrived.notify_one();
    }

    /// Nobody reads any more. Hands back the messages and bytes that waited.
    pub fn close(&self) -> (usize, usize) {
        let mut state = self.state.lock();
        state.deliveries.clear();
        (std::mem::take(&mut state.messages), std::mem::take(&mut state.bytes))
    }

    /// The next delivery; `None` after the end. Cancel-safe; for one reader.
    pub async fn next(&self) -> Option<Delivery> {
        loop {
            {
                let mut state = self.state.lock();
                if let Some(delivery) = state.pop() {
                    return Some(delivery);
                }
                if state.ended {
                    return None;
                }
            }
            // A push between the pop and here has left its permit.
            self.arrived.notified().await;
        }
    }
}

impl State {
    fn dropped(&mut self, dropped: u64) {
        if let Some(Delivery::Dropped(count)) = self.deliveries.back_mut() {
            *count += dropped;
        } else {
            self.deliveries.push_back(Delivery::Dropped(dropped));
        }
    }

    fn pop(&mut self) -> Option<Delivery> {
        let delivery = self.deliveries.pop_front()?;
        if let Delivery::Message(message) = &delivery {
            self.messages -= 1;
            self.bytes -= message.len();
        }
        Some(delivery)
    }
}
