//! One gateway incarnation: the clients of the services below, and its live connections.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use parking_lot::Mutex;
use posthorn_bus::Bus;
use posthorn_clock::{Clock, Instant};
use posthorn_rpc::{PushClient, RoutingClient, SessionClient, StorageClient};
use posthorn_tasks::Tasks;
use posthorn_telemetry::Metrics;
use tokio::sync::{Notify, watch};

use crate::{
    GatewayConfig,
    admission::Admission,
    drain::Drain,
    live::{
        Following, Links, Registry,
        asking::ask_for_what_is_missing,
        following::follow_conversations,
        subscriber::{Subject, follow},
        told::Told,
    },
    metrics::EdgeMetrics,
    presence::{self, Line},
};

/// How long a generation read from the store is taken as the present one, ms.
const GENERATION_FRESH_MS: u64 = 5_000;

/// What a gateway is made of.
pub struct GatewayDeps {
    pub config: GatewayConfig,
    pub routing: RoutingClient,
    pub session: SessionClient,
    pub storage: StorageClient,
    /// For the operator alone.
    pub push: PushClient,
    pub bus: Arc<dyn Bus>,
    pub clock: Clock,
    pub metrics: Metrics,
    pub tasks: Tasks,
}

pub struct Gateway {
    pub(crate) deps: GatewayDeps,
    /// This incarnation: the subject of its publications is `gateway.<incarnation>`.
    pub(crate) incarnation: String,
    pub(crate) registry: Registry,
    /// Up to where conversations were told to connections.
    pub(crate) told: Mutex<Told>,
    pub(crate) admission: Admission,
    /// Connections for which is to be asked whom they may watch.
    pub(crate) line: Line,
    pub(crate) metrics: EdgeMetrics,
    /// What it has of each publisher.
    pub(crate) links: Mutex<Links>,
    /// The large conversations of its users.
    pub(crate) following: Following,
    /// Woken when publications are missing.
    pub(crate) missing: Notify,
    pub(crate) drain: Drain,
    /// Sockets without an authenticated `connect`, and all sockets.
    unauthenticated: AtomicU64,
    sockets: AtomicU64,
    /// Whether the own subject and that of all gateways are subscribed; `None` while that is tried at first.
    subscribed: watch::Sender<[Option<bool>; 2]>,
    /// Whether the last renewal of the lease was answered; `None` before the first.
    lease: watch::Sender<Option<bool>>,
    /// Up to then lookups find all connections that they may; `None` while it is not known that they do.
    leased_until: Mutex<Option<Instant>>,
    generation: Mutex<Option<(u64, Instant)>>,
}

/// What `/readyz` tells.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Readiness {
    /// New clients may be sent here.
    pub ready: bool,
    /// Parts that do not work as they should; the gateway may be ready all the same.
    pub degraded: Vec<&'static str>,
}

impl Gateway {
    /// Subscribes to the bus, in the background, and begins to take connections: they wait for that.
    pub fn new(deps: GatewayDeps) -> Arc<Self> {
        let incarnation = deps.clock.uuid_v4().simple().to_string();
        let links = Links::new(&incarnation, deps.config.max_held_publications, Instant::now());
        let metrics = EdgeMetrics::new(&deps.metrics);
        let gateway = Arc::new(Self {
            incarnation,
            registry: Registry::default(),
            told: Mutex::new(Told::new(deps.config.max_told_conversations)),
            admission: Admission::new(&deps.config),
            line: Line::new(metrics.presence_checks_waiting.clone()),
            metrics,
            links: Mutex::new(links),
            following: Following::new(&deps.config),
            missing: Notify::new(),
            drain: Drain::default(),
            unauthenticated: AtomicU64::new(0),
            sockets: AtomicU64::new(0),
            subscribed: watch::Sender::new([None, None]),
            lease: watch::Sender::new(None),
            leased_until: Mutex::new(None),
            generation: Mutex::new(None),
            deps,
        });
        let tasks = gateway.deps.tasks.clone();
        tasks.critical("gateway events", follow(gateway.clone(), Subject::Own));
        tasks.critical("gateway cuts", follow(gateway.clone(), Subject::All));
        tasks.critical("gateway questions", ask_for_what_is_missing(gateway.clone()));
        tasks.critical("large conversations", follow_conversations(gateway.clone()));
        tasks.critical("presence checks", presence::check_in_turn(gateway.clone()));
        tasks.critical("gateway lease", crate::lease::hold(gateway.clone()));
        tasks.background("gateway stop", crate::drain::end_when_stopping(gateway.clone()));
        gateway
    }

    /// Under which connections are registered.
    #[must_use]
    pub fn incarnation(&self) -> &str {
        &self.incarnation
    }

    /// Authenticated connections at this moment.
    #[must_use]
    pub fn connections(&self) -> u64 {
        self.registry.len()
    }

    #[must_use]
    pub fn config(&self) -> &GatewayConfig {
        &self.deps.config
    }

    #[must_use]
    pub fn clock(&self) -> &Clock {
        &self.deps.clock
    }

    /// Whether new clients may come, and what does not work. Asks no other process.
    #[must_use]
    pub fn ready(&self) -> Readiness {
        let subscribed = *self.subscribed.borrow();
        let mut degraded = Vec::new();
        if subscribed.contains(&None) {
            degraded.push("bus");
        }
        if self.is_draining() {
            degraded.push("draining");
        }
        if self.sockets.load(Ordering::Relaxed) >= self.config().max_connections {
            degraded.push("connections");
        }
        let ready = degraded.is_empty();
        if *self.lease.borrow() == Some(false) {
            // Clients are served all the same: events go to all gateways.
            degraded.push("presence");
        }
        let unheard = self.is_unsubscribed() || self.links.lock().silent(Instant::now()) > 0;
        if unheard && !degraded.contains(&"bus") {
            // Events are asked for.
            degraded.push("bus");
        }
        Readiness { ready, degraded }
    }

    pub(crate) fn subscribed(&self, subject: Subject, is: bool) {
        self.subscribed.send_modify(|[own, all]| match subject {
            Subject::Own => *own = Some(is),
            Subject::All => *all = Some(is),
        });
    }

    /// The bus does not take a subscription: what is published has to be asked for.
    pub(crate) fn is_unsubscribed(&self) -> bool {
        self.subscribed.borrow().contains(&Some(false))
    }

    pub(crate) fn leased(&self, renewed: bool) {
        self.lease.send_replace(Some(renewed));
    }

    pub(crate) fn leased_until(&self, ends: Option<Instant>) {
        *self.leased_until.lock() = ends;
    }

    /// Whether a lookup of so long ago may have left connections out.
    pub(crate) fn left_out(&self, ago: Duration) -> bool {
        self.leased_until.lock().is_none_or(|ends| Instant::now().saturating_duration_since(ends) > ago)
    }

    /// Returns once events reach this gateway, or are asked for because the bus is away, and lookups find it if they
    /// find anybody: nobody is registered before.
    pub(crate) async fn when_reachable(&self) {
        // The senders are ours: they cannot be gone.
        let _ = self.subscribed.subscribe().wait_for(|tried| !tried.contains(&None)).await;
        let _ = self.lease.subscribe().wait_for(Option::is_some).await;
    }

    /// Returns once the lease was renewed.
    #[cfg(test)]
    pub(crate) async fn when_leased(&self) {
        let _ = self.lease.subscribe().wait_for(|renewed| *renewed == Some(true)).await;
    }

    /// Counts a socket for as long as the ticket lives; `None` where one of the bounds is reached.
    pub(crate) fn open_socket(self: &Arc<Self>) -> Result<Ticket, &'static str> {
        if self.sockets.fetch_add(1, Ordering::Relaxed) >= self.config().max_connections {
            self.sockets.fetch_sub(1, Ordering::Relaxed);
            return Err("edge.max_connections");
        }
        if self.unauthenticated.fetch_add(1, Ordering::Relaxed) >= self.config().max_unauthenticated {
            self.unauthenticated.fetch_sub(1, Ordering::Relaxed);
            self.sockets.fetch_sub(1, Ordering::Relaxed);
            return Err("edge.max_unauthenticated");
        }
        self.metrics.unauthenticated.inc();
        Ok(Ticket { gateway: self.clone(), authenticated: false })
    }

    /// The store's generation, as of the last few seconds. Errors: those of the store.
    pub(crate) async fn generation(&self) -> Result<u64, posthorn_errors::Failure> {
        let fresh = |(_, at): &(u64, Instant)| at.elapsed().as_millis() < u128::from(GENERATION_FRESH_MS);
        if let Some((generation, _)) = self.generation.lock().filter(fresh) {
            return Ok(generation);
        }
        let described = self.describe(posthorn_proto::internal::DescribeRequest {}).await?;
        *self.generation.lock() = Some((described.generation, Instant::now()));
        Ok(described.generation)
    }
}

/// A socket that counts towards the bounds.
pub(crate) struct Ticket {
    gateway: Arc<Gateway>,
    authenticated: bool,
}

impl Ticket {
    pub fn authenticated(&mut self) {
        if !self.authenticated {
            self.authenticated = true;
            self.gateway.unauthenticated.fetch_sub(1, Ordering::Relaxed);
            self.gateway.metrics.unauthenticated.dec();
        }
    }
}

impl Drop for Ticket {
    fn drop(&mut self) {
        self.authenticated();
        self.gateway.sockets.fetch_sub(1, Ordering::Relaxed);
    }
}
