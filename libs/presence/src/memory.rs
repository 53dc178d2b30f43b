//! The presence of one process: a few maps behind a lock that is held for microseconds.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap, HashSet},
    sync::Arc,
};

use async_trait::async_trait;
use parking_lot::Mutex;
use posthorn_core::UserKey;

use crate::{ConnectionRef, Presence, Result};

#[derive(Default)]
pub struct MemoryPresence(Mutex<State>);

#[derive(Default)]
struct State {
    /// Few connections each: a vector in the order of registration.
    users: HashMap<UserKey, Vec<ConnectionRef>>,
    registered: HashSet<ConnectionRef>,
    /// What each connection watches, and the other way round.
    watching: HashMap<ConnectionRef, Vec<UserKey>>,
    watchers: HashMap<UserKey, BTreeSet<ConnectionRef>>,
}

impl MemoryPresence {
    #[must_use]
    pub fn new() -> Arc<Self> {
        Arc::new(Self::default())
    }
}

impl State {
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

    /// True if it was the last.
    fn unregister(&mut self, user: &UserKey, at: &ConnectionRef) -> bool {
        let Some(connections) = self.users.get_mut(user) else { return false };
        let before = connections.len();
        connections.retain(|other| other != at);
        if connections.len() == before {
            return false;
        }
        let last = connections.is_empty();
        if last {
            self.users.remove(user);
        }
        self.registered.remove(at);
        self.unwatch(at);
        last
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
            state.registered.insert(at.clone());
        }
        Ok(first)
    }

    async fn unregister(&self, user: &UserKey, at: &ConnectionRef) -> Result<bool> {
        Ok(self.0.lock().unregister(user, at))
    }

    async fn lookup(&self, users: &[UserKey]) -> Result<Vec<ConnectionRef>> {
        let state = self.0.lock();
        Ok(users.iter().filter_map(|user| state.users.get(user)).flatten().cloned().collect())
    }

    async fn online(&self, users: &[UserKey]) -> Result<Vec<bool>> {
        let state = self.0.lock();
        Ok(users.iter().map(|user| state.users.contains_key(user)).collect())
    }

    async fn drop_gateway(&self, gateway: &str) -> Result<Vec<UserKey>> {
        let mut state = self.0.lock();
        let mut gone: BTreeMap<UserKey, Vec<ConnectionRef>> = BTreeMap::new();
        for (user, connections) in &state.users {
            let theirs: Vec<_> = connections.iter().filter(|at| at.gateway == gateway).cloned().collect();
            if !theirs.is_empty() {
                gone.insert(user.clone(), theirs);
            }
        }
        let mut offline = Vec::new();
        for (user, connections) in gone {
            let mut went = false;
            for at in connections {
                went |= state.unregister(&user, &at);
            }
            if went {
                offline.push(user);
            }
        }
        Ok(offline)
    }

    async fn watch(&self, at: &ConnectionRef, users: &[UserKey]) -> Result<bool> {
        let mut state = self.0.lock();
        if !state.registered.contains(at) {
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
        Ok(self.0.lock().watchers.get(user).into_iter().flatten().cloned().collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn the_memory_presence_conforms() {
        crate::conformance::run(MemoryPresence::new()).await;
    }
}
