//! Controls: software that is broken on purpose, of which some runs must be found to break a rule.

use clap::ValueEnum;

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Broken {
    /// The store of three replicas acknowledges what one of them has.
    OneReplica,
    /// The process alone acknowledges what is not synced.
    Unsynced,
    /// A task of a process panics.
    Panics,
    /// The simulation itself dies.
    Dies,
}

impl Broken {
    /// As the option says it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::OneReplica => "one-replica",
            Self::Unsynced => "unsynced",
            Self::Panics => "panics",
            Self::Dies => "dies",
        }
    }
}
