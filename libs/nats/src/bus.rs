//! The bus on core NATS.

use std::{sync::Arc, time::Duration};

use async_nats::{PublishErrorKind, Subscriber};
use async_trait::async_trait;
use bytes::Bytes;
use futures_util::StreamExt;
use posthorn_bus::{
    Bus, BusError, Delivery, Subscription, check_subject,
    queue::{Bounds, Queue},
};
use posthorn_clock::timeout;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use crate::{
    Connection,
    connection::{Away, Link},
    metrics::NatsMetrics,
};

/// What is missing, at least, where nobody knows.
const UNKNOWN: u64 = 1;

pub struct NatsBus(Connection);

impl NatsBus {
    #[must_use]
    pub fn new(connection: &Connection) -> Arc<Self> {
        Arc::new(Self(connection.clone()))
    }

    fn subject(&self, subject: &str) -> Result<String, BusError> {
        check_subject(subject)?;
        Ok(format!("{}.bus.{subject}", self.0.0.config.prefix))
    }

    async fn send(&self, subject: String, message: Bytes) -> Result<(), (&'static str, BusError)> {
        let inner = &self.0.0;
        self.0.require().map_err(|away| ("disconnected", away.into()))?;
        let (bytes, room) = (message.len(), Duration::from_millis(inner.config.publish_timeout_ms));
        inner.metrics.publishes_waiting.inc();
        let sent = timeout(room, inner.client.publish(subject, message)).await;
        inner.metrics.publishes_waiting.dec();
        match sent {
            Ok(Ok(())) => Ok(()),
            Ok(Err(error)) if error.kind() == PublishErrorKind::MaxPayloadExceeded => {
                Err(("too_large", BusError::TooLarge { bytes, max: inner.client.max_payload() }))
            }
            Ok(Err(error)) => Err(("failed", BusError::Unavailable(error.to_string()))),
            Err(_) => Err(("full", BusError::Unavailable("too many messages wait to go out".to_owned()))),
        }
    }
}

impl From<Away> for BusError {
    fn from(away: Away) -> Self {
        Self::Unavailable(away.to_string())
    }
}

#[async_trait]
impl Bus for NatsBus {
    fn driver(&self) -> &'static str {
        "nats"
    }

    async fn publish(&self, subject: &str, message: Bytes) -> Result<(), BusError> {
        let metrics = &self.0.0.metrics;
        match self.send(self.subject(subject)?, message).await {
            Ok(()) => {
                metrics.published.inc();
                Ok(())
            }
            Err((reason, error)) => {
                metrics.refused(reason);
                Err(error)
            }
        }
    }

    async fn subscribe(&self, subject: &str) -> Result<Box<dyn Subscription>, BusError> {
        let link = self.0.link();
        let overflows = link.borrow().overflows;
        let (subscriber, epoch) = self.0.subscribe(self.subject(subject)?).await?;
        let config = &self.0.0.config;
        let bounds =
            Bounds { max_messages: config.max_subscription_messages, max_bytes: config.max_subscription_bytes };
        let (queue, ended) = (Arc::new(Queue::new(bounds)), CancellationToken::new());
        let pump = Pump {
            subscriber,
            link,
            queue: Arc::clone(&queue),
            epoch,
            overflows,
            ended: ended.clone(),
            metrics: self.0.0.metrics.clone(),
        };
        self.0.0.tasks.background("nats subscription", pump.run());
        Ok(Box::new(NatsSubscription { queue, ended, metrics: self.0.0.metrics.clone() }))
    }
}

/// From the library's queue, which drops without a count, to ours: nothing is in its way there.
struct Pump {
    subscriber: Subscriber,
    link: watch::Receiver<Link>,
    queue: Arc<Queue>,
    /// The connection in which it was subscribed, or that it was told of.
    epoch: u64,
    overflows: u64,
    ended: CancellationToken,
    metrics: NatsMetrics,
}

impl Pump {
    async fn run(mut self) {
        loop {
            tokio::select! {
                biased;
                () = self.ended.cancelled() => return,
                changed = self.link.changed() => match changed {
                    Ok(()) => self.look(),
                    Err(_) => break,
                },
                message = self.subscriber.next() => match message {
                    Some(message) => self.push(message.payload),
                    None => break,
                },
            }
        }
        self.queue.end();
    }

    fn push(&self, message: Bytes) {
        let bytes = i64::try_from(message.len()).unwrap_or(i64::MAX);
        // Counted before it can be taken.
        self.metrics.queued_messages.inc();
        self.metrics.queued_bytes.inc_by(bytes);
        if self.queue.push(message).is_err() {
            self.metrics.queued_messages.dec();
            self.metrics.queued_bytes.dec_by(bytes);
            self.metrics.dropped("slow_subscriber", 1);
        }
    }

    fn look(&mut self) {
        let now = *self.link.borrow_and_update();
        if now.epoch > self.epoch {
            self.epoch = now.epoch;
            self.lost("reconnect");
        }
        if now.overflows > self.overflows {
            self.overflows = now.overflows;
            self.lost("overflow");
        }
    }

    fn lost(&self, reason: &'static str) {
        self.queue.lost(UNKNOWN);
        self.metrics.dropped(reason, UNKNOWN);
    }
}

struct NatsSubscription {
    queue: Arc<Queue>,
    ended: CancellationToken,
    metrics: NatsMetrics,
}

#[async_trait]
impl Subscription for NatsSubscription {
    async fn next(&mut self) -> Option<Delivery> {
        let delivery = self.queue.next().await;
        if let Some(Delivery::Message(message)) = &delivery {
            self.metrics.queued_messages.dec();
            self.metrics.queued_bytes.dec_by(i64::try_from(message.len()).unwrap_or(i64::MAX));
        }
        delivery
    }
}

impl Drop for NatsSubscription {
    fn drop(&mut self) {
        self.ended.cancel();
        let (messages, bytes) = self.queue.close();
        self.metrics.queued_messages.dec_by(i64::try_from(messages).unwrap_or(i64::MAX));
        self.metrics.queued_bytes.dec_by(i64::try_from(bytes).unwrap_or(i64::MAX));
    }
}
