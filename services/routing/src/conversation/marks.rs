//! Marks of members that are moving. That lists show them rests on a version which only memory has until
//! the conversation is settled: the journal names it meanwhile, so that whoever follows a dead owner
//! takes a version that no cursor has passed.

use std::time::Duration;

use posthorn_clock::Instant;
use posthorn_core::ConversationKey;
use posthorn_errors::Failure;
use posthorn_proto::internal::{JournalRow, NoteRequest};
use posthorn_rpc::call;
use tokio::sync::{Mutex, Notify};

use crate::service::Core;

#[derive(Default)]
pub struct MovingMarks {
    /// Held while the name goes into the journal.
    state: Mutex<Moving>,
    /// For the owner, which takes it out.
    pub(super) announced: Notify,
}

#[derive(Default)]
struct Moving {
    /// When marks were announced last; the journal may have the name since.
    since: Option<Instant>,
    /// The note that may stand for them, and whether it certainly does.
    note: Option<u64>,
    noted: bool,
    /// Announced, and not shown yet.
    unseen: u32,
    /// The owner has left the memory: another one has to know.
    left: bool,
}

/// How marks stand for the owner that wants to settle.
pub(super) enum Marks {
    /// Some are being announced, or were a moment ago: the name stays until then at least.
    Moving(Option<Instant>),
    /// None moves. The note of those that did; whether some of them were never shown.
    AtRest { note: Option<u64>, unseen: bool },
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
            // Before it is known to stand: it is removed at rest, whether it does or not.
            let note = match moving.note {
                Some(note) => note,
                None => *moving.note.insert(core.ownership.next_note()),
            };
            call(core.storage.clone().note(note_of(core, key, note))).await?;
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

    /// Without taking anything.
    pub(super) fn look(&self, quiet: Duration) -> Marks {
        let Ok(moving) = self.state.try_lock() else { return Marks::Moving(None) };
        match moving.since {
            Some(since) if since.elapsed() < quiet => Marks::Moving(Some(since + quiet)),
            _ => Marks::AtRest { note: moving.note, unseen: moving.unseen > 0 },
        }
    }

    /// What came to rest is the owner's from here on: marks that move later bring a note of their own.
    pub(super) fn take(&self, quiet: Duration) -> Marks {
        let Ok(mut moving) = self.state.try_lock() else { return Marks::Moving(None) };
        match moving.since {
            Some(since) if since.elapsed() < quiet => Marks::Moving(Some(since + quiet)),
            _ => {
                let taken = std::mem::take(&mut *moving);
                moving.left = taken.left;
                Marks::AtRest { note: taken.note, unseen: taken.unseen > 0 }
            }
        }
    }

    /// Nobody announces any here from now on. False if some are moving, unless `whatever`.
    pub(super) fn close(&self, whatever: bool) -> bool {
        let Ok(mut moving) = self.state.try_lock() else { return false };
        moving.left = whatever || moving.since.is_none();
        moving.left
    }
}

/// The conversation's name for the journal.
pub(super) fn note_of(core: &Core, key: &ConversationKey, note: u64) -> NoteRequest {
    let row = JournalRow { tenant: (&key.tenant).into(), conversation: (&key.conversation).into(), note };
    NoteRequest { instance: core.ownership.instance.clone(), rows: vec![row] }
}
