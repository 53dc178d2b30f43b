//! The append protocol (architecture section 4): claim, note, load, write, check, confirm, settle,
//! give back.
//!
//! One conversation in one shard, up to three routing instances that own it one after the other,
//! three replicas with quorums of two, clients that send again what nobody confirmed, and the
//! feed's consumer.
//!
//! What is there: the two tables that are written conditionally (fence and claim are steps of their
//! own); the journal as two growing cells, carried over before anything is loaded, answered or not; loads of the
//! head and then of the log page by page; rows under (epoch, load) with their chain; writes that
//! time out and are loaded again; settlements that go on beside appends; a shard given back with
//! and without debts. A crash, a stall, a lost message and a reader need no step: whoever does
//! nothing any more has crashed, what never arrives was lost, and what readers could be shown is
//! looked at in every state, for every pair of replicas.
//!
//! The store is weaker than the real one: every row, also of one batch, arrives for itself, as if
//! each had a partition of its own, and every page is one row. Heads and feed marks travel apart.
//! What holds here holds there.
//!
//! What is not there: bodies, members, registers and other conversations; timestamps, generations
//! and a store that forgets; list versions (the `cursor` module has them); bounds on what lies
//! beyond the head.

mod action;
mod chain;
mod choices;
mod state;
mod step;
mod store;
#[cfg(test)]
mod tests;

pub use action::Action;
pub use state::State;
use state::{Phase, State as S};
use stateright::{Model, Property};

/// A step that is left out or done wrongly.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Broken {
    /// Takes a shard from an owner who was not fenced.
    NoFence,
    /// Confirms what one replica has.
    OneReplica,
    /// Confirms without a check.
    NoCheck,
    /// Checks before it writes.
    CheckFirst,
    /// Confirms a tail as it was found.
    NoRewrite,
    /// A load takes rows by number alone.
    NoChain,
    /// Every load of an epoch writes under the same number.
    NoLoad,
    /// Appends are not noted.
    NoNote,
    /// Does not wait for the note.
    LateNote,
    /// Takes the name out before heads and feed have what it stood for.
    SettleSoon,
    /// A claim forgets whose journals its predecessor had not carried over yet.
    NoInherit,
    /// An heir that carried a journal over, and was not answered, claims again and finds nobody to inherit from.
    ForgetCarried,
    /// Believes heads also where a journal names the conversation.
    HeadsOnly,
    /// Takes what heads end with for fed.
    FedGuess,
    /// The feed's consumer handles copies.
    KeepDups,
    /// Gives the shard back while an append is on its way.
    EarlyRelease,
}

/// The bounds of one exploration.
#[derive(Clone, Copy, Debug)]
pub struct Append {
    pub instances: u8,
    /// By all of them together.
    pub claims: u8,
    pub messages: u8,
    /// Of all owners, second tries among them.
    pub appends: u8,
    /// Messages in one append, 1 or 2.
    pub batch: u8,
    pub timeouts: u8,
    /// Remembers whether a fenced owner's row arrived, which makes more states.
    pub watch_late: bool,
    pub broken: Option<Broken>,
}

impl Append {
    fn is(&self, broken: Broken) -> bool {
        self.broken == Some(broken)
    }
}

pub const LOG_CHANGED: &str = "what was acknowledged never changes";
pub const READ_HOLE: &str = "readers find no hole";
pub const READ_OTHER: &str = "what readers were shown never changes";
pub const TWICE: &str = "a message stands once in the log";
pub const FEED_ORDER: &str = "the feed has each entry of the log, in order";
pub const FEED_ONCE: &str = "the consumer handles an entry once";
pub const FEED_ALL: &str = "what is settled was fed";

impl Model for Append {
    type State = State;
    type Action = Action;

    fn init_states(&self) -> Vec<S> {
        vec![S::first()]
    }

    fn actions(&self, state: &S, actions: &mut Vec<Action>) {
        self.choices(state, actions);
    }

    fn next_state(&self, state: &S, action: Action) -> Option<S> {
        Some(self.step(state, action))
    }

    fn properties(&self) -> Vec<Property<Self>> {
        let mut properties = vec![
            Property::always(LOG_CHANGED, |_, s: &S| !s.wrong.changed),
            Property::always(READ_HOLE, |_, s: &S| seqs(s).all(|seq| s.rows.shown(seq).all(|entry| entry.is_some()))),
            Property::always(READ_OTHER, |_, s: &S| {
                seqs(s).all(|seq| s.rows.shown(seq).flatten().all(|entry| entry == chain::at(s.log, seq)))
            }),
            Property::always(TWICE, |_, s: &S| {
                chain::entries(s.log).enumerate().all(|(at, entry)| !chain::entries(s.log).take(at).any(|e| e == entry))
            }),
            Property::always(FEED_ORDER, |_, s: &S| !s.wrong.fed_hole && !s.wrong.fed_other),
            Property::always(FEED_ONCE, |_, s: &S| !s.wrong.fed_twice),
            Property::always(FEED_ALL, |_, s: &S| {
                let settled = s.at_work().is_some_and(|one| one.phase == Phase::Serving && one.owes_nothing());
                !settled || s.handled == chain::len(s.log)
            }),
            Property::sometimes("every message is confirmed", |model: &Self, s: &S| {
                chain::len(s.log) == model.messages
            }),
            Property::sometimes("everything is settled", |_, s: &S| {
                s.handled > 0 && s.at_work().is_some_and(|one| one.phase == Phase::Serving && one.owes_nothing())
            }),
            Property::sometimes("a shard is given back", |_, s: &S| s.owner.is_none() && s.epoch > 0),
        ];
        if self.instances > 1 {
            properties.push(Property::sometimes("an heir finds a name in a journal", |_, s: &S| {
                s.instances.iter().any(|one| one.phase == Phase::Carrying && one.named)
            }));
            properties.push(Property::sometimes("an heir writes a tail again", |_, s: &S| {
                s.instances.iter().any(|one| one.phase == Phase::Rewriting && one.epoch > 1)
            }));
        }
        if self.timeouts > 0 {
            properties.push(Property::sometimes("a write in doubt is loaded again", |_, s: &S| {
                s.instances.iter().any(|one| one.load > 0 && one.phase == Phase::Serving)
            }));
        }
        if self.watch_late {
            properties.push(Property::sometimes("a fenced owner's row arrives", |_, s: &S| s.late));
        }
        properties
    }
}

/// Of all that readers may be shown.
fn seqs(state: &S) -> std::ops::RangeInclusive<u8> {
    1..=chain::len(state.log)
}
