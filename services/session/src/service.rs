//! One session instance.

use std::{
    collections::HashMap,
    sync::{Arc, OnceLock, atomic::AtomicUsize},
};

use aws_lc_rs::hmac;
use parking_lot::Mutex;
use posthorn_bus::Bus;
use posthorn_clock::Clock;
use posthorn_core::{TenantId, UserId, UserKey};
use posthorn_errors::Failure;
use posthorn_presence::Presence;
use posthorn_rpc::StorageClient;
use posthorn_tasks::Tasks;
use posthorn_telemetry::Metrics;

use crate::{
    SessionConfig,
    connections::tell_what_others_did_not,
    devices::Remembered,
    error::bad_id,
    gateways::sweep,
    keys::Keys,
    metrics::SessionMetrics,
    publishing::{Numbers, beat},
    records::Records,
    resume::load_key,
};

/// Users whose watchers can be told at the same time.
pub(crate) const TELLERS: usize = 32;

/// What an instance is made of.
pub struct SessionDeps {
    pub config: SessionConfig,
    pub storage: StorageClient,
    pub presence: Arc<dyn Presence>,
    pub bus: Arc<dyn Bus>,
    pub clock: Clock,
    pub metrics: Metrics,
    pub tasks: Tasks,
}

pub(crate) fn key_of(tenant: &str, user: &str) -> Result<UserKey, Failure> {
    let tenant = TenantId::new(tenant).map_err(|error| bad_id(&error))?;
    Ok(UserKey { tenant, user: UserId::new(user).map_err(|error| bad_id(&error))? })
}

pub struct SessionService {
    pub(crate) config: SessionConfig,
    pub(crate) records: Records,
    pub(crate) presence: Arc<dyn Presence>,
    pub(crate) bus: Arc<dyn Bus>,
    pub(crate) clock: Clock,
    pub(crate) metrics: SessionMetrics,
    pub(crate) tasks: Tasks,
    pub(crate) keys: Keys,
    pub(crate) devices: Remembered,
    pub(crate) instance: String,
    pub(crate) resume_key: OnceLock<hmac::Key>,
    /// Users within their grace, with the ticket of the leave that began it.
    pub(crate) leaving: Mutex<HashMap<UserKey, u64>>,
    /// Held while a user's watchers are told, by the user's shard: so they are told in order.
    pub(crate) telling: [tokio::sync::Mutex<()>; TELLERS],
    /// Revocations that will be published once more.
    pub(crate) waiting_cuts: AtomicUsize,
    pub(crate) numbers: tokio::sync::Mutex<Numbers>,
}

impl SessionService {
    /// Begins to sweep gateways that are gone, too.
    #[must_use]
    pub fn new(deps: SessionDeps) -> Arc<Self> {
        let service = Arc::new(Self {
            config: deps.config,
            records: Records(deps.storage),
            presence: deps.presence,
            bus: deps.bus,
            metrics: SessionMetrics::new(&deps.metrics),
            tasks: deps.tasks,
            keys: Keys::default(),
            devices: Remembered::default(),
            instance: deps.clock.uuid_v4().simple().to_string(),
            clock: deps.clock,
            resume_key: OnceLock::new(),
            leaving: Mutex::default(),
            telling: Default::default(),
            waiting_cuts: AtomicUsize::new(0),
            numbers: tokio::sync::Mutex::default(),
        });
        service.tasks.critical("gateway sweep", sweep(Arc::clone(&service)));
        service.tasks.critical("presence that was not told", tell_what_others_did_not(Arc::clone(&service)));
        service.tasks.critical("heartbeats", beat(Arc::clone(&service)));
        service
    }

    /// Reads what it needs before it can answer.
    pub async fn load(&self) -> Result<(), Failure> {
        let mut fresh = [0; 32];
        self.clock.fill(&mut fresh);
        let key = load_key(&self.records, fresh).await?;
        // A second load finds the same key.
        let _ = self.resume_key.set(key);
        Ok(())
    }
}
