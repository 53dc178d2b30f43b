//! Who is connected where, and what those who watch them are told.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use posthorn_bus::subjects::of_gateway;
use posthorn_clock::{Instant, sleep};
use posthorn_core::{TenantId, UserId, UserKey};
use posthorn_errors::{Code, Failure};
use posthorn_presence::{ConnectionRef, Outstanding, PresenceError, Untold};
use posthorn_proto::{
    client::{PresenceNow, Status},
    internal::{ConnectReply, ConnectRequest, GatewayConnections, Table, WatchRequest, publication::What},
};
use serde::{Deserialize, Serialize};

use crate::{
    error::bad_id,
    service::{SessionService, TELLERS, key_of},
};

/// Times that one change is followed by a look at whether it still holds.
const MAX_LOOKS: usize = 8;
/// Beyond the grace, for whoever shows a change to be done with it, ms.
const UNTOLD_MS: u64 = 5_000;
/// Told at once.
const MAX_UNTOLD: usize = 1_000;
/// Of those, failures in a row after which it is the engine, or the bus.
const MAX_FAILED: u32 = 8;

#[derive(Serialize, Deserialize)]
struct LastSeen {
    at_ms: u64,
}

#[allow(clippy::needless_pass_by_value, reason = "the shape that map_err wants")]
pub(crate) fn presence(error: PresenceError) -> Failure {
    Failure::new(Code::Unavailable, error.to_string())
}

impl SessionService {
    /// Registered when this returns, unless the engine is away.
    pub async fn connect(self: &Arc<Self>, request: ConnectRequest) -> Result<ConnectReply, Failure> {
        let user = key_of(&request.tenant, &request.user)?;
        let at = ConnectionRef { gateway: request.gateway, connection: request.connection };
        // Before the connection counts: whoever is there can be found and revoked.
        self.note_device(&user, &request.device, &request.client).await;
        let registered = self.presence.register(&user, &request.device, &at).await;
        let unregistered = registered.is_err();
        match registered {
            Ok(first) => self.arrived(user, first),
            // Events go to all gateways meanwhile; afterwards the gateway's lease shows that it is missing.
            Err(error) => {
                self.metrics.unregistered.inc();
                tracing::debug!(%error, "a connection was not registered");
            }
        }
        let session =
            if request.session.is_empty() { self.clock.uuid_v4().simple().to_string() } else { request.session };
        let resume_token = self.resume_token(&request.tenant, &request.user, &request.device, &session);
        Ok(ConnectReply { session, resume_token, unregistered })
    }

    /// The user stays online for the grace: whoever comes back within it never was away.
    pub async fn disconnect(self: &Arc<Self>, tenant: &str, user: &str, at: ConnectionRef) -> Result<(), Failure> {
        let user = key_of(tenant, user)?;
        if let Some(noted) = self.presence.unregister(&user, &at).await.map_err(presence)? {
            self.leave(user, noted);
        }
        Ok(())
    }

    pub(crate) fn arrived(self: &Arc<Self>, user: UserKey, first: bool) {
        self.leaving.lock().remove(&user);
        // Also who comes back within the grace, and is shown already: that watchers know has to be noted.
        if first {
            let service = Arc::clone(self);
            self.tasks.background("presence", async move { service.show(&user, 0, 0).await });
        }
    }

    pub(crate) fn leave(self: &Arc<Self>, user: UserKey, noted: u64) {
        let ticket = self.clock.random();
        self.leaving.lock().insert(user.clone(), ticket);
        let (service, seen_ms) = (Arc::clone(self), self.clock.now_ms());
        let stopping = self.tasks.stopping();
        self.tasks.background("presence grace", async move {
            tokio::select! {
                () = sleep(Duration::from_millis(service.config.presence_grace_ms)) => {}
                () = stopping.cancelled() => {}
            }
            let still_gone = {
                let mut leaving = service.leaving.lock();
                let gone = leaving.get(&user) == Some(&ticket);
                if gone {
                    leaving.remove(&user);
                }
                gone
            };
            if still_gone {
                service.show(&user, seen_ms, noted).await;
            }
        });
    }

    /// Tells watchers what is the case now, if it is not what they were told last. One at a time for a
    /// user, and each after the change that led to it: the last word is right. Where that cannot be done the user
    /// stays untold, and is told later.
    async fn show(&self, user: &UserKey, seen_ms: u64, own: u64) {
        let _order = self.telling[usize::from(user.shard().0) % TELLERS].lock().await;
        if let Err(error) = self.show_until_told(user, seen_ms, own).await {
            tracing::warn!(%error, "watchers of a user could not be told");
        }
    }

    /// `own`: the note that this is about, 0 for none. The version that was told last, 0 if there was nothing to tell.
    async fn show_until_told(&self, user: &UserKey, seen_ms: u64, own: u64) -> Result<u64, PresenceError> {
        let seen_ms = if seen_ms == 0 { self.clock.now_ms() } else { seen_ms };
        let mut told = 0;
        // Another instance may have shown something else between our looking and our showing: the last to show
        // something looks once more.
        for _ in 0..MAX_LOOKS {
            let look = self.presence.look(user).await?;
            if !look.online && look.noted != 0 && look.noted != own {
                // Whoever noted that shows it, after the grace that only they know of.
                if told != 0 {
                    self.presence.told(user, told).await?;
                }
                break;
            }
            if !look.online && look.shown {
                // Before watchers ask for it.
                self.note_last_seen(user, seen_ms).await;
            }
            let Some(version) = self.presence.show(user, look.online, look.noted, told).await? else { break };
            self.metrics.transition(if look.online { "online" } else { "offline" });
            self.tell(user, look.online, seen_ms, version).await?;
            told = version;
        }
        Ok(told)
    }

    /// What another one was to do, or this one and was not answered.
    async fn show_again(&self, Untold { user, what, ago_ms }: &Untold) -> Result<(), PresenceError> {
        let _order = self.telling[usize::from(user.shard().0) % TELLERS].lock().await;
        let since_ms = self.clock.now_ms().saturating_sub(*ago_ms);
        let told = match *what {
            Outstanding::Noted(noted) => self.show_until_told(user, since_ms, noted).await?,
            Outstanding::Telling(version) => match self.show_until_told(user, 0, 0).await? {
                0 => self.tell_again(user, version, since_ms).await?,
                told => told,
            },
        };
        if told != 0 {
            self.metrics.untold.inc();
        }
        Ok(())
    }

    /// Also to those who may know it. The new version, 0 if somebody else has told it, or does.
    async fn tell_again(&self, user: &UserKey, version: u64, since_ms: u64) -> Result<u64, PresenceError> {
        let Some((version, online)) = self.presence.show_again(user, version).await? else { return Ok(0) };
        // Written before they were shown to have gone, if it could be.
        let seen = if online { Ok(None) } else { self.last_seen(user.tenant.as_str(), user.user.as_str()).await };
        self.tell(user, online, seen.ok().flatten().unwrap_or(since_ms), version).await?;
        self.presence.told(user, version).await?;
        Ok(version)
    }

    async fn note_last_seen(&self, user: &UserKey, seen_ms: u64) {
        let (tenant, name, seen) = (user.tenant.as_str(), user.user.as_str(), LastSeen { at_ms: seen_ms });
        if let Err(failure) = self.records.put(Table::LastSeen, tenant, name, &seen).await {
            tracing::warn!(%failure, "last-seen was not written");
        }
    }

    async fn last_seen(&self, tenant: &str, user: &str) -> Result<Option<u64>, Failure> {
        let seen: Option<LastSeen> = self.records.get(Table::LastSeen, tenant, user).await?;
        Ok(seen.map(|seen| seen.at_ms))
    }

    async fn tell(&self, user: &UserKey, online: bool, seen_ms: u64, version: u64) -> Result<(), PresenceError> {
        let (status, last_seen_ms) = if online { (Status::Online, 0) } else { (Status::Offline, seen_ms) };
        let watchers = self.presence.watchers(user).await?;
        let now = PresenceNow { user: (&user.user).into(), status: status.into(), last_seen_ms };
        let mut all = true;
        for gateway in by_gateway(watchers) {
            let subject = of_gateway(&gateway.gateway);
            let what = What::Presence(now.clone());
            all &= self.publish_version(&subject, user.tenant.as_str(), gateway.connections, what, version).await;
        }
        if all { Ok(()) } else { Err(PresenceError::Unavailable("the bus does not answer".to_owned())) }
    }

    /// What is outstanding for longer than anybody needs who is about to do it. Beginning somewhere, and going on behind
    /// those that fail: of many, each gets its turn.
    async fn tell_untold(&self) -> Result<(), PresenceError> {
        let for_ms = self.config.presence_grace_ms + UNTOLD_MS;
        let mut all = self.presence.untold(for_ms, MAX_UNTOLD).await?;
        if all.len() > 1 {
            let first = self.clock.below(all.len() as u64);
            all.rotate_left(usize::try_from(first).unwrap_or(0));
        }
        let (mut failed, mut last) = (0, Ok(()));
        for untold in all {
            let told = self.show_again(&untold).await;
            failed = if told.is_ok() { 0 } else { failed + 1 };
            last = last.and(told);
            if failed == MAX_FAILED {
                break;
            }
        }
        last
    }

    /// The connections of these users, by gateway; `None` where the engine does not answer.
    pub async fn lookup(&self, tenant: &str, users: &[String]) -> Result<Option<Vec<GatewayConnections>>, Failure> {
        if users.len() > self.config.max_lookup_users {
            return Err(Failure::plain(Code::Overloaded).limit("session.max_lookup_users"));
        }
        let started = Instant::now();
        let tenant = TenantId::new(tenant).map_err(|error| bad_id(&error))?;
        let key = |user: &String| {
            let user = UserId::new(user).map_err(|error| bad_id(&error))?;
            Ok(UserKey { tenant: tenant.clone(), user })
        };
        let users = users.iter().map(key).collect::<Result<Vec<_>, Failure>>()?;
        let found = match self.presence.lookup(&users).await {
            Ok(found) => Some(by_gateway(found)),
            Err(error) => {
                self.metrics.unknown_lookups.inc();
                tracing::debug!(%error, "where recipients are is not known");
                None
            }
        };
        self.metrics.lookup_seconds.observe(started.elapsed().as_secs_f64());
        Ok(found)
    }

    /// Replaces what a connection watches; changes come to it from here on. The states that watchers were told last,
    /// each with a version that it is not older than.
    pub async fn watch(&self, request: WatchRequest) -> Result<(Vec<PresenceNow>, Vec<u64>), Failure> {
        if request.users.len() > self.config.max_watched_users {
            return Err(Failure::plain(Code::TooManyWatched).limit("session.max_watched_users"));
        }
        let at = ConnectionRef { gateway: request.gateway, connection: request.connection };
        let users = request.users.iter().map(|user| key_of(&request.tenant, user)).collect::<Result<Vec<_>, _>>()?;
        if !self.presence.watch(&at, &users).await.map_err(presence)? {
            // It has ended, or the engine lost it: nothing would ever end this watch.
            return Err(Failure::new(Code::Unavailable, "the connection is not registered"));
        }
        if request.silent {
            return Ok((Vec::new(), Vec::new()));
        }
        // Before the states: they are as new, or newer.
        let versions = self.presence.versions(&users).await.map_err(presence)?;
        let shown = self.presence.shown(&users).await.map_err(presence)?;
        let mut now = Vec::with_capacity(users.len());
        for (user, online) in request.users.iter().zip(shown) {
            let status = if online { Status::Online } else { Status::Offline };
            now.push(self.now(&request.tenant, user, status).await?);
        }
        Ok((now, versions))
    }

    /// Now. Where the engine does not answer, `unknown` and not `offline`.
    pub async fn presence_of(&self, tenant: &str, users: &[String]) -> Result<Vec<PresenceNow>, Failure> {
        if users.len() > self.config.max_watched_users {
            return Err(Failure::plain(Code::TooManyWatched).limit("session.max_watched_users"));
        }
        let keys = users.iter().map(|user| key_of(tenant, user)).collect::<Result<Vec<_>, _>>()?;
        let online = self.presence.online(&keys).await;
        let mut now = Vec::with_capacity(users.len());
        for (at, user) in users.iter().enumerate() {
            let leaving = self.leaving.lock().contains_key(&keys[at]);
            let status = match &online {
                Ok(online) if online[at] || leaving => Status::Online,
                Ok(_) => Status::Offline,
                Err(_) => Status::Unknown,
            };
            now.push(self.now(tenant, user, status).await?);
        }
        Ok(now)
    }

    async fn now(&self, tenant: &str, user: &str, status: Status) -> Result<PresenceNow, Failure> {
        let seen = match status {
            Status::Online => None,
            _ => self.last_seen(tenant, user).await?,
        };
        let last_seen_ms = seen.unwrap_or(0);
        Ok(PresenceNow { user: user.to_owned(), status: status.into(), last_seen_ms })
    }
}

/// For as long as the node runs: tells what others should have. Of several instances one gets to tell each change.
pub(crate) async fn tell_what_others_did_not(service: Arc<SessionService>) {
    let stopping = service.tasks.stopping();
    let work = async {
        loop {
            // A quarter more or less.
            sleep(Duration::from_millis(UNTOLD_MS * 3 / 4 + service.clock.below(UNTOLD_MS / 2 + 1))).await;
            if let Err(error) = service.tell_untold().await {
                tracing::debug!(%error, "whose watchers were not told is not known, or they cannot be told");
            }
        }
    };
    tokio::select! {
        biased;
        () = stopping.cancelled() => {}
        () = work => {}
    }
}

fn by_gateway(connections: Vec<ConnectionRef>) -> Vec<GatewayConnections> {
    let mut gateways: BTreeMap<String, Vec<u64>> = BTreeMap::new();
    for at in connections {
        match gateways.get_mut(&at.gateway) {
            Some(connections) => connections.push(at.connection),
            None => drop(gateways.insert(at.gateway, vec![at.connection])),
        }
    }
    gateways.into_iter().map(|(gateway, connections)| GatewayConnections { gateway, connections }).collect()
}
