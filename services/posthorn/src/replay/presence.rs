//! One of a taped run watches those who are there from the beginning to the end. By then all of them are, whatever came
//! in between.

use std::time::Duration;

use posthorn_client::proto::WatchPresence;
use posthorn_clock::{Instant, sleep};
use posthorn_history::{Kind, Op};

use super::{drive::Drive, fleet::Member, ledger::Seat};

/// Users that are watched.
const WATCHED: usize = 100;
const AGAIN: Duration = Duration::from_millis(200);
/// Who is there is seen by then.
const SEEN: Duration = Duration::from_secs(20);

/// Who watches, and whom: those of a conversation of theirs.
fn cast(drive: &Drive) -> Option<(&Member, usize, Vec<&Member>)> {
    if !drive.tape.on() {
        return None;
    }
    let always = |member: &Member| {
        let seats = member.watcher.seats.lock();
        let stays = |seat: &&Seat| seat.seats == [(1, u64::MAX)];
        seats.iter().filter(stays).map(|seat| seat.file).collect::<Vec<_>>()
    };
    let mut members = drive.fleet.members.iter();
    let (watcher, file) = members.find_map(|member| Some((member, *always(member).first()?)))?;
    Some((watcher, file, members.filter(|member| always(member).contains(&file)).take(WATCHED).collect()))
}

/// Begins when they talk; until it is dropped.
pub async fn follow(drive: &Drive) {
    if let Some((watcher, file, watched)) = cast(drive) {
        let talks = |seat: &Seat| seat.file == file && !seat.sdk.is_empty();
        loop {
            sleep(AGAIN).await;
            if watcher.watcher.seats.lock().iter().any(talks) && watch(drive, watcher, &watched).await {
                break;
            }
        }
    }
    std::future::pending().await
}

async fn watch(drive: &Drive, watcher: &Member, watched: &[&Member]) -> bool {
    let users = watched.iter().map(|member| member.id.clone()).collect();
    let Ok(found) = watcher.client.watch_presence(WatchPresence { users }).await else { return false };
    found.now.iter().for_each(|now| drive.tape.present(&watcher.id, now));
    true
}

/// At rest: everybody is there, and is seen. The watcher ends first: the others' end is nobody's to see.
pub async fn look(drive: &Drive) {
    let Some((watcher, _, watched)) = cast(drive) else { return };
    // They may have talked for a moment only.
    while !drive.tape.watches() && !watched.is_empty() && !drive.patience.over() {
        watch(drive, watcher, &watched).await;
    }
    for member in &watched {
        if drive.patience.until(member.client.connected()).await == Some(true) {
            let op = Op::Truth { user: member.id.clone(), online: true };
            drive.tape.add(&member.id, Kind::Ok, op);
        }
    }
    let begun = Instant::now();
    while begun.elapsed() < SEEN && !watched.iter().all(|member| drive.tape.seems_online(&member.id)) {
        sleep(AGAIN).await;
    }
    watcher.client.close().await;
}
