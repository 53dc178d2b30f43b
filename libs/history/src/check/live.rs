//! What came live to each process, and what each user has seen on any way.

use std::collections::BTreeMap;

use super::{
    Who,
    log::{Log, OPEN},
    names::Names,
    spans::{Spans, common},
};
use crate::{Report, Rule};

/// One conversation on one connection, or behind the client library over all of them.
#[derive(Debug, Default)]
struct Stream {
    connection: u64,
    had: Spans,
    last: Option<u64>,
    /// Up to there the process knows of everything. Where there is neither, the stream begins wherever it begins.
    after: Option<u64>,
    /// A reset came: the next jump is declared.
    excused: bool,
}

/// Entries that were jumped over; whether the user may see them is known at the end.
#[derive(Debug)]
struct Jump {
    who: Who,
    conversation: u32,
    connection: u64,
    from: u64,
    to: u64,
}

#[derive(Debug, Default)]
struct Person {
    seen: Spans,
    /// The highest seq they saw, or that was acknowledged to them.
    top: u64,
}

#[derive(Debug, Default)]
pub struct Live {
    /// By process, conversation, and whether behind the library: of connections, the present one alone.
    streams: BTreeMap<(Who, u32, bool), Stream>,
    /// Connections on which all conversations were declared to have holes, also those of which nothing came yet.
    holed: BTreeMap<Who, u64>,
    jumps: Vec<Jump>,
    /// By conversation and user.
    people: BTreeMap<(u32, u32), Person>,
    /// Processes that are gone are owed nothing.
    gone: BTreeMap<u32, bool>,
}

impl Live {
    /// True where the process was there before.
    pub fn connected(&mut self, who: Who) -> bool {
        self.gone.insert(who.process, false).is_some()
    }

    pub fn disconnected(&mut self, who: Who) {
        self.gone.insert(who.process, true);
    }

    pub fn follow(&mut self, who: Who, (conversation, connection): (u32, u64), after: u64) {
        let stream = self.stream(who, conversation, connection);
        if connection == 0 {
            stream.last = Some(after);
        } else {
            let first = stream.after.is_none();
            if first || stream.excused {
                // What was on its way before may still come.
                stream.after = stream.after.max(Some(after));
            }
            if first {
                // A connection is whole from its first sync on.
                let told =
                    |jump: &Jump| (jump.who, jump.conversation, jump.connection) == (who, conversation, connection);
                self.jumps.retain(|jump| !told(jump) || jump.to > after);
            }
        }
    }

    /// `conversation` `None`: all.
    pub fn reset(&mut self, who: Who, conversation: Option<u32>, connection: u64) {
        match conversation {
            Some(conversation) => self.stream(who, conversation, connection).excused = true,
            None => {
                let all = self.streams.range_mut((who, 0, false)..=(who, u32::MAX, true)).map(|(_, stream)| stream);
                all.filter(|stream| stream.connection == connection).for_each(|stream| stream.excused = true);
                if connection != 0 {
                    self.holed.insert(who, connection);
                }
            }
        }
    }

    /// Each connection begins anew.
    fn stream(&mut self, who: Who, conversation: u32, connection: u64) -> &mut Stream {
        let excused = self.holed.get(&who) == Some(&connection);
        let fresh = || Stream { connection, excused, ..Stream::default() };
        let stream = self.streams.entry((who, conversation, connection == 0)).or_insert_with(fresh);
        if stream.connection != connection {
            *stream = fresh();
        }
        stream
    }

    pub fn saw(&mut self, user: u32, conversation: u32, seq: u64) {
        let person = self.people.entry((conversation, user)).or_default();
        person.seen.add(seq);
        person.top = person.top.max(seq);
    }

    pub fn acked(&mut self, user: u32, conversation: u32, seq: u64) {
        let person = self.people.entry((conversation, user)).or_default();
        person.top = person.top.max(seq);
    }

    pub fn top(&self, user: u32, conversation: u32) -> u64 {
        self.people.get(&(conversation, user)).map_or(0, |person| person.top)
    }

    pub fn receive(
        &mut self,
        who: Who,
        (conversation, connection): (u32, u64),
        seqs: impl Iterator<Item = u64>,
        names: &Names,
        report: &mut Report,
    ) {
        let seqs: Vec<u64> = seqs.collect();
        seqs.iter().for_each(|&seq| self.saw(who.user, conversation, seq));
        let mut jumps = Vec::new();
        let stream = self.stream(who, conversation, connection);
        for seq in seqs {
            let fresh = stream.had.add(seq);
            if let Some(last) = stream.last.filter(|&last| seq <= last) {
                let rule = if fresh { Rule::Reordered } else { Rule::Duplicated };
                let text = || format!("{} got {seq} after {last}", told(who, conversation, connection, names));
                report.broke(rule, text);
                continue;
            }
            if let Some(known) = stream.known().filter(|&known| seq > known + 1 && !stream.excused) {
                jumps.push(Jump { who, conversation, connection, from: known + 1, to: seq - 1 });
            }
            (stream.last, stream.excused) = (Some(seq), false);
        }
        self.jumps.append(&mut jumps);
    }

    pub fn finish(&self, logs: &BTreeMap<u32, Log>, settled: bool, names: &Names, report: &mut Report) {
        for jump in &self.jumps {
            let Some(log) = logs.get(&jump.conversation) else { continue };
            let visible = log.visible(jump.who.user).iter();
            let mut hidden = visible.filter_map(|&range| common(range, (jump.from, jump.to)));
            if let Some(seq) = hidden.find_map(|(from, to)| log.there().first_in(from, to)) {
                let whom = told(jump.who, jump.conversation, jump.connection, names);
                report.broke(Rule::Gap, || format!("{whom} skipped {seq}: {} to {}", jump.from, jump.to));
            }
        }
        if settled {
            self.owed(logs, names, report);
        }
        for (&(conversation, user), person) in &self.people {
            let Some(log) = logs.get(&conversation) else { continue };
            let mut allowed = log.visible(user).to_vec();
            allowed.sort_unstable();
            let outside = person.seen.spans().iter().find_map(|&span| outside(&allowed, span));
            if let Some(seq) = outside {
                let (place, user) = (names.name(conversation), names.name(user));
                report.broke(Rule::Outsider, || format!("{place}: {user} saw {seq}, may see {}", words(&allowed)));
            }
        }
    }

    fn owed(&self, logs: &BTreeMap<u32, Log>, names: &Names, report: &mut Report) {
        for (&(who, conversation, behind), stream) in &self.streams {
            let gone = self.gone.get(&who.process).copied().unwrap_or(false);
            let (Some(log), Some(last)) = (logs.get(&conversation), stream.known()) else { continue };
            if gone || !behind {
                continue;
            }
            let mut rest = log.visible(who.user).iter().filter_map(|&range| common(range, (last + 1, OPEN)));
            if let Some(seq) = rest.find_map(|(from, to)| log.there().first_in(from, to)) {
                let whom = told(who, conversation, 0, names);
                report.broke(Rule::Undelivered, || format!("{whom} got nothing after {last}, {seq} is there"));
            }
        }
    }
}

impl Stream {
    /// The last of which the process knows.
    fn known(&self) -> Option<u64> {
        self.last.max(self.after)
    }
}

fn told(who: Who, conversation: u32, connection: u64, names: &Names) -> String {
    let (process, place) = (names.name(who.process), names.name(conversation));
    match connection {
        0 => format!("{place}: {process}"),
        n => format!("{place}: {process} on connection {n}"),
    }
}

/// The first seq of the span that none of the ranges, ascending, has.
fn outside(allowed: &[(u64, u64)], (from, to): (u64, u64)) -> Option<u64> {
    let mut next = from;
    for &(low, high) in allowed {
        if low <= next && next <= high {
            next = high.checked_add(1)?;
        }
    }
    (next <= to).then_some(next)
}

fn words(ranges: &[(u64, u64)]) -> String {
    let word = |&(from, to): &(u64, u64)| if to == OPEN { format!("{from}..") } else { format!("{from}..={to}") };
    if ranges.is_empty() { "nothing".to_owned() } else { ranges.iter().map(word).collect::<Vec<_>>().join(", ") }
}
