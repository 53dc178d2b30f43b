//! The sync cursor (architecture section 3, Lists): the highest version below which nothing is in
//! flight.
//!
//! A few items of one shard (conversations, or the registers of a user), whose changes take the
//! shard's next version before they are written and are shown in any order; one device, which asks
//! for what is beyond its cursor item by item while they change; writes whose outcome is in doubt;
//! items that leave the memory when they are settled; a second owner, while the heads of the first
//! are still on their way.
//!
//! The content of an item is the number of its changes. What is not there: the vector over several
//! shards (each stands for itself), bounds of a page, visibility.

mod step;
#[cfg(test)]
mod tests;

use std::fmt::{Display, Formatter, Result};

use stateright::{Model, Property};

/// Items, at most.
const ITEMS: usize = 3;

/// A step that is done wrongly.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Broken {
    /// The cursor is the highest version that was taken.
    HighestTaken,
    /// The cursor is the highest version that is shown.
    HighestShown,
    /// The cursor is looked up after the items were read.
    LookedUpLate,
    /// A version counts as done before its change is shown.
    DoneBeforeShown,
    /// What a write in doubt came to is shown under the version of that write.
    DoubtKeepsVersion,
    /// An heir shows what a journal named under the version that heads have.
    HeirKeepsVersion,
    /// A fenced owner writes heads under versions that nobody knows.
    ZombieHead,
    /// A write in doubt arrives after the item was read again, which did not find it and wrote nothing.
    LandsLate,
}

/// The bounds of one exploration.
#[derive(Clone, Copy, Debug)]
pub struct SyncCursor {
    pub items: u8,
    pub changes: u8,
    /// Writes whose outcome is in doubt.
    pub doubts: u8,
    pub epochs: u8,
    pub broken: Option<Broken>,
}

/// Epoch and counter: compared as one.
type Version = u8;

#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Default)]
pub struct Seen {
    content: u8,
    version: Version,
}

/// Where a change is.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Default)]
enum Change {
    #[default]
    None,
    /// It has a version.
    Taken(Version),
    Written(Version),
    /// Shown, and still in flight; or the other way round.
    Half(Version),
    /// The item is loaded again under this version.
    Loading(Version),
}

impl Change {
    const fn in_flight(self, broken: bool) -> Option<Version> {
        match self {
            Self::Half(_) if broken => None,
            Self::Taken(version) | Self::Written(version) | Self::Half(version) | Self::Loading(version) => {
                Some(version)
            }
            Self::None => None,
        }
    }
}

#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Default)]
struct Item {
    /// What the log has.
    log: u8,
    /// In the owner's memory; nothing: it is not loaded.
    shown: Option<Seen>,
    /// What `heads` say, and what is on its way there.
    head: Seen,
    sent: Option<Seen>,
    change: Change,
    /// A write is in doubt, and had this version.
    doubt: Option<Version>,
    /// It was not found, and is still on its way.
    late: Option<Seen>,
    /// A journal named it when its owner died.
    named: bool,
}

#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
struct Sync {
    /// What the next cursor will be.
    until: Version,
    /// The item to be read next.
    next: u8,
    /// Changed since, which moves an item up in the list and out of the pages to come.
    moved: u8,
}

#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct State {
    epoch: u8,
    counter: u8,
    /// The highest version that was shown.
    highest: Version,
    items: [Item; ITEMS],
    changes: u8,
    doubts: u8,
    zombie: bool,
    // The device.
    cursor: Version,
    has: [u8; ITEMS],
    sync: Option<Sync>,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Action {
    Take(u8),
    Write(u8),
    Show(u8),
    Done(u8),
    Doubt(u8),
    Load(u8),
    Loaded(u8),
    Forget(u8),
    SendHead(u8),
    HeadArrives(u8),
    ZombieHead(u8),
    Lands(u8),
    TakeOver,
    BeginSync,
    Read(u8),
    Pass(u8),
    EndSync,
}

impl Display for Action {
    fn fmt(&self, f: &mut Formatter<'_>) -> Result {
        match self {
            Self::Take(k) => write!(f, "a change of {k} takes a version"),
            Self::Write(k) => write!(f, "the change of {k} is written"),
            Self::Show(k) => write!(f, "the change of {k} is shown"),
            Self::Done(k) => write!(f, "the change of {k} is in flight no more"),
            Self::Doubt(k) => write!(f, "the change of {k} is in doubt"),
            Self::Load(k) => write!(f, "{k} is to be loaded"),
            Self::Loaded(k) => write!(f, "{k} is loaded"),
            Self::Forget(k) => write!(f, "{k} leaves the memory"),
            Self::SendHead(k) => write!(f, "the head of {k} is sent"),
            Self::HeadArrives(k) => write!(f, "the head of {k} is written"),
            Self::ZombieHead(k) => write!(f, "a fenced owner sends a head of {k}"),
            Self::Lands(k) => write!(f, "the write of {k} that was in doubt arrives"),
            Self::TakeOver => write!(f, "another owner takes over"),
            Self::BeginSync => write!(f, "the device begins to sync"),
            Self::Read(k) => write!(f, "the device gets {k} if it is news"),
            Self::Pass(k) => write!(f, "{k} moved up in the list: the device does not get it"),
            Self::EndSync => write!(f, "the device has its next cursor"),
        }
    }
}

pub const SKIPPED: &str = "what a cursor has passed the device has";

impl Model for SyncCursor {
    type State = State;
    type Action = Action;

    fn init_states(&self) -> Vec<State> {
        vec![self.first()]
    }

    fn actions(&self, state: &State, actions: &mut Vec<Action>) {
        self.choices(state, actions);
    }

    fn next_state(&self, state: &State, action: Action) -> Option<State> {
        Some(self.step(state, action))
    }

    fn properties(&self) -> Vec<Property<Self>> {
        let mut properties = vec![
            Property::always(SKIPPED, |_, s: &State| {
                let passed = |(item, has): (&Item, &u8)| {
                    item.shown.is_none_or(|shown| shown.version > s.cursor || shown.content == *has)
                };
                s.items.iter().zip(&s.has).all(passed)
            }),
            Property::sometimes("a later version is shown first", |_, s: &State| {
                s.items.iter().any(|item| item.change.in_flight(false).is_some_and(|version| version < s.highest))
            }),
            Property::sometimes("the device has all changes", |model: &Self, s: &State| {
                s.has.iter().sum::<u8>() == model.changes && s.sync.is_none()
            }),
        ];
        if self.doubts > 0 {
            properties.push(Property::sometimes("a write in doubt is shown", |_, s: &State| {
                s.doubts > 0 && s.items.iter().any(|i| matches!(i.change, Change::Half(_)) && i.doubt.is_some())
            }));
        }
        if self.epochs > 1 {
            properties.push(Property::sometimes("an heir shows what a journal named", |_, s: &State| {
                s.epoch > 1 && s.items.iter().any(|item| matches!(item.change, Change::Half(_)) && item.named)
            }));
        }
        properties
    }
}
