//! Which conversations are in memory. Loads once however many ask at a time; beyond the bound, those
//! that were not used for longest make room.

use std::{
    collections::{BTreeSet, HashMap},
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use parking_lot::Mutex;
use posthorn_clock::{Instant, sleep, timeout};
use posthorn_core::{ConversationKey, Shard};
use posthorn_errors::{Code, Failure};
use posthorn_rpc::current;
use tokio::sync::{Notify, OnceCell, mpsc::error::TrySendError};

use super::{Asked, Cell, Command, owner};
use crate::{
    metrics::Loaded,
    room::{LOOK_AGAIN, ROOM_WAIT, Uses, least_recent, no_room},
    service::Core,
};

type Slot = Arc<OnceCell<Arc<Cell>>>;

#[derive(Default)]
pub struct Registry {
    slots: Mutex<HashMap<ConversationKey, Slot>>,
    /// Asked to leave, and still there.
    leaving: AtomicUsize,
    /// A slot became free.
    room: Notify,
    /// When a look for some to leave found none: the next look waits a little.
    fruitless: Mutex<Option<Instant>>,
    uses: Uses,
}

/// Between two looks at who is still there.
const CLOSE_LOOK: Duration = Duration::from_millis(5);

/// Waits for an owner that is leaving the memory.
const HAND_TRIES: u32 = 200;

impl Registry {
    pub async fn get(&self, core: &Arc<Core>, key: &ConversationKey) -> Result<Arc<Cell>, Failure> {
        let slot = self.slot(core, key).await?;
        let loaded = slot.get_or_try_init(|| owner::start(Arc::clone(core), key.clone())).await;
        match loaded {
            Ok(cell) => {
                cell.used.store(self.uses.next(), Ordering::Relaxed);
                Ok(Arc::clone(cell))
            }
            Err(failure) => {
                self.forget_failed(key, &slot);
                Err(failure)
            }
        }
    }

    /// The slot of `key`, once there is room for one.
    async fn slot(&self, core: &Core, key: &ConversationKey) -> Result<Slot, Failure> {
        let max = core.config.max_loaded_conversations.max(1);
        let until = Instant::now() + ROOM_WAIT;
        loop {
            let freed = self.room.notified();
            tokio::pin!(freed);
            // From here on no slot becomes free unnoticed.
            freed.as_mut().enable();
            {
                let mut slots = self.slots.lock();
                // Nothing of a shard that is being left comes in: whoever leaves it sees all there is.
                core.ownership.serves(key.shard())?;
                if let Some(slot) = slots.get(key) {
                    return Ok(Arc::clone(slot));
                }
                if slots.len() < max {
                    let slot = Slot::default();
                    slots.insert(key.clone(), Arc::clone(&slot));
                    return Ok(slot);
                }
                self.make_room(&slots);
            }
            let left = until.saturating_duration_since(Instant::now());
            if left.is_zero() {
                core.metrics.refused(Loaded::Conversation);
                return Err(no_room("routing.max_loaded_conversations"));
            }
            // Woken or not: one that was at work may be idle by now.
            let _ = timeout(left.min(LOOK_AGAIN), freed).await;
        }
    }

    /// Ends the owners of these shards, which are served no more: when this returns every write of theirs
    /// has returned or was given up.
    pub async fn close(&self, shards: &BTreeSet<Shard>) {
        loop {
            let slots: Vec<Slot> = {
                let slots = self.slots.lock();
                let theirs = slots.iter().filter(|(key, _)| shards.contains(&key.shard()));
                theirs.map(|(_, slot)| Arc::clone(slot)).collect()
            };
            if slots.is_empty() {
                return;
            }
            for cell in slots.iter().filter_map(|slot| slot.get()) {
                cell.handed_over.cancel();
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

    /// The marks of members are about to move: what lists show of them has to outlive this owner.
    pub async fn announce_marks(&self, core: &Arc<Core>, key: &ConversationKey) -> Result<(), Failure> {
        for _ in 0..HAND_TRIES {
            let cell = self.get(core, key).await?;
            if cell.marks.announce(core, key).await? {
                return Ok(());
            }
            sleep(Duration::from_millis(1)).await;
        }
        Err(Failure::plain(Code::Unavailable))
    }

    /// Asks those that were idle for longest to leave; their owners decide. Several at once, so that a
    /// look at all of them serves more than one.
    fn make_room(&self, slots: &HashMap<ConversationKey, Slot>) {
        let mut fruitless = self.fruitless.lock();
        let looked = fruitless.is_some_and(|at| at.elapsed() < LOOK_AGAIN);
        if looked || self.leaving.load(Ordering::Relaxed) > 0 {
            return;
        }
        let idle = slots.values().filter_map(|slot| slot.get()).filter(|cell| cell.is_idle());
        let idle = idle.map(|cell| (cell.used.load(Ordering::Relaxed), cell)).collect();
        for cell in least_recent(idle, slots.len()) {
            if cell.ask_to_leave() {
                self.leaving.fetch_add(1, Ordering::Relaxed);
            }
        }
        *fruitless = (self.leaving.load(Ordering::Relaxed) == 0).then(Instant::now);
    }

    /// An owner that was asked to leave has something to do after all.
    pub(super) fn stays(&self, cell: &Cell) {
        if cell.leaves_no_more() {
            self.leaving.fetch_sub(1, Ordering::Relaxed);
            self.room.notify_waiters();
        }
    }

    /// A slot whose load failed is kept only while others try.
    fn forget_failed(&self, key: &ConversationKey, slot: &Slot) {
        let mut slots = self.slots.lock();
        let unused = slots.get(key).is_some_and(|kept| Arc::ptr_eq(kept, slot) && !kept.initialized());
        // This one, and the map's.
        if unused && Arc::strong_count(slot) <= 2 {
            slots.remove(key);
            self.room.notify_waiters();
        }
    }

    /// The owner task of `key` has ended.
    pub(super) fn forget(&self, core: &Core, key: &ConversationKey) {
        let slot = self.slots.lock().remove(key);
        if slot.is_some_and(|slot| slot.get().is_some_and(|cell| cell.leaves_no_more())) {
            self.leaving.fetch_sub(1, Ordering::Relaxed);
            core.metrics.evicted(Loaded::Conversation, 1);
        }
        self.room.notify_waiters();
    }

    pub fn len(&self) -> usize {
        self.slots.lock().len()
    }

    /// Hands a command to the owner, with the trace of whoever asks, loading the conversation if it is
    /// not in memory.
    pub async fn hand(&self, core: &Arc<Core>, key: &ConversationKey, command: Command) -> Result<(), Failure> {
        for _ in 0..HAND_TRIES {
            let cell = self.get(core, key).await?;
            match cell.commands.try_reserve() {
                Ok(place) => {
                    place.send(Asked { command, trace: current().map(|context| context.trace) });
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
