//! Which conversations are in memory. Loads once however many ask at a time.

use std::{
    collections::{BTreeSet, HashMap},
    sync::Arc,
    time::Duration,
};

use parking_lot::Mutex;
use posthorn_clock::sleep;
use posthorn_core::{ConversationKey, Shard};
use posthorn_errors::{Code, Failure};
use tokio::sync::{OnceCell, mpsc::error::TrySendError};

use super::{Cell, Command, owner};
use crate::service::Core;

type Slot = Arc<OnceCell<Arc<Cell>>>;

#[derive(Default)]
pub struct Registry {
    slots: Mutex<HashMap<ConversationKey, Slot>>,
}

/// Between two looks at who is still there.
const CLOSE_LOOK: Duration = Duration::from_millis(5);

/// Waits for an owner that is leaving the memory.
const HAND_TRIES: u32 = 200;

impl Registry {
    pub async fn get(&self, core: &Arc<Core>, key: &ConversationKey) -> Result<Arc<Cell>, Failure> {
        let slot = self.slot(core, key)?;
        let loaded = slot.get_or_try_init(|| owner::start(Arc::clone(core), key.clone())).await;
        match loaded {
            Ok(cell) => Ok(Arc::clone(cell)),
            Err(failure) => {
                self.forget_failed(key, &slot);
                Err(failure)
            }
        }
    }

    /// Nothing of a shard that is being left comes in: whoever leaves it sees all there is.
    fn slot(&self, core: &Core, key: &ConversationKey) -> Result<Slot, Failure> {
        let mut slots = self.slots.lock();
        core.ownership.serves(key.shard())?;
        Ok(Arc::clone(slots.entry(key.clone()).or_default()))
    }

    /// Ends the owners of these shards, which are served no more: when this returns every write of theirs
    /// has returned or was given up.
    pub async fn close(&self, shards: &BTreeSet<Shard>) {
        loop {
            let slots: Vec<Slot> = {
                let slots = self.slots.lock();
                slots.iter().filter(|(key, _)| shards.contains(&key.shard())).map(|(_, slot)| Arc::clone(slot)).collect()
            };
            if slots.is_empty() {
                return;
            }
            for cell in slots.iter().filter_map(|slot| slot.get()) {
                cell.leave.cancel();
            }
            drop(slots);
            sleep(CLOSE_LOOK).await;
        }
    }

    /// Returns when no owner is left.
    pub async fn emptied(&self) {
        while !self.slots.lock().is_empty() {
            sleep(CLOSE_LOOK).await;
        }
    }

    /// A slot whose load failed is kept only while others try.
    fn forget_failed(&self, key: &ConversationKey, slot: &Slot) {
        let mut slots = self.slots.lock();
        let unused = slots.get(key).is_some_and(|kept| Arc::ptr_eq(kept, slot) && !kept.initialized());
        // This one, and the map's.
        if unused && Arc::strong_count(slot) <= 2 {
            slots.remove(key);
        }
    }

    /// The owner task of `key` has ended.
    pub(super) fn forget(&self, key: &ConversationKey) {
        self.slots.lock().remove(key);
    }

    pub fn len(&self) -> usize {
        self.slots.lock().len()
    }

    /// Hands a command to the owner, loading the conversation if it is not in memory.
    pub async fn hand(&self, core: &Arc<Core>, key: &ConversationKey, command: Command) -> Result<(), Failure> {
        for _ in 0..HAND_TRIES {
            let cell = self.get(core, key).await?;
            match cell.commands.try_reserve() {
                Ok(place) => {
                    place.send(command);
                    return Ok(());
                }
                Err(TrySendError::Full(())) => {
                    core.metrics.overloaded.inc();
                    let limit = Failure::plain(Code::Overloaded).limit("routing.max_queued_sends");
                    return Err(limit.retry_after_ms(100));
                }
                // The owner is leaving the memory: the next get loads again.
                Err(TrySendError::Closed(())) => {}
            }
            sleep(Duration::from_millis(1)).await;
        }
        Err(Failure::plain(Code::Unavailable))
    }
}
