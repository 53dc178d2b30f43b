//! The steps, in words.

use std::fmt::{Display, Formatter, Result};

use super::{chain::shown, store::Row};

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Action {
    /// Somebody suspects the owner.
    Fence(u8),
    Claim(u8),
    /// The journals that a claim inherits are read at a quorum each, and what they say.
    ReadJournals(u8, bool),
    /// The own journal has the names: the shard depends on the others no more.
    CarriedOver(u8),
    /// That was done and not answered: the shard is claimed again.
    CarriedOverUnanswered(u8),
    ReadHead(u8, u16, u8),
    /// The next page of the log, and how far that makes it go; nothing: it ends.
    ReadPage(u8, Option<u16>, u8),
    /// Rows of the tail are at a quorum, the check says active: confirmed.
    ConfirmTail(u8),
    Append(u8, u16),
    /// Rows and note are at a quorum, the check says active: confirmed and acknowledged.
    Confirm(u8),
    /// A write was not answered in time.
    TimeOut(u8),
    /// The journal has the name again.
    Noted(u8),
    Publish(u8),
    Settle(u8),
    Settled(u8),
    Release(u8),
    /// At one more replica, by its present name; with the row's place in the list.
    RowArrives(usize, Row, u8),
    /// Which of the two outcomes that an arrival can have.
    NoteArrives(u8, u8, usize),
    RemovalArrives(u8, u8, usize),
    HeadArrives(u16, usize),
    FedArrives(u8, usize),
}

fn name(instance: u8) -> char {
    char::from(b'A' + instance)
}

impl Display for Action {
    fn fmt(&self, f: &mut Formatter<'_>) -> Result {
        match *self {
            Self::Fence(i) => write!(f, "{} is fenced", name(i)),
            Self::Claim(i) => write!(f, "{} claims", name(i)),
            Self::ReadJournals(i, true) => write!(f, "{} reads a journal that names the conversation", name(i)),
            Self::ReadJournals(i, false) => write!(f, "{} reads no journal that names the conversation", name(i)),
            Self::CarriedOver(i) => write!(f, "{} has carried the journals over", name(i)),
            Self::CarriedOverUnanswered(i) => {
                write!(f, "{} has carried the journals over, is not answered, and claims again", name(i))
            }
            Self::ReadHead(i, head, fed) => write!(f, "{} loads: head {}, fed {fed}", name(i), shown(head)),
            Self::ReadPage(i, Some(reach), _) => write!(f, "{} reads on: {}", name(i), shown(reach)),
            Self::ReadPage(i, None, _) => write!(f, "{} reads no further", name(i)),
            Self::ConfirmTail(i) => write!(f, "{} confirms its tail", name(i)),
            Self::Append(i, reach) => write!(f, "{} appends: {}", name(i), shown(reach)),
            Self::Confirm(i) => write!(f, "{} confirms its append", name(i)),
            Self::TimeOut(i) => write!(f, "{} gives up waiting for a write", name(i)),
            Self::Noted(i) => write!(f, "{} has the name in its journal and loads again", name(i)),
            Self::Publish(i) => write!(f, "{} publishes the next entry to the feed", name(i)),
            Self::Settle(i) => write!(f, "{} settles", name(i)),
            Self::Settled(i) => write!(f, "{} has settled", name(i)),
            Self::Release(i) => write!(f, "{} gives the shard back", name(i)),
            Self::RowArrives(_, row, _) => {
                let (epoch, load) = (row.number >> 3, row.number & 7);
                write!(f, "row {} of {}, number ({epoch}, {load}), arrives at a replica", row.seq, shown(row.chain))
            }
            Self::NoteArrives(i, note, _) => write!(f, "note {note} of {} arrives at a replica", name(i)),
            Self::RemovalArrives(i, note, _) => write!(f, "removal {note} of {} arrives at a replica", name(i)),
            Self::HeadArrives(head, _) => write!(f, "head {} arrives at a replica", shown(head)),
            Self::FedArrives(fed, _) => write!(f, "feed mark {fed} arrives at a replica"),
        }
    }
}
