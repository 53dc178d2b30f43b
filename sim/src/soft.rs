//! Presence and feed behind a way: calls that are late, that were not made, and that were made and not answered.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use async_trait::async_trait;
use parking_lot::Mutex;
use posthorn_core::{Held, UserKey};
use posthorn_feed::{Fed, Feed, FeedError};
use posthorn_presence::{
    ConnectionRef, Gone, Lease, LeaseState, Look, Outstanding, Presence, PresenceError, Untold, memory::MemoryPresence,
};

use crate::storm::Way;

impl Way {
    async fn soft<T, E>(&self, call: impl Future<Output = Result<T, E>>, failed: impl Fn() -> E) -> Result<T, E> {
        if !self.reaches().await {
            return Err(failed());
        }
        if !self.hits() {
            return call.await;
        }
        match self.clock.below(3) {
            0 => {
                self.went("refused");
                Err(failed())
            }
            1 => {
                self.went("unanswered");
                call.await?;
                Err(failed())
            }
            _ => {
                self.went("slow");
                self.slow().await;
                call.await
            }
        }
    }

    async fn presence<T>(&self, call: impl Future<Output = Result<T, PresenceError>>) -> Result<T, PresenceError> {
        self.soft(call, || PresenceError::Unavailable("simulated".to_owned())).await
    }

    async fn feed<T>(&self, call: impl Future<Output = Result<T, FeedError>>) -> Result<T, FeedError> {
        self.soft(call, || FeedError::Unavailable("simulated".to_owned())).await
    }
}

/// How long a lease lives that is not renewed.
const LEASE: Duration = Duration::from_secs(3);

/// In simulated time, which is the same for all hosts. The presence of one process has no leases that end by
/// themselves: gateways of its own process do not die alone.
#[derive(Clone, Default)]
pub struct Times(Arc<Mutex<Noted>>);

#[derive(Default)]
struct Noted {
    leases_end: BTreeMap<String, Duration>,
    untold_since: BTreeMap<(UserKey, Outstanding), Duration>,
}

impl Times {
    fn renew(&self, gateway: &str) {
        let ends = turmoil::sim_elapsed().unwrap_or_default() + LEASE;
        self.0.lock().leases_end.insert(gateway.to_owned(), ends);
    }

    fn end_leases(&self, presence: &MemoryPresence) {
        let now = turmoil::sim_elapsed().unwrap_or_default();
        self.0.lock().leases_end.retain(|gateway, ends| {
            let lives = *ends > now;
            if !lives {
                presence.end_lease(gateway);
            }
            lives
        });
    }

    /// Since the first time that they were asked for.
    async fn untold(&self, presence: &MemoryPresence, for_ms: u64, limit: usize) -> Shown<Vec<Untold>> {
        let all = presence.untold(0, usize::MAX).await?;
        let now = turmoil::sim_elapsed().unwrap_or_default();
        let since = &mut self.0.lock().untold_since;
        since.retain(|(user, what), _| all.iter().any(|untold| untold.user == *user && untold.what == *what));
        let all = all.into_iter().map(|untold| {
            let since = *since.entry((untold.user.clone(), untold.what)).or_insert(now);
            let ago_ms = u64::try_from(now.saturating_sub(since).as_millis()).unwrap_or(u64::MAX);
            Untold { ago_ms, ..untold }
        });
        Ok(all.filter(|untold| untold.ago_ms >= for_ms).take(limit).collect())
    }
}

pub struct FarPresence {
    pub presence: Arc<MemoryPresence>,
    pub times: Times,
    pub way: Way,
}

type Shown<T> = Result<T, PresenceError>;

impl FarPresence {
    /// Leases that have ended by now, have ended for whoever asks.
    fn inner(&self) -> &MemoryPresence {
        self.times.end_leases(&self.presence);
        &self.presence
    }

    async fn leased(&self, gateway: &str, held: Held, begin: bool) -> Shown<Lease> {
        let inner = self.inner();
        let lease = if begin { inner.lease(gateway, held).await? } else { inner.renew(gateway, held).await? };
        if begin || lease.state != LeaseState::Lost {
            self.times.renew(gateway);
        }
        Ok(Lease { ttl_ms: u64::try_from(LEASE.as_millis()).unwrap_or(u64::MAX), ..lease })
    }
}

#[async_trait]
impl Presence for FarPresence {
    fn driver(&self) -> &'static str {
        self.presence.driver()
    }

    async fn register(&self, user: &UserKey, device: &str, at: &ConnectionRef) -> Shown<bool> {
        self.way.presence(self.inner().register(user, device, at)).await
    }

    async fn unregister(&self, user: &UserKey, at: &ConnectionRef) -> Shown<Option<u64>> {
        self.way.presence(self.inner().unregister(user, at)).await
    }

    async fn lookup(&self, users: &[UserKey]) -> Shown<Vec<ConnectionRef>> {
        self.way.presence(self.inner().lookup(users)).await
    }

    async fn online(&self, users: &[UserKey]) -> Shown<Vec<bool>> {
        self.way.presence(self.inner().online(users)).await
    }

    async fn lease(&self, gateway: &str, held: Held) -> Shown<Lease> {
        self.way.presence(self.leased(gateway, held, true)).await
    }

    async fn renew(&self, gateway: &str, held: Held) -> Shown<Lease> {
        self.way.presence(self.leased(gateway, held, false)).await
    }

    async fn lapsed(&self) -> Shown<Vec<String>> {
        self.way.presence(self.inner().lapsed()).await
    }

    async fn drop_gateway(&self, gateway: &str) -> Shown<Vec<Gone>> {
        self.way.presence(self.inner().drop_gateway(gateway)).await
    }

    async fn prune(&self, gateway: &str, kept: &[u64], upto: u64) -> Shown<Vec<Gone>> {
        self.way.presence(self.inner().prune(gateway, kept, upto)).await
    }

    async fn watch(&self, at: &ConnectionRef, users: &[UserKey]) -> Shown<bool> {
        self.way.presence(self.inner().watch(at, users)).await
    }

    async fn watchers(&self, user: &UserKey) -> Shown<Vec<ConnectionRef>> {
        self.way.presence(self.inner().watchers(user)).await
    }

    async fn look(&self, user: &UserKey) -> Shown<Look> {
        self.way.presence(self.inner().look(user)).await
    }

    async fn show(&self, user: &UserKey, online: bool, noted: u64, told: u64) -> Shown<Option<u64>> {
        self.way.presence(self.inner().show(user, online, noted, told)).await
    }

    async fn shown(&self, users: &[UserKey]) -> Shown<Vec<bool>> {
        self.way.presence(self.inner().shown(users)).await
    }

    async fn told(&self, user: &UserKey, version: u64) -> Shown<()> {
        self.way.presence(self.inner().told(user, version)).await
    }

    async fn show_again(&self, user: &UserKey, telling: u64) -> Shown<Option<(u64, bool)>> {
        self.way.presence(self.inner().show_again(user, telling)).await
    }

    async fn untold(&self, for_ms: u64, limit: usize) -> Shown<Vec<Untold>> {
        self.way.presence(self.times.untold(&self.presence, for_ms, limit)).await
    }

    async fn versions(&self, users: &[UserKey]) -> Shown<Vec<u64>> {
        self.way.presence(self.inner().versions(users)).await
    }
}

pub struct FarFeed {
    pub inner: Arc<dyn Feed>,
    pub way: Way,
}

#[async_trait]
impl Feed for FarFeed {
    fn driver(&self) -> &'static str {
        self.inner.driver()
    }

    async fn read(&self, partition: u16, after: u64, limit: usize) -> Result<Vec<Fed>, FeedError> {
        self.way.feed(self.inner.read(partition, after, limit)).await
    }

    async fn wait(&self, partition: u16, after: u64) {
        self.inner.wait(partition, after).await;
    }

    async fn cursor(&self, group: &str, partition: u16) -> Result<u64, FeedError> {
        self.way.feed(self.inner.cursor(group, partition)).await
    }

    async fn commit(&self, group: &str, partition: u16, offset: u64) -> Result<(), FeedError> {
        self.way.feed(self.inner.commit(group, partition, offset)).await
    }
}
