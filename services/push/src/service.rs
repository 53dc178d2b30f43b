//! Follows the feed: one task a partition, so that first copies are decided in order.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
    time::Duration,
};

use posthorn_bus::Bus;
use posthorn_clock::{Clock, sleep};
use posthorn_core::backoff::Backoff;
use posthorn_errors::Failure;
use posthorn_feed::{Fed, Feed, FeedError, PARTITIONS};
use posthorn_proto::{
    convert::decode_envelope,
    internal::{MembersRequest, RegistersOfRequest},
};
use posthorn_rpc::{SessionClient, StorageClient, call};
use posthorn_tasks::Tasks;
use posthorn_telemetry::Metrics;

use crate::{
    Notification, Provider, ProviderError, PushConfig,
    decide::{Countable, Member, countable, notifications},
    metrics::PushMetrics,
    sharing::Shares,
};

/// The feed's consumer group.
const GROUP: &str = "push";
/// Between tries where a part does not answer.
const RETRY: Duration = Duration::from_secs(1);

/// What the service is made of.
pub struct PushDeps {
    pub config: PushConfig,
    pub feed: Arc<dyn Feed>,
    pub storage: StorageClient,
    /// For the providers that will send to devices.
    pub session: SessionClient,
    pub provider: Arc<dyn Provider>,
    /// Where the other processes of the group are heard; `None`: there are none.
    pub bus: Option<Arc<dyn Bus>>,
    pub clock: Clock,
    pub metrics: Metrics,
    pub tasks: Tasks,
}

pub struct PushService {
    config: PushConfig,
    feed: Arc<dyn Feed>,
    storage: StorageClient,
    provider: Arc<dyn Provider>,
    clock: Clock,
    metrics: PushMetrics,
    shares: Shares,
}

/// The last (generation, seq) of each (tenant, conversation).
type Remembered = posthorn_core::remembered::Remembered<(String, String), (u64, u64)>;

/// Entries of one conversation that are decided together.
struct Place {
    tenant: String,
    conversation: String,
    entries: Countable,
}

type Members = BTreeMap<String, Member>;

impl Place {
    fn notifications(&self, members: &Members) -> Vec<Notification> {
        notifications(&self.tenant, &self.conversation, &self.entries, members)
    }
}

impl PushService {
    /// Begins where the group's cursors are.
    pub fn start(deps: PushDeps) -> Arc<Self> {
        let metrics = PushMetrics::new(&deps.metrics);
        let shares = match deps.bus {
            Some(bus) => Shares::among(bus, &deps.config, &deps.clock, metrics.clone(), &deps.tasks),
            None => Shares::all(),
        };
        let service = Arc::new(Self {
            metrics,
            shares,
            config: deps.config,
            feed: deps.feed,
            storage: deps.storage,
            provider: deps.provider,
            clock: deps.clock,
        });
        for partition in 0..PARTITIONS {
            let service = Arc::clone(&service);
            let work = async move { service.follow(partition).await };
            deps.tasks.critical("push", deps.tasks.until_stopped(work));
        }
        service
    }

    async fn follow(&self, partition: u16) {
        let max = self.config.max_remembered / usize::from(PARTITIONS);
        let mut remembered = Remembered::new(max);
        let mut shares = self.shares.clone();
        loop {
            shares.until_mine(partition).await;
            match self.drain(partition, &mut remembered).await {
                Ok(after) => self.feed.wait(partition, after).await,
                Err(failure) => {
                    tracing::warn!(%failure, partition, "push cannot follow the feed, trying again");
                    sleep(RETRY).await;
                }
            }
        }
    }

    /// Decides what is there and says up to where. The cursor moves only after the decision: a restart
    /// repeats at most the batch it interrupted.
    async fn drain(&self, partition: u16, remembered: &mut Remembered) -> Result<u64, Failure> {
        let mut after = self.feed.cursor(GROUP, partition).await.map_err(feed_failure)?;
        loop {
            if !self.shares.mine(partition) {
                return Ok(after);
            }
            let batch = self.feed.read(partition, after, self.config.max_batch_entries).await.map_err(feed_failure)?;
            let Some(last) = batch.last().map(|fed| fed.offset) else { return Ok(after) };
            let waiting = i64::try_from(batch.len()).unwrap_or(i64::MAX);
            self.metrics.waiting.inc_by(waiting);
            let decided = self.decide(batch, remembered).await;
            self.metrics.waiting.dec_by(waiting);
            decided?;
            self.feed.commit(GROUP, partition, last).await.map_err(feed_failure)?;
            after = last;
        }
    }

    async fn decide(&self, batch: Vec<Fed>, remembered: &mut Remembered) -> Result<(), Failure> {
        let mut conversations: BTreeMap<(String, String), Countable> = BTreeMap::new();
        let mut newest_ms = 0;
        let mut keys = Vec::new();
        for fed in batch {
            self.metrics.decided.inc();
            let Some(row) = fed.entry.row else { continue };
            let key = (fed.entry.tenant, fed.entry.conversation);
            let at = (fed.entry.generation, row.seq);
            if remembered.last(&key).is_some_and(|last| at <= last) {
                self.metrics.duplicates.inc();
                continue;
            }
            let Ok(envelope) = decode_envelope(&row.envelope) else {
                // One bad entry must not stop the others; the log itself is checked where it is read.
                tracing::error!(conversation = key.1, seq = row.seq, "an entry of the feed does not decode");
                continue;
            };
            newest_ms = newest_ms.max(envelope.time_ms);
            keys.push((key.clone(), at));
            if let Some(entry) = countable(row.seq, &envelope) {
                conversations.entry(key).or_default().push(entry);
            }
        }
        // An owner's clock that is ahead delays nobody for longer.
        let due_ms = newest_ms.saturating_add(self.config.delay_ms).saturating_sub(self.clock.now_ms());
        sleep(Duration::from_millis(due_ms.min(self.config.delay_ms))).await;
        let mut untold = Vec::new();
        for ((tenant, conversation), mut entries) in conversations {
            // Copies within the batch may come late.
            entries.sort();
            entries.dedup();
            let place = Place { tenant, conversation, entries };
            let later = self.notify_told(&place, None).await?;
            if !later.is_empty() {
                untold.push((place, later));
            }
        }
        self.wait_for_registers(untold).await?;
        for (key, at) in keys {
            let last = remembered.last(&key).map_or(at, |last| last.max(at));
            remembered.set(&key, last);
        }
        Ok(())
    }

    /// Joins are told after they are confirmed, so that the delay may end first: nobody is skipped for
    /// that. Those who can be decided were, before this waits.
    async fn wait_for_registers(&self, mut untold: Vec<(Place, Members)>) -> Result<(), Failure> {
        for _ in 0..self.config.max_register_looks {
            if untold.is_empty() {
                return Ok(());
            }
            self.metrics.looked_again.inc();
            sleep(Duration::from_millis(self.config.register_retry_ms)).await;
            let mut still = Vec::new();
            for (place, users) in untold {
                let later = self.notify_told(&place, Some(&users)).await?;
                if !later.is_empty() {
                    still.push((place, later));
                }
            }
            untold = still;
        }
        for (place, users) in untold {
            self.metrics.untold.inc_by(users.len() as u64);
            tracing::warn!(
                limit = "push.max_register_looks",
                users = users.len(),
                "members were not told of joining in time, the list of members decides"
            );
            self.notify_all(&place, &users).await;
        }
        Ok(())
    }

    /// Decides those whose registers know of their joining. Returns the others, as far as there is
    /// something to tell them.
    async fn notify_told(&self, place: &Place, only: Option<&Members>) -> Result<Members, Failure> {
        let members = self.members(place, only).await?;
        let (told, mut later): (Members, Members) = members.into_iter().partition(|(_, member)| member.told());
        self.notify_all(place, &told).await;
        let worth: BTreeSet<String> = place.notifications(&later).into_iter().map(|n| n.user).collect();
        later.retain(|user, _| worth.contains(user));
        Ok(later)
    }

    /// The present members and their registers; of `only`, where that is given. Nobody of a
    /// conversation that is too large.
    async fn members(&self, place: &Place, only: Option<&Members>) -> Result<Members, Failure> {
        let (tenant, conversation) = (place.tenant.clone(), place.conversation.clone());
        let request = MembersRequest { tenant: tenant.clone(), conversation: conversation.clone() };
        let rows = call(self.storage.clone().members(request)).await?.members;
        let mut members: Members = rows
            .into_iter()
            .filter_map(|row| Some((row.user, Member { record: row.record?, register: None })))
            .filter(|(user, member)| member.record.present && only.is_none_or(|only| only.contains_key(user)))
            .collect();
        if members.len() > self.config.max_members {
            self.metrics.attempt("too_many_members");
            tracing::debug!(limit = "push.max_members", "a conversation is too large to notify");
            return Ok(Members::new());
        }
        let users = members.keys().cloned().collect();
        let request = RegistersOfRequest { tenant, conversation, users };
        for row in call(self.storage.clone().registers_of(request)).await?.registers {
            if let Some(member) = members.get_mut(&row.user) {
                member.register = row.record;
            }
        }
        Ok(members)
    }

    async fn notify_all(&self, place: &Place, members: &Members) {
        for notification in place.notifications(members) {
            self.notify(&notification).await;
        }
    }

    async fn notify(&self, notification: &Notification) {
        let most = self.config.retry_ms.saturating_mul(1 << self.config.max_attempts.min(16));
        let mut backoff = Backoff::new(self.config.retry_ms, most);
        for _ in 0..self.config.max_attempts.max(1) {
            match self.provider.notify(notification).await {
                Ok(()) => return self.metrics.attempt("ok"),
                Err(ProviderError::Refused(_)) => return self.metrics.attempt("refused"),
                Err(ProviderError::Unavailable(_)) => self.metrics.attempt("unavailable"),
            }
            sleep(Duration::from_millis(backoff.next_ms(self.clock.random()))).await;
        }
        tracing::warn!(provider = self.provider.name(), "a notification was given up");
        self.metrics.attempt("given_up");
    }
}

#[allow(clippy::needless_pass_by_value, reason = "the shape that map_err wants")]
fn feed_failure(error: FeedError) -> Failure {
    Failure::new(posthorn_errors::Code::Unavailable, error.to_string())
}
