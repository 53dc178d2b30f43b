//! The engines that the configuration names, opened for the services of one process.

use std::{sync::Arc, time::Duration};

use posthorn_bus::{Bus, BusMetrics, memory::MemoryBus};
use posthorn_clock::{Clock, sleep};
use posthorn_core::backoff::Backoff;
use posthorn_feed::{Feed, FeedSink, letters::DeadLetters};
use posthorn_nats::{Connection, JetStreamFeed, JetStreamLetters, NatsBus};
use posthorn_presence::{Presence, memory::MemoryPresence};
use posthorn_presence_redis::RedisPresence;
use posthorn_store::Store;
use posthorn_store_cql::CqlStore;
use posthorn_tasks::Tasks;
use posthorn_telemetry::Metrics;

pub use posthorn_nats::NatsConfig;
pub use posthorn_presence_redis::RedisConfig;
pub use posthorn_store_cql::CqlConfig;

use crate::{BusEngine, Engines, NodeConfig, PresenceEngine, Reason, Role, Roles, StartError, StoreEngine};

/// Between two tries of a database that is away or has an old schema, ms.
const FIRST_TRY_MS: u64 = 250;
const LAST_TRY_MS: u64 = 5_000;

/// Opens what the services of this process need. A database that does not let us in yet is waited for, and
/// `reason` says so; NATS and Redis may come later.
///
/// # Errors
/// The configuration cannot be used, or the embedded store cannot be opened.
pub async fn open(
    config: &NodeConfig,
    roles: Roles,
    clock: &Clock,
    metrics: &Metrics,
    reason: &Reason,
) -> Result<Engines, StartError> {
    let tasks = Tasks::new();
    let nats = match config.engines.bus {
        BusEngine::Memory => None,
        BusEngine::Nats => {
            let opened = Connection::open(config.nats.clone(), clock.clone(), metrics, &tasks).await;
            Some(opened.map_err(|why| unusable("nats", &why))?)
        }
    };
    let bus: Arc<dyn Bus> = match &nats {
        Some(connection) => NatsBus::new(connection),
        None => MemoryBus::counted(BusMetrics::new(metrics)),
    };
    let presence: Option<Arc<dyn Presence>> = match config.engines.presence {
        _ if !roles.has(Role::Session) => None,
        PresenceEngine::Memory => Some(MemoryPresence::new()),
        PresenceEngine::Redis => {
            let opened = RedisPresence::open(config.redis.clone(), clock.clone(), metrics, &tasks);
            Some(opened.map_err(|why| unusable("redis", &why))?)
        }
    };
    let engines = match config.engines.store {
        StoreEngine::Embedded if roles.has(Role::Storage) => Engines::on_disk(config, metrics).await?,
        StoreEngine::Embedded => Engines::none(),
        StoreEngine::Cql => {
            let store: Option<Arc<dyn Store>> = match roles.has(Role::Storage) {
                true => Some(database(config, clock, metrics, &tasks, reason).await?),
                false => None,
            };
            let feed = nats.as_ref().filter(|_| roles.has(Role::Storage) || roles.has(Role::Push));
            let feed = feed.map(JetStreamFeed::new);
            let feed_sink = feed.clone().map(|feed| feed as Arc<dyn FeedSink>);
            let letters = nats.as_ref().filter(|_| roles.has(Role::Push)).map(JetStreamLetters::new);
            let letters = letters.map(|letters| Arc::new(letters) as Arc<dyn DeadLetters>);
            Engines { store, feed: feed.map(|feed| feed as Arc<dyn Feed>), feed_sink, letters, ..Engines::none() }
        }
    };
    let alone = config.engines.store == StoreEngine::Embedded && roles == Roles::ALL;
    Ok(Engines { bus, presence, alone, tasks: Some(tasks), ..engines })
}

async fn database(
    config: &NodeConfig,
    clock: &Clock,
    metrics: &Metrics,
    tasks: &Tasks,
    reason: &Reason,
) -> Result<Arc<CqlStore>, StartError> {
    let mut backoff = Backoff::new(FIRST_TRY_MS, LAST_TRY_MS);
    loop {
        match CqlStore::open(&config.cql, clock, metrics, tasks).await {
            Ok(store) => return Ok(store),
            Err(why) if why.may_pass() => {
                tracing::warn!(%why, "waiting for the database");
                reason.set(why.to_string());
                sleep(Duration::from_millis(backoff.next_ms(clock.random()))).await;
            }
            Err(why) => return Err(unusable("cql", &why)),
        }
    }
}

fn unusable(engine: &'static str, why: &dyn std::fmt::Display) -> StartError {
    StartError::Unusable { engine, why: why.to_string() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn every_metric_is_registered_once() {
        let folder = tempfile::tempdir().expect("a folder");
        let mut config = NodeConfig::default();
        config.store.data_dir = folder.path().join("data");
        let metrics = Metrics::default();
        let opened = open(&config, Roles::ALL, &Clock::system(), &metrics, &Reason::default()).await;
        opened.expect("opens").close().await;
        let text = metrics.encode();
        let mut types: Vec<&str> = text.lines().filter(|line| line.starts_with("# TYPE")).collect();
        let all = types.len();
        types.sort_unstable();
        types.dedup();
        assert!(all > 0 && types.len() == all, "{text}");
    }
}
