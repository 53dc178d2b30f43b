//! Who got what. The log is known beforehand ([`Plan`]), so nothing of an entry is kept but whether it
//! was the one expected: a fingerprint per seq, spans of seq per member.
//!
//! Two views of each member are counted, and their faults added up:
//! - *raw*: the `entries` frames of each connection as they came. Within one connection and
//!   conversation, a seq that this connection had is **duplicated**, one below the last that it had not
//!   is **reordered**, and a jump over entries that the member may see is a **gap**, unless a `resync`
//!   frame that names the conversation (or all) came between: then the server said so.
//! - *behind the SDK*: its events over all connections, with what it read from the log in place of what
//!   was missed. The same three words; a jump over visible entries is always a gap.
//!
//! An entry that is not the expected one is **mismatched**; one outside of the member's seats is a
//! **wrong recipient**. **Delivered** are messages of others that came out of the SDK; **lost** is what
//! should have and did not.

use std::{
    collections::HashMap,
    hash::{DefaultHasher, Hash, Hasher},
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering::Relaxed},
    },
    time::Duration,
};

use hdrhistogram::Histogram;
use parking_lot::Mutex;
use posthorn_client::{
    ConnectionState, Event, Observer,
    backend::LogEntry,
    proto::{Entry, Kind, ServerFrame, Style, server_frame::Frame},
};
use posthorn_clock::Instant;

use super::plan::{Plan, Step};

/// What may not happen.
#[derive(Debug, Default)]
pub struct Faults {
    pub duplicated: AtomicU64,
    pub reordered: AtomicU64,
    pub gaps: AtomicU64,
    pub mismatched: AtomicU64,
    pub wrong_recipients: AtomicU64,
}

/// One file's expected log.
pub struct Expected {
    pub conversation: String,
    /// By seq - 1.
    prints: Vec<u64>,
    /// Who wrote it, by seq - 1: a user of the run, or nobody.
    authors: Vec<u32>,
    /// Messages, actions and system entries up to and including seq, by seq.
    countable: Vec<u32>,
    /// When the message was given to the SDK, us after the start; 0: not by this process.
    sent_us: Vec<AtomicU64>,
}

const NOBODY: u32 = u32::MAX;

/// Everything that is counted, for all users.
pub struct Ledger {
    pub faults: Faults,
    pub expected: Vec<Expected>,
    by_conversation: HashMap<String, usize>,
    started: Instant,
    pub acked: AtomicU64,
    pub connects: AtomicU64,
    /// Clients whose first sync is complete.
    pub synced: AtomicU64,
    /// Messages of others that came out of the SDKs.
    pub seen: AtomicU64,
    pub ack_us: Mutex<Histogram<u64>>,
    deliver_us: Mutex<Histogram<u64>>,
}

fn print(kind: &str, author: &str, about: &str, action: bool, text: &str, message_id: &str) -> u64 {
    let mut hash = DefaultHasher::new();
    (kind, author, about, action, text, message_id).hash(&mut hash);
    hash.finish().max(1)
}

pub fn print_of_entry(entry: &Entry) -> u64 {
    let body = entry.body.as_ref();
    let about = body.and_then(|b| b.member.as_ref()).map_or("", |m| m.user.as_str());
    let text = body.map_or("", |b| b.text.as_str());
    let action = body.is_some_and(|b| b.style() == Style::Action);
    match entry.kind() {
        Kind::Message => print("message", &entry.author, "", action, text, &entry.message_id),
        Kind::System => print("system", "", "", action, text, &entry.message_id),
        Kind::Created => print("created", "", "", false, "", ""),
        Kind::Joined => print("joined", "", about, false, "", ""),
        Kind::Removed | Kind::Left => print("removed", "", about, false, "", ""),
        _ => 0,
    }
}

pub fn print_of_log(entry: &LogEntry) -> u64 {
    let about = entry.member.as_ref().map_or("", |member| member.user.as_str());
    let (text, action) = (entry.text.as_deref().unwrap_or(""), entry.style.as_deref() == Some("action"));
    match entry.kind.as_str() {
        "message" => print("message", &entry.author, "", action, text, &entry.message_id),
        "system" => print("system", "", "", action, text, &entry.message_id),
        "created" => print("created", "", "", false, "", ""),
        "joined" => print("joined", "", about, false, "", ""),
        "removed" | "left" => print("removed", "", about, false, "", ""),
        _ => 0,
    }
}

impl Expected {
    /// `number`: from a user of the plan to one of the run; `message_id`: of a line.
    pub fn new(plan: &Plan, conversation: String, number: &[u32], message_id: impl Fn(u32) -> String) -> Self {
        let mut prints = vec![print("created", "", "", false, "", "")];
        let (mut authors, mut countable) = (vec![NOBODY], vec![0, 0]);
        for step in &plan.steps {
            let id = |user: &u32| plan.users[*user as usize].0.as_str();
            let (fingerprint, author, counts) = match step {
                Step::Say { user, text, action, line } => {
                    let fingerprint = print("message", id(user), "", *action, text, &message_id(*line));
                    (fingerprint, number[*user as usize], 1)
                }
                Step::System { text, line } => (print("system", "", "", false, text, &message_id(*line)), NOBODY, 1),
                Step::Join { user } => (print("joined", "", id(user), false, "", ""), NOBODY, 0),
                Step::Leave { user } => (print("removed", "", id(user), false, "", ""), NOBODY, 0),
            };
            prints.push(fingerprint);
            authors.push(author);
            countable.push(countable.last().copied().unwrap_or(0) + counts);
        }
        let sent_us = prints.iter().map(|_| AtomicU64::new(0)).collect();
        Self { conversation, prints, authors, countable, sent_us }
    }

    pub fn is(&self, seq: u64, fingerprint: u64) -> bool {
        seq > 0 && self.prints.get(seq as usize - 1) == Some(&fingerprint)
    }

    pub fn head_seq(&self) -> u64 {
        self.prints.len() as u64
    }

    pub fn countable_up_to(&self, seq: u64) -> u64 {
        let last = self.countable.len() - 1;
        u64::from(self.countable[usize::try_from(seq).unwrap_or(last).min(last)])
    }

    /// Messages of others than `user` in a span, for whoever may see it.
    pub fn of_others(&self, user: u32, from: u64, to: u64) -> u64 {
        let to = to.min(self.head_seq());
        if from > to {
            return 0;
        }
        let all = self.countable_up_to(to) - self.countable_up_to(from - 1);
        let own = self.authors[from as usize - 1..to as usize].iter().filter(|&&author| author == user).count();
        all - own as u64
    }

    fn is_message_for(&self, user: u32, seq: u64) -> bool {
        let countable = self.countable_up_to(seq) > self.countable_up_to(seq - 1);
        countable && self.authors.get(seq as usize - 1).is_some_and(|&author| author != user)
    }
}

impl Ledger {
    pub fn new(expected: Vec<Expected>) -> Self {
        let by_conversation = expected.iter().enumerate().map(|(at, e)| (e.conversation.clone(), at)).collect();
        let histogram =
            || Mutex::new(Histogram::new_with_bounds(1, 3_600_000_000, 3).expect("the bounds are in order"));
        Self {
            faults: Faults::default(),
            expected,
            by_conversation,
            started: Instant::now(),
            acked: AtomicU64::new(0),
            connects: AtomicU64::new(0),
            synced: AtomicU64::new(0),
            seen: AtomicU64::new(0),
            ack_us: histogram(),
            deliver_us: histogram(),
        }
    }

    pub fn now_us(&self) -> u64 {
        u64::try_from(self.started.elapsed().as_micros()).unwrap_or(u64::MAX).max(1)
    }

    pub fn elapsed(&self) -> Duration {
        self.started.elapsed()
    }

    pub fn sending(&self, file: usize, seq: u64) -> u64 {
        let now = self.now_us();
        self.expected[file].sent_us[seq as usize - 1].store(now, Relaxed);
        now
    }

    pub fn acked(&self, sent_us: u64) {
        self.acked.fetch_add(1, Relaxed);
        self.ack_us.lock().saturating_record(self.now_us().saturating_sub(sent_us).max(1));
    }

    /// (p50, p99) of acknowledgements and of deliveries, ms.
    pub fn percentiles(&self) -> [f64; 4] {
        let of = |histogram: &Mutex<Histogram<u64>>, quantile| {
            let histogram = histogram.lock();
            if histogram.is_empty() { 0.0 } else { histogram.value_at_quantile(quantile) as f64 / 1_000.0 }
        };
        [of(&self.ack_us, 0.5), of(&self.ack_us, 0.99), of(&self.deliver_us, 0.5), of(&self.deliver_us, 0.99)]
    }
}

/// One member of one conversation.
#[derive(Clone, Debug, Default)]
pub struct Seat {
    pub file: usize,
    /// Where they may see, both ends included.
    pub seats: Vec<(u64, u64)>,
    raw: Raw,
    /// Spans that came out of the SDK, ascending.
    pub sdk: Vec<(u64, u64)>,
}

/// The present connection.
#[derive(Clone, Debug, Default)]
struct Raw {
    first: u64,
    last: u64,
    skipped: Vec<(u64, u64)>,
    resync: bool,
}

fn within(spans: &[(u64, u64)], seq: u64) -> bool {
    spans.iter().any(|&(from, to)| from <= seq && seq <= to)
}

/// Whether any seq of a span is in the spans.
pub fn meets(spans: &[(u64, u64)], from: u64, to: u64) -> bool {
    spans.iter().any(|&(low, high)| low <= to && from <= high)
}

/// Watches one user's client.
pub struct Watcher {
    ledger: Arc<Ledger>,
    user: u32,
    synced: AtomicBool,
    pub seats: Mutex<Vec<Seat>>,
}

impl Watcher {
    pub fn new(ledger: Arc<Ledger>, user: u32, seats: Vec<(usize, Vec<(u64, u64)>)>) -> Self {
        let seats = seats.into_iter().map(|(file, seats)| Seat { file, seats, ..Seat::default() }).collect();
        Self { ledger, user, synced: AtomicBool::new(false), seats: Mutex::new(seats) }
    }

    fn add(&self, counter: &AtomicU64) {
        counter.fetch_add(1, Relaxed);
    }

    fn with_seat(&self, conversation: &str, work: impl FnOnce(&Expected, &mut Seat)) -> bool {
        let Some(&file) = self.ledger.by_conversation.get(conversation) else { return true };
        let mut seats = self.seats.lock();
        let Some(seat) = seats.iter_mut().find(|seat| seat.file == file) else { return false };
        work(&self.ledger.expected[file], seat);
        true
    }

    fn raw_entries(&self, conversation: &str, entries: &[Entry]) {
        let faults = &self.ledger.faults;
        let now = self.ledger.now_us();
        let seated = self.with_seat(conversation, |expected, seat| {
            for entry in entries {
                let seq = entry.seq;
                self.judge(expected, seat, entry);
                let fresh = seat.raw.next(seq, &seat.seats, faults);
                let sent = expected.sent_us.get(seq as usize - 1).map_or(0, |sent| sent.load(Relaxed));
                if fresh && sent > 0 && expected.is_message_for(self.user, seq) {
                    self.ledger.deliver_us.lock().saturating_record(now.saturating_sub(sent).max(1));
                }
            }
        });
        if !seated {
            faults.wrong_recipients.fetch_add(entries.len() as u64, Relaxed);
        }
    }

    /// The entry is the expected one, and the user may see it.
    fn judge(&self, expected: &Expected, seat: &Seat, entry: &Entry) {
        let faults = &self.ledger.faults;
        if !expected.is(entry.seq, print_of_entry(entry)) {
            self.add(&faults.mismatched);
        }
        if !within(&seat.seats, entry.seq) {
            self.add(&faults.wrong_recipients);
        }
    }

    fn sdk_entries(&self, conversation: &str, entries: &[Entry]) {
        let faults = &self.ledger.faults;
        let seated = self.with_seat(conversation, |expected, seat| {
            for entry in entries {
                let seq = entry.seq;
                self.judge(expected, seat, entry);
                match seat.sdk.last_mut() {
                    Some((_, last)) if seq == *last + 1 => *last = seq,
                    Some((_, last)) if seq <= *last => {
                        let known = within(&seat.sdk, seq);
                        self.add(if known { &faults.duplicated } else { &faults.reordered });
                        continue;
                    }
                    Some((_, last)) => {
                        if meets(&seat.seats, *last + 1, seq - 1) {
                            self.add(&faults.gaps);
                        }
                        seat.sdk.push((seq, seq));
                    }
                    None => seat.sdk.push((seq, seq)),
                }
                if expected.is_message_for(self.user, seq) && within(&seat.seats, seq) {
                    self.ledger.seen.fetch_add(1, Relaxed);
                }
            }
        });
        if !seated {
            faults.wrong_recipients.fetch_add(entries.len() as u64, Relaxed);
        }
    }

    fn resync(&self, conversations: &[String]) {
        let mut seats = self.seats.lock();
        for seat in seats.iter_mut() {
            let name = &self.ledger.expected[seat.file].conversation;
            seat.raw.resync |= conversations.is_empty() || conversations.contains(name);
        }
    }
}

impl Raw {
    /// True where the entry is new to this connection.
    fn next(&mut self, seq: u64, seats: &[(u64, u64)], faults: &Faults) -> bool {
        if self.last == 0 {
            (self.first, self.last) = (seq, seq);
        } else if seq == self.last + 1 {
            self.last = seq;
        } else if seq > self.last {
            if !self.resync && meets(seats, self.last + 1, seq - 1) {
                faults.gaps.fetch_add(1, Relaxed);
            }
            self.skipped.push((self.last + 1, seq - 1));
            self.last = seq;
        } else {
            let fresh = seq < self.first || within(&self.skipped, seq);
            let fault = if fresh { &faults.reordered } else { &faults.duplicated };
            fault.fetch_add(1, Relaxed);
            return fresh;
        }
        self.resync = false;
        true
    }
}

impl Observer for Watcher {
    fn frame(&self, frame: &ServerFrame) {
        match &frame.frame {
            Some(Frame::Entries(new)) => self.raw_entries(&new.conversation, &new.entries),
            Some(Frame::Resync(resync)) => self.resync(&resync.conversations),
            Some(Frame::Connected(_)) => self.seats.lock().iter_mut().for_each(|seat| seat.raw = Raw::default()),
            _ => {}
        }
    }

    fn event(&self, event: Event) {
        match event {
            Event::Entries { conversation, entries } => self.sdk_entries(&conversation, &entries),
            Event::State(ConnectionState::Connected { .. }) => {
                self.ledger.connects.fetch_add(1, Relaxed);
            }
            Event::Synced { .. } if !self.synced.swap(true, Relaxed) => self.add(&self.ledger.synced),
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests;
