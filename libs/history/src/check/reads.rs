//! Reads of the log: what each had to have, by what its reader knew when it began.

use std::collections::BTreeMap;

use super::{
    Who,
    log::{Log, OPEN},
    names::Names,
    spans::{Spans, common},
};
use crate::{Report, Rule, Scope};

/// What was so when a read began.
#[derive(Clone, Copy, Debug, Default)]
pub struct Begun {
    /// The highest seq that the reader's user knew.
    pub own_top: u64,
    pub acked_top: u64,
    /// The rest it was begun in; 0: none.
    pub settled: u64,
}

#[derive(Debug)]
struct Read {
    who: Who,
    conversation: u32,
    scope: Scope,
    had: Spans,
    begun: Begun,
}

#[derive(Debug, Default)]
pub struct Reads {
    begun: BTreeMap<(u32, u32), Begun>,
    /// Whole ones, and pages with holes.
    reads: Vec<Read>,
}

impl Reads {
    pub fn begin(&mut self, who: Who, conversation: u32, begun: Begun) {
        self.begun.insert((who.process, conversation), begun);
    }

    pub fn end(
        &mut self,
        who: Who,
        (conversation, scope): (u32, Scope),
        seqs: impl Iterator<Item = u64>,
        now: Begun,
        (names, report): (&Names, &mut Report),
    ) {
        let begun = self.begun.remove(&(who.process, conversation)).unwrap_or(now);
        let (mut had, mut last) = (Spans::default(), 0);
        for seq in seqs {
            let fresh = had.add(seq);
            if seq <= last {
                let rule = if fresh { Rule::Reordered } else { Rule::Duplicated };
                let (place, process) = (names.name(conversation), names.name(who.process));
                report.broke(rule, || format!("{place}: {process} read {seq} after {last}"));
            }
            last = seq;
        }
        if scope != Scope::Page || had.spans().len() > 1 {
            self.reads.push(Read { who, conversation, scope, had, begun });
        }
    }

    /// Where, by conversation, some read had to have everything.
    pub fn covered(&self, logs: &BTreeMap<u32, Log>, settled: u64) -> BTreeMap<u32, Spans> {
        let mut all: BTreeMap<u32, Vec<(u64, u64)>> = BTreeMap::new();
        for read in self.reads.iter().filter(|read| read.scope != Scope::Page) {
            let Some(log) = logs.get(&read.conversation) else { continue };
            let end = if read.rested(settled) { OPEN } else { read.had.last() };
            let spans = read.visible(log).iter().filter_map(|&range| common(range, (1, end)));
            let known = all.entry(read.conversation).or_default();
            // Most read the same.
            for span in spans {
                if !known.contains(&span) {
                    known.push(span);
                }
            }
        }
        all.into_iter().map(|(conversation, spans)| (conversation, Spans::of(spans))).collect()
    }

    /// What others' reads have, and this one should.
    pub fn finish(&self, logs: &BTreeMap<u32, Log>, settled: u64, names: &Names, report: &mut Report) {
        for read in &self.reads {
            let Some(log) = logs.get(&read.conversation) else { continue };
            let Begun { own_top, acked_top, .. } = read.begun;
            let last = read.had.last();
            let end = match read.scope {
                Scope::Page => last,
                _ if read.rested(settled) => last.max(own_top).max(acked_top),
                _ => last.max(own_top),
            };
            let begin = if read.scope == Scope::Page { read.had.first() } else { 1 };
            let due = read.visible(log).iter().filter_map(|&range| common(range, (begin, end)));
            let lacking = due.flat_map(|(from, to)| read.had.missing(from, to));
            let first = lacking.filter_map(|(from, to)| log.read.first_in(from, to)).next();
            let Some(seq) = first else { continue };
            let rule = if seq > last && seq <= own_top { Rule::Rewound } else { Rule::Lost };
            let (place, process) = (names.name(read.conversation), names.name(read.who.process));
            report.broke(rule, || format!("{place}: the read of {process}, up to {last}, lacks {seq}"));
        }
    }
}

impl Read {
    fn visible<'a>(&self, log: &'a Log) -> &'a [(u64, u64)] {
        if self.scope == Scope::Log { &[(1, OPEN)] } else { log.visible(self.who.user) }
    }

    const fn rested(&self, settled: u64) -> bool {
        self.begun.settled != 0 && self.begun.settled == settled
    }
}
