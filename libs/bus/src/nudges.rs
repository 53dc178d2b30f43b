//! A subject whose messages say only that something changed.

use std::{sync::Arc, time::Duration};

use posthorn_clock::sleep;

use crate::{Bus, Subscription};

/// Between tries to subscribe.
const AGAIN: Duration = Duration::from_secs(1);

/// One listener. What it misses costs time, nothing else.
pub struct Nudges {
    bus: Arc<dyn Bus>,
    subject: &'static str,
    subscription: Option<Box<dyn Subscription>>,
}

impl Nudges {
    #[must_use]
    pub fn new(bus: Arc<dyn Bus>, subject: &'static str) -> Self {
        Self { bus, subject, subscription: None }
    }

    /// Returns with the next nudge, or with one that may have been missed. Where the bus takes no
    /// subscription it goes on trying: callers look at intervals as well. Cancel-safe.
    pub async fn next(&mut self) {
        let Some(subscription) = &mut self.subscription else {
            loop {
                match self.bus.subscribe(self.subject).await {
                    Ok(subscription) => self.subscription = Some(subscription),
                    Err(_) => sleep(AGAIN).await,
                }
                if self.subscription.is_some() {
                    return;
                }
            }
        };
        if subscription.next().await.is_none() {
            self.subscription = None;
        }
    }
}
