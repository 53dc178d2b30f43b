//! A user's registers: loaded once, written through, one change at a time.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use parking_lot::Mutex;
use posthorn_clock::{Instant, sleep};
use posthorn_core::{Shard, UserKey, recent::Position};
use posthorn_errors::{Code, Failure};
use posthorn_proto::{
    client,
    internal::{
        Effect, RegisterRecord, RegisterRow, RegistersRequest, WriteRegistersRequest, effect, publication::What,
    },
};
use posthorn_rpc::call;
use tokio::sync::OnceCell;

use crate::{
    fanout::Origin,
    metrics::Loaded,
    room::{LOOK_AGAIN, ROOM_WAIT, Uses, least_recent, no_room},
    service::Core,
};

pub(super) type Registers = BTreeMap<String, RegisterRecord>;

pub struct UserCell {
    pub key: UserKey,
    /// Held across the write: changes of one user go one after the other.
    pub registers: tokio::sync::Mutex<Registers>,
    used: Mutex<Instant>,
    /// The order of the last use, for who leaves the memory first.
    order: AtomicU64,
    /// Conversations whose registers were written, and nobody knows whether they were: memory may be older than the
    /// store, now or once the write arrives.
    doubtful: Mutex<BTreeSet<String>>,
    /// How far own messages moved a read mark that was shown, until a mark is written: also where they have left the
    /// memory since.
    pub(super) raised: Mutex<BTreeMap<String, Position>>,
}

type Slot = Arc<OnceCell<Arc<UserCell>>>;

#[derive(Default)]
pub struct Users {
    slots: Mutex<HashMap<UserKey, Slot>>,
    uses: Uses,
}

impl Users {
    pub async fn get(&self, core: &Core, key: &UserKey) -> Result<Arc<UserCell>, Failure> {
        let until = Instant::now() + ROOM_WAIT;
        let slot = loop {
            if let Some(slot) = self.slot(core, key)? {
                break slot;
            }
            if Instant::now() >= until {
                core.metrics.refused(Loaded::User);
                return Err(no_room("routing.max_loaded_users"));
            }
            sleep(LOOK_AGAIN).await;
        };
        let cell = slot.get_or_try_init(|| load(core, key)).await?;
        *cell.used.lock() = Instant::now();
        cell.order.store(self.uses.next(), Ordering::Relaxed);
        Ok(Arc::clone(cell))
    }

    /// Forgets the users of these shards, which are served no more: when this returns every write of theirs
    /// has returned.
    pub async fn close(&self, shards: &BTreeSet<Shard>) {
        let mut closed = Vec::new();
        self.slots.lock().retain(|key, slot| {
            let ours = shards.contains(&key.shard());
            if ours {
                closed.push(Arc::clone(slot));
            }
            !ours
        });
        for cell in closed.iter().filter_map(|slot| slot.get()) {
            drop(cell.registers.lock().await);
        }
    }

    /// The slot of `key`; where the bound is reached, those that were not used for longest leave. `None`
    /// where all are at work.
    fn slot(&self, core: &Core, key: &UserKey) -> Result<Option<Slot>, Failure> {
        let mut slots = self.slots.lock();
        core.ownership.serves_users(key.shard())?;
        if let Some(slot) = slots.get(key) {
            return Ok(Some(Arc::clone(slot)));
        }
        if slots.len() >= core.config.max_loaded_users.max(1) {
            let idle = slots.iter().filter(|(_, slot)| is_idle(slot));
            let idle = idle.map(|(key, slot)| (slot.get().map_or(0, |cell| cell.order()), key.clone())).collect();
            let leave: Vec<UserKey> = least_recent(idle, slots.len()).collect();
            if leave.is_empty() {
                return Ok(None);
            }
            core.metrics.evicted(Loaded::User, leave.len() as u64);
            for key in leave {
                slots.remove(&key);
            }
        }
        let slot = Slot::default();
        slots.insert(key.clone(), Arc::clone(&slot));
        core.metrics.users.set(i64::try_from(slots.len()).unwrap_or(i64::MAX));
        Ok(Some(slot))
    }

    /// Drops users that nobody asked for in a while. Whoever holds one keeps it: a slot leaves only
    /// when the map's is the last reference.
    pub async fn sweep(core: Arc<Core>) {
        let idle = Duration::from_millis(core.config.idle_ms);
        loop {
            sleep(idle / 4).await;
            let mut stale = Vec::new();
            {
                let mut slots = core.users.slots.lock();
                slots.retain(|_, slot| {
                    let recent = || slot.get().is_some_and(|cell| cell.used.lock().elapsed() < idle);
                    stale.extend(slot.get().filter(|cell| !cell.doubtful.lock().is_empty()).cloned());
                    !is_idle(slot) || recent()
                });
                core.metrics.users.set(i64::try_from(slots.len()).unwrap_or(i64::MAX));
            }
            // Nobody may ever ask for them again.
            for cell in stale {
                if let Err(failure) = cell.lock(&core).await {
                    tracing::debug!(%failure, "the registers of a user cannot be read again yet");
                }
            }
        }
    }
}

/// Nobody is at work with it, and the store has what it holds: another load finds the same. Asked under
/// the map's lock, where nobody can take a share in it.
fn is_idle(slot: &Slot) -> bool {
    let settled = |cell: &Arc<UserCell>| Arc::strong_count(cell) == 1 && cell.doubtful.lock().is_empty();
    Arc::strong_count(slot) == 1 && slot.get().is_none_or(settled)
}

async fn load(core: &Core, key: &UserKey) -> Result<Arc<UserCell>, Failure> {
    let registers = tokio::sync::Mutex::new(read(core, key).await?);
    let (used, doubtful) = (Mutex::new(Instant::now()), Mutex::default());
    Ok(Arc::new(UserCell {
        key: key.clone(),
        registers,
        used,
        order: AtomicU64::new(0),
        doubtful,
        raised: Mutex::default(),
    }))
}

async fn read(core: &Core, key: &UserKey) -> Result<Registers, Failure> {
    let request = RegistersRequest { tenant: (&key.tenant).into(), user: (&key.user).into() };
    let rows = call(core.storage.clone().registers(request)).await?.registers;
    Ok(rows.into_iter().filter_map(|row| Some((row.conversation, row.record?))).collect())
}

impl UserCell {
    fn order(&self) -> u64 {
        self.order.load(Ordering::Relaxed)
    }

    /// The registers, as the store has them. After an ambiguous write what differs is written again, and so is what
    /// was in doubt: under a version that no cursor has passed, and to which the write, should it still arrive,
    /// changes nothing.
    pub async fn lock(&self, core: &Core) -> Result<tokio::sync::MutexGuard<'_, Registers>, Failure> {
        let mut registers = self.registers.lock().await;
        // Whoever got here after the shard was left writes nothing.
        core.ownership.serves_users(self.key.shard())?;
        let doubtful = self.doubtful.lock().clone();
        if !doubtful.is_empty() {
            let stored = read(core, &self.key).await?.into_iter();
            let again = |(name, record): &(String, RegisterRecord)| {
                doubtful.contains(name) || registers.get(name) != Some(record)
            };
            let changed = stored.filter(again).collect();
            self.write(core, &mut registers, changed).await?;
            self.doubtful.lock().clear();
        }
        Ok(registers)
    }

    /// Writes the records under the shard's next version, then shows them.
    pub async fn write(
        &self,
        core: &Core,
        registers: &mut Registers,
        mut changed: Vec<(String, RegisterRecord)>,
    ) -> Result<(), Failure> {
        if changed.is_empty() {
            return Ok(());
        }
        let taken = core.ownership.take_version(self.key.shard());
        let version = taken.version;
        for (_, record) in &mut changed {
            (record.version_epoch, record.version_counter) = (version.epoch, version.counter);
        }
        let rows = changed
            .iter()
            .map(|(name, record)| RegisterRow { conversation: name.clone(), record: Some(record.clone()) });
        let request = WriteRegistersRequest {
            tenant: (&self.key.tenant).into(),
            user: (&self.key.user).into(),
            registers: rows.collect(),
        };
        if let Err(failure) = call(core.storage.clone().write_registers(request)).await {
            // It may be there all the same, under a version that cursors have passed.
            if failure.code != Code::StoreFull {
                self.doubtful.lock().extend(changed.into_iter().map(|(name, _)| name));
            }
            return Err(failure);
        }
        registers.extend(changed);
        Ok(())
    }

    /// What conversations did to this user; idempotent by (conversation, seq).
    pub async fn told(&self, core: &Core, effects: Vec<Effect>) -> Result<(), Failure> {
        let mut registers = self.lock(core).await?;
        let mut changed: BTreeMap<String, RegisterRecord> = BTreeMap::new();
        for effect in effects {
            let now = changed.get(&effect.conversation).or_else(|| registers.get(&effect.conversation));
            let mut record = now.cloned().unwrap_or_default();
            if record.membership_seq >= effect.seq {
                continue;
            }
            if now.is_none() && registers.len() + changed.len() >= core.config.max_conversations {
                tracing::warn!(
                    limit = "routing.max_conversations",
                    "a user is a member of more conversations than the limit"
                );
            }
            record.membership_seq = effect.seq;
            match effect.what {
                Some(effect::What::Joined(joined)) => {
                    record.removed = false;
                    record.visible = joined.visible;
                    record.joined_seq = effect.seq;
                    let at = joined.at.unwrap_or_default();
                    for mark in [&mut record.read, &mut record.delivered] {
                        if mark.as_ref().is_none_or(|mark| mark.seq < at.seq) {
                            *mark = Some(at);
                        }
                    }
                }
                Some(effect::What::Removed(removed)) => {
                    record.removed = true;
                    record.visible = removed.visible;
                }
                None => return Err(Failure::new(Code::InvalidArgument, "an effect without a content")),
            }
            changed.insert(effect.conversation, record);
        }
        self.write(core, &mut registers, changed.into_iter().collect()).await
    }

    /// To the user's own devices.
    pub async fn publish(&self, core: &Core, registers: client::Registers, except: Option<&Origin>) {
        let user = [String::from(&self.key.user)];
        core.fanout.publish(self.key.tenant.as_str(), &user, except, What::Registers(registers)).await;
    }
}
