//! The presence of one process: maps behind a lock that is held for microseconds. A gateway of the same
//! process cannot die alone, so a lease never ends here by time; [`MemoryPresence::end_lease`] ends it.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap, HashSet},
    sync::Arc,
};

use async_trait::async_trait;
use parking_lot::Mutex;
use posthorn_core::{Held, UserKey};
use tokio::time::Instant;

use crate::{ConnectionRef, Gone, Lease, LeaseState, Look, Outstanding, Presence, Result, Untold};

/// How often a gateway of the same process has itself compared, roughly, ms.
const TTL_MS: u64 = 60_000;

#[derive(Default)]
pub struct MemoryPresence(Mutex<State>);

#[derive(Default)]
struct State {
    /// Few connections each: a vector in the order of registration.
    users: HashMap<UserKey, Vec<ConnectionRef>>,
    gateways: BTreeMap<String, Gateway>,
    /// What each connection watches, and the other way round.
    watching: HashMap<ConnectionRef, Vec<UserKey>>,
    watchers: HashMap<UserKey, BTreeSet<ConnectionRef>>,
    /// Whom watchers were told to be online, and how often that changed for anybody.
    shown: HashSet<UserKey>,
    version: u64,
    /// Who came or went, with the number of the note.
    noted: BTreeMap<UserKey, (Instant, u64)>,
    notes: u64,
    /// Of whom watchers are being told, with the version.
    telling: BTreeMap<UserKey, (Instant, u64)>,
}

#[derive(Default)]
struct Gateway {
    lease: LeaseOf,
    connections: BTreeMap<u64, UserKey>,
}

#[derive(Clone, Copy, Default, PartialEq, Eq)]
enum LeaseOf {
    #[default]
    None,
    Lives,
    Ended,
}

impl MemoryPresence {
    #[must_use]
    pub fn new() -> Arc<Self> {
        Arc::new(Self::default())
    }

    /// As if the gateway had not renewed its lease in time.
    pub fn end_lease(&self, gateway: &str) {
        self.0.lock().gateways.entry(gateway.to_owned()).or_default().lease = LeaseOf::Ended;
    }

    /// As if the engine had lost everything.
    pub fn forget(&self) {
        let mut state = self.0.lock();
        // As where versions are of a clock.
        *state = State { version: state.version, notes: state.notes, ..State::default() };
    }
}

impl State {
    /// A gateway that never leased is one of this process, too.
    fn lives(&self, at: &ConnectionRef) -> bool {
        self.gateways.get(&at.gateway).is_none_or(|gateway| gateway.lease != LeaseOf::Ended)
    }

    fn online(&self, user: &UserKey) -> bool {
        self.users.get(user).is_some_and(|all| all.iter().any(|at| self.lives(at)))
    }

    fn registered(&self, at: &ConnectionRef) -> bool {
        self.gateways.get(&at.gateway).is_some_and(|gateway| gateway.connections.contains_key(&at.connection))
    }

    fn unwatch(&mut self, at: &ConnectionRef) {
        for user in self.watching.remove(at).unwrap_or_default() {
            if let Some(watchers) = self.watchers.get_mut(&user) {
                watchers.remove(at);
                if watchers.is_empty() {
                    self.watchers.remove(&user);
                }
            }
        }
    }

    /// The note, if it was the last.
    fn unregister(&mut self, user: &UserKey, at: &ConnectionRef) -> Option<u64> {
        let connections = self.users.get_mut(user)?;
        let before = connections.len();
        connections.retain(|other| other != at);
        if connections.len() == before {
            return None;
        }
        let mut noted = None;
        if connections.is_empty() {
            self.users.remove(user);
            noted = Some(self.note(user));
        }
        if let Some(gateway) = self.gateways.get_mut(&at.gateway) {
            gateway.connections.remove(&at.connection);
        }
        self.unwatch(at);
        noted
    }

    /// They came or went.
    fn note(&mut self, user: &UserKey) -> u64 {
        self.notes += 1;
        self.noted.insert(user.clone(), (Instant::now(), self.notes));
        self.notes
    }

    fn told(&mut self, user: &UserKey, version: u64) {
        if number_of(&self.telling, user) == version {
            self.telling.remove(user);
        }
    }

    /// The version of what watchers are being told.
    fn tell(&mut self, user: &UserKey) -> u64 {
        self.version += 1;
        self.telling.insert(user.clone(), (Instant::now(), self.version));
        self.version
    }

    /// Those of the gateway that `goes` names; the users that went offline by it, in order.
    fn unregister_all(&mut self, gateway: &str, goes: impl Fn(u64) -> bool) -> Vec<Gone> {
        let all = self.gateways.get(gateway).into_iter().flat_map(|gateway| &gateway.connections);
        let going: Vec<_> = all.filter(|(c, _)| goes(**c)).map(|(c, user)| (*c, user.clone())).collect();
        let mut offline = BTreeSet::new();
        for (connection, user) in going {
            if let Some(noted) = self.unregister(&user, &ConnectionRef { gateway: gateway.to_owned(), connection }) {
                offline.insert(Gone { user, noted });
            }
        }
        offline.into_iter().collect()
    }
}

#[async_trait]
impl Presence for MemoryPresence {
    fn driver(&self) -> &'static str {
        "memory"
    }

    async fn register(&self, user: &UserKey, _device: &str, at: &ConnectionRef) -> Result<bool> {
        let mut state = self.0.lock();
        let connections = state.users.entry(user.clone()).or_default();
        let first = connections.is_empty();
        if !connections.contains(at) {
            connections.push(at.clone());
        }
        let first = first || !state.shown.contains(user);
        if first {
            state.note(user);
        }
        state.gateways.entry(at.gateway.clone()).or_default().connections.insert(at.connection, user.clone());
        Ok(first)
    }

    async fn unregister(&self, user: &UserKey, at: &ConnectionRef) -> Result<Option<u64>> {
        Ok(self.0.lock().unregister(user, at))
    }

    async fn lookup(&self, users: &[UserKey]) -> Result<Vec<ConnectionRef>> {
        let state = self.0.lock();
        let all = users.iter().filter_map(|user| state.users.get(user)).flatten();
        Ok(all.filter(|at| state.lives(at)).cloned().collect())
    }

    async fn online(&self, users: &[UserKey]) -> Result<Vec<bool>> {
        let state = self.0.lock();
        Ok(users.iter().map(|user| state.online(user)).collect())
    }

    async fn lease(&self, gateway: &str, held: Held) -> Result<Lease> {
        let mut state = self.0.lock();
        let gateway = state.gateways.entry(gateway.to_owned()).or_default();
        let was = std::mem::replace(&mut gateway.lease, LeaseOf::Lives);
        let mut here = Held::default();
        for (connection, user) in &gateway.connections {
            here.add(user, *connection);
        }
        let state = match was {
            LeaseOf::Lives if here == held => LeaseState::Kept,
            LeaseOf::Lives => LeaseState::Differs,
            LeaseOf::None | LeaseOf::Ended => LeaseState::Lost,
        };
        Ok(Lease { state, ttl_ms: TTL_MS })
    }

    async fn renew(&self, gateway: &str, held: Held) -> Result<Lease> {
        let lives = self.0.lock().gateways.get(gateway).is_some_and(|gateway| gateway.lease == LeaseOf::Lives);
        if lives { self.lease(gateway, held).await } else { Ok(Lease { state: LeaseState::Lost, ttl_ms: TTL_MS }) }
    }

    async fn lapsed(&self) -> Result<Vec<String>> {
        let state = self.0.lock();
        let ended = state.gateways.iter().filter(|(_, gateway)| gateway.lease == LeaseOf::Ended);
        Ok(ended.map(|(name, _)| name.clone()).collect())
    }

    async fn drop_gateway(&self, gateway: &str) -> Result<Vec<Gone>> {
        let mut state = self.0.lock();
        let offline = state.unregister_all(gateway, |_| true);
        state.gateways.remove(gateway);
        Ok(offline)
    }

    async fn prune(&self, gateway: &str, kept: &[u64], upto: u64) -> Result<Vec<Gone>> {
        let kept: HashSet<u64> = kept.iter().copied().collect();
        Ok(self.0.lock().unregister_all(gateway, |connection| connection <= upto && !kept.contains(&connection)))
    }

    async fn watch(&self, at: &ConnectionRef, users: &[UserKey]) -> Result<bool> {
        let mut state = self.0.lock();
        if !state.registered(at) {
            return Ok(false);
        }
        state.unwatch(at);
        if users.is_empty() {
            return Ok(true);
        }
        for user in users {
            state.watchers.entry(user.clone()).or_default().insert(at.clone());
        }
        state.watching.insert(at.clone(), users.to_vec());
        Ok(true)
    }

    async fn watchers(&self, user: &UserKey) -> Result<Vec<ConnectionRef>> {
        let state = self.0.lock();
        Ok(state.watchers.get(user).into_iter().flatten().filter(|at| state.lives(at)).cloned().collect())
    }

    async fn look(&self, user: &UserKey) -> Result<Look> {
        let state = self.0.lock();
        let noted = number_of(&state.noted, user);
        Ok(Look { online: state.online(user), shown: state.shown.contains(user), noted })
    }

    async fn show(&self, user: &UserKey, online: bool, noted: u64, told: u64) -> Result<Option<u64>> {
        let mut state = self.0.lock();
        if number_of(&state.noted, user) == noted {
            state.noted.remove(user);
        }
        state.told(user, told);
        let changed = if online { state.shown.insert(user.clone()) } else { state.shown.remove(user) };
        Ok(changed.then(|| state.tell(user)))
    }

    async fn shown(&self, users: &[UserKey]) -> Result<Vec<bool>> {
        let state = self.0.lock();
        Ok(users.iter().map(|user| state.shown.contains(user)).collect())
    }

    async fn told(&self, user: &UserKey, version: u64) -> Result<()> {
        self.0.lock().told(user, version);
        Ok(())
    }

    async fn show_again(&self, user: &UserKey, telling: u64) -> Result<Option<(u64, bool)>> {
        let mut state = self.0.lock();
        let same = telling != 0 && number_of(&state.telling, user) == telling;
        Ok(same.then(|| (state.tell(user), state.shown.contains(user))))
    }

    async fn untold(&self, for_ms: u64, limit: usize) -> Result<Vec<Untold>> {
        let state = self.0.lock();
        let untold = |(user, since, what): (&UserKey, &Instant, Outstanding)| {
            let ago_ms = u64::try_from(since.elapsed().as_millis()).unwrap_or(u64::MAX);
            Untold { user: user.clone(), what, ago_ms }
        };
        let noted = state.noted.iter().map(|(user, (since, noted))| (user, since, Outstanding::Noted(*noted)));
        let telling =
            state.telling.iter().map(|(user, (since, version))| (user, since, Outstanding::Telling(*version)));
        let old = |untold: &Untold| untold.ago_ms >= for_ms;
        let noted = noted.map(untold).filter(old).take(limit);
        Ok(noted.chain(telling.map(untold).filter(old).take(limit)).collect())
    }

    async fn versions(&self, users: &[UserKey]) -> Result<Vec<u64>> {
        Ok(vec![self.0.lock().version; users.len()])
    }
}

/// 0 where there is none.
fn number_of(all: &BTreeMap<UserKey, (Instant, u64)>, user: &UserKey) -> u64 {
    all.get(user).map_or(0, |(_, number)| *number)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::conformance::Engine;

    struct Model(Arc<MemoryPresence>);

    #[async_trait]
    impl Engine for Model {
        async fn end_lease(&self, gateway: &str) {
            self.0.end_lease(gateway);
        }

        async fn forget(&self) {
            self.0.forget();
        }
    }

    #[tokio::test]
    async fn the_memory_presence_conforms() {
        let presence = MemoryPresence::new();
        crate::conformance::run(presence.clone(), &Model(presence)).await;
    }
}
