//! What the people of a taped run say that they have received and read, and what they are told is unread.

use std::{
    collections::{BTreeMap, btree_map::Entry},
    time::Duration,
};

use anyhow::{Context, Result};
use futures_util::{StreamExt, stream};
use posthorn_client::{
    ClientError,
    proto::{Mark, Marked},
};
use posthorn_clock::sleep;
use posthorn_history::{Kind, Op};

use super::{drive::Drive, fleet::Member, ledger::Seat};

/// Entries that somebody receives before they mark again.
const EVERY: u64 = 25;
/// Of these so many are not read yet.
const UNREAD: u64 = 10;
/// Between two looks at what has come.
const LOOK: Duration = Duration::from_millis(250);
const AGAIN: Duration = Duration::from_millis(200);

/// While people talk, until it is dropped.
pub async fn follow(drive: &Drive) {
    if drive.tape.on() {
        stream::iter(&drive.fleet.members).for_each_concurrent(None, |member| marks(drive, member)).await;
    }
    std::future::pending().await
}

async fn marks(drive: &Drive, member: &Member) {
    let mut marked = BTreeMap::new();
    loop {
        sleep(LOOK).await;
        let ends: Vec<(usize, u64)> = member.watcher.seats.lock().iter().filter_map(received).collect();
        for (file, end) in ends {
            let due = match marked.entry(file) {
                Entry::Occupied(last) => end >= last.get() + EVERY,
                Entry::Vacant(first) => *first.insert(end) >= EVERY,
            };
            // What fails is asked for again with what has come by then.
            if due && mark(drive, member, file, end, end.saturating_sub(UNREAD)).await.is_ok() {
                marked.insert(file, end);
            }
        }
    }
}

/// The last that came of a file.
fn received(seat: &Seat) -> Option<(usize, u64)> {
    seat.sdk.last().map(|(_, end)| (seat.file, *end))
}

/// At rest: who still is a member is asked how far they are, then has all of it, and has not read the end.
pub async fn rest(drive: &Drive, member: &Member, seat: &Seat, end: u64) -> Result<()> {
    let stays = seat.seats.last().is_some_and(|(_, to)| *to == u64::MAX);
    if !drive.tape.on() || !stays || end == 0 {
        return Ok(());
    }
    for (delivered, read) in [(0, 0), (end, end.saturating_sub(UNREAD))] {
        loop {
            match mark(drive, member, seat.file, delivered, read).await {
                Err(error) if error.retryable() && !drive.patience.over() => sleep(AGAIN).await,
                answer => {
                    drive.patience.progress();
                    answer.with_context(|| format!("{} cannot mark what they have read", member.id))?;
                    break;
                }
            }
        }
    }
    Ok(())
}

/// 0 moves nothing.
async fn mark(drive: &Drive, member: &Member, file: usize, delivered: u64, read: u64) -> Result<Marked, ClientError> {
    let conversation = &drive.ledger.expected[file].conversation;
    let taped = |kind, to| drive.tape.mark(&member.id, kind, conversation, &member.id, to);
    taped(Kind::Invoke, (delivered, read));
    let answer = member.client.mark(Mark { conversation: conversation.clone(), delivered, read }).await;
    match &answer {
        Ok(now) => {
            taped(Kind::Ok, (now.delivered, now.read));
            let unread = Op::Unread { conversation: conversation.clone(), read: now.read, unread: now.unread };
            drive.tape.add(&member.id, Kind::Ok, unread);
        }
        Err(_) => taped(Kind::Info, (delivered, read)),
    }
    answer
}
