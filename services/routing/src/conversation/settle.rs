//! What keeps a conversation in the journal, and its way out (architecture section 4, step 6).

use std::{
    sync::{Arc, atomic::Ordering},
    time::Duration,
};

use posthorn_clock::Instant;
use posthorn_core::ConversationKey;
use posthorn_errors::Failure;
use posthorn_proto::internal::{JournalRow, NoteRequest, SettleRequest, Settlement};
use posthorn_rpc::call;
use tokio::sync::{Mutex, Notify, mpsc};

use super::{cell::Asked, owner::Owner};
use crate::service::Core;

/// Before something that could not be settled is tried again.
const TRY_AGAIN: Duration = Duration::from_secs(1);
/// The shortest wait for marks to come to rest.
const SHORTEST: Duration = Duration::from_millis(20);

/// Marks of members that are moving. That lists show them rests on a version which only memory has until
/// the conversation is settled: the journal names it meanwhile, so that whoever follows a dead owner
/// takes a version that no cursor has passed.
#[derive(Default)]
pub struct MovingMarks {
    /// Held while the name goes into the journal and while it is taken out.
    state: Mutex<Moving>,
    /// For the owner, which takes it out.
    pub(super) announced: Notify,
}

#[derive(Default)]
struct Moving {
    /// When marks were announced last; the journal may have the name since.
    since: Option<Instant>,
    /// It certainly has.
    noted: bool,
    /// Announced, and not shown yet.
    unseen: u32,
    /// The owner has left the memory: another one has to know.
    left: bool,
}

impl MovingMarks {
    /// Marks are about to be written: durable before it returns. False where the owner has left.
    pub(super) async fn announce(&self, core: &Core, key: &ConversationKey) -> Result<bool, Failure> {
        let mut moving = self.state.lock().await;
        if moving.left {
            return Ok(false);
        }
        moving.since = Some(Instant::now());
        self.announced.notify_one();
        if !moving.noted {
            call(core.storage.clone().note(note_of(core, key))).await?;
            moving.noted = true;
        }
        moving.unseen += 1;
        Ok(true)
    }

    /// They were, under a version of their own.
    pub async fn shown(&self) {
        let mut moving = self.state.lock().await;
        moving.unseen = moving.unseen.saturating_sub(1);
    }
}

/// The conversation's name for the journal.
pub(super) fn note_of(core: &Core, key: &ConversationKey) -> NoteRequest {
    let row = JournalRow { tenant: (&key.tenant).into(), conversation: (&key.conversation).into() };
    NoteRequest { instance: core.ownership.instance.clone(), rows: vec![row] }
}

impl Owner {
    /// One more batch whose effects have to be told before the journal lets the conversation go.
    pub(super) fn owe(&mut self) {
        self.untold += 1;
        self.unsettled = true;
    }

    /// When to settle what waits for no event.
    pub(super) fn settle_in(&self) -> Option<Duration> {
        if self.untold > 0 || self.broken {
            return None;
        }
        match self.cell.marks.state.try_lock() {
            Ok(moving) if !self.unsettled && self.settle_again.is_none() => {
                moving.since.map(|since| self.quiet_after().saturating_sub(since.elapsed()).max(SHORTEST))
            }
            _ => Some(TRY_AGAIN),
        }
    }

    fn quiet_after(&self) -> Duration {
        Duration::from_millis(self.core.config.settle_marks_ms)
    }

    /// Out of the journal once nothing is owed. Not while an append is in flight: its note must stay.
    pub(super) async fn settle(&mut self) {
        self.untold = self.untold.saturating_sub(self.told.take());
        let mut named = true;
        let cell = Arc::clone(&self.cell);
        if self.untold == 0
            && !self.broken
            && let Ok(mut moving) = cell.marks.state.try_lock()
        {
            let quiet = moving.since.is_none_or(|since| since.elapsed() >= self.quiet_after());
            let due = self.settle_again.is_none_or(|at| at <= Instant::now());
            if due && (self.unsettled || (quiet && moving.since.is_some())) {
                match self.settle_now(quiet, quiet && moving.unseen > 0).await {
                    Ok(()) => {
                        (self.unsettled, self.settle_again) = (false, None);
                        if quiet {
                            *moving = Moving::default();
                            self.core.metrics.settled.inc();
                        }
                    }
                    Err(failure) => {
                        tracing::warn!(%failure, "a conversation could not be settled, trying again");
                        self.settle_again = Some(Instant::now() + TRY_AGAIN);
                    }
                }
            }
            named = self.unsettled || moving.since.is_some();
        }
        cell.at_work.store(named, Ordering::Release);
        self.count(named);
    }

    /// `remove`: from the journal. `unseen`: marks were announced, and whoever was to show them did not.
    async fn settle_now(&self, remove: bool, unseen: bool) -> Result<(), Failure> {
        if unseen {
            let taken = self.core.ownership.take_version(self.cell.shard);
            let mut confirmed = self.cell.confirmed.write();
            confirmed.version = confirmed.version.max(taken.version);
            confirmed.marks_filled = false;
        }
        let settlement = Settlement {
            tenant: (&self.cell.key.tenant).into(),
            conversation: (&self.cell.key.conversation).into(),
            head: Some(self.cell.confirmed.read().head()),
            members: Vec::new(),
            feed: Vec::new(),
            remove,
        };
        // The head's version was taken before: a zombie must not put one there that cursors do not know.
        self.core.checker.active().await?;
        let request = SettleRequest { settlements: vec![settlement], instance: self.core.ownership.instance.clone() };
        call(self.core.storage.clone().settle(request)).await.map(|_| ())
    }

    /// Leaves the memory, unless something has to be done first.
    pub(super) fn leave(&self, commands: &mut mpsc::Receiver<Asked>) {
        let settled = self.untold == 0 && !self.unsettled && !self.broken;
        match self.cell.marks.state.try_lock() {
            Ok(mut moving) if settled && moving.since.is_none() => {
                moving.left = true;
                // Closed and drained: `recv_many` returns 0 then.
                commands.close();
            }
            _ => self.core.conversations.stays(&self.cell),
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
}
