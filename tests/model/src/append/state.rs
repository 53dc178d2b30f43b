//! One conversation of one shard, those who own it one after the other, and what they sent to the
//! store.

use super::{
    chain,
    store::{Cell, Rows},
};

/// Routing incarnations, at most.
pub const INSTANCES: usize = 3;

#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Default)]
pub enum Phase {
    /// Owns nothing, and may claim.
    #[default]
    Idle,
    /// The journals that it inherits are to be read.
    Claimed,
    /// What they named is on its way into the own journal.
    Carrying,
    /// `heads` are to be read.
    Loading,
    /// The log beyond the head is read, a page a seq.
    Paging,
    /// The tail is on its way under this load's number.
    Rewriting,
    Serving,
    /// Rows and note of an append are on their way.
    Appending,
    /// A write is in doubt: the name goes into the journal before the conversation is loaded again.
    Noting,
}

/// A settlement on its way: at most one.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct Settling {
    pub head: u16,
    pub fed: u8,
    /// The note that it takes back; 0: none.
    pub remove: u8,
}

/// One incarnation. It need not be told to crash or to stall: it does when nothing it could do is done.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct Instance {
    pub phase: Phase,
    pub epoch: u8,
    pub load: u8,
    /// Whose journals it has to read: a bit each.
    pub inherits: u8,
    /// A journal names the conversation.
    pub named: bool,
    /// What is confirmed, as far as it knows.
    pub run: u16,
    /// What it reads or writes beyond that.
    pub reach: u16,
    /// The number of the last row taken: for a loader that goes by numbers alone.
    pub last: u8,
    pub fed: u8,
    /// The note that stands for what is not settled; 0: none.
    pub note: u8,
    pub settling: Option<Settling>,
    /// What `heads` say, as far as it knows.
    pub settled: (u16, u8),
}

impl Instance {
    const NEW: Self = Self {
        phase: Phase::Idle,
        epoch: 0,
        load: 0,
        inherits: 0,
        named: false,
        run: chain::EMPTY,
        reach: chain::EMPTY,
        last: 0,
        fed: 0,
        note: 0,
        settling: None,
        settled: (chain::EMPTY, 0),
    };

    /// Claims nothing, keeps nothing but what it was.
    pub const fn idle(self) -> Self {
        Self { epoch: self.epoch, ..Self::NEW }
    }

    pub const fn number(&self) -> u8 {
        self.epoch << 3 | self.load
    }

    /// Whether it owes nothing to journal, heads and feed.
    pub const fn owes_nothing(&self) -> bool {
        self.note == 0 && self.settling.is_none() && self.fed == chain::len(self.run)
    }
}

/// A name is in a journal while the last note of it is beyond the last that was taken back.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Default)]
pub struct Journal {
    pub sent: u8,
    pub noted: Cell<u8>,
    pub sent_back: u8,
    pub removed: Cell<u8>,
}

impl Journal {
    pub const fn note(&mut self) -> u8 {
        self.sent += 1;
        self.sent
    }

    pub const fn may_name(&self) -> bool {
        self.noted.best > self.removed.sure
    }

    pub const fn may_not_name(&self) -> bool {
        self.noted.sure <= self.removed.best
    }
}

/// What must never be, where a step shows it.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Default)]
pub struct Wrong {
    /// Two entries were confirmed at one seq.
    pub changed: bool,
    /// The feed went on beyond an entry that it never got.
    pub fed_hole: bool,
    /// An entry was handled again.
    pub fed_twice: bool,
    /// The feed got what is not in the log.
    pub fed_other: bool,
}

#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct State {
    // The two tables that are written conditionally.
    pub epoch: u8,
    pub owner: Option<u8>,
    pub inherits: u8,
    pub fenced: u8,

    pub instances: [Instance; INSTANCES],
    pub journals: [Journal; INSTANCES],
    pub rows: Rows,
    pub head: Cell<u16>,
    pub fed: Cell<u8>,
    /// Heads and feed marks on their way.
    pub settlements: Vec<(u16, u8)>,

    /// Messages that clients made: 1, 2, 3.
    pub made: u8,
    pub appends: u8,
    pub timeouts: u8,

    /// What was confirmed, by whomever: what readers may be shown, and what they must find for ever.
    pub log: u16,
    /// The last entry that the feed's consumer handled.
    pub handled: u8,
    /// A row of a fenced instance arrived.
    pub late: bool,
    pub wrong: Wrong,
}

impl State {
    pub fn first() -> Self {
        Self {
            epoch: 0,
            owner: None,
            inherits: 0,
            fenced: 0,
            instances: [Instance::NEW; INSTANCES],
            journals: Default::default(),
            rows: Rows::default(),
            head: Cell::new(chain::EMPTY),
            fed: Cell::new(0),
            settlements: Vec::new(),
            made: 0,
            appends: 0,
            timeouts: 0,
            log: chain::EMPTY,
            handled: 0,
            late: false,
            wrong: Wrong::default(),
        }
    }

    pub const fn active(&self, instance: u8) -> bool {
        self.fenced >> instance & 1 == 0
    }

    pub fn one(&self, instance: u8) -> &Instance {
        &self.instances[usize::from(instance)]
    }

    pub fn journal(&self, instance: u8) -> &Journal {
        &self.journals[usize::from(instance)]
    }

    /// The owner of the shard that nobody has fenced.
    pub fn at_work(&self) -> Option<&Instance> {
        self.owner.filter(|owner| self.active(*owner)).map(|owner| self.one(owner))
    }

    /// Acknowledged, or found by a load: may be shown from here on.
    pub const fn confirm(&mut self, run: u16) {
        if chain::continues(run, self.log) {
            self.log = run;
        } else if !chain::continues(self.log, run) {
            self.wrong.changed = true;
        }
    }
}
