//! Who is told of entries, some time after they were confirmed.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
    time::Duration,
};

use async_trait::async_trait;
use posthorn_clock::{Clock, sleep};
use posthorn_errors::Failure;
use posthorn_feed::consumer::{Away, Handler, Run, Undone};
use posthorn_proto::{
    convert::decode_envelope,
    internal::{FeedEntry, MembersRequest, RegistersOfRequest, Row},
};
use posthorn_rpc::{StorageClient, call};

use crate::{
    Notification, Provider, ProviderError, PushConfig,
    decide::{Countable, Member, countable, notifications},
    metrics::PushMetrics,
};

type Members = BTreeMap<String, Member>;

pub struct Telling {
    pub config: PushConfig,
    pub storage: StorageClient,
    pub provider: Arc<dyn Provider>,
    pub clock: Clock,
    pub metrics: PushMetrics,
}

/// Entries of one conversation that are decided together.
struct Place {
    tenant: String,
    conversation: String,
    entries: Countable,
}

impl Place {
    fn of(entries: &[FeedEntry]) -> Option<Self> {
        let first = entries.first()?;
        let counted: Countable = entries.iter().filter_map(|entry| counted(entry.row.as_ref()?)).collect();
        let place = Self { tenant: first.tenant.clone(), conversation: first.conversation.clone(), entries: counted };
        (!place.entries.is_empty()).then_some(place)
    }

    fn notifications(&self, members: &Members) -> Vec<Notification> {
        notifications(&self.tenant, &self.conversation, &self.entries, members)
    }
}

fn counted(row: &Row) -> Option<(u64, String)> {
    match decode_envelope(&row.envelope) {
        Ok(envelope) => countable(row.seq, &envelope),
        Err(error) => {
            // One bad entry must not stop the others; the log itself is checked where it is read.
            tracing::error!(seq = row.seq, %error, "an entry of the feed does not decode");
            None
        }
    }
}

#[async_trait]
impl Handler for Telling {
    /// Until the newest is `push.delay_ms` old. An owner's clock that is ahead delays nobody for longer.
    fn rest(&self, batch: &[FeedEntry]) -> Duration {
        let time_ms = |entry: &FeedEntry| decode_envelope(&entry.row.as_ref()?.envelope).ok().map(|e| e.time_ms);
        let newest_ms = batch.iter().filter_map(time_ms).max().unwrap_or(0);
        let due_ms = newest_ms.saturating_add(self.config.delay_ms).saturating_sub(self.clock.now_ms());
        Duration::from_millis(due_ms.min(self.config.delay_ms))
    }

    async fn handle(&self, run: &Run) -> Result<Vec<Undone>, Away> {
        let Some(place) = Place::of(&run.entries) else { return Ok(Vec::new()) };
        match self.tell(&place, run.users.as_ref()).await {
            Ok(undone) => Ok(undone),
            Err(failure) if failure.code.retryable() => Err(Away(failure.to_string())),
            Err(failure) => {
                let seq = place.entries.last().map_or(0, |(seq, _)| *seq);
                Ok(vec![Undone { seq, user: String::new(), why: failure.code.summary().to_owned(), again: true }])
            }
        }
    }
}

impl Telling {
    /// Whom it could not tell. With `only`, those were looked at before: nobody's register is waited for.
    async fn tell(&self, place: &Place, only: Option<&BTreeSet<String>>) -> Result<Vec<Undone>, Failure> {
        let mut members = self.members(place, only).await?;
        if only.is_some() {
            return Ok(self.notify_all(place, &members).await);
        }
        let mut undone = Vec::new();
        for look in 0..=self.config.max_register_looks {
            if look > 0 {
                self.metrics.looked_again.inc();
                sleep(Duration::from_millis(self.config.register_retry_ms)).await;
                members = self.members(place, Some(&members.into_keys().collect())).await?;
            }
            // Joins are told after they are confirmed, so that the delay may end first: nobody is skipped for
            // that. Those who can be decided are, before this waits.
            let (told, mut later): (Members, Members) = members.into_iter().partition(|(_, member)| member.told());
            undone.extend(self.notify_all(place, &told).await);
            let worth: BTreeSet<String> = place.notifications(&later).into_iter().map(|n| n.user).collect();
            later.retain(|user, _| worth.contains(user));
            if later.is_empty() {
                return Ok(undone);
            }
            members = later;
        }
        self.metrics.untold.inc_by(members.len() as u64);
        tracing::warn!(
            limit = "push.max_register_looks",
            users = members.len(),
            "members were not told of joining in time, the list of members decides"
        );
        undone.extend(self.notify_all(place, &members).await);
        Ok(undone)
    }

    /// The present members and their registers; of `only`, where that is given. Nobody of a
    /// conversation that is too large.
    async fn members(&self, place: &Place, only: Option<&BTreeSet<String>>) -> Result<Members, Failure> {
        let (tenant, conversation) = (place.tenant.clone(), place.conversation.clone());
        let request = MembersRequest { tenant: tenant.clone(), conversation: conversation.clone() };
        let rows = call(self.storage.clone().members(request)).await?.members;
        let mut members: Members = rows
            .into_iter()
            .filter_map(|row| Some((row.user, Member { record: row.record?, register: None })))
            .filter(|(user, member)| member.record.present && only.is_none_or(|only| only.contains(user)))
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

    /// One attempt each.
    async fn notify_all(&self, place: &Place, members: &Members) -> Vec<Undone> {
        let mut undone = Vec::new();
        for notification in place.notifications(members) {
            let (result, again, why) = match self.provider.notify(&notification).await {
                Ok(()) => {
                    self.metrics.attempt("ok");
                    continue;
                }
                Err(error @ ProviderError::Refused(_)) => ("refused", false, error.to_string()),
                Err(error @ ProviderError::Unavailable(_)) => ("unavailable", true, error.to_string()),
            };
            self.metrics.attempt(result);
            undone.push(Undone { seq: notification.seq, user: notification.user, why, again });
        }
        undone
    }
}
