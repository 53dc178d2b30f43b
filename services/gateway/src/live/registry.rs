//! The connections of this gateway, by number, by user and by session.

use std::{
    collections::{BTreeSet, HashMap},
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
};

use parking_lot::{Mutex, RwLock};
use posthorn_core::{DeviceId, Held, TenantId, UserId, UserKey};
use posthorn_errors::Code;
use posthorn_proto::internal::{Caller, Cut};

use super::{Order, Outbox, Watching};
use crate::{limits::UserLimit, ws::Protocol, ws::ending::Ending};

const SHARDS: usize = 64;

/// Who a connection belongs to, from its token.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Identity {
    pub tenant: TenantId,
    pub user: UserId,
    pub device: DeviceId,
}

impl Identity {
    pub fn user_key(&self) -> UserKey {
        UserKey { tenant: self.tenant.clone(), user: self.user.clone() }
    }
}

/// What of the present token matters later.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub(crate) struct Token {
    pub id: String,
    pub issued_ms: u64,
    pub expires_ms: u64,
    /// The key that verified it.
    pub signed_by: String,
}

/// One connection as others see it.
pub(crate) struct Connection {
    /// The incarnation that it is at.
    gateway: Arc<str>,
    pub id: u64,
    pub identity: Identity,
    pub protocol: Protocol,
    pub outbox: Outbox,
    pub token: Mutex<Token>,
    pub watching: Watching,
    /// It follows the large conversations of its user.
    follows: AtomicBool,
    /// Lookups find it, as far as is known: else what goes to all gateways alone reaches it.
    registered: AtomicBool,
}

impl Connection {
    pub fn new(
        gateway: Arc<str>,
        id: u64,
        identity: Identity,
        protocol: Protocol,
        max_queue_bytes: usize,
        token: Token,
    ) -> Self {
        let outbox = Outbox::new(protocol, max_queue_bytes);
        Self {
            gateway,
            id,
            identity,
            protocol,
            outbox,
            token: Mutex::new(token),
            watching: Watching::default(),
            follows: AtomicBool::new(false),
            registered: AtomicBool::new(true),
        }
    }

    /// From now on its user's large conversations are followed.
    pub fn follows(&self) {
        self.follows.store(true, Ordering::Relaxed);
    }

    pub fn is_following(&self) -> bool {
        self.follows.load(Ordering::Relaxed)
    }

    pub fn is_registered(&self) -> bool {
        self.registered.load(Ordering::Relaxed)
    }

    pub fn unregistered(&self) {
        self.registered.store(false, Ordering::Relaxed);
    }

    /// True if it was not before.
    pub fn registered(&self) -> bool {
        !self.is_registered() && !self.registered.swap(true, Ordering::Relaxed)
    }

    pub fn caller(&self) -> Caller {
        Caller {
            tenant: self.identity.tenant.as_str().to_owned(),
            user: self.identity.user.as_str().to_owned(),
            device: self.identity.device.as_str().to_owned(),
            connection: self.id,
            backend: false,
            gateway: self.gateway.to_string(),
        }
    }

    fn is_cut_by(&self, cut: &Cut) -> bool {
        let token = self.token.lock();
        (cut.user.is_empty() || cut.user == self.identity.user.as_str())
            && (cut.device.is_empty() || cut.device == self.identity.device.as_str())
            && (cut.token_id.is_empty() || cut.token_id == token.id)
            && (cut.signed_by.is_empty() || cut.signed_by == token.signed_by)
            && (cut.issued_until_ms == 0 || token.issued_ms <= cut.issued_until_ms)
    }
}

pub(crate) struct Registry {
    shards: Vec<RwLock<HashMap<u64, Arc<Connection>>>>,
    index: Mutex<Index>,
    next: AtomicU64,
    count: AtomicU64,
    changes: Changes,
}

/// Connects and disconnects of which the session service may not know yet, or no longer.
#[derive(Default)]
struct Changes {
    begun: AtomicU64,
    ended: AtomicU64,
}

/// One of them, until the session service has answered.
pub(crate) struct Change<'a>(&'a Changes);

impl Drop for Change<'_> {
    fn drop(&mut self) {
        self.0.ended.fetch_add(1, Ordering::SeqCst);
    }
}

#[derive(Default)]
struct Index {
    users: HashMap<UserKey, UserEntry>,
    /// The newest connection of each session.
    sessions: HashMap<String, u64>,
    /// Events may be missing for everybody, also for those who come: see [`Outbox::doubt`].
    doubted: bool,
}

#[derive(Default)]
struct UserEntry {
    connections: BTreeSet<u64>,
    limit: Arc<UserLimit>,
}

impl Default for Registry {
    fn default() -> Self {
        Self {
            shards: (0..SHARDS).map(|_| RwLock::default()).collect(),
            index: Mutex::default(),
            next: AtomicU64::new(1),
            count: AtomicU64::new(0),
            changes: Changes::default(),
        }
    }
}

impl Registry {
    /// A number no connection of this incarnation had.
    pub fn next_id(&self) -> u64 {
        self.next.fetch_add(1, Ordering::Relaxed)
    }

    /// The last number that was given.
    pub fn newest_id(&self) -> u64 {
        self.next.load(Ordering::Relaxed) - 1
    }

    /// A connection is about to come or go, here and at the session service.
    pub fn change(&self) -> Change<'_> {
        self.changes.begun.fetch_add(1, Ordering::SeqCst);
        Change(&self.changes)
    }

    /// `None` while one comes or goes; else how many did so far.
    pub fn quiet(&self) -> Option<u64> {
        // In this order: what begins in between shows as one under way.
        let ended = self.changes.ended.load(Ordering::SeqCst);
        (self.changes.begun.load(Ordering::SeqCst) == ended).then_some(ended)
    }

    /// All connections, for comparison with what the presence engine holds.
    pub fn held(&self) -> Held {
        let mut held = Held::default();
        for shard in &self.shards {
            for connection in shard.read().values() {
                held.add(&connection.identity.user_key(), connection.id);
            }
        }
        held
    }

    /// The connections of these users, by ascending number.
    pub fn of_users(&self, tenant: &str, users: &[String]) -> Vec<u64> {
        let Ok(tenant) = TenantId::new(tenant) else { return Vec::new() };
        let users: Vec<UserId> = users.iter().filter_map(|user| UserId::new(user).ok()).collect();
        self.of_members(&tenant, &users)
    }

    /// As [`Registry::of_users`].
    pub fn of_members(&self, tenant: &TenantId, users: &[UserId]) -> Vec<u64> {
        let index = self.index.lock();
        let keys = users.iter().map(|user| UserKey { tenant: tenant.clone(), user: user.clone() });
        let mut found: Vec<u64> =
            keys.filter_map(|key| index.users.get(&key)).flat_map(|entry| entry.connections.iter().copied()).collect();
        found.sort_unstable();
        found.dedup();
        found
    }

    pub fn len(&self) -> u64 {
        self.count.load(Ordering::Relaxed)
    }

    /// From now on events for its number find it. Returns what its user's connections share.
    pub fn insert(&self, connection: &Arc<Connection>) -> Arc<UserLimit> {
        let limit = {
            let mut index = self.index.lock();
            if index.doubted {
                connection.outbox.doubt();
            }
            self.shard(connection.id).write().insert(connection.id, connection.clone());
            let entry = index.users.entry(connection.identity.user_key()).or_default();
            entry.connections.insert(connection.id);
            entry.limit.clone()
        };
        self.count.fetch_add(1, Ordering::Relaxed);
        limit
    }

    pub fn remove(&self, connection: &Connection, session: &str) {
        if self.shard(connection.id).write().remove(&connection.id).is_some() {
            self.count.fetch_sub(1, Ordering::Relaxed);
        }
        let mut index = self.index.lock();
        if index.sessions.get(session) == Some(&connection.id) {
            index.sessions.remove(session);
        }
        let key = connection.identity.user_key();
        if let Some(entry) = index.users.get_mut(&key) {
            entry.connections.remove(&connection.id);
            if entry.connections.is_empty() {
                index.users.remove(&key);
            }
        }
    }

    /// The session is this connection's now; an older connection of it here is ended.
    pub fn take_session(&self, session: &str, id: u64) {
        let older = self.index.lock().sessions.insert(session.to_owned(), id);
        if let Some(older) = older.filter(|&older| older != id) {
            self.with(older, |connection| connection.outbox.order(Order::End(Ending::server(Code::SessionReplaced))));
        }
    }

    /// Does something with a connection, if it is here, without taking a share in it.
    pub fn with<T>(&self, id: u64, what: impl FnOnce(&Connection) -> T) -> Option<T> {
        self.shard(id).read().get(&id).map(|connection| what(connection))
    }

    pub fn get(&self, id: u64) -> Option<Arc<Connection>> {
        self.shard(id).read().get(&id).cloned()
    }

    /// Every connection, by ascending number.
    pub fn all(&self) -> Vec<Arc<Connection>> {
        let mut all: Vec<_> = self.shards.iter().flat_map(|s| s.read().values().cloned().collect::<Vec<_>>()).collect();
        all.sort_unstable_by_key(|connection| connection.id);
        all
    }

    pub fn unregistered(&self) -> Vec<Arc<Connection>> {
        let shards = self.shards.iter().map(RwLock::read);
        shards
            .flat_map(|shard| shard.values().filter(|one| !one.is_registered()).cloned().collect::<Vec<_>>())
            .collect()
    }

    /// Events may be missing from here on: nobody is given any before [`Registry::lose_doubted`]. Returns who is here.
    pub fn doubt(&self) -> Vec<Arc<Connection>> {
        let mut index = self.index.lock();
        index.doubted = true;
        let all = self.all();
        all.iter().for_each(|connection| connection.outbox.doubt());
        all
    }

    /// What was in doubt is lost; what comes from here on is whole. Returns the bytes that were never written.
    pub fn lose_doubted(&self, code: Code) -> usize {
        let mut index = self.index.lock();
        index.doubted = false;
        self.all().iter().map(|connection| connection.outbox.lose_doubted(code)).sum()
    }

    /// The connections that a cut ends; with `only`, of those numbers.
    pub fn cut(&self, tenant: &str, cut: &Cut, only: &[u64]) -> Vec<Arc<Connection>> {
        let named = || Some(UserKey { tenant: TenantId::new(tenant).ok()?, user: UserId::new(&cut.user).ok()? });
        let candidates: Vec<u64> = if !only.is_empty() {
            only.to_vec()
        } else if let Some(key) = named() {
            self.index.lock().users.get(&key).map(|e| e.connections.iter().copied().collect()).unwrap_or_default()
        } else {
            self.all().iter().map(|connection| connection.id).collect()
        };
        candidates
            .into_iter()
            .filter_map(|id| self.get(id))
            .filter(|connection| connection.identity.tenant.as_str() == tenant && connection.is_cut_by(cut))
            .collect()
    }

    fn shard(&self, id: u64) -> &RwLock<HashMap<u64, Arc<Connection>>> {
        #[allow(clippy::cast_possible_truncation, reason = "below SHARDS")]
        &self.shards[(id % SHARDS as u64) as usize]
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use posthorn_proto::client::{Ping, server_frame::Frame};

    use super::*;
    use crate::live::{Event, outbox::Pushed};

    fn connection(id: u64, tenant: &str, user: &str, device: &str, issued_ms: u64) -> Arc<Connection> {
        let identity = Identity {
            tenant: TenantId::new(tenant).unwrap(),
            user: UserId::new(user).unwrap(),
            device: DeviceId::new(device).unwrap(),
        };
        let (expires_ms, signed_by) = (0, format!("key{}", id % 2));
        let token = Token { id: format!("token{id}"), issued_ms, expires_ms, signed_by };
        Arc::new(Connection::new("g".into(), id, identity, Protocol::Json, 1_000, token))
    }

    fn registry() -> (Registry, Vec<Arc<Connection>>) {
        let registry = Registry::default();
        let all = vec![
            connection(1, "t", "ada", "phone", 10),
            connection(2, "t", "ada", "laptop", 20),
            connection(3, "t", "bob", "phone", 10),
            connection(4, "other", "ada", "phone", 10),
        ];
        for connection in &all {
            registry.insert(connection);
        }
        (registry, all)
    }

    #[test]
    fn a_cut_ends_the_connections_it_describes() {
        let (registry, _) = registry();
        let cut = |cut: Cut, only: &[u64]| registry.cut("t", &cut, only).iter().map(|c| c.id).collect::<Vec<_>>();
        let ada = || Cut { user: "ada".into(), ..Cut::default() };
        assert_eq!(cut(ada(), &[]), [1, 2]);
        assert_eq!(cut(Cut { device: "laptop".into(), ..ada() }, &[]), [2]);
        assert_eq!(cut(Cut { issued_until_ms: 10, ..ada() }, &[]), [1]);
        assert_eq!(cut(Cut { token_id: "token2".into(), ..ada() }, &[]), [2]);
        assert_eq!(cut(Cut { token_id: "token3".into(), ..Cut::default() }, &[]), [3]);
        assert_eq!(cut(Cut { signed_by: "key1".into(), ..Cut::default() }, &[]), [1, 3]);
        assert_eq!(cut(Cut { signed_by: "key1".into(), ..ada() }, &[]), [1]);
        assert_eq!(cut(Cut::default(), &[]), [1, 2, 3]);
        assert_eq!(cut(Cut::default(), &[3, 4, 99]), [3]);
        assert_eq!(cut(Cut { user: "nobody".into(), ..Cut::default() }, &[]), [0; 0]);
    }

    #[test]
    fn users_are_found_by_name_within_their_tenant() {
        let (registry, _) = registry();
        let of = |tenant: &str, users: &[&str]| {
            registry.of_users(tenant, &users.iter().map(|&user| user.to_owned()).collect::<Vec<_>>())
        };
        assert_eq!(of("t", &["bob", "ada", "nobody", "ada", "?"]), [1, 2, 3]);
        assert_eq!(of("other", &["bob", "ada"]), [4]);
        assert_eq!(of("nowhere", &["ada"]), [0; 0]);
    }

    #[test]
    fn it_is_quiet_between_changes_and_every_change_shows() {
        let (registry, all) = registry();
        let before = registry.quiet();
        assert!(before.is_some());
        let change = registry.change();
        assert_eq!(registry.quiet(), None);
        let other = registry.change();
        drop(change);
        assert_eq!(registry.quiet(), None);
        drop(other);
        assert_ne!(registry.quiet(), before);

        let mut held = Held::default();
        for connection in &all {
            held.add(&connection.identity.user_key(), connection.id);
        }
        assert_eq!(registry.held(), held);
        registry.remove(&all[0], "s");
        assert_ne!(registry.held(), held);
    }

    #[test]
    fn who_left_is_forgotten_and_leaves_a_newer_connection_its_session() {
        let (registry, all) = registry();
        registry.take_session("s", 1);
        registry.take_session("s", 2);
        assert_eq!(all[0].outbox.take_order(), Some(Order::End(Ending::server(Code::SessionReplaced))));
        registry.remove(&all[0], "s");
        registry.remove(&all[0], "s");
        assert_eq!((registry.len(), registry.with(1, |_| ()), registry.index.lock().sessions.len()), (3, None, 1));
        for connection in &all {
            registry.remove(connection, "s");
        }
        let index = registry.index.lock();
        assert_eq!((registry.len(), index.users.len(), index.sessions.len()), (0, 0, 0));
    }

    #[test]
    fn who_comes_while_events_may_be_missing_is_given_none_until_that_is_told() {
        let registry = Registry::default();
        let (ann, ben) = (connection(1, "t", "ann", "d", 1), connection(2, "t", "ben", "d", 1));
        registry.insert(&ann);
        assert_eq!(registry.doubt().len(), 1);
        registry.insert(&ben);
        let event = Arc::new(Event::new(Frame::Ping(Ping {}), 0));
        let push = || [&ann, &ben].map(|one| one.outbox.push_event(&event));
        assert_eq!(push(), [Pushed::Doubted; 2]);
        registry.lose_doubted(Code::Overloaded);
        assert_eq!(push(), [Pushed::Queued; 2]);
        for one in [&ann, &ben] {
            one.outbox.go_live(Bytes::new());
            assert!(one.outbox.take(1 << 10, &mut Vec::new()).is_some_and(|lost| lost.conversations.is_empty()));
        }
    }
}
