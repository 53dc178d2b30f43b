//! Settling, beside the appends: one settlement of a conversation is on its way at most.

use std::{
    future::Future,
    pin::Pin,
    sync::{Arc, atomic::Ordering},
    time::Duration,
};

use posthorn_clock::Instant;
use posthorn_errors::{Code, Failure};
use posthorn_proto::internal::{ReadRequest, Row, Settlement};
use posthorn_rpc::call;

use tokio::{sync::mpsc, time::timeout_at};

use super::{
    cell::Asked,
    load::member_rows,
    marks::Marks,
    owed::{FEED_PAGE, FeedPart, Settling},
    owner::Owner,
};

/// What an owner that ends takes to settle.
const FINISH: Duration = Duration::from_secs(2);

/// What a settlement came to: whether the feed took its part.
pub(super) type Settled = Pin<Box<dyn Future<Output = (Settling, Result<bool, Failure>)> + Send>>;

impl Owner {
    /// Begins to settle all that is confirmed now.
    pub(super) fn begin_settling(&mut self) -> Settled {
        let (removable, note) = match self.cell.marks.take(self.quiet()) {
            Marks::Moving(_) => (false, None),
            Marks::AtRest { note, unseen } => {
                if unseen {
                    // Announced, and whoever was to show them did not.
                    let taken = self.core.ownership.take_version(self.cell.shard);
                    let mut confirmed = self.cell.confirmed.write();
                    confirmed.version = confirmed.version.max(taken.version);
                    confirmed.marks_filled = false;
                }
                (true, note)
            }
        };
        let mut settling = self.owed.begin(removable, note);
        let (head, members) = {
            let confirmed = self.cell.confirmed.read();
            (confirmed.head(), member_rows(&confirmed.conversation, &settling.members))
        };
        let settlement = Settlement {
            tenant: (&self.cell.key.tenant).into(),
            conversation: (&self.cell.key.conversation).into(),
            head: Some(head),
            members,
            feed: Vec::new(),
            remove: settling.remove.clone(),
            fed_seq: settling.fed,
        };
        let (storage, settler, checker) =
            (self.core.storage.clone(), self.core.settler.clone(), self.core.checker.clone());
        Box::pin(async move {
            // The head's version was taken before: a zombie must not put one there that cursors do not know.
            if let Err(failure) = checker.active().await {
                return (settling, Err(failure));
            }
            let rows = match std::mem::replace(&mut settling.feed, FeedPart::Rows(Vec::new())) {
                FeedPart::Rows(rows) => Ok(rows),
                FeedPart::Read(from, to) => {
                    let (tenant, conversation) = (settlement.tenant.clone(), settlement.conversation.clone());
                    read_owed(storage, tenant, conversation, from, to).await
                }
            };
            let settled = match rows {
                Ok(feed) => settler.settle(Settlement { feed, ..settlement }).await,
                Err(failure) => Err(failure),
            };
            (settling, settled)
        })
    }

    /// How long marks have to rest.
    pub(super) fn quiet(&self) -> Duration {
        Duration::from_millis(self.core.config.settle_marks_ms)
    }

    /// When to settle what is owed, and what marks moved. `None`: not before something happens.
    pub(super) fn due(&self) -> Option<Instant> {
        match self.cell.marks.look(self.quiet()) {
            Marks::Moving(rest) => [self.owed.due(false), rest].into_iter().flatten().min(),
            Marks::AtRest { note, .. } => {
                let marks = note.filter(|_| !self.owed.telling()).map(|_| Instant::now());
                [self.owed.due(true), marks].into_iter().flatten().min()
            }
        }
    }

    /// Whether the journal has to name the conversation.
    pub(super) fn named(&self) -> bool {
        let moved = match self.cell.marks.look(self.quiet()) {
            Marks::Moving(_) => true,
            Marks::AtRest { note, unseen } => note.is_some() || unseen,
        };
        moved || self.owed.owes()
    }

    /// Begins to settle, once there is enough of it or it is old enough.
    pub(super) fn settle(&mut self) {
        self.owed.told(self.told.take());
        if self.settling.is_none() && !self.broken && self.due().is_some_and(|due| due <= Instant::now()) {
            self.settling = Some(self.begin_settling());
        }
        let named = self.named();
        self.cell.at_work.store(named || self.settling.is_some() || self.broken, Ordering::Release);
        self.count(named);
    }

    /// Leaves the memory, unless something has to be done first.
    pub(super) fn leave(&self, commands: &mut mpsc::Receiver<Asked>) {
        let idle = !self.owed.owes() && self.settling.is_none() && !self.broken;
        if idle && self.cell.marks.close(false) {
            // Closed and drained: `recv_many` returns 0 then.
            commands.close();
        } else {
            self.core.conversations.stays(&self.cell);
        }
    }

    /// Whether the journal names it, for operators.
    pub(super) fn count(&mut self, named: bool) {
        match (self.counted, named) {
            (false, true) => {
                self.core.metrics.unsettled.inc();
            }
            (true, false) => {
                self.core.metrics.unsettled.dec();
            }
            _ => {}
        }
        self.counted = named;
    }

    /// Nothing more is appended: what is owed is settled, if that goes quickly. The journal has the rest.
    pub(super) async fn finish(&mut self) {
        let until = Instant::now() + FINISH;
        while self.named() && !self.broken && Instant::now() < until {
            self.owed.told(self.told.take());
            let settling = match self.settling.take() {
                Some(settling) => settling,
                None if self.due().is_some_and(|due| due <= until) => self.begin_settling(),
                None if self.owed.telling() && !self.told.gave_up() => {
                    let told = Arc::clone(&self.told);
                    // Times out at the latest when there is no more time.
                    let _ = timeout_at(until, told.notify.notified()).await;
                    continue;
                }
                None => break,
            };
            let Ok((settling, settled)) = timeout_at(until, settling).await else {
                return self.core.ownership.leave_unsettled(&self.cell.key);
            };
            let failed = !matches!(settled, Ok(true));
            self.end_settling(settling, settled);
            if failed {
                break;
            }
        }
        if self.broken || self.named() || self.settling.is_some() {
            self.core.ownership.leave_unsettled(&self.cell.key);
        }
    }

    /// The settlement on its way has ended.
    pub(super) fn end_settling(&mut self, settling: Settling, settled: Result<bool, Failure>) {
        match settled {
            Ok(fed) => {
                self.core.metrics.settled.inc_by(u64::from(fed && !settling.remove.is_empty()));
                self.owed.settled(settling, fed);
            }
            Err(failure) => {
                // It stays in the journal: whoever loads it next settles it.
                tracing::warn!(%failure, "a conversation could not be settled, trying again");
                self.owed.failed(settling);
            }
        }
    }

    /// Room for an append of this size between the head and the end, or none in time.
    pub(super) async fn make_room(&mut self, entries: usize, bytes: usize) -> Result<(), Failure> {
        let mut tries = 0;
        while self.owed.full(entries, bytes) {
            let settling = self.settling.take().unwrap_or_else(|| self.begin_settling());
            let (settling, settled) = settling.await;
            let failure = settled.as_ref().err().cloned();
            self.end_settling(settling, settled);
            tries += 1;
            if let Some(failure) = failure.filter(|_| tries > 1) {
                return Err(Failure::new(Code::Unavailable, failure.message).retry_after_ms(500));
            }
        }
        Ok(())
    }
}

/// What the feed is owed and memory no longer has: all of it, or nothing.
async fn read_owed(
    mut storage: posthorn_rpc::StorageClient,
    tenant: String,
    conversation: String,
    from: u64,
    to: u64,
) -> Result<Vec<Row>, Failure> {
    let mut rows: Vec<Row> = Vec::new();
    let mut next = from;
    while next <= to {
        let (tenant, conversation) = (tenant.clone(), conversation.clone());
        let limit = u32::try_from(FEED_PAGE).unwrap_or(u32::MAX);
        let request = ReadRequest { tenant, conversation, from: next, to, limit, reverse: false, max_bytes: u64::MAX };
        let page = call(storage.read(request)).await?.rows;
        match page.last() {
            Some(last) if page[0].seq == next => next = last.seq + 1,
            _ => return Err(Failure::new(Code::DataLoss, format!("the log has no entry {next} and goes on to {to}"))),
        }
        rows.extend(page);
    }
    Ok(rows)
}
