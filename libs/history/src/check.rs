//! The checker: takes one event after the other, and judges at the end what only the end can tell.

mod live;
mod log;
mod names;
mod reads;
mod rest;
mod spans;

use std::{collections::BTreeMap, path::Path};

use self::{
    live::Live,
    log::{Log, Seen, Step},
    names::Names,
    reads::{Begun, Reads},
    rest::{Marks, Rest},
};
use crate::{Event, HistoryError, Item, Kind, Op, Reader, Report, Rule, Scope, Sight, user_of};

/// A process, and the user it acts for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Who {
    process: u32,
    user: u32,
}

/// Several files of one run can be taken one after the other.
#[derive(Debug, Default)]
pub struct Checker {
    names: Names,
    report: Report,
    logs: BTreeMap<u32, Log>,
    live: Live,
    reads: Reads,
    rest: Rest,
    /// Which rest this is; 0: none.
    settled: u64,
    rests: u64,
}

/// All of a history at once.
pub fn check<'a>(events: impl IntoIterator<Item = &'a Event>, expect: &[Sight]) -> Report {
    let mut checker = Checker::default();
    for event in events {
        checker.take(event);
    }
    checker.finish(expect)
}

/// # Errors
/// The file cannot be read, or is no history.
pub fn check_file(path: &Path, expect: &[Sight]) -> Result<Report, HistoryError> {
    let mut checker = Checker::default();
    for event in Reader::open(path)? {
        checker.take(&event?);
    }
    Ok(checker.finish(expect))
}

impl Checker {
    pub fn take(&mut self, event: &Event) {
        self.report.events += 1;
        let process = self.names.number(&event.process);
        let who = Who { process, user: self.names.number(user_of(&event.process)) };
        match &event.op {
            Op::Send { .. } => self.send(who, event.kind, &event.op),
            Op::Receive { conversation, connection, entries } => {
                let conversation = self.see(who, conversation, entries);
                let seqs = entries.iter().map(|item| item.seq);
                let place = (conversation, *connection);
                self.live.receive(who, place, seqs, &self.names, &mut self.report);
                self.report.see(Sight::Received);
            }
            Op::Read { conversation, scope, entries } => self.read(who, event.kind, conversation, *scope, entries),
            Op::Join { conversation, user, seq } => {
                let user = self.names.number(user);
                self.log(conversation).1.joined(user, *seq);
                self.report.see(Sight::Joined);
            }
            Op::Leave { conversation, user, seq } => {
                let user = self.names.number(user);
                self.log(conversation).1.left(user, *seq);
                self.report.see(Sight::Left);
            }
            Op::Mark { conversation, user, delivered, read } if event.kind == Kind::Ok => {
                let place = (self.log(conversation).0, self.names.number(user));
                let marks = Marks { delivered: *delivered, read: *read };
                self.rest.marked(who, place, marks, self.settled != 0, (&self.names, &mut self.report));
                self.report.see(Sight::Marked);
            }
            Op::Unread { conversation, read, unread } => {
                let conversation = self.log(conversation).0;
                self.rest.unread(who, conversation, (*read, *unread), self.settled);
                self.report.see(Sight::UnreadSeen);
            }
            Op::Feed { conversation, entries } => self.fed(who, conversation, entries),
            other => self.happened(who, other),
        }
    }

    /// What is about no entry.
    fn happened(&mut self, who: Who, op: &Op) {
        match op {
            Op::Follow { conversation, connection, after } => {
                let conversation = self.log(conversation).0;
                self.live.follow(who, (conversation, *connection), *after);
            }
            Op::Connect { resumed } => {
                if self.live.connected(who) {
                    self.report.see(Sight::Reconnected);
                }
                if *resumed {
                    self.report.see(Sight::Resumed);
                }
            }
            Op::Disconnect => {
                self.live.disconnected(who);
                self.rest.disconnected(who);
            }
            Op::Reset { connection, conversations } => {
                for conversation in conversations {
                    let conversation = self.log(conversation).0;
                    self.live.reset(who, Some(conversation), *connection);
                }
                if conversations.is_empty() {
                    self.live.reset(who, None, *connection);
                }
                self.report.see(Sight::ResetSeen);
            }
            Op::Presence { user, online } => {
                let user = self.names.number(user);
                self.rest.presence(who, user, *online);
                self.report.see(Sight::PresenceSeen);
            }
            Op::Truth { user, online } => {
                let user = self.names.number(user);
                self.rest.truth(user, *online);
            }
            Op::Crash | Op::Fault { .. } => {
                self.settled = 0;
                self.report.see(if *op == Op::Crash { Sight::Crashed } else { Sight::Faulted });
            }
            Op::Settled => {
                self.rests += 1;
                self.settled = self.rests;
                self.report.see(Sight::Settled);
            }
            // A mark that was asked for says nothing; the rest is not about this.
            _ => {}
        }
    }

    fn log(&mut self, conversation: &str) -> (u32, &mut Log) {
        let number = self.names.number(conversation);
        (number, self.logs.entry(number).or_insert_with(|| Log::new(number)))
    }

    fn send(&mut self, who: Who, kind: Kind, op: &Op) {
        let Op::Send { conversation, id, author, body, seq, again } = op else { return };
        let (conversation, id, author) =
            (self.names.number(conversation), self.names.number(id), self.names.number(author));
        let log = self.logs.entry(conversation).or_insert_with(|| Log::new(conversation));
        let step = Step { kind, id, author, body: *body, seq: *seq };
        if log.send(step, &self.names, &mut self.report) {
            self.live.acked(who.user, conversation, *seq);
        }
        match kind {
            Kind::Invoke => self.settled = 0,
            Kind::Ok => self.report.see(Sight::Acked),
            Kind::Fail => self.report.see(Sight::RefusedSend),
            Kind::Info => self.report.see(Sight::Unconfirmed),
        }
        if *again {
            self.report.see(Sight::SentAgain);
        }
    }

    /// Compares entries with what others saw.
    fn see(&mut self, who: Who, conversation: &str, entries: &[Item]) -> u32 {
        let conversation = self.names.number(conversation);
        let log = self.logs.entry(conversation).or_insert_with(|| Log::new(conversation));
        for item in entries {
            if item.seq == 0 {
                let (place, by) = (self.names.name(conversation), self.names.name(who.process));
                self.report.broke(Rule::Malformed, || format!("{place}: {by} has an entry without a seq"));
                continue;
            }
            let seen = Seen { seq: item.seq, id: self.names.number(&item.id), body: item.body };
            log.see(seen, who.process, &self.names, &mut self.report);
        }
        conversation
    }

    fn read(&mut self, who: Who, kind: Kind, conversation: &str, scope: Scope, entries: &[Item]) {
        let (number, log) = self.log(conversation);
        let acked_top = log.acked_top;
        let now = Begun { own_top: self.live.top(who.user, number), acked_top, settled: self.settled };
        match kind {
            Kind::Invoke => self.reads.begin(who, number, now),
            Kind::Ok => {
                self.see(who, conversation, entries);
                let seqs = || entries.iter().map(|item| item.seq);
                let (_, log) = self.log(conversation);
                for seq in seqs() {
                    log.read.add(seq);
                }
                // The application's own read is nobody's.
                if scope != Scope::Log {
                    for seq in seqs() {
                        self.live.saw(who.user, number, seq);
                    }
                }
                if scope != Scope::Page {
                    self.report.see(Sight::WholeRead);
                }
                self.reads.end(who, (number, scope), seqs(), now, (&self.names, &mut self.report));
            }
            // It told nothing.
            Kind::Fail | Kind::Info => {}
        }
    }

    fn fed(&mut self, who: Who, conversation: &str, entries: &[Item]) {
        let number = self.see(who, conversation, entries);
        self.rest.fed(who, number, entries.iter().map(|item| item.seq));
        self.report.see(Sight::Fed);
    }

    /// `expect`: without any of these the run shows too little.
    #[must_use]
    pub fn finish(mut self, expect: &[Sight]) -> Report {
        let (names, report, settled) = (&self.names, &mut self.report, self.settled);
        let covered = self.reads.covered(&self.logs, settled);
        let nothing = spans::Spans::new();
        for (conversation, log) in &mut self.logs {
            log.finish(settled != 0, covered.get(conversation).unwrap_or(&nothing), names, report);
        }
        self.reads.finish(&self.logs, settled, names, report);
        self.live.finish(&self.logs, settled != 0, names, report);
        self.rest.finish(&self.logs, settled, names, report);
        // Seen once is not enough: it must hold at the end.
        if settled == 0 {
            report.seen.remove(&Sight::Settled);
        }
        report.expect(expect);
        self.report
    }
}
