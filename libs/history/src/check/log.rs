//! What is known of one conversation: who sent what, and which entry was first seen where.

use std::collections::BTreeMap;

use super::{names::Names, spans::Spans};
use crate::{Kind, Report, Rule};

/// A span that ends nowhere.
pub const OPEN: u64 = u64::MAX;

/// As the first who saw it saw it.
#[derive(Clone, Copy, Debug)]
struct Slot {
    id: u32,
    body: u64,
    by: u32,
}

/// One message, however often it was sent.
#[derive(Clone, Copy, Debug)]
struct Sent {
    author: u32,
    body: u64,
    /// The highest seq that was acknowledged to anyone before it was sent first.
    after: u64,
    /// 0: not acknowledged.
    acked: u64,
    refused: bool,
    unknown: bool,
    open: bool,
}

/// An entry as somebody saw it.
#[derive(Clone, Copy, Debug)]
pub struct Seen {
    pub seq: u64,
    pub id: u32,
    pub body: u64,
}

/// How a send began or ended.
#[derive(Clone, Copy, Debug)]
pub struct Step {
    pub kind: Kind,
    pub id: u32,
    pub author: u32,
    pub body: u64,
    pub seq: u64,
}

#[derive(Debug)]
pub struct Log {
    conversation: u32,
    slots: BTreeMap<u64, Slot>,
    /// Where each id was seen first.
    placed: BTreeMap<u32, u64>,
    sends: BTreeMap<u32, Sent>,
    /// Where each user may see. Empty: nothing was recorded about members, and everybody may see everything.
    members: BTreeMap<u32, Vec<(u64, u64)>>,
    /// What any read had.
    pub read: Spans,
    pub acked_top: u64,
    /// At the end: what was read, received, fed or acknowledged.
    pub known: Spans,
}

impl Log {
    pub const fn new(conversation: u32) -> Self {
        Self {
            conversation,
            slots: BTreeMap::new(),
            placed: BTreeMap::new(),
            sends: BTreeMap::new(),
            members: BTreeMap::new(),
            read: Spans::new(),
            acked_top: 0,
            known: Spans::new(),
        }
    }

    pub fn joined(&mut self, user: u32, seq: u64) {
        self.members.entry(user).or_default().push((seq, OPEN));
    }

    pub fn left(&mut self, user: u32, seq: u64) {
        if let Some(last) = self.members.entry(user).or_default().last_mut() {
            last.1 = seq;
        }
    }

    pub fn visible(&self, user: u32) -> &[(u64, u64)] {
        if self.members.is_empty() { &[(1, OPEN)] } else { self.members.get(&user).map_or(&[], Vec::as_slice) }
    }

    /// What there is for those who missed it: what reads have, or without any read what is known.
    pub const fn there(&self) -> &Spans {
        if self.read.is_empty() { &self.known } else { &self.read }
    }

    /// True for the first acknowledgement.
    pub fn send(&mut self, step: Step, names: &Names, report: &mut Report) -> bool {
        let Step { kind, id, author, body, seq } = step;
        let place = names.name(self.conversation);
        if kind == Kind::Invoke {
            let after = self.acked_top;
            let fresh = Sent { author, body, after, acked: 0, refused: false, unknown: false, open: true };
            let sent = self.sends.entry(id).or_insert(fresh);
            (sent.refused, sent.open) = (false, true);
            return false;
        }
        let Some(sent) = self.sends.get_mut(&id) else {
            report.broke(Rule::Malformed, || format!("{place}: {} ends and never began", names.entry(id)));
            return false;
        };
        sent.open = false;
        match kind {
            Kind::Fail => sent.refused = true,
            Kind::Info | Kind::Invoke => sent.unknown = true,
            Kind::Ok if sent.acked == 0 => {
                sent.acked = seq;
                if seq <= sent.after {
                    let (id, after) = (names.entry(id), sent.after);
                    let text = || format!("{place}: {id} got {seq}, and {after} was acknowledged before it was sent");
                    report.broke(Rule::RealTime, text);
                }
                self.acked_top = self.acked_top.max(seq);
                return true;
            }
            Kind::Ok if sent.acked != seq => {
                let (id, first) = (names.entry(id), sent.acked);
                report.broke(Rule::Twice, || format!("{place}: {id} was acknowledged at {first} and at {seq}"));
            }
            Kind::Ok => {}
        }
        false
    }

    /// Anyone saw an entry.
    pub fn see(&mut self, seen: Seen, by: u32, names: &Names, report: &mut Report) {
        let Seen { seq, id, body } = seen;
        let place = names.name(self.conversation);
        let sent = self.sends.get(&id).filter(|_| id != 0);
        let slot = self.slots.entry(seq).or_insert(Slot { id, body, by });
        let differs = |other: u64| other != 0 && body != 0 && other != body;
        if slot.id != id || (sent.is_none() && differs(slot.body)) {
            let (id, other, first) = (names.entry(id), names.entry(slot.id), names.name(slot.by));
            let by = names.name(by);
            let text = || format!("{place}: {by} sees {id} at {seq}, {first} saw {other}, or another body of it");
            return report.broke(Rule::Disagreement, text);
        }
        if sent.is_some_and(|sent| differs(sent.body)) {
            let (id, by) = (names.entry(id), names.name(by));
            report.broke(Rule::Changed, || format!("{place}: {by} sees {id} at {seq} with another body than was sent"));
        }
        if id == 0 {
            return;
        }
        let first = *self.placed.entry(id).or_insert(seq);
        if first != seq {
            let (id, by) = (names.entry(id), names.name(by));
            report.broke(Rule::Twice, || format!("{place}: {by} sees {id} at {seq}, it stands at {first}"));
        }
    }

    /// Once everything was taken; before what judges by [`Self::known`]. `covered`: where a read had to have
    /// everything.
    pub fn finish(&mut self, settled: bool, covered: &Spans, names: &Names, report: &mut Report) {
        let mut known: Vec<u64> = self.slots.keys().copied().collect();
        known.extend(self.sends.values().map(|sent| sent.acked).filter(|&seq| seq > 0));
        known.sort_unstable();
        for seq in known {
            self.known.add(seq);
        }
        self.each_send(settled, names, report);
        let place = names.name(self.conversation);
        for (&id, &seq) in self.placed.iter().filter(|(id, _)| !self.sends.contains_key(id)) {
            report.broke(Rule::Invented, || format!("{place}: nobody sent {} at {seq}", names.entry(id)));
        }
        let top = if settled { self.known.last() } else { self.read.last() };
        for (from, to) in self.read.missing(1, top) {
            for &span in covered.spans() {
                if let Some((from, to)) = super::spans::common(span, (from, to)) {
                    self.unread_span(from, to, names, report);
                }
            }
        }
    }

    fn each_send(&self, settled: bool, names: &Names, report: &mut Report) {
        let place = names.name(self.conversation);
        for (&id, sent) in &self.sends {
            let at = self.placed.get(&id).copied();
            let id = names.entry(id);
            let other = self.slots.get(&sent.acked).filter(|slot| names.entry(slot.id) != id);
            if let Some(other) = other {
                let other = names.entry(other.id);
                let text = || format!("{place}: {id} was acknowledged at {}, where {other} stands", sent.acked);
                report.broke(Rule::Lost, text);
            }
            if let Some(at) = at.filter(|_| sent.refused && !sent.unknown && sent.acked == 0) {
                report.broke(Rule::Refused, || format!("{place}: {id} was refused and stands at {at}"));
            }
            if settled && sent.open {
                report.broke(Rule::Unanswered, || format!("{place}: {id} has no answer"));
            }
        }
    }

    /// Seqs that no read has and some should have.
    fn unread_span(&self, from: u64, to: u64, names: &Names, report: &mut Report) {
        let place = names.name(self.conversation);
        let mut next = from;
        while let Some(seq) = self.known.first_in(next, to) {
            let what = self.slots.get(&seq).map_or("what was acknowledged", |slot| names.entry(slot.id));
            report.broke(Rule::Lost, || format!("{place}: no read has {what} at {seq}"));
            next = seq + 1;
        }
        for (from, to) in self.known.missing(from, to) {
            report.broke(Rule::Hole, || format!("{place}: nothing stands at {from} to {to}"));
        }
    }

    /// Seqs of messages, of all authors and by author, ascending.
    pub fn messages(&self) -> (Vec<u64>, BTreeMap<u32, Vec<u64>>) {
        let (mut all, mut by_author) = (Vec::new(), BTreeMap::<u32, Vec<u64>>::new());
        for (&seq, slot) in &self.slots {
            if let Some(sent) = self.sends.get(&slot.id) {
                all.push(seq);
                by_author.entry(sent.author).or_default().push(seq);
            }
        }
        (all, by_author)
    }
}
