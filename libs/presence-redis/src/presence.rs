//! The driver: what is asked in words of connections, said in commands.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use async_trait::async_trait;
use posthorn_clock::Clock;
use posthorn_core::{Held, UserKey};
use posthorn_presence::{ConnectionRef, Gone, Lease, Look, Presence, PresenceError, Result, Untold};
use posthorn_tasks::Tasks;
use posthorn_telemetry::Metrics;
use redis::{Cmd, FromRedisValue, Value, cmd};

use crate::{
    OpenError, RedisConfig,
    connect::Connector,
    keys::{Keys, Place, connection_of, field, name},
    leases::Known,
    link::Link,
    metrics::RedisMetrics,
    scripts::{LOOK, REGISTER, SHOW, TOLD, UNREGISTER},
};

pub struct RedisPresence {
    pub(crate) config: RedisConfig,
    pub(crate) keys: Keys,
    pub(crate) link: Link,
    pub(crate) leases: Known,
}

impl RedisPresence {
    /// Connects in the background: the engine may come later, and go.
    ///
    /// # Errors
    /// The configuration is wrong, or names a file that cannot be read.
    pub fn open(config: RedisConfig, clock: Clock, metrics: &Metrics, tasks: &Tasks) -> Result<Arc<Self>, OpenError> {
        let connector = Connector::new(&config)?;
        let link = Link::start(connector, &config, RedisMetrics::new(metrics), clock, tasks);
        let keys = Keys { prefix: config.prefix.clone() };
        Ok(Arc::new(Self { config, keys, link, leases: Known::default() }))
    }

    /// Whether there is a connection at this moment: for readiness.
    #[must_use]
    pub fn connected(&self) -> bool {
        self.link.connected()
    }

    /// Returns when there is one.
    pub async fn when_connected(&self) {
        self.link.when_connected().await;
    }

    /// What was learnt of leases counts for nothing any more: for whoever ends one behind the driver's back.
    pub fn ask_for_leases_again(&self) {
        self.leases.clear();
    }

    /// `online`: `None` for what is shown already.
    async fn note_shown(
        &self,
        user: &UserKey,
        online: Option<bool>,
        told: u64,
        noted: u64,
    ) -> Result<Option<(u64, bool)>> {
        let place = Place::of(user);
        let keys = [self.keys.shown(user), self.keys.version(place), self.keys.telling(place), self.keys.noted(place)];
        let what = online.map_or_else(|| "again".to_owned(), |online| u8::from(online).to_string());
        let keep = self.config.keep_ms.to_string();
        let arguments = [keep, name(user), told.to_string(), what, noted.to_string()];
        let Value::Array(answer) = self.link.script("show", &SHOW, &keys, &arguments).await? else { return Ok(None) };
        let [version, online] = [0, 1].map(|at| answer.get(at).map_or(0, number));
        let version = u64::try_from(version).ok().filter(|version| *version > 0);
        Ok(version.map(|version| (version, online == 1)))
    }

    fn is_shown(&self, user: &UserKey) -> (Place, Cmd) {
        (Place::of(user), cmd("EXISTS").arg(self.keys.shown(user)).to_owned())
    }

    /// For the connections of a user, those of gateways without a lease too.
    fn registered(&self, user: &UserKey) -> (Place, Cmd) {
        (Place::of(user), cmd("HKEYS").arg(self.keys.connections(user)).to_owned())
    }
}

#[async_trait]
impl Presence for RedisPresence {
    fn driver(&self) -> &'static str {
        "redis"
    }

    async fn register(&self, user: &UserKey, device: &str, at: &ConnectionRef) -> Result<bool> {
        let place = Place::of(user);
        let keys = [
            self.keys.connections(user),
            self.keys.index(place, &at.gateway),
            self.keys.noted(place),
            self.keys.shown(user),
        ];
        let weight = Held::weight(user, at.connection);
        let arguments = [
            field(at),
            device.to_owned(),
            at.connection.to_string(),
            format!("{weight}/{}", name(user)),
            weight.to_string(),
            self.config.keep_ms.to_string(),
            name(user),
        ];
        Ok(number(&self.link.script("register", &REGISTER, &keys, &arguments).await?) == 1)
    }

    async fn unregister(&self, user: &UserKey, at: &ConnectionRef) -> Result<Option<u64>> {
        let place = Place::of(user);
        let keys = [
            self.keys.connections(user),
            self.keys.index(place, &at.gateway),
            self.keys.watching(place, at),
            self.keys.noted(place),
        ];
        let arguments = [field(at), at.connection.to_string(), name(user), self.config.keep_ms.to_string()];
        let Value::Array(answer) = self.link.script("unregister", &UNREGISTER, &keys, &arguments).await? else {
            return Ok(None);
        };
        let mut answer = answer.into_iter();
        let noted = answer.next().as_ref().map_or(0, number).unsigned_abs();
        let watched = answer.next().map_or_else(|| Ok(Vec::new()), read)?;
        if let Err(error) = self.unwatch(at, watched.iter()).await {
            // Whom it watched may lie elsewhere. What is left there leads to nobody, and ends; the note has to be known.
            tracing::debug!(%error, "what a connection watched is left to end by itself");
        }
        Ok((noted > 0).then_some(noted))
    }

    async fn lookup(&self, users: &[UserKey]) -> Result<Vec<ConnectionRef>> {
        let cells: BTreeSet<Place> = users.iter().map(Place::of).collect();
        let commands = cells.iter().map(|&cell| self.age(cell)).chain(users.iter().map(|user| self.registered(user)));
        let mut ages = self.link.batch("lookup", commands.collect()).await?;
        let found = ages.split_off(cells.len());
        self.settled(ages).await?;
        self.alive(connections(found)?.into_iter().flatten().collect()).await
    }

    async fn online(&self, users: &[UserKey]) -> Result<Vec<bool>> {
        let commands = users.iter().map(|user| self.registered(user)).collect();
        let found = connections(self.link.batch("online", commands).await?)?;
        let alive = self.alive(found.iter().flatten().cloned().collect()).await?;
        let mut alive = alive.into_iter().peekable();
        // In the same order, with the dead left out.
        let online = found.iter().map(|of_user| {
            let mut any = false;
            for at in of_user {
                any |= alive.next_if_eq(at).is_some();
            }
            any
        });
        Ok(online.collect())
    }

    async fn lease(&self, gateway: &str, held: Held) -> Result<Lease> {
        self.begin_or_renew(gateway, held, true).await
    }

    async fn renew(&self, gateway: &str, held: Held) -> Result<Lease> {
        self.begin_or_renew(gateway, held, false).await
    }

    async fn lapsed(&self) -> Result<Vec<String>> {
        self.without_lease().await
    }

    async fn drop_gateway(&self, gateway: &str) -> Result<Vec<Gone>> {
        self.drop_all(gateway).await
    }

    async fn prune(&self, gateway: &str, kept: &[u64], upto: u64) -> Result<Vec<Gone>> {
        self.prune_all(gateway, kept, upto).await
    }

    async fn watch(&self, at: &ConnectionRef, users: &[UserKey]) -> Result<bool> {
        self.replace_watched(at, users).await
    }

    async fn watchers(&self, user: &UserKey) -> Result<Vec<ConnectionRef>> {
        self.watchers_of(user).await
    }

    async fn look(&self, user: &UserKey) -> Result<Look> {
        // In one step: what somebody notes in between would be taken for what they found.
        let place = Place::of(user);
        let keys = [self.keys.noted(place), self.keys.shown(user), self.keys.connections(user)];
        let found = self.link.script("look", &LOOK, &keys, &[name(user)]).await?;
        let Value::Array(found) = found else {
            return Err(PresenceError::Unavailable("an answer of another kind than its question".to_owned()));
        };
        let noted = found.first().and_then(text).map_or(0, |text| score(&text));
        let shown = found.get(1).is_some_and(|there| number(there) == 1);
        let here = connections(found.into_iter().skip(2).collect())?.into_iter().flatten().collect();
        Ok(Look { online: !self.alive(here).await?.is_empty(), shown, noted })
    }

    async fn show(&self, user: &UserKey, online: bool, noted: u64, told: u64) -> Result<Option<u64>> {
        let change = self.note_shown(user, Some(online), told, noted).await?;
        Ok(change.map(|(version, _)| version))
    }

    async fn shown(&self, users: &[UserKey]) -> Result<Vec<bool>> {
        let found = self.link.batch("shown", users.iter().map(|user| self.is_shown(user)).collect()).await?;
        Ok(found.iter().map(|there| number(there) == 1).collect())
    }

    async fn told(&self, user: &UserKey, version: u64) -> Result<()> {
        let keys = [self.keys.telling(Place::of(user))];
        self.link.script("told", &TOLD, &keys, &[name(user), version.to_string()]).await?;
        Ok(())
    }

    async fn show_again(&self, user: &UserKey, telling: u64) -> Result<Option<(u64, bool)>> {
        self.note_shown(user, None, telling, 0).await
    }

    async fn untold(&self, for_ms: u64, limit: usize) -> Result<Vec<Untold>> {
        self.untold_for(for_ms, limit).await
    }

    async fn versions(&self, users: &[UserKey]) -> Result<Vec<u64>> {
        let places: BTreeSet<Place> = users.iter().map(Place::of).collect();
        let ask = |place: &Place| (*place, cmd("GET").arg(self.keys.version(*place)).to_owned());
        let found = self.link.batch("versions", places.iter().map(ask).collect()).await?;
        let of = |value: &Value| text(value).and_then(|text| text.parse().ok()).unwrap_or(0);
        let known: BTreeMap<Place, u64> = places.into_iter().zip(found.iter().map(of)).collect();
        Ok(users.iter().map(|user| known.get(&Place::of(user)).copied().unwrap_or(0)).collect())
    }
}

fn connections(found: Vec<Value>) -> Result<Vec<Vec<ConnectionRef>>> {
    let of_user = |found| Ok(read(found)?.iter().filter_map(|field| connection_of(field)).collect());
    found.into_iter().map(of_user).collect()
}

/// 0 where it is none.
pub(crate) fn number(value: &Value) -> i64 {
    match value {
        Value::Int(number) => *number,
        _ => 0,
    }
}

pub(crate) fn text(value: &Value) -> Option<String> {
    match value {
        Value::BulkString(bytes) => String::from_utf8(bytes.clone()).ok(),
        _ => None,
    }
}

/// Of a sorted set: whole µs.
pub(crate) fn score(text: &str) -> u64 {
    text.parse::<f64>().map_or(0, |score| score as u64)
}

pub(crate) fn read(value: Value) -> Result<Vec<String>> {
    let unreadable = |error: redis::ParsingError| PresenceError::Unavailable(error.to_string());
    Vec::<String>::from_redis_value(value).map_err(unreadable)
}
