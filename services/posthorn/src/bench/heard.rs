//! `posthorn bench --history`: what the senders did and heard, in the form of docs/history.md.

use std::{
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
    time::Duration,
};

use anyhow::{Context, Result};
use posthorn_client::{
    Client, Event, Observer,
    proto::{History, Unit},
};
use posthorn_clock::{Instant, sleep};
use posthorn_history::{Kind, Op, Report, Scope};

use crate::replay::tape::{BACKEND, Said, Tape, digest, item_of_entry};

/// Entries of one page.
const PAGE: u64 = 500;
/// For what is still to come when all sends are answered.
const PATIENCE: Duration = Duration::from_secs(30);
const LOOK: Duration = Duration::from_millis(20);

/// What comes to one sender. Without a history it is read, and nothing is kept.
pub(super) struct Heard {
    pub tape: Tape,
    pub user: String,
    /// As [`super::Sender::heard`].
    pub last: Arc<AtomicU64>,
}

impl Observer for Heard {
    fn event(&self, event: Event) {
        if let Event::Entries { conversation, entries } = event
            && self.tape.on()
        {
            self.last.fetch_max(entries.last().map_or(0, |entry| entry.seq), Relaxed);
            let entries = entries.iter().map(item_of_entry).collect();
            let op = Op::Receive { conversation: conversation.to_string(), connection: 0, entries };
            self.tape.add(&self.user, Kind::Ok, op);
        }
    }
}

/// A message of a sender, where it is kept.
pub(super) fn said(tape: &Tape, user: &str, conversation: &str, message_id: &str, text: &str) -> Option<Said> {
    tape.on().then(|| Said {
        process: user.to_owned(),
        author: user.to_owned(),
        conversation: conversation.to_owned(),
        message_id: message_id.to_owned(),
        body: digest(false, text),
    })
}

/// Each sender reads their whole conversation, and the checker says what it finds.
pub(super) async fn judged(tape: &Tape, path: &Path, senders: &[super::Sender]) -> Result<Report> {
    // What is under way still comes; the checker says what did not.
    let came = || senders.iter().all(|sender| sender.heard.load(Relaxed) >= sender.stored.load(Relaxed));
    let until = Instant::now() + PATIENCE;
    while !came() && Instant::now() < until {
        sleep(LOOK).await;
    }
    tape.add(BACKEND, Kind::Ok, Op::Settled);
    for sender in senders {
        read(tape, &sender.user, &sender.client, &sender.conversation).await?;
    }
    tape.judge(path)
}

async fn read(tape: &Tape, user: &str, client: &Client, conversation: &str) -> Result<()> {
    let mut entries = tape.reading(user, conversation, Scope::Whole);
    let mut after = 0;
    loop {
        let (conversation, unit) = (conversation.to_owned(), Unit::Entries.into());
        let history = History { conversation, after: Some(after), limit: PAGE, unit, ..History::default() };
        let page = client.history(history).await.with_context(|| format!("{user} cannot read"))?;
        if let Some(entries) = &mut entries {
            entries.extend(page.entries.iter().map(item_of_entry));
        }
        after = page.next;
        if after == 0 {
            break;
        }
    }
    tape.read(user, conversation, Scope::Whole, entries);
    Ok(())
}
