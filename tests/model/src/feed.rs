//! The feed's consumer (`posthorn_feed::consumer`): read, handle, commit.
//!
//! One partition with the entries of one conversation, which come in order for the first time and
//! may come again; a process that reads a few, drops copies, fills holes from the log, handles
//! entries one after the other with a bounded number of tries, parks what it gives up, and then
//! moves the group's cursor; crashes at any step, after which only the cursor and the letters are
//! left. A handler may have done its work and not said so.
//!
//! What is there is at least once, and in one life of a process exactly once and in order. What the
//! design leaves open is left open here: after a restart a copy beyond the cursor is handled again,
//! and a hole whose lower edge the process does not know is not seen, which is why losses begin
//! with the first entry that it has handled and are explored apart from crashes (a test shows the
//! state where they meet). Several processes of one group, generations and users of a letter are
//! not there.

mod step;
#[cfg(test)]
mod tests;

use std::fmt::{Display, Formatter, Result};

use stateright::{Model, Property};

/// A step that is left out or done wrongly.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Broken {
    /// Moves the cursor, then handles.
    CommitFirst,
    /// Handles copies.
    KeepCopies,
    /// Goes on behind a hole.
    PassHoles,
    /// Goes on while an entry is to be tried again.
    PassFailed,
    /// Gives up and parks nothing.
    DropDead,
    /// Parks after the cursor has moved.
    ParkLate,
    /// Keeps across a restart what it has read, not what it has handled.
    RememberRead,
    /// Takes what it dropped for the last entry: a late copy sets it back.
    RememberLast,
}

/// The bounds of one exploration.
#[derive(Clone, Copy, Debug)]
pub struct FeedConsumer {
    pub entries: u8,
    /// That come again.
    pub copies: u8,
    /// That the transport loses before they are read, and after the process knows of one.
    pub losses: u8,
    pub crashes: u8,
    /// Entries read together.
    pub batch: u8,
    /// Tries of an entry.
    pub attempts: u8,
    pub broken: Option<Broken>,
}

/// What the process is at.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Default)]
enum Phase {
    /// What is beyond the cursor is to be read.
    #[default]
    Reading,
    /// The batch up to this offset, at this one.
    Handling { at: u8, to: u8 },
}

#[derive(Clone, PartialEq, Eq, Hash, Debug, Default)]
pub struct State {
    /// What the transport has: at each offset an entry, or what it lost.
    feed: Vec<Option<u8>>,
    published: u8,
    copies: u8,
    losses: u8,
    crashes: u8,
    /// Everything before this offset was handled: the one thing that outlives the process.
    cursor: u8,
    phase: Phase,
    /// The last entry that this process has handled or parked; 0: it knows of none.
    last: u8,
    /// The entry at work, and how often it was tried.
    tried: u8,
    /// Put aside: a bit each.
    aside: u8,
    /// To be parked once the cursor has moved.
    owed: u8,

    // What is looked at.
    handled: u8,
    parked: u8,
    /// By this process.
    lately: u8,
    wrong: Wrong,
}

#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Default)]
struct Wrong {
    /// An entry was handled before one that comes before it.
    order: bool,
    /// One process handled an entry twice.
    twice: bool,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Action {
    Publish,
    Copy(u8),
    Lose(u8),
    Read,
    /// The entry is a copy.
    Drop,
    Handle(u8),
    /// It was not handled, and may be tried again.
    Fail(u8),
    /// It was not handled for the last time.
    Park(u8),
    /// Parks at last what was given up before.
    ParkLate,
    /// Goes on behind the entry, which is put aside.
    PutAside(u8),
    Commit,
    Crash,
    /// Did its work, and crashed before it said so.
    CrashAfter(u8),
}

impl Display for Action {
    fn fmt(&self, f: &mut Formatter<'_>) -> Result {
        match self {
            Self::Publish => write!(f, "the next entry is published"),
            Self::Copy(seq) => write!(f, "{seq} is published again"),
            Self::Lose(offset) => write!(f, "the transport loses what it has at {offset}"),
            Self::Read => write!(f, "the process reads"),
            Self::Drop => write!(f, "the process drops a copy"),
            Self::Handle(seq) => write!(f, "{seq} is handled"),
            Self::Fail(seq) => write!(f, "{seq} fails and is tried again"),
            Self::Park(seq) => write!(f, "{seq} fails for the last time and is parked"),
            Self::ParkLate => write!(f, "what failed is parked"),
            Self::PutAside(seq) => write!(f, "{seq} fails and is put aside"),
            Self::Commit => write!(f, "the cursor moves"),
            Self::Crash => write!(f, "the process crashes"),
            Self::CrashAfter(seq) => write!(f, "{seq} is handled and the process crashes"),
        }
    }
}

pub const LOST: &str = "what the cursor has passed is handled or parked";
pub const ORDER: &str = "an entry waits for those before it";
pub const ONCE: &str = "one process handles an entry once";

impl Model for FeedConsumer {
    type State = State;
    type Action = Action;

    fn init_states(&self) -> Vec<State> {
        vec![State::default()]
    }

    fn actions(&self, state: &State, actions: &mut Vec<Action>) {
        self.choices(state, actions);
    }

    fn next_state(&self, state: &State, action: Action) -> Option<State> {
        Some(self.step(state, action))
    }

    fn properties(&self) -> Vec<Property<Self>> {
        let mut properties = vec![
            Property::always(LOST, |_, s: &State| {
                let passed = s.feed[..usize::from(s.cursor)].iter().flatten().max().copied().unwrap_or(0);
                (1..=passed).all(|seq| (s.handled | s.parked) >> seq & 1 == 1)
            }),
            Property::always(ORDER, |_, s: &State| !s.wrong.order),
            Property::always(ONCE, |_, s: &State| !s.wrong.twice),
            Property::sometimes("everything is handled", |model: &Self, s: &State| {
                (1..=model.entries).all(|seq| s.handled >> seq & 1 == 1) && usize::from(s.cursor) == s.feed.len()
            }),
            Property::sometimes("an entry is parked and a later one handled", |_, s: &State| {
                s.parked > 0 && s.handled > s.parked
            }),
        ];
        if self.copies > 0 {
            properties.push(Property::sometimes(
                "a copy is dropped",
                |_, s: &State| matches!(s.phase, Phase::Handling { at, .. } if at > s.last && s.last > 0),
            ));
        }
        if self.losses > 0 {
            properties.push(Property::sometimes("a hole is filled", |model: &Self, s: &State| {
                (1..=model.entries).any(|seq| s.handled >> seq & 1 == 1 && !s.feed.contains(&Some(seq)))
            }));
        }
        if self.crashes > 0 {
            properties.push(Property::sometimes("another process handles an entry again", |_, s: &State| {
                s.crashes > 0 && s.lately & s.handled > 0 && s.cursor > 0
            }));
        }
        properties
    }
}
