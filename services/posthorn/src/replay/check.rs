//! After the last step: waits until everybody has everything, then compares what came live with each
//! member's own read of the history, and all of it with the log as the admin reads it.

use std::{
    sync::atomic::{AtomicU64, Ordering::Relaxed},
    time::Duration,
};

use anyhow::{Context, Result};
use futures_util::{StreamExt, TryStreamExt, stream};
use posthorn_client::{
    Client,
    proto::{History, Unit},
};
use posthorn_clock::{Instant, sleep};
use posthorn_history::Scope;

use super::{
    drive::{Drive, LOG_PAGE},
    fleet::{Member, again},
    ledger::{Expected, Seat, meets, print_of_entry, print_of_log},
    marks,
    tape::{BACKEND, item_of_entry, item_of_log},
};

/// Members that read their history at the same time.
const READERS: usize = 32;
const PAGE: u64 = 500;
/// Between two looks at whether everything has come, ms.
const LOOK_MS: u64 = 50;

/// What every member should have got, and did.
#[derive(Debug, Default)]
pub struct Outcome {
    pub expected: AtomicU64,
    pub delivered: AtomicU64,
}

/// Messages of others that all members together should get.
pub fn expected_deliveries(drive: &Drive) -> u64 {
    let of_member = |(user, member): (usize, &Member)| -> u64 {
        let seats = member.watcher.seats.lock();
        let of_seat = |seat: &Seat| due(user, seat, &drive.ledger.expected[seat.file]);
        seats.iter().map(of_seat).sum()
    };
    drive.fleet.members.iter().enumerate().map(of_member).sum()
}

fn due(user: usize, seat: &Seat, expected: &Expected) -> u64 {
    seat.seats.iter().map(|&(from, to)| expected.of_others(user as u32, from, to)).sum()
}

/// Until everything has come, or nothing comes any more for `quiet`. Everything: the messages of
/// others, which are counted as they come, and then the entries about members, which often end a log.
pub async fn settle(drive: &Drive, quiet: Duration) {
    let expected = expected_deliveries(drive);
    let (mut last, mut since) = ((0, 0), Instant::now());
    loop {
        let seen = drive.ledger.seen.load(Relaxed);
        let missing = if seen >= expected { notices_missing(drive) } else { 0 };
        if seen >= expected && missing == 0 {
            return;
        }
        if (seen, missing) != last {
            (last, since) = ((seen, missing), Instant::now());
        } else if since.elapsed() >= quiet {
            tracing::warn!(seen, expected, missing, "nothing comes any more");
            return;
        }
        sleep(Duration::from_millis(LOOK_MS)).await;
    }
}

/// Entries about members that have not come out of the SDK of a member who may see them.
fn notices_missing(drive: &Drive) -> u64 {
    let of_seat = |seat: &Seat| -> u64 {
        let expected = &drive.ledger.expected[seat.file];
        seat.seats.iter().map(|&(from, to)| others_missing(seat, expected, from, to)).sum()
    };
    drive.fleet.members.iter().map(|member| member.watcher.seats.lock().iter().map(of_seat).sum::<u64>()).sum()
}

/// Every member reads; faults go to the ledger.
pub async fn members(drive: &Drive) -> Result<Outcome> {
    let outcome = Outcome::default();
    let work = drive.fleet.members.iter().enumerate().map(Ok::<_, anyhow::Error>);
    stream::iter(work)
        .try_for_each_concurrent(READERS, |(user, member)| {
            let outcome = &outcome;
            async move {
                // A copy: reads are compared with it without holding it.
                let seats = member.watcher.seats.lock().clone();
                for seat in &seats {
                    let expected = &drive.ledger.expected[seat.file];
                    outcome.expected.fetch_add(due(user, seat, expected), Relaxed);
                    outcome.delivered.fetch_add(delivered(user, seat, expected), Relaxed);
                    seat_by_history(drive, member, seat, expected).await?;
                }
                Ok(())
            }
        })
        .await?;
    Ok(outcome)
}

/// Messages of others that came out of the SDK where the member may see.
fn delivered(user: usize, seat: &Seat, expected: &Expected) -> u64 {
    let common = |&(from, to): &(u64, u64)| {
        let overlap = move |&(low, high): &(u64, u64)| (low.max(from), high.min(to));
        seat.sdk.iter().map(overlap).filter(|(low, high)| low <= high).collect::<Vec<_>>()
    };
    let spans = seat.seats.iter().flat_map(common);
    spans.map(|(from, to)| expected.of_others(user as u32, from, to)).sum()
}

async fn seat_by_history(drive: &Drive, member: &Member, seat: &Seat, expected: &Expected) -> Result<()> {
    let faults = &drive.ledger.faults;
    let count = |counter: &AtomicU64, by: u64| {
        counter.fetch_add(by, Relaxed);
    };
    let (mut after, mut read): (u64, Vec<(u64, u64)>) = (0, Vec::new());
    let mut taped = drive.tape.reading(&member.id, &expected.conversation, Scope::Whole);
    loop {
        let page = page(drive, &member.client, &expected.conversation, after).await?;
        if let Some(taped) = &mut taped {
            taped.extend(page.entries.iter().map(item_of_entry));
        }
        for entry in &page.entries {
            if !expected.is(entry.seq, print_of_entry(entry)) {
                count(&faults.mismatched, 1);
            }
            if !meets(&seat.seats, entry.seq, entry.seq) {
                count(&faults.wrong_recipients, 1);
            }
            match read.last_mut() {
                Some((_, last)) if entry.seq == *last + 1 => *last = entry.seq,
                Some((_, last)) if entry.seq <= *last => count(&faults.reordered, 1),
                _ => read.push((entry.seq, entry.seq)),
            }
        }
        if page.next == 0 {
            break;
        }
        after = page.next;
    }
    drive.tape.read(&member.id, &expected.conversation, Scope::Whole, taped);
    marks::rest(drive, member, seat, read.last().map_or(0, |(_, last)| *last)).await?;
    // The history has exactly what the member may see, and what came live is in it.
    let visible: u64 = seat.seats.iter().map(|&(from, to)| to.min(expected.head_seq()) + 1 - from).sum();
    let held: u64 = read.iter().map(|&(from, to)| to + 1 - from).sum();
    count(&faults.gaps, visible.saturating_sub(held));
    let live: u64 = seat.sdk.iter().map(|&(from, to)| to + 1 - from).sum();
    let common: u64 = seat.sdk.iter().map(|&(from, to)| overlap(&read, from, to)).sum();
    count(&faults.mismatched, live - common);
    // Entries that are no messages count in no delivery: what the SDK lacks of them is a gap.
    let missing: u64 = seat.seats.iter().map(|&(from, to)| others_missing(seat, expected, from, to)).sum();
    count(&faults.gaps, missing);
    Ok(())
}

fn overlap(spans: &[(u64, u64)], from: u64, to: u64) -> u64 {
    spans.iter().map(|&(low, high)| (low.max(from), high.min(to))).filter(|(l, h)| l <= h).map(|(l, h)| h + 1 - l).sum()
}

/// Entries about members within a span that did not come out of the SDK.
fn others_missing(seat: &Seat, expected: &Expected, from: u64, to: u64) -> u64 {
    let to = to.min(expected.head_seq());
    let missing = |seq: &u64| !meets(&seat.sdk, *seq, *seq);
    let quiet = |seq: &u64| expected.countable_up_to(*seq) == expected.countable_up_to(seq - 1);
    if overlap(&seat.sdk, from, to) == to + 1 - from {
        0
    } else {
        (from..=to).filter(missing).filter(quiet).count() as u64
    }
}

async fn page(
    drive: &Drive,
    client: &Client,
    conversation: &str,
    after: u64,
) -> Result<posthorn_client::proto::HistoryPage> {
    loop {
        let history = History {
            conversation: conversation.to_owned(),
            after: Some(after),
            limit: PAGE,
            unit: Unit::Entries.into(),
            ..History::default()
        };
        match client.history(history).await {
            Err(error) if error.retryable() && !drive.patience.over() => sleep(Duration::from_millis(200)).await,
            answer => {
                drive.patience.progress();
                return answer.with_context(|| format!("a member cannot read {conversation}"));
            }
        }
    }
}

/// The log as the admin reads it: (head seq, entries that are not the expected ones) are noted.
pub async fn log(drive: &Drive, file: usize) -> Result<u64> {
    let expected = &drive.ledger.expected[file];
    let (mut after, mut wrong) = (0, 0);
    let mut taped = drive.tape.reading(BACKEND, &expected.conversation, Scope::Log);
    loop {
        let page = again(&drive.patience, || drive.backend.entries(&expected.conversation, after, LOG_PAGE)).await?;
        if let Some(taped) = &mut taped {
            taped.extend(page.entries.iter().map(item_of_log));
        }
        for entry in &page.entries {
            wrong += u64::from(entry.seq != after + 1 || !expected.is(entry.seq, print_of_log(entry)));
            after = entry.seq;
        }
        if page.next.is_none() {
            break;
        }
    }
    drive.tape.read(BACKEND, &expected.conversation, Scope::Log, taped);
    wrong += expected.head_seq().saturating_sub(after);
    drive.ledger.faults.mismatched.fetch_add(wrong, Relaxed);
    Ok(after)
}

/// All logs, a few at a time.
pub async fn logs(drive: &Drive) -> Result<Vec<u64>> {
    stream::iter(0..drive.ledger.expected.len()).map(|file| log(drive, file)).buffered(8).try_collect().await
}
