//! A user's registers: loaded once, written through, one change at a time.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use parking_lot::Mutex;
use posthorn_clock::{Instant, sleep};
use posthorn_core::{Shard, UserKey};
use posthorn_errors::{Code, Failure};
use posthorn_proto::{
    client,
    internal::{
        Effect, RegisterRecord, RegisterRow, RegistersRequest, WriteRegistersRequest, effect, publication::What,
    },
};
use posthorn_rpc::call;
use tokio::sync::OnceCell;

use crate::service::Core;

pub(super) type Registers = BTreeMap<String, RegisterRecord>;

pub struct UserCell {
    pub key: UserKey,
    /// Held across the write: changes of one user go one after the other.
    pub registers: tokio::sync::Mutex<Registers>,
    used: Mutex<Instant>,
    /// A write is ambiguous: memory may be older than the store.
    stale: AtomicBool,
}

#[derive(Default)]
pub struct Users {
    slots: Mutex<HashMap<UserKey, Arc<OnceCell<Arc<UserCell>>>>>,
}

impl Users {
    pub async fn get(&self, core: &Core, key: &UserKey) -> Result<Arc<UserCell>, Failure> {
        let slot = {
            let mut slots = self.slots.lock();
            core.ownership.serves(key.shard())?;
            Arc::clone(slots.entry(key.clone()).or_default())
        };
        let cell = slot.get_or_try_init(|| load(core, key)).await?;
        *cell.used.lock() = Instant::now();
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

    /// Drops users that nobody asked for in a while. Whoever holds one keeps it: a slot leaves only
    /// when the map's is the last reference.
    pub async fn sweep(core: Arc<Core>) {
        let idle = Duration::from_millis(core.config.idle_ms);
        loop {
            sleep(idle / 4).await;
            let mut slots = core.users.slots.lock();
            slots.retain(|_, slot| {
                Arc::strong_count(slot) > 1
                    || slot.get().is_some_and(|cell| Arc::strong_count(cell) > 1 || cell.used.lock().elapsed() < idle)
            });
            core.metrics.users.set(i64::try_from(slots.len()).unwrap_or(i64::MAX));
        }
    }
}

async fn load(core: &Core, key: &UserKey) -> Result<Arc<UserCell>, Failure> {
    let registers = tokio::sync::Mutex::new(read(core, key).await?);
    let (used, stale) = (Mutex::new(Instant::now()), AtomicBool::new(false));
    Ok(Arc::new(UserCell { key: key.clone(), registers, used, stale }))
}

async fn read(core: &Core, key: &UserKey) -> Result<Registers, Failure> {
    let request = RegistersRequest { tenant: (&key.tenant).into(), user: (&key.user).into() };
    let rows = call(core.storage.clone().registers(request)).await?.registers;
    Ok(rows.into_iter().filter_map(|row| Some((row.conversation, row.record?))).collect())
}

impl UserCell {
    /// The registers, as the store has them. After an ambiguous write what differs is written again,
    /// under a version that no cursor has passed.
    pub async fn lock(&self, core: &Core) -> Result<tokio::sync::MutexGuard<'_, Registers>, Failure> {
        let mut registers = self.registers.lock().await;
        // Whoever got here after the shard was left writes nothing.
        core.ownership.serves(self.key.shard())?;
        if self.stale.load(Ordering::Relaxed) {
            let stored = read(core, &self.key).await?;
            let changed = stored.into_iter().filter(|(name, record)| registers.get(name) != Some(record)).collect();
            self.write(core, &mut registers, changed).await?;
            self.stale.store(false, Ordering::Relaxed);
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
            self.stale.store(failure.code != Code::StoreFull, Ordering::Relaxed);
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
    pub async fn publish(&self, core: &Core, registers: client::Registers, except: u64) {
        let user = [String::from(&self.key.user)];
        core.fanout.publish(self.key.tenant.as_str(), &user, except, What::Registers(registers)).await;
    }
}
