//! Claim, check, journal: what lets an instance append without a lock (architecture section 4), and
//! the versions that lists are ordered by.

use std::collections::{BTreeSet, HashSet};

use parking_lot::Mutex;
use posthorn_core::{ConversationId, ConversationKey, SHARDS, Shard, TenantId, cursor::Version};
use posthorn_errors::{Code, Failure};
use posthorn_proto::internal::{
    CarriedOverRequest, CheckRequest, ClaimRequest, FenceRequest, JournalRequest, NoteRequest, RegisterRequest,
    ShardsRequest,
};
use posthorn_rpc::{StorageClient, call};
use tokio::sync::{mpsc, oneshot};

/// The shards of this instance.
pub struct Ownership {
    pub instance: String,
    shards: Vec<Mutex<ShardState>>,
    /// Named by the journals that were carried over, and not loaded since.
    named: Mutex<HashSet<ConversationKey>>,
}

#[derive(Default)]
struct ShardState {
    epoch: u64,
    counter: u64,
    in_flight: BTreeSet<u64>,
}

impl Ownership {
    /// Registers a new incarnation, fences whoever else owned shards of this single node, claims all
    /// of them, and carries their journals over.
    pub async fn take_all(storage: &StorageClient, instance: String, address: &str) -> Result<Self, Failure> {
        let mut s = storage.clone();
        call(s.register(RegisterRequest { instance: instance.clone(), address: address.to_owned() })).await?;
        let before = call(s.shards(ShardsRequest {})).await?.shards;
        let others: BTreeSet<String> = before
            .into_iter()
            .map(|row| row.instance)
            .filter(|owner| !owner.is_empty() && *owner != instance)
            .collect();
        for owner in others {
            call(s.fence(FenceRequest { instance: owner })).await?;
        }
        let all: Vec<u32> = (0..u32::from(SHARDS)).collect();
        let request = ClaimRequest { shards: all.clone(), instance: instance.clone(), address: address.to_owned() };
        let claimed = call(s.claim(request)).await?.claimed;
        if claimed.len() != usize::from(SHARDS) {
            return Err(Failure::new(Code::Unavailable, "another active instance owns shards of this store"));
        }
        let shards: Vec<Mutex<ShardState>> = (0..SHARDS).map(|_| Mutex::default()).collect();
        let mut inherits = BTreeSet::new();
        for row in claimed {
            if let Some(shard) = shards.get(row.shard as usize) {
                shard.lock().epoch = row.epoch;
            }
            inherits.extend(row.inherits);
        }
        let named = Self::carry_over(&mut s, &instance, inherits, all).await?;
        Ok(Self { instance, shards, named: Mutex::new(named) })
    }

    async fn carry_over(
        s: &mut StorageClient,
        instance: &str,
        inherits: BTreeSet<String>,
        shards: Vec<u32>,
    ) -> Result<HashSet<ConversationKey>, Failure> {
        let mut named = HashSet::new();
        for dead in inherits {
            let rows = call(s.journal(JournalRequest { instance: dead })).await?.rows;
            for chunk in rows.chunks(1_000) {
                call(s.note(NoteRequest { instance: instance.to_owned(), rows: chunk.to_vec() })).await?;
            }
            for row in rows {
                let (tenant, conversation) = (TenantId::new(&row.tenant), ConversationId::new(&row.conversation));
                let (Ok(tenant), Ok(conversation)) = (tenant, conversation) else {
                    return Err(Failure::new(Code::DataLoss, "a journal row has an invalid key"));
                };
                named.insert(ConversationKey { tenant, conversation });
            }
        }
        call(s.carried_over(CarriedOverRequest { shards, instance: instance.to_owned() })).await?;
        Ok(named)
    }

    /// What the dead owners had not settled: loaded at once after a claim.
    pub fn named(&self) -> Vec<ConversationKey> {
        let mut named: Vec<_> = self.named.lock().iter().cloned().collect();
        named.sort();
        named
    }

    pub fn is_named(&self, key: &ConversationKey) -> bool {
        self.named.lock().contains(key)
    }

    pub fn loaded(&self, key: &ConversationKey) {
        self.named.lock().remove(key);
    }

    pub fn epoch(&self, shard: Shard) -> u64 {
        self.shards[usize::from(shard.0)].lock().epoch
    }

    /// The shard's next version, in flight until the guard is dropped.
    pub fn take_version(&self, shard: Shard) -> InFlight<'_> {
        let mut state = self.shards[usize::from(shard.0)].lock();
        state.counter += 1;
        let counter = state.counter;
        state.in_flight.insert(counter);
        InFlight { version: Version { epoch: state.epoch, counter }, shard: &self.shards[usize::from(shard.0)] }
    }

    /// The highest version below which nothing is in flight.
    pub fn stable(&self, shard: Shard) -> Version {
        let state = self.shards[usize::from(shard.0)].lock();
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

/// Reads the own `active`; one read serves everybody who waited when it began.
#[derive(Clone)]
pub struct Checker(mpsc::Sender<oneshot::Sender<Result<bool, Failure>>>);

/// Who wait for one check; more wait for the next.
const MAX_WAITING: usize = 16_384;

impl Checker {
    /// The handle, and the task that answers it.
    pub fn new(storage: StorageClient, instance: String) -> (Self, impl Future<Output = ()> + Send) {
        let (tx, mut rx) = mpsc::channel::<oneshot::Sender<Result<bool, Failure>>>(MAX_WAITING);
        let task = async move {
            let mut waiting = Vec::new();
            while rx.recv_many(&mut waiting, MAX_WAITING).await > 0 {
                let request = CheckRequest { instance: instance.clone() };
                let answer = call(storage.clone().check(request)).await.map(|reply| reply.active);
                for asker in waiting.drain(..) {
                    // Whoever stopped waiting needs no answer.
                    let _ = asker.send(answer.clone());
                }
            }
        };
        (Self(tx), task)
    }

    /// A check that begins now. `Err(not_confirmed)` where the store does not say.
    pub async fn active(&self) -> Result<(), Failure> {
        let (tx, rx) = oneshot::channel();
        let gone = || Failure::plain(Code::Unavailable);
        self.0.send(tx).await.map_err(|_| gone())?;
        match rx.await.map_err(|_| gone())?? {
            true => Ok(()),
            false => Err(Failure::new(Code::WrongOwner, "this instance was fenced")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stable_is_below_whatever_is_in_flight() {
        let ownership = Ownership {
            instance: "i".into(),
            shards: (0..SHARDS).map(|_| Mutex::default()).collect(),
            named: Mutex::default(),
        };
        let shard = Shard(3);
        let (a, b) = (ownership.take_version(shard), ownership.take_version(shard));
        assert_eq!(ownership.stable(shard).counter, 0);
        drop(b);
        assert_eq!(ownership.stable(shard).counter, 0);
        drop(a);
        assert_eq!(ownership.stable(shard).counter, 2);
    }
}
