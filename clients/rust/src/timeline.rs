//! The order of entries: what came live, what was read, and what is missing between them. Pure.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use posthorn_proto::client::{Conversation, Entry, HistoryPage, Kind, Range};

use crate::{Event, Gap};

/// Reads of one hole that bring nothing before it counts as missing.
const MAX_FRUITLESS: u8 = 5;

/// All conversations of a client.
#[derive(Debug)]
pub(crate) struct Timelines {
    me: String,
    max_held: usize,
    max_fill: u64,
    map: BTreeMap<Arc<str>, Timeline>,
    /// To be read from the log, from just after what was seen.
    holes: BTreeSet<Arc<str>>,
    /// A conversation came up whose beginning only a sync can tell.
    pub unknown: bool,
}

#[derive(Debug, Default)]
struct Timeline {
    /// Highest seq given to the application; `None`: not known where to begin.
    seen: Option<u64>,
    /// Known to exist up to here.
    end: u64,
    held: BTreeMap<u64, Entry>,
    /// A sync began while something was held and nobody knew where to begin.
    asked: bool,
    fruitless: u8,
}

/// What came of an input: events in order.
pub(crate) type Events = Vec<Event>;

impl Timelines {
    pub fn new(max_held: usize, max_fill: u64, seen: impl Iterator<Item = (String, u64)>) -> Self {
        let known =
            |(name, seq): (String, u64)| (name.into(), Timeline { seen: Some(seq), end: seq, ..Timeline::default() });
        Self {
            me: String::new(),
            max_held,
            max_fill,
            map: seen.map(known).collect(),
            holes: BTreeSet::new(),
            unknown: false,
        }
    }

    pub fn user_is(&mut self, me: &str) {
        if self.me != me {
            me.clone_into(&mut self.me);
        }
    }

    /// The highest seq seen: what a new send gives as `after_seq`.
    pub fn seen(&self, conversation: &str) -> u64 {
        self.map.get(conversation).and_then(|timeline| timeline.seen).unwrap_or(0)
    }

    pub fn all_seen(&self) -> BTreeMap<String, u64> {
        self.map.iter().filter_map(|(name, t)| Some((name.to_string(), t.seen?))).collect()
    }

    /// Another generation: nothing that was known holds.
    pub fn forget(&mut self) {
        self.map.clear();
        self.holes.clear();
        self.unknown = false;
    }

    /// The next conversation to read, and after which seq. It stays a hole until a page closes it.
    pub fn take_hole(&mut self) -> Option<(Arc<str>, u64)> {
        let name = self.holes.pop_first()?;
        let seen = self.map.get(&name).and_then(|t| t.seen).unwrap_or(0);
        Some((name, seen))
    }

    /// A read failed: try again later.
    pub fn reopen(&mut self, conversation: &str) {
        if let Some((name, _)) = self.map.get_key_value(conversation) {
            self.holes.insert(name.clone());
        }
    }

    pub fn has_holes(&self) -> bool {
        !self.holes.is_empty()
    }

    /// The server dropped events of this conversation.
    pub fn doubt(&mut self, conversation: &str) {
        match self.map.get_key_value(conversation) {
            Some((name, timeline)) if timeline.seen.is_some() => {
                self.holes.insert(name.clone());
            }
            _ => self.unknown = true,
        }
    }

    /// Entries as an event brought them.
    pub fn live(&mut self, conversation: &str, entries: Vec<Entry>) -> Events {
        let name = match self.map.get_key_value(conversation) {
            Some((name, _)) => name.clone(),
            None => {
                let name: Arc<str> = conversation.into();
                self.map.insert(name.clone(), Timeline::default());
                name
            }
        };
        let timeline = self.map.get_mut(&name).expect("just looked up");
        let mut out = Out::new(&name);
        for entry in entries {
            timeline.end = timeline.end.max(entry.seq);
            match timeline.seen {
                Some(seen) if entry.seq <= seen => {}
                Some(seen) if entry.seq == seen + 1 => timeline.give(entry, &mut out),
                None if entry.seq == 1 => timeline.give(entry, &mut out),
                // A join, too: the user may have come and gone before it, and been told of neither.
                // Beyond the bound it is read again, `end` says that it is there.
                _ if timeline.held.len() < self.max_held => {
                    timeline.held.insert(entry.seq, entry);
                }
                _ => {}
            }
        }
        timeline.drain(&mut out);
        match timeline.seen {
            None => self.unknown = true,
            // A sync says how much of it there is to see.
            Some(seen) if timeline.end > seen.saturating_add(self.max_fill) => self.unknown = true,
            Some(seen) if seen < timeline.end => {
                self.holes.insert(name);
            }
            Some(_) => {}
        }
        out.events
    }

    pub fn asked(&mut self) {
        for timeline in self.map.values_mut() {
            timeline.asked = timeline.seen.is_none() && !timeline.held.is_empty();
        }
    }

    /// The sync is complete. What waited for it, and it did not list, begins with the own join.
    pub fn all_listed(&mut self) -> Events {
        let mut events = Vec::new();
        for (name, timeline) in self.map.iter_mut().filter(|(_, one)| one.asked && one.seen.is_none()) {
            if let Some(seq) = timeline.own_join(&self.me) {
                let mut out = Out::new(name);
                timeline.seen = Some(seq - 1);
                timeline.drain(&mut out);
                events.append(&mut out.events);
                if timeline.seen < Some(timeline.end) {
                    self.holes.insert(name.clone());
                }
            }
        }
        events
    }

    /// A conversation as a sync listed it. `first`: of the client's first sync, without a cursor.
    pub fn listed(&mut self, conversation: &Conversation, first: bool) -> Events {
        let name: Arc<str> = conversation.conversation.as_str().into();
        let timeline = self.map.entry(name.clone()).or_default();
        timeline.end = timeline.end.max(conversation.end_seq);
        let mut out = Out::new(&name);
        if timeline.seen.is_none() {
            let begin = conversation.visible.first().map_or(conversation.end_seq, |range| range.from.saturating_sub(1));
            timeline.seen = Some(if first { conversation.end_seq } else { begin });
            let joined = timeline.own_join(&self.me);
            if let (Some(seq), [Range { from: 1, to: 0 }], false) = (joined, &*conversation.visible, first) {
                // They may see what was said before they came, and need not be told all of it.
                out.gap(1, seq - 1, Gap::TooFar);
                timeline.seen = Some(seq - 1);
            }
            timeline.drain(&mut out);
        }
        let seen = timeline.seen.unwrap_or(0);
        if visible_in(&conversation.visible, seen + 1, timeline.end) > self.max_fill {
            out.gap(seen + 1, conversation.end_seq, Gap::TooFar);
            timeline.seen = Some(conversation.end_seq.max(seen));
            timeline.drain(&mut out);
        }
        if timeline.seen < Some(timeline.end) {
            self.holes.insert(name);
        }
        out.events
    }

    /// A page of the log that was asked for to fill a hole.
    pub fn page(&mut self, page: HistoryPage) -> Events {
        let Some((name, _)) = self.map.get_key_value(page.conversation.as_str()) else { return Vec::new() };
        let name = name.clone();
        let timeline = self.map.get_mut(&name).expect("just looked up");
        let mut out = Out::new(&name);
        let before = timeline.seen;
        for entry in page.entries {
            let seen = *timeline.seen.get_or_insert(entry.seq.saturating_sub(1));
            if entry.seq > seen {
                timeline.skip(seen + 1, entry.seq - 1, &page.visible, &mut out);
                timeline.give(entry, &mut out);
            }
        }
        let seen = timeline.seen.unwrap_or(0);
        if page.next == 0 && page.end_seq > seen && !any_visible(&page.visible, seen + 1, page.end_seq) {
            timeline.skip(seen + 1, page.end_seq, &page.visible, &mut out);
            timeline.seen = Some(page.end_seq);
        }
        timeline.drain(&mut out);
        timeline.fruitless = if timeline.seen > before { 0 } else { timeline.fruitless + 1 };
        if page.next == 0 && timeline.fruitless >= MAX_FRUITLESS {
            timeline.give_up(&mut out);
        }
        // An end that came from elsewhere and that the log does not have (any more) is none.
        if page.next == 0 && timeline.held.is_empty() && timeline.fruitless > 0 {
            timeline.end = timeline.seen.unwrap_or(0).max(page.end_seq);
        }
        if timeline.seen.unwrap_or(0) < timeline.end {
            self.holes.insert(name);
        }
        out.events
    }
}

impl Timeline {
    fn give(&mut self, entry: Entry, out: &mut Out) {
        self.seen = Some(entry.seq);
        out.entry(entry);
    }

    /// Where the user begins to see, of what is held.
    fn own_join(&self, me: &str) -> Option<u64> {
        let joins = |entry: &&Entry| entry.kind() == Kind::Joined && about(entry) == Some(me);
        self.held.values().find(joins).map(|entry| entry.seq)
    }

    /// Gives what is held and follows without a hole.
    fn drain(&mut self, out: &mut Out) {
        while let (Some(seen), Some((&seq, _))) = (self.seen, self.held.first_key_value()) {
            if seq > seen + 1 {
                return;
            }
            let Some((_, entry)) = self.held.pop_first() else { return };
            if seq > seen {
                self.give(entry, out);
            }
        }
    }

    fn skip(&mut self, from: u64, to: u64, visible: &[Range], out: &mut Out) {
        if from <= to {
            let gap = if any_visible(visible, from, to) { Gap::Missing } else { Gap::Hidden };
            out.gap(from, to, gap);
        }
    }

    /// The log does not have what is missing before the first entry that is held.
    fn give_up(&mut self, out: &mut Out) {
        self.fruitless = 0;
        let Some((&next, _)) = self.held.first_key_value() else { return };
        let seen = self.seen.unwrap_or(next - 1);
        if seen + 1 < next {
            out.gap(seen + 1, next - 1, Gap::Missing);
        }
        self.seen = Some(next - 1);
        self.drain(out);
    }
}

/// How many of these positions; all, where it is not known.
fn visible_in(visible: &[Range], from: u64, to: u64) -> u64 {
    let of = |range: &Range| {
        let end = if range.to == 0 { to } else { range.to.min(to) };
        (end + 1).saturating_sub(range.from.max(from))
    };
    if visible.is_empty() { (to + 1).saturating_sub(from) } else { visible.iter().map(of).sum() }
}

fn any_visible(visible: &[Range], from: u64, to: u64) -> bool {
    visible.iter().any(|range| range.from <= to && (range.to == 0 || range.to >= from))
}

fn about(entry: &Entry) -> Option<&str> {
    Some(entry.body.as_ref()?.member.as_ref()?.user.as_str())
}

/// Collects events; entries that follow each other become one.
struct Out {
    name: Arc<str>,
    events: Events,
}

impl Out {
    fn new(name: &Arc<str>) -> Self {
        Self { name: name.clone(), events: Vec::new() }
    }

    fn entry(&mut self, entry: Entry) {
        if let Some(Event::Entries { entries, .. }) = self.events.last_mut() {
            entries.push(entry);
        } else {
            self.events.push(Event::Entries { conversation: self.name.clone(), entries: vec![entry] });
        }
    }

    fn gap(&mut self, from: u64, to: u64, gap: Gap) {
        if from <= to {
            self.events.push(Event::Gap { conversation: self.name.clone(), from, to, gap });
        }
    }
}

#[cfg(test)]
mod tests;
