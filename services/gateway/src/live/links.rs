//! What this gateway has of each publisher, by the numbers of its publications. They are given on in order
//! and once, also those on different subjects that the publisher put in an order. What is behind a hole is held until the publisher was asked for what is missing; what nobody
//! has any more, and what a publisher leaves behind that is gone, is told as lost.

use std::{
    collections::{BTreeMap, HashMap},
    time::Duration,
};

use posthorn_bus::subjects::of_gateway;
use posthorn_clock::Instant;
use posthorn_proto::internal::{Heard, Heartbeat, Missed, MissedReply, Publication, publication::What};

use super::subscriber::{Subject, decode};

#[cfg(test)]
mod tests;

/// Heartbeats that have to be missing before a publisher counts as silent.
const SILENT_BEATS: u32 = 3;
/// Between the heartbeats of a publisher that none was heard of.
const USUAL_BEAT: Duration = Duration::from_secs(1);
/// How long it is in doubt whether something was lost, where nobody can be asked.
const DOUBT: Duration = Duration::from_secs(4);
/// A publisher that does not beat, and of which nothing was heard for so long, is forgotten.
const FORGET: Duration = Duration::from_secs(600);

/// What to do now: first tell what was lost, then give on what is ready.
#[derive(Debug, Default, PartialEq)]
pub(crate) struct Step {
    pub lost: Vec<Lost>,
    pub ready: Vec<Publication>,
    /// One that cannot be asked died. Of what it told this gateway last, the bus may have lost some, and nothing says so.
    pub died: bool,
}

impl Step {
    /// Whoever is told that events were lost reads them all: what was published before is not given on, it would
    /// come behind that with holes in it. Cuts are in no log.
    fn lose(&mut self, what: Lost) {
        if what == Lost::Events {
            self.ready.retain(cuts);
        }
        self.lost.push(what);
    }
}

const fn cuts(publication: &Publication) -> bool {
    matches!(publication.what, Some(What::Cut(_)))
}

/// What may have been in publications that will not come.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Lost {
    Events,
    Cuts,
}

/// One publisher on one subject.
#[derive(Default)]
struct Link {
    /// Any publication or heartbeat came, or was told of.
    known: bool,
    /// Everything up to it was given on, or told as lost.
    last: u64,
    /// The publisher's last number, as far as it is known.
    end: u64,
    /// Beyond a hole.
    held: BTreeMap<u64, Publication>,
    /// The bus lost something since, of whomever.
    doubted: Option<Instant>,
    /// Events were among what it publishes.
    events: bool,
    /// The next number may be any: what was before is told as lost.
    any: bool,
}

struct Publisher {
    own: Link,
    all: Link,
    heard: Instant,
    /// Between its heartbeats; none where it sends none.
    beat: Option<Duration>,
    /// It can be asked.
    keeps: bool,
    /// It said that it ends, or it is not there any more. Should it come back, its numbers go on.
    gone: bool,
}

/// All publishers.
pub(crate) struct Links {
    publishers: HashMap<String, Publisher>,
    /// This gateway's own subject.
    own: String,
    /// Since when it listens.
    began: Instant,
    /// Since when somebody beats.
    works: Option<Instant>,
    max_held: usize,
}

impl Link {
    fn behind(&self) -> bool {
        self.end > self.last
    }

    /// What follows the last one without a hole, and without one on the other subject before it.
    fn next(&mut self, other: &Self, before: impl Fn(&Publication) -> u64, ready: &mut Vec<Publication>) {
        while let Some(next) = self.held.first_entry().filter(|next| *next.key() == self.last + 1) {
            // Of a link that nothing is known of nothing is waited for.
            if other.known && before(next.get()) > other.last {
                return;
            }
            self.last += 1;
            ready.push(next.remove());
        }
    }

    /// What is missing will not come, nor what is missing on the other subject and goes before what is not `led`; what
    /// is held behind that goes on.
    fn give_up(&mut self, what: Lost, led: impl Fn(&Publication) -> bool, step: &mut Step) {
        self.last = self.end.max(self.last);
        // From there on nothing is missing.
        let mut whole = self.last + 1;
        while self.held.get(&whole).is_none_or(&led) && self.held.contains_key(&(whole - 1)) {
            whole -= 1;
        }
        self.lose_before(whole, what, step);
        step.ready.extend(std::mem::take(&mut self.held).into_values());
        self.doubted = None;
    }

    /// What is known to be published is in the log, and is read there. Cuts are not: of whoever publishes them nothing
    /// waits for another subject, so that none is under way here.
    fn pass(&mut self, step: &mut Step) {
        self.last = self.end.max(self.last);
        step.ready.extend(std::mem::take(&mut self.held).into_values().filter(cuts));
        self.doubted = None;
    }

    /// There are holes before this number.
    fn lose_before(&mut self, number: u64, what: Lost, step: &mut Step) {
        step.lose(what);
        let rest = self.held.split_off(&number);
        let before = std::mem::replace(&mut self.held, rest).into_values();
        step.ready.extend(before.filter(|one| what == Lost::Cuts || cuts(one)));
    }

    /// The publisher says where it stands.
    fn ends_at(&mut self, number: u64) {
        self.end = self.end.max(number);
        if !self.behind() {
            self.doubted = None;
        }
    }
}

impl Publisher {
    fn new(now: Instant) -> Self {
        Self { own: Link::default(), all: Link::default(), heard: now, beat: None, keeps: false, gone: false }
    }

    const fn link(&mut self, subject: Subject) -> &mut Link {
        match subject {
            Subject::Own => &mut self.own,
            Subject::All => &mut self.all,
        }
    }

    /// A publication on the other subject says so. To all gateways this may have been before this one.
    fn hears_of(&mut self, subject: Subject, number: u64) {
        let link = self.link(subject);
        if number > 0 && (link.known || subject == Subject::Own) {
            link.known = true;
            link.ends_at(number);
        }
    }

    fn silent(&self, now: Instant) -> bool {
        !self.gone && self.beat.is_some() && now.saturating_duration_since(self.heard) > self.beats()
    }

    /// So long nothing is heard of one that counts as silent.
    fn beats(&self) -> Duration {
        self.beat.unwrap_or(USUAL_BEAT) * SILENT_BEATS
    }

    /// Who publishes events to all gateways publishes no cuts.
    const fn loses(&self, subject: Subject) -> Lost {
        match subject {
            Subject::All if !self.keeps && !self.all.events => Lost::Cuts,
            _ => Lost::Events,
        }
    }

    /// What is missing on this subject will not come.
    fn give_up(&mut self, subject: Subject, name: &str, step: &mut Step) {
        let what = self.loses(subject);
        if what == Lost::Events && self.link(subject.other()).behind() {
            return self.lose_events(step);
        }
        let (link, other) = match subject {
            Subject::Own => (&mut self.own, &self.all),
            Subject::All => (&mut self.all, &self.own),
        };
        let led = |one: &Publication| !other.known || goes_after(one, subject.other(), name) <= other.last;
        link.give_up(what, led, step);
    }

    /// Whoever is told that events were lost reads from the log all that was published so far. Where something is
    /// missing on both subjects, nobody knows what went before it: nothing of that is given on, and nothing of it that
    /// still comes, there would be holes in it.
    fn lose_events(&mut self, step: &mut Step) {
        step.lose(Lost::Events);
        for link in [&mut self.own, &mut self.all] {
            link.pass(step);
        }
    }

    /// Gives on what waits for nothing any more.
    fn advance(&mut self, name: &str, step: &mut Step) {
        loop {
            let before = step.ready.len();
            self.own.next(&self.all, |one| goes_after(one, Subject::All, name), &mut step.ready);
            self.all.next(&self.own, |one| goes_after(one, Subject::Own, name), &mut step.ready);
            if step.ready.len() == before {
                return;
            }
        }
    }

    /// Something to be asked for, where it can be.
    fn wanting(&self, now: Instant) -> bool {
        let wants = |link: &Link| link.behind() || link.doubted.is_some();
        self.keeps && (wants(&self.own) || wants(&self.all) || self.silent(now))
    }
}

/// The number on this subject that goes before a publication on the other; `name`: of the own one.
fn goes_after(publication: &Publication, subject: Subject, name: &str) -> u64 {
    match subject {
        Subject::All => publication.after_all,
        Subject::Own => {
            publication.after_own.iter().find(|place| place.subject == name).map_or(0, |place| place.number)
        }
    }
}

const BOTH: [Subject; 2] = [Subject::Own, Subject::All];

impl Links {
    pub fn new(gateway: &str, max_held: usize, now: Instant) -> Self {
        Self {
            publishers: HashMap::new(),
            own: of_gateway(gateway),
            began: now,
            works: None,
            max_held: max_held.max(1),
        }
    }

    /// From now on it hears what goes to all gateways.
    pub fn begin(&mut self, now: Instant) {
        self.began = now;
    }

    /// A publication that came by the bus.
    pub fn take(&mut self, subject: Subject, publication: Publication, now: Instant) -> Step {
        let mut step = Step::default();
        let number = publication.number;
        if number == 0 || publication.publisher.is_empty() {
            step.ready.push(publication);
            return step;
        }
        let publisher = self.publishers.entry(publication.publisher.clone()).or_insert_with(|| Publisher::new(now));
        (publisher.heard, publisher.gone) = (now, false);
        let link = publisher.link(subject);
        if !link.known || link.any {
            // To one gateway the first is 1; to all, it may have begun before this one.
            link.last = if subject == Subject::All || link.any { (number - 1).max(link.last) } else { 0 };
            (link.known, link.any) = (true, false);
        }
        link.events |= !publication.users.is_empty();
        if number > link.last {
            link.end = link.end.max(number);
            // What goes before it on the other subject is there too, or missing there.
            let before = goes_after(&publication, subject.other(), &self.own);
            link.held.insert(number, publication);
            publisher.hears_of(subject.other(), before);
            publisher.advance(&self.own, &mut step);
        }
        let full = publisher.link(subject).held.len() > self.max_held;
        if full || (!publisher.keeps && publisher.link(subject).behind()) {
            publisher.give_up(subject, &self.own, &mut step);
            publisher.advance(&self.own, &mut step);
        }
        step
    }

    /// A heartbeat that came by the bus.
    pub fn beat(&mut self, subject: Subject, from: String, number: u64, beat: Heartbeat, now: Instant) -> Step {
        let mut step = Step::default();
        let interval = Duration::from_millis(beat.interval_ms);
        // Whoever comes later than those that were there first has begun since: it has missed nothing of it.
        let first = now.saturating_duration_since(self.began) <= interval * SILENT_BEATS;
        let publisher = self.publishers.entry(from).or_insert_with(|| Publisher::new(now));
        (publisher.heard, publisher.keeps) = (now, beat.keeps);
        // A link that is idle does not beat; the one to all gateways does for as long as the publisher lives.
        if subject == Subject::All {
            publisher.gone = interval.is_zero();
            publisher.beat = (!interval.is_zero()).then_some(interval);
        } else if !interval.is_zero() {
            publisher.gone = false;
        }
        let link = publisher.link(subject);
        if !link.known {
            link.last = if subject == Subject::All && (first || interval.is_zero()) { number } else { 0 };
            link.known = true;
        }
        link.ends_at(number);
        if link.behind() && !publisher.keeps {
            publisher.give_up(subject, &self.own, &mut step);
            publisher.advance(&self.own, &mut step);
        }
        step
    }

    /// The bus lost something on this subject, and nobody knows whose.
    pub fn doubt(&mut self, subject: Subject, now: Instant) -> Step {
        let mut step = Step::default();
        for publisher in self.publishers.values_mut().filter(|publisher| !publisher.gone) {
            if publisher.beat.is_some() || publisher.keeps {
                publisher.link(subject).doubted.get_or_insert(now);
            } else {
                publisher.give_up(subject, &self.own, &mut step);
                publisher.advance(&self.own, &mut step);
                publisher.link(subject).any = true;
            }
        }
        if self.publishers.is_empty() {
            step.lose(if subject == Subject::Own { Lost::Events } else { Lost::Cuts });
        }
        step
    }

    /// Whether instances are to be asked now.
    pub fn wanting(&self, now: Instant) -> bool {
        self.publishers.values().any(|publisher| publisher.wanting(now))
    }

    /// Whether publications are held, or known to be missing.
    pub fn behind(&self) -> bool {
        self.publishers.values().any(|publisher| publisher.own.behind() || publisher.all.behind())
    }

    /// Publishers that should beat and do not, of those that can be asked.
    pub fn silent(&self, now: Instant) -> usize {
        self.publishers.values().filter(|publisher| publisher.keeps && publisher.silent(now)).count()
    }

    /// What to ask every instance with.
    pub fn question(&self) -> Vec<Heard> {
        let heard = |(name, publisher): (&String, &Publisher)| Heard {
            publisher: name.clone(),
            own: publisher.own.last,
            all: if publisher.all.known { publisher.all.last } else { u64::MAX },
            moved: 0,
        };
        self.publishers.iter().map(heard).collect()
    }

    /// An instance answered. True if it has more than it said.
    pub fn answer(&mut self, reply: MissedReply, now: Instant) -> (Step, bool) {
        let mut step = Step::default();
        let publisher = self.publishers.entry(reply.publisher).or_insert_with(|| Publisher::new(now));
        (publisher.keeps, publisher.gone) = (true, false);
        // The bus should bring something of it soon.
        publisher.beat.get_or_insert(USUAL_BEAT);
        let before = [publisher.own.last, publisher.all.last];
        let sent = [&reply.own, &reply.all].map(|missed| missed.as_ref().map_or(0, |missed| missed.last));
        let mut holed = Vec::new();
        for (subject, missed) in [(Subject::Own, reply.own), (Subject::All, reply.all)] {
            let Missed { last, publications } = missed.unwrap_or_default();
            let loses = publisher.loses(subject);
            let link = publisher.link(subject);
            if !link.known {
                // It was not asked for anything that all gateways got.
                link.last = if subject == Subject::All { last } else { 0 };
                link.known = true;
            }
            let before = link.last;
            let mut beyond =
                publications.into_iter().filter_map(decode).skip_while(|one| one.number <= before).peekable();
            if let Some(first) = beyond.peek().map(|one| one.number).filter(|first| *first > before + 1) {
                // Of those before, the instance has nothing left.
                link.lose_before(first, loses, &mut step);
                link.last = first - 1;
                if loses == Lost::Events {
                    holed.push(subject);
                }
            }
            for publication in beyond {
                link.end = link.end.max(publication.number);
                link.held.insert(publication.number, publication);
            }
            link.ends_at(last);
        }
        for subject in holed {
            if publisher.link(subject.other()).behind() {
                publisher.lose_events(&mut step);
            }
        }
        publisher.advance(&self.own, &mut step);
        // Where one of them came further, the other may have waited for it.
        let further = before != [publisher.own.last, publisher.all.last];
        // What the other subject says goes before may not have been sent yet: it will be, or time tells.
        let unsent = sent[0] < publisher.own.end || sent[1] < publisher.all.end;
        let mut more = false;
        for subject in BOTH {
            let link = publisher.link(subject);
            if !link.behind() {
                link.doubted = None;
            } else if further {
                more = true;
            } else if unsent {
                link.doubted.get_or_insert(now);
            } else {
                publisher.give_up(subject, &self.own, &mut step);
            }
        }
        publisher.advance(&self.own, &mut step);
        (step, more)
    }

    /// After everybody was asked: `answered` did, and `complete` if that is all there are. What is missing
    /// of the others is not waited for.
    pub fn conclude(&mut self, answered: &[String], complete: bool, now: Instant) -> Step {
        let mut step = Step::default();
        for (name, publisher) in &mut self.publishers {
            if answered.contains(name) || !publisher.keeps || publisher.gone && !publisher.wanting(now) {
                continue;
            }
            let gone = complete && publisher.wanting(now);
            for subject in BOTH {
                let link = publisher.link(subject);
                if gone || link.behind() {
                    publisher.give_up(subject, &self.own, &mut step);
                }
            }
            publisher.advance(&self.own, &mut step);
            publisher.gone |= gone;
        }
        step
    }

    /// What time alone decides.
    pub fn tick(&mut self, now: Instant) -> Step {
        let mut step = Step::default();
        let works = self.publishers.values().any(|publisher| publisher.beat.is_some() && !publisher.silent(now));
        let since = works.then(|| *self.works.get_or_insert(now));
        self.works = since;
        for publisher in self.publishers.values_mut() {
            // The bus brings what others say, and has for long enough: this one says nothing more.
            let works = since.is_some_and(|since| now.saturating_duration_since(since) >= publisher.beats());
            let died = works && !publisher.keeps && publisher.silent(now);
            publisher.gone |= died;
            step.died |= died;
            for subject in BOTH {
                let (heard, keeps) = (publisher.heard, publisher.keeps);
                let link = publisher.link(subject);
                let Some(since) = link.doubted.filter(|since| now.saturating_duration_since(*since) >= DOUBT) else {
                    continue;
                };
                // A link over which something went beats: over this one nothing did.
                if !keeps && heard.saturating_duration_since(since) * 2 > DOUBT {
                    link.doubted = None;
                } else {
                    publisher.give_up(subject, &self.own, &mut step);
                }
            }
            publisher.advance(&self.own, &mut step);
        }
        self.publishers.retain(|_, one| !one.gone || now.saturating_duration_since(one.heard) < FORGET);
        step
    }
}
