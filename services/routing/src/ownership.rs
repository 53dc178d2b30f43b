//! The shards of one incarnation: which are served, under which epoch, and the versions that lists are
//! ordered by.

use std::{
    collections::{BTreeSet, HashMap},
    sync::atomic::{AtomicU64, Ordering},
};

use parking_lot::Mutex;
use posthorn_core::{ConversationKey, SHARDS, Shard, cursor::Version};
use posthorn_errors::{Code, Failure};

/// What one incarnation owns.
pub struct Ownership {
    pub instance: String,
    shards: Vec<Mutex<ShardState>>,
    /// Named by the journals that were carried over, and not loaded since: with the own note of each.
    named: Mutex<HashMap<ConversationKey, u64>>,
    /// The last note's number.
    notes: AtomicU64,
}

#[derive(Default)]
struct ShardState {
    epoch: u64,
    /// New requests are taken.
    serving: bool,
    /// Claimed, and not given back: work that was begun goes on.
    held: bool,
    /// Something of it stays in the journal when it is given back.
    unsettled: bool,
    counter: u64,
    in_flight: BTreeSet<u64>,
}

impl Ownership {
    pub fn new(instance: String) -> Self {
        let shards = (0..SHARDS).map(|_| Mutex::default()).collect();
        Self { instance, shards, named: Mutex::default(), notes: AtomicU64::new(0) }
    }

    fn shard(&self, shard: Shard) -> parking_lot::MutexGuard<'_, ShardState> {
        self.shards[usize::from(shard.0)].lock()
    }

    /// Claimed, and its journals carried over: served from here on.
    pub fn hold(&self, shard: Shard, epoch: u64) {
        *self.shard(shard) = ShardState { epoch, serving: true, held: true, ..ShardState::default() };
    }

    /// Whether new requests for it are taken here.
    pub fn serves(&self, shard: Shard) -> Result<(), Failure> {
        if self.shard(shard).serving { Ok(()) } else { Err(Code::WrongOwner.into()) }
    }

    pub fn held(&self) -> Vec<Shard> {
        (0..SHARDS).map(Shard).filter(|&shard| self.shard(shard).held).collect()
    }

    pub fn is_held(&self, shard: Shard) -> bool {
        self.shard(shard).held
    }

    /// Takes nothing new from here on. The epoch of the claim, if it is held.
    pub fn leave(&self, shard: Shard) -> Option<u64> {
        let mut state = self.shard(shard);
        state.serving = false;
        state.held.then_some(state.epoch)
    }

    /// An owner ended with something that the journal names.
    pub fn leave_unsettled(&self, shard: Shard) {
        self.shard(shard).unsettled = true;
    }

    pub fn is_unsettled(&self, shard: Shard) -> bool {
        self.shard(shard).unsettled || self.named.lock().keys().any(|key| key.shard() == shard)
    }

    /// Given back.
    pub fn left(&self, shard: Shard) {
        self.shard(shard).held = false;
        self.named.lock().retain(|key, _| key.shard() != shard);
    }

    /// What dead owners had not settled, under own notes: to be loaded at once.
    pub fn inherit(&self, names: impl IntoIterator<Item = (ConversationKey, u64)>) {
        self.named.lock().extend(names);
    }

    /// Names that were carried over and are not loaded.
    pub fn named(&self) -> Vec<ConversationKey> {
        let mut named: Vec<_> = self.named.lock().keys().cloned().collect();
        named.sort();
        named
    }

    /// The own note of a name that was carried over.
    pub fn named_by(&self, key: &ConversationKey) -> Option<u64> {
        self.named.lock().get(key).copied()
    }

    pub fn loaded(&self, key: &ConversationKey) {
        self.named.lock().remove(key);
    }

    /// Numbers of notes ascend.
    pub fn next_note(&self) -> u64 {
        self.notes.fetch_add(1, Ordering::Relaxed) + 1
    }

    pub fn epoch(&self, shard: Shard) -> u64 {
        self.shard(shard).epoch
    }

    /// The shard's next version, in flight until the guard is dropped.
    pub fn take_version(&self, shard: Shard) -> InFlight<'_> {
        let mut state = self.shard(shard);
        state.counter += 1;
        let counter = state.counter;
        state.in_flight.insert(counter);
        InFlight { version: Version { epoch: state.epoch, counter }, shard: &self.shards[usize::from(shard.0)] }
    }

    /// The highest version below which nothing is in flight.
    pub fn stable(&self, shard: Shard) -> Version {
        let state = self.shard(shard);
        let counter = state.in_flight.first().map_or(state.counter, |first| first - 1);
        Version { epoch: state.epoch, counter }
    }
}

/// A version whose change is not visible yet. Dropped, whatever comes in between: what was to become
/// visible under it is, or never will be.
pub struct InFlight<'a> {
    pub version: Version,
    shard: &'a Mutex<ShardState>,
}

impl Drop for InFlight<'_> {
    fn drop(&mut self) {
        self.shard.lock().in_flight.remove(&self.version.counter);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stable_is_below_whatever_is_in_flight() {
        let ownership = Ownership::new("i".into());
        let shard = Shard(3);
        let (a, b) = (ownership.take_version(shard), ownership.take_version(shard));
        assert_eq!(ownership.stable(shard).counter, 0);
        drop(b);
        assert_eq!(ownership.stable(shard).counter, 0);
        drop(a);
        assert_eq!(ownership.stable(shard).counter, 2);
    }

    #[test]
    fn a_shard_that_is_left_serves_nothing_and_begins_anew_under_its_next_epoch() {
        let ownership = Ownership::new("i".into());
        let shard = Shard(7);
        assert_eq!(ownership.serves(shard).map_err(|failure| failure.code), Err(Code::WrongOwner));
        ownership.hold(shard, 5);
        drop(ownership.take_version(shard));
        assert!(ownership.serves(shard).is_ok());
        assert_eq!(ownership.leave(shard), Some(5));
        assert!(ownership.serves(shard).is_err() && ownership.is_held(shard), "what was begun goes on");
        ownership.leave_unsettled(shard);
        assert!(ownership.is_unsettled(shard));
        ownership.left(shard);
        assert_eq!(ownership.leave(shard), None);
        ownership.hold(shard, 9);
        assert!(!ownership.is_unsettled(shard));
        assert_eq!(ownership.stable(shard), Version { epoch: 9, counter: 0 });
    }
}
