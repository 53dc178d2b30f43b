//! Random histories: what people do, in any order, over several devices and restarts.

use proptest::prelude::*;

use super::model::{Role, User};

pub const USERS: User = 4;

#[derive(Clone, Debug)]
pub enum Op {
    Send {
        user: User,
    },
    /// The nth message again, as a retry; with another body it must be refused.
    Retry {
        nth: usize,
        other_body: bool,
    },
    Add {
        by: Option<User>,
        user: User,
        role: Role,
    },
    Remove {
        by: Option<User>,
        user: User,
    },
    Leave {
        user: User,
    },
    Mark {
        user: User,
        seq: u64,
    },
    /// A device asks for what changed since it last did.
    Sync {
        user: User,
        device: usize,
    },
    History {
        user: User,
        from: u64,
        limit: u64,
        backwards: bool,
        messages: bool,
    },
    /// The routing instance goes away; another takes over from the store alone.
    Restart,
    /// So much goes on elsewhere that the conversation and its members leave the memory.
    Forgotten,
}

fn user() -> impl Strategy<Value = User> {
    0..USERS
}

fn role() -> impl Strategy<Value = Role> {
    prop_oneof![4 => Just(Role::Member), 1 => Just(Role::Admin), 1 => Just(Role::Owner)]
}

fn by() -> impl Strategy<Value = Option<User>> {
    prop_oneof![3 => user().prop_map(Some), 1 => Just(None)]
}

pub fn op() -> impl Strategy<Value = Op> {
    prop_oneof![
        8 => user().prop_map(|user| Op::Send { user }),
        2 => (any::<prop::sample::Index>(), prop::bool::weighted(0.2))
            .prop_map(|(nth, other_body)| Op::Retry { nth: nth.index(64), other_body }),
        3 => (by(), user(), role()).prop_map(|(by, user, role)| Op::Add { by, user, role }),
        2 => (by(), user()).prop_map(|(by, user)| Op::Remove { by, user }),
        1 => user().prop_map(|user| Op::Leave { user }),
        4 => (user(), 0..40_u64).prop_map(|(user, seq)| Op::Mark { user, seq }),
        3 => (user(), 0..2_usize).prop_map(|(user, device)| Op::Sync { user, device }),
        3 => (user(), 0..40_u64, 1..8_u64, any::<bool>(), any::<bool>()).prop_map(
            |(user, from, limit, backwards, messages)| Op::History { user, from, limit, backwards, messages }
        ),
        1 => Just(Op::Restart),
        1 => Just(Op::Forgotten),
    ]
}

pub fn history() -> impl Strategy<Value = (bool, Vec<Op>)> {
    (any::<bool>(), prop::collection::vec(op(), 1..60))
}
