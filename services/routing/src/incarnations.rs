//! A routing instance over its incarnations: a random id is active once, and never again after it was
//! fenced (architecture section 4). The process goes on with another one.

use std::{sync::Arc, time::Duration};

use parking_lot::RwLock;
use posthorn_bus::{Bus, Nudges};
use posthorn_clock::{Clock, Instant, sleep, timeout};
use posthorn_errors::{Code, Failure};
use posthorn_rpc::{NUDGE_SUBJECT, RoutingClient, SessionClient, StorageClient};
use posthorn_tasks::Tasks;
use posthorn_telemetry::Metrics;
use tokio_util::sync::CancellationToken;

use crate::{
    RoutingConfig,
    claims::settle_inherited,
    metrics::RoutingMetrics,
    service::{RoutingDeps, RoutingService},
    steward::Steward,
};

/// What an instance is made of.
pub struct InstanceDeps {
    pub config: RoutingConfig,
    pub storage: StorageClient,
    pub session: SessionClient,
    /// The routing tier, this instance included.
    pub peers: RoutingClient,
    pub bus: Arc<dyn Bus>,
    pub clock: Clock,
    pub metrics: Metrics,
    pub tasks: Tasks,
    /// Where other instances reach this one.
    pub address: String,
    /// No other process uses the store: it takes all shards and shares them with nobody.
    pub alone: bool,
}

/// After an incarnation was fenced, or could not be registered: whatever caused it may still be there.
const BACK_OFF_MIN: Duration = Duration::from_millis(200);
const BACK_OFF_MAX: Duration = Duration::from_secs(5);
/// For the tasks of a fenced incarnation: they only find out.
const WIND_UP: Duration = Duration::from_secs(10);

/// One process of the routing tier.
pub struct RoutingInstance {
    deps: RoutingDeps,
    tasks: Tasks,
    alone: bool,
    now: RwLock<Option<Arc<RoutingService>>>,
    leaving: CancellationToken,
    left: CancellationToken,
}

impl RoutingInstance {
    /// Alone, it owns everything when this returns. Otherwise it takes its part in the background, and
    /// waits for the store where that does not answer yet.
    pub async fn start(deps: InstanceDeps) -> Result<Arc<Self>, Failure> {
        let InstanceDeps { config, storage, session, peers, bus, clock, metrics, tasks, address, alone } = deps;
        let metrics = Arc::new(RoutingMetrics::new(&metrics));
        let deps = RoutingDeps { config, storage, session, peers, bus, clock, metrics, address };
        let (leaving, left) = (CancellationToken::new(), CancellationToken::new());
        let instance = Arc::new(Self { deps, tasks, alone, now: RwLock::default(), leaving, left });
        if alone {
            let service = Arc::new(RoutingService::register(&instance.deps, instance.tasks.clone()).await?);
            service.take_all().await?;
            *instance.now.write() = Some(service);
        } else {
            let (live, stopping) = (Arc::clone(&instance), instance.tasks.stopping());
            instance.tasks.critical("incarnations", async move {
                tokio::select! {
                    () = live.live() => stopping.cancelled().await,
                    () = stopping.cancelled() => {}
                }
            });
        }
        Ok(instance)
    }

    /// The present incarnation.
    pub fn now(&self) -> Result<Arc<RoutingService>, Failure> {
        self.now.read().clone().ok_or_else(|| Code::WrongOwner.into())
    }

    /// Whether it takes part: registered, and not fenced.
    #[must_use]
    pub fn ready(&self) -> bool {
        self.now.read().is_some()
    }

    /// Loads and settles what the journals of dead owners named. Call it once the peers answer; where
    /// shards are shared, every claim does that by itself.
    pub async fn settle_inherited(&self) {
        if self.alone
            && let Ok(service) = self.now()
        {
            settle_inherited(&service.core).await;
        }
    }

    /// Hands all shards over to the others, within `budget`. Nothing to do for one that is alone.
    pub async fn leave(&self, budget: Duration) -> bool {
        if self.alone || self.now.read().is_none() {
            return true;
        }
        self.leaving.cancel();
        timeout(budget, self.left.cancelled()).await.is_ok()
    }

    async fn live(&self) {
        let mut back_off = BACK_OFF_MIN;
        while !self.leaving.is_cancelled() {
            let begun = Instant::now();
            if let Err(failure) = self.incarnation().await {
                tracing::warn!(%failure, "this instance cannot be registered yet");
            }
            if begun.elapsed() > BACK_OFF_MAX * 4 {
                back_off = BACK_OFF_MIN;
            }
            let half = u64::try_from(back_off.as_millis() / 2).unwrap_or(u64::MAX);
            sleep(back_off / 2 + Duration::from_millis(self.deps.clock.below(half.max(1)))).await;
            back_off = (back_off * 2).min(BACK_OFF_MAX);
        }
        self.left.cancel();
    }

    /// From registering to being fenced or leaving.
    async fn incarnation(&self) -> Result<(), Failure> {
        let tasks = self.tasks.child();
        let registered = RoutingService::register(&self.deps, tasks.clone()).await;
        let service = Arc::new(registered.inspect_err(|_| tasks.stop())?);
        let core = Arc::clone(&service.core);
        let fenced = core.fenced.clone();
        *self.now.write() = Some(service);
        tracing::info!(instance = core.ownership.instance, address = core.address, "a routing incarnation begins");
        let nudges = Nudges::new(Arc::clone(&core.bus), NUDGE_SUBJECT);
        let steward = Steward::new(Arc::clone(&core), nudges).run(self.leaving.clone());
        tokio::select! {
            () = fenced.cancelled() => {
                core.metrics.fenced.inc();
                tracing::warn!(instance = core.ownership.instance, "this incarnation was fenced: its shards are others'");
            }
            () = steward => {}
        }
        *self.now.write() = None;
        tasks.stop();
        core.metrics.shards.set(0);
        if timeout(WIND_UP, core.conversations.emptied()).await.is_err() {
            tracing::warn!("owners of a fenced incarnation have not ended yet");
        }
        Ok(())
    }

    /// Conversations in memory.
    #[must_use]
    pub fn loaded_conversations(&self) -> usize {
        self.now.read().as_ref().map_or(0, |service| service.loaded_conversations())
    }
}
