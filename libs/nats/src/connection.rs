//! One connection, and the truth about it: whether messages come through now, and when they did not.

mod options;

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use async_nats::{Client, Event, connection::State};
use bytes::Bytes;
use futures_util::StreamExt;
use posthorn_clock::{Clock, Instant, timeout};
use posthorn_tasks::Tasks;
use posthorn_telemetry::Metrics;
use tokio::sync::{Notify, watch};

use crate::{NatsConfig, metrics::NatsMetrics};

/// How often a subscription is begun again because the connection changed under it.
const SUBSCRIBE_TRIES: u32 = 3;

/// What of the configuration cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    #[error("nats.{key}: {why}")]
    Invalid { key: &'static str, why: String },
}

/// Nothing comes through. Tried again, it may.
#[derive(Clone, Debug, thiserror::Error)]
#[error("{0}")]
pub(crate) struct Away(pub &'static str);

/// How it stands.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Link {
    /// Messages come through.
    pub up: bool,
    /// Counts the connections. One is counted here once the servers know every subscription that was there
    /// before: what it missed lies behind.
    pub epoch: u64,
    /// Counts the times that the library had no room for a message of some subscription.
    pub overflows: u64,
}

/// Shared by everything that speaks to NATS. Cheap to clone.
#[derive(Clone)]
pub struct Connection(pub(crate) Arc<Inner>);

pub(crate) struct Inner {
    pub client: Client,
    pub config: NatsConfig,
    pub metrics: NatsMetrics,
    pub tasks: Tasks,
    link: watch::Sender<Link>,
    events: Arc<Events>,
}

/// What the library calls back with.
#[derive(Default)]
struct Events {
    happened: Notify,
    overflows: AtomicU64,
}

impl Connection {
    /// Returns at once: servers that are away are tried until they are there.
    ///
    /// # Errors
    /// The configuration cannot be used.
    pub async fn open(config: NatsConfig, clock: Clock, metrics: &Metrics, tasks: &Tasks) -> Result<Self, OpenError> {
        let events = Arc::new(Events::default());
        let options = options::options(&config, &clock)?;
        let heard = Arc::clone(&events);
        let options = options.event_callback(move |event| {
            heard.heard(&event);
            std::future::ready(())
        });
        let addresses = options::addresses(&config)?;
        let client = options.connect(addresses).await;
        let client = client.map_err(|e| OpenError::Invalid { key: "servers", why: e.to_string() })?;
        let connection = Self(Arc::new(Inner {
            client,
            config,
            metrics: NatsMetrics::new(metrics),
            tasks: tasks.clone(),
            link: watch::Sender::default(),
            events,
        }));
        let watched = connection.clone();
        tasks.critical("nats connection", tasks.until_stopped(async move { watched.watch().await }));
        Ok(connection)
    }

    /// Returns once messages come through.
    pub async fn connected(&self) {
        // The sender lives as long as self.
        let _ = self.link().wait_for(|link| link.up).await;
    }

    /// Whether messages come through, for readiness.
    #[must_use]
    pub fn is_connected(&self) -> bool {
        self.0.client.connection_state() == State::Connected && self.0.link.borrow().up
    }

    pub(crate) fn link(&self) -> watch::Receiver<Link> {
        self.0.link.subscribe()
    }

    pub(crate) fn require(&self) -> Result<(), Away> {
        if self.is_connected() { Ok(()) } else { Err(Away("NATS is not connected")) }
    }

    pub(crate) fn request_timeout(&self) -> Duration {
        Duration::from_millis(self.0.config.request_timeout_ms)
    }

    /// The answer of `asked`, unless the time is up or the connection goes first.
    pub(crate) async fn answered<T>(&self, asked: impl Future<Output = T>) -> Result<T, Away> {
        self.require()?;
        let mut link = self.link();
        tokio::select! {
            biased;
            answer = timeout(self.request_timeout(), asked) => answer.map_err(|_| Away("NATS does not answer")),
            _ = link.wait_for(|link| !link.up) => Err(Away("NATS went away")),
        }
    }

    /// A subscription that the server knows when this returns, and the epoch in which it does.
    pub(crate) async fn subscribe(&self, subject: String) -> Result<(async_nats::Subscriber, u64), Away> {
        for _ in 0..SUBSCRIBE_TRIES {
            self.require()?;
            let epoch = self.connects();
            let subscribed = self.answered(async {
                let subscriber = self.0.client.subscribe(subject.clone()).await.ok()?;
                self.round_trip().await.then_some(subscriber)
            });
            if let Some(subscriber) = subscribed.await?
                && self.connects() == epoch
            {
                return Ok((subscriber, epoch));
            }
        }
        Err(Away("NATS cannot be subscribed to"))
    }

    /// A server handles what one connection sends in order: when a message to ourselves comes back, all that
    /// was sent before it was handled. The library's own flush ends at the socket.
    async fn round_trip(&self) -> bool {
        let client = &self.0.client;
        let inbox = client.new_inbox();
        let Ok(mut subscriber) = client.subscribe(inbox.clone()).await else { return false };
        client.publish(inbox, Bytes::new()).await.is_ok() && subscriber.next().await.is_some()
    }

    /// Connections so far.
    fn connects(&self) -> u64 {
        self.0.client.statistics().connects.load(Ordering::Relaxed)
    }

    async fn watch(&self) {
        let pause = Duration::from_millis(self.0.config.probe_ms.max(1));
        loop {
            let now = self.probe().await;
            self.show(now);
            let _ = timeout(pause, self.0.events.happened.notified()).await;
        }
    }

    async fn probe(&self) -> Link {
        let before = *self.0.link.borrow();
        let overflows = self.0.events.overflows.load(Ordering::Relaxed);
        let away = Link { up: false, overflows, ..before };
        if self.0.client.connection_state() != State::Connected {
            return away;
        }
        let (epoch, begun) = (self.connects(), Instant::now());
        let disconnected = async {
            while self.0.client.connection_state() == State::Connected {
                self.0.events.happened.notified().await;
            }
        };
        let answered = tokio::select! {
            answered = timeout(self.request_timeout(), self.round_trip()) => answered.unwrap_or(false),
            () = disconnected => false,
        };
        if !answered || self.connects() != epoch {
            return away;
        }
        self.0.metrics.round_trip.observe(begun.elapsed().as_secs_f64());
        Link { up: true, epoch, overflows }
    }

    fn show(&self, now: Link) {
        let before = *self.0.link.borrow();
        if now == before {
            return;
        }
        self.0.metrics.connected.set(i64::from(now.up));
        if before.epoch > 0 {
            self.0.metrics.reconnects.inc_by(now.epoch - before.epoch);
        }
        match (before.up, now.up) {
            (true, false) => tracing::warn!("NATS went away"),
            (false, true) => tracing::info!(connection = now.epoch, "NATS is connected"),
            _ => {}
        }
        self.0.link.send_replace(now);
    }
}

impl Events {
    fn heard(&self, event: &Event) {
        match event {
            Event::SlowConsumer(_) => {
                self.overflows.fetch_add(1, Ordering::Relaxed);
            }
            Event::ServerError(error) => tracing::warn!(%error, "NATS complains"),
            Event::ClientError(error) => tracing::debug!(%error, "NATS cannot be reached"),
            Event::LameDuckMode => tracing::info!("a NATS server is about to stop"),
            Event::Connected | Event::Disconnected | Event::Draining | Event::Closed => {}
        }
        self.happened.notify_one();
    }
}
