//! The shards of one incarnation: which are served, under which epoch, and the versions that lists are
//! ordered by.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    sync::atomic::{AtomicU64, Ordering},
};

use parking_lot::Mutex;
use posthorn_core::{ConversationKey, SHARDS, Shard, cursor::Version};
use posthorn_errors::{Code, Failure};

/// What one incarnation owns.
pub struct Ownership {
    pub instance: String,
    shards: Vec<Mutex<ShardState>>,
    /// Named by the journals that were carried over, and not loaded since: with the own note of each. Those whose
    /// owner broke off have none of their own yet.
    named: Mutex<HashMap<ConversationKey, Option<u64>>>,
    /// What the own journal still names of shards that were given back.
    behind: Mutex<BTreeMap<Shard, Behind>>,
    /// The last note's number.
    notes: AtomicU64,
}

#[derive(Default)]
struct ShardState {
    epoch: u64,
    /// New requests of conversations are taken.
    serving: bool,
    /// New requests of users are taken. Longer than those of conversations: who is handed over may have to tell them.
    serving_users: bool,
    /// Claimed, and not given back: work that was begun goes on.
    held: bool,
    /// What stays in the journal when it is given back.
    unsettled: BTreeSet<ConversationKey>,
    counter: u64,
    in_flight: BTreeSet<u64>,
}

/// Until the next owner has carried it over it has to stay.
#[derive(Clone, Default)]
pub struct Behind {
    /// Under which the shard was given back.
    pub epoch: u64,
    pub keys: BTreeSet<ConversationKey>,
}

impl Ownership {
    pub fn new(instance: String) -> Self {
        let shards = (0..SHARDS).map(|_| Mutex::default()).collect();
        Self { instance, shards, named: Mutex::default(), behind: Mutex::default(), notes: AtomicU64::new(0) }
    }

    fn shard(&self, shard: Shard) -> parking_lot::MutexGuard<'_, ShardState> {
        self.shards[usize::from(shard.0)].lock()
    }

    /// Claimed, and its journals carried over: served from here on.
    pub fn hold(&self, shard: Shard, epoch: u64) {
        self.not_behind(shard);
        *self.shard(shard) =
            ShardState { epoch, serving: true, serving_users: true, held: true, ..ShardState::default() };
    }

    /// Whether new requests for its conversations are taken here.
    pub fn serves(&self, shard: Shard) -> Result<(), Failure> {
        if self.shard(shard).serving { Ok(()) } else { Err(Code::WrongOwner.into()) }
    }

    /// Whether new requests for its users are taken here.
    pub fn serves_users(&self, shard: Shard) -> Result<(), Failure> {
        if self.shard(shard).serving_users { Ok(()) } else { Err(Code::WrongOwner.into()) }
    }

    pub fn held(&self) -> Vec<Shard> {
        (0..SHARDS).map(Shard).filter(|&shard| self.shard(shard).held).collect()
    }

    pub fn is_held(&self, shard: Shard) -> bool {
        self.shard(shard).held
    }

    /// Takes nothing new for conversations from here on. The epoch of the claim, if it is held.
    pub fn leave(&self, shard: Shard) -> Option<u64> {
        let mut state = self.shard(shard);
        state.serving = false;
        state.held.then_some(state.epoch)
    }

    /// Takes nothing new for users from here on.
    pub fn leave_users(&self, shard: Shard) {
        self.shard(shard).serving_users = false;
    }

    /// An owner ended with something that the journal names.
    pub fn leave_unsettled(&self, key: &ConversationKey) {
        self.shard(key.shard()).unsettled.insert(key.clone());
    }

    pub fn is_unsettled(&self, shard: Shard) -> bool {
        !self.shard(shard).unsettled.is_empty() || self.named.lock().keys().any(|key| key.shard() == shard)
    }

    /// Given back.
    pub fn left(&self, shard: Shard) {
        let (epoch, mut keys) = {
            let mut state = self.shard(shard);
            state.held = false;
            (state.epoch, std::mem::take(&mut state.unsettled))
        };
        self.named.lock().retain(|key, _| {
            let theirs = key.shard() == shard;
            if theirs {
                keys.insert(key.clone());
            }
            !theirs
        });
        if !keys.is_empty() {
            let mut behind = self.behind.lock();
            let behind = behind.entry(shard).or_default();
            behind.epoch = epoch;
            behind.keys.extend(keys);
        }
    }

    /// What the own journal still names of shards that are somebody else's, or nobody's.
    pub fn behind(&self) -> Vec<(Shard, Behind)> {
        self.behind.lock().iter().map(|(shard, behind)| (*shard, behind.clone())).collect()
    }

    pub fn behind_of(&self, shard: Shard) -> BTreeSet<ConversationKey> {
        self.behind.lock().get(&shard).map(|behind| behind.keys.clone()).unwrap_or_default()
    }

    /// Out of the journal, or under a later note there.
    pub fn not_behind(&self, shard: Shard) {
        self.behind.lock().remove(&shard);
    }

    /// What dead owners had not settled, under own notes: to be loaded at once.
    pub fn inherit(&self, names: impl IntoIterator<Item = (ConversationKey, u64)>) {
        self.named.lock().extend(names.into_iter().map(|(key, note)| (key, Some(note))));
    }

    /// Its owner broke off: the journal may name it, so what lies beyond the head has to be loaded.
    pub fn broke_off(&self, key: &ConversationKey) {
        self.named.lock().entry(key.clone()).or_default();
    }

    /// Names that were carried over and are not loaded.
    pub fn named(&self) -> Vec<ConversationKey> {
        let mut named: Vec<_> = self.named.lock().keys().cloned().collect();
        named.sort();
        named
    }

    /// The own note of a name that was carried over, if it has one.
    pub fn named_by(&self, key: &ConversationKey) -> Option<Option<u64>> {
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
    use posthorn_core::{ConversationId, TenantId};

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
    fn what_broke_off_is_named_until_it_is_loaded_and_keeps_the_note_it_has() {
        let ownership = Ownership::new("i".into());
        let key = key_of(Shard(9));
        ownership.broke_off(&key);
        assert_eq!((ownership.named_by(&key), ownership.is_unsettled(Shard(9))), (Some(None), true));
        ownership.inherit([(key.clone(), 4)]);
        ownership.broke_off(&key);
        assert_eq!(ownership.named_by(&key), Some(Some(4)));
        ownership.loaded(&key);
        assert_eq!((ownership.named_by(&key), ownership.is_unsettled(Shard(9))), (None, false));
    }

    fn key_of(shard: Shard) -> ConversationKey {
        let key = |n| {
            let conversation = ConversationId::new(&format!("c{n}")).expect("an id");
            ConversationKey { tenant: TenantId::new("t").expect("an id"), conversation }
        };
        (0..).map(key).find(|key: &ConversationKey| key.shard() == shard).expect("some name")
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
        assert!(ownership.serves_users(shard).is_ok(), "conversations may still have to tell them");
        ownership.leave_users(shard);
        assert!(ownership.serves_users(shard).is_err());
        let key = key_of(shard);
        ownership.leave_unsettled(&key);
        assert!(ownership.is_unsettled(shard) && ownership.behind().is_empty());
        ownership.left(shard);
        assert_eq!(ownership.leave(shard), None);
        let behind = ownership.behind().into_iter().map(|(shard, behind)| (shard, behind.epoch, behind.keys));
        assert_eq!(behind.collect::<Vec<_>>(), [(shard, 5, BTreeSet::from([key]))]);
        ownership.hold(shard, 9);
        assert!(!ownership.is_unsettled(shard));
        assert_eq!(ownership.stable(shard), Version { epoch: 9, counter: 0 });
    }
}
