//! Which instance owns which shard, as far as it is known here. It may be wrong at any time: an instance
//! that is asked for a shard that it does not own says so, and the map is read again.

use std::{
    collections::{HashMap, HashSet},
    sync::Arc,
    time::Duration,
};

use parking_lot::{Mutex, RwLock};
use posthorn_clock::{Instant, sleep, timeout};
use posthorn_core::{SHARDS, Shard};
use posthorn_errors::Failure;
use posthorn_proto::internal::ShardsRequest;
use tokio::sync::{Notify, watch};

use super::Instance;
use crate::{Link, Rpc, StorageClient, call};

/// Bus subject of a message without content: shards have moved.
pub const NUDGE_SUBJECT: &str = "shards";

/// The map of one process.
pub struct ShardMap {
    rpc: Rpc,
    storage: StorageClient,
    /// This process's own instance, and where others reach it: called without a socket.
    here: Option<(Arc<str>, Link)>,
    owners: RwLock<Vec<Option<Arc<str>>>>,
    links: Mutex<HashMap<Arc<str>, Instance>>,
    /// When the last read that succeeded began. Held while one is on its way: others wait for it.
    read_at: tokio::sync::Mutex<Option<Instant>>,
    changes: watch::Sender<u64>,
    nudged: Notify,
}

impl ShardMap {
    /// Knows nothing until it is read.
    #[must_use]
    pub fn new(rpc: &Rpc, storage: StorageClient, here: Option<(&str, Link)>) -> Arc<Self> {
        Arc::new(Self {
            rpc: rpc.clone(),
            storage,
            here: here.map(|(address, link)| (address.into(), link)),
            owners: RwLock::new(vec![None; usize::from(SHARDS)]),
            links: Mutex::default(),
            read_at: tokio::sync::Mutex::default(),
            changes: watch::Sender::new(0),
            nudged: Notify::new(),
        })
    }

    /// Somebody says that shards moved.
    pub fn nudge(&self) {
        self.nudged.notify_one();
    }

    /// Reads the map at intervals, and when it is nudged. Runs until it is dropped.
    pub async fn follow(&self) {
        loop {
            self.refresh().await;
            let interval = self.rpc.config.shard_map_ms;
            let jittered = Duration::from_millis(interval / 2 + self.below(interval));
            // Either is a reason to read.
            let _ = timeout(jittered, self.nudged.notified()).await;
        }
    }

    /// Reads the map, unless somebody began to after this was called.
    pub async fn refresh(&self) {
        let asked = Instant::now();
        let mut read_at = self.read_at.lock().await;
        if read_at.is_some_and(|at| at > asked) {
            return;
        }
        let began = Instant::now();
        match self.read().await {
            Ok(owners) => {
                *read_at = Some(began);
                self.replace(owners);
            }
            Err(failure) => {
                tracing::debug!(%failure, "the shard map cannot be read");
                // Others who wait would only ask the same again.
                sleep(Duration::from_millis(self.below(20))).await;
            }
        }
    }

    async fn read(&self) -> Result<Vec<Option<Arc<str>>>, Failure> {
        let mut owners = vec![None; usize::from(SHARDS)];
        let mut names: HashSet<Arc<str>> = HashSet::new();
        for row in call(self.storage.clone().shards(ShardsRequest {})).await?.shards {
            let Some(slot) = owners.get_mut(row.shard as usize).filter(|_| !row.instance.is_empty()) else { continue };
            let address = names.get(row.address.as_str()).cloned().unwrap_or_else(|| row.address.as_str().into());
            names.insert(Arc::clone(&address));
            *slot = Some(address);
        }
        Ok(owners)
    }

    fn replace(&self, owners: Vec<Option<Arc<str>>>) {
        let mut now = self.owners.write();
        if *now == owners {
            return;
        }
        let used: HashSet<Arc<str>> = owners.iter().flatten().cloned().collect();
        self.links.lock().retain(|address, _| used.contains(address));
        *now = owners;
        drop(now);
        self.changes.send_modify(|changes| *changes += 1);
    }

    /// The owner's address and a client of it.
    pub(super) fn owner(&self, shard: Shard) -> Option<(Arc<str>, Instance)> {
        let address = self.owners.read().get(usize::from(shard.0))?.clone()?;
        let instance = self.link(&address)?;
        Some((address, instance))
    }

    fn link(&self, address: &Arc<str>) -> Option<Instance> {
        let mut links = self.links.lock();
        if let Some(instance) = links.get(address) {
            return Some(instance.clone());
        }
        let link = match &self.here {
            Some((here, link)) if here == address => link.clone(),
            _ => Link::remote(&self.rpc, "routing", address)
                .inspect_err(|error| tracing::error!(%error, "an owner without an address"))
                .ok()?,
        };
        let instance = link.instance();
        links.insert(Arc::clone(address), instance.clone());
        Some(instance)
    }

    /// Whoever owns a shard.
    pub(super) fn instances(&self) -> Vec<Instance> {
        let owners: HashSet<Arc<str>> = self.owners.read().iter().flatten().cloned().collect();
        let mut owners: Vec<_> = owners.into_iter().collect();
        owners.sort_unstable();
        owners.into_iter().filter_map(|address| self.link(&address)).collect()
    }

    /// Returns when the shard is somebody else's.
    pub(super) async fn moved(&self, shard: Shard, from: &Arc<str>) {
        let mut changes = self.changes.subscribe();
        loop {
            changes.borrow_and_update();
            let now = self.owners.read().get(usize::from(shard.0)).cloned().flatten();
            if now.is_some_and(|now| now != *from) {
                return;
            }
            if changes.changed().await.is_err() {
                std::future::pending::<()>().await;
            }
        }
    }

    /// How long a call follows a shard that moves.
    pub(super) fn patience(&self) -> Duration {
        Duration::from_millis(self.rpc.config.route_wait_ms)
    }

    pub(super) fn below(&self, bound: u64) -> u64 {
        self.rpc.clock.below(bound.max(1))
    }

    /// How many shards each address owns, and how many are free.
    #[must_use]
    pub fn census(&self) -> (HashMap<Arc<str>, usize>, usize) {
        let owners = self.owners.read();
        let mut owned = HashMap::new();
        for owner in owners.iter().flatten() {
            *owned.entry(Arc::clone(owner)).or_default() += 1;
        }
        (owned, owners.iter().filter(|owner| owner.is_none()).count())
    }
}
