//! Marks, unread counts, the feed and presence.

use std::collections::{BTreeMap, BTreeSet};

use super::{
    Who,
    log::{Log, OPEN},
    names::Names,
    spans::{Spans, common},
};
use crate::{Report, Rule};

#[derive(Clone, Copy, Debug, Default)]
pub struct Marks {
    pub delivered: u64,
    pub read: u64,
}

impl Marks {
    /// Something that both say is lower here.
    const fn below(self, other: Self) -> bool {
        (self.delivered != 0 && self.delivered < other.delivered) || (self.read != 0 && self.read < other.read)
    }

    fn grow(&mut self, other: Self) {
        self.delivered = self.delivered.max(other.delivered);
        self.read = self.read.max(other.read);
    }
}

#[derive(Debug)]
struct Count {
    who: Who,
    conversation: u32,
    read: u64,
    unread: u64,
    settled: u64,
}

#[derive(Debug, Default)]
pub struct Rest {
    /// As each process was told them last: by process, conversation and user.
    told: BTreeMap<(u32, u32, u32), Marks>,
    /// The highest, by conversation and user.
    marks: BTreeMap<(u32, u32), Marks>,
    counts: Vec<Count>,
    /// What each consumer has had, by conversation.
    fed: BTreeMap<(u32, u32), Spans>,
    /// Consumer, conversation, and the span that did not come in its turn.
    feed_jumps: Vec<(u32, u32, u64, u64)>,
    /// What each watcher was told last of each user.
    presence: BTreeMap<(u32, u32), Option<bool>>,
    truth: BTreeMap<u32, bool>,
}

impl Rest {
    /// `settled`: whoever says less than what is known now is wrong.
    pub fn marked(
        &mut self,
        who: Who,
        (conversation, user): (u32, u32),
        marks: Marks,
        settled: bool,
        (names, report): (&Names, &mut Report),
    ) {
        let told = self.told.entry((who.process, conversation, user)).or_default();
        let most = self.marks.entry((conversation, user)).or_default();
        let before = if settled { *most } else { *told };
        let say = || (names.name(conversation), names.name(who.process), names.name(user));
        if marks.below(before) {
            let (place, process, user) = say();
            report.broke(Rule::MarkFell, || format!("{place}: {process} sees {user} at {marks:?} after {before:?}"));
        }
        if marks.delivered != 0 && marks.read > marks.delivered {
            let (place, process, user) = say();
            report.broke(Rule::MarkBeyond, || format!("{place}: {process} sees {user} at {marks:?}"));
        }
        told.grow(marks);
        most.grow(marks);
    }

    pub fn unread(&mut self, who: Who, conversation: u32, (read, unread): (u64, u64), settled: u64) {
        self.counts.push(Count { who, conversation, read, unread, settled });
    }

    pub fn fed(&mut self, who: Who, conversation: u32, seqs: impl Iterator<Item = u64>) {
        let fed = self.fed.entry((who.process, conversation)).or_default();
        for seq in seqs {
            let last = fed.last();
            if last != 0 && seq > last + 1 {
                self.feed_jumps.push((who.process, conversation, last + 1, seq - 1));
            }
            // Copies may come late.
            fed.add(seq);
        }
    }

    pub fn presence(&mut self, who: Who, user: u32, online: Option<bool>) {
        self.presence.insert((who.process, user), online);
    }

    pub fn truth(&mut self, user: u32, online: bool) {
        self.truth.insert(user, online);
    }

    /// Who is away watches nobody.
    pub fn disconnected(&mut self, who: Who) {
        self.presence.retain(|(process, _), _| *process != who.process);
    }

    pub fn finish(&self, logs: &BTreeMap<u32, Log>, settled: u64, names: &Names, report: &mut Report) {
        for (&(conversation, user), marks) in &self.marks {
            let Some(log) = logs.get(&conversation) else { continue };
            let (place, user_name) = (names.name(conversation), names.name(user));
            if log.visible(user).is_empty() {
                report.broke(Rule::Outsider, || format!("{place}: {user_name} has marks, and is no member"));
            }
            let (top, known) = (marks.delivered.max(marks.read), log.known.last());
            if settled != 0 && known != 0 && top > known {
                report.broke(Rule::MarkBeyond, || format!("{place}: {user_name} is at {top}, the log ends at {known}"));
            }
        }
        for &(consumer, conversation, from, to) in &self.feed_jumps {
            if let Some(seq) = logs.get(&conversation).and_then(|log| log.there().first_in(from, to)) {
                let (place, consumer) = (names.name(conversation), names.name(consumer));
                report.broke(Rule::FeedOrder, || format!("{place}: {consumer} was not fed {seq} in its turn"));
            }
        }
        if settled != 0 {
            self.each_count(logs, settled, names, report);
            self.feed_ends(logs, names, report);
            self.presence_ends(names, report);
        }
    }

    fn feed_ends(&self, logs: &BTreeMap<u32, Log>, names: &Names, report: &mut Report) {
        let nothing = Spans::new();
        let consumers: BTreeSet<u32> = self.fed.keys().map(|(consumer, _)| *consumer).collect();
        for consumer in consumers {
            for (&conversation, log) in logs {
                let (all, fed) = (log.there(), self.fed.get(&(consumer, conversation)).unwrap_or(&nothing));
                let lacks = all.spans().iter().find_map(|&(from, to)| fed.missing(from, to).first().copied());
                if let Some((from, to)) = lacks {
                    let (place, consumer) = (names.name(conversation), names.name(consumer));
                    report.broke(Rule::FeedEnd, || format!("{place}: {consumer} was never fed {from} to {to}"));
                }
            }
        }
    }

    fn presence_ends(&self, names: &Names, report: &mut Report) {
        for (&(watcher, user), online) in &self.presence {
            if self.truth.get(&user).is_some_and(|truth| *online != Some(*truth)) {
                let (watcher, user) = (names.name(watcher), names.name(user));
                report.broke(Rule::Presence, || format!("{watcher} sees {user} online: {online:?}, which is not so"));
            }
        }
    }

    fn each_count(&self, logs: &BTreeMap<u32, Log>, settled: u64, names: &Names, report: &mut Report) {
        let mut messages = BTreeMap::new();
        for count in self.counts.iter().filter(|count| count.settled == settled) {
            let Some(log) = logs.get(&count.conversation).filter(|log| !log.known.is_empty()) else { continue };
            let (all, by_author) = messages.entry(count.conversation).or_insert_with(|| log.messages());
            let own = by_author.get(&count.who.user).map_or(&[][..], Vec::as_slice);
            let within = |seqs: &[u64], (from, to): (u64, u64)| {
                seqs.partition_point(|&seq| seq <= to) - seqs.partition_point(|&seq| seq < from)
            };
            let beyond = log.visible(count.who.user).iter().filter_map(|&r| common(r, (count.read + 1, OPEN)));
            let expect: usize = beyond.map(|range| within(all, range) - within(own, range)).sum();
            if expect as u64 != count.unread {
                let (place, process) = (names.name(count.conversation), names.name(count.who.process));
                let (read, unread) = (count.read, count.unread);
                let text = || format!("{place}: {process} has {unread} unread after {read}, there are {expect}");
                report.broke(Rule::Unread, text);
            }
        }
    }
}
