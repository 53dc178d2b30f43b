//! Who may do what in a conversation. Deny by default: what is not listed here is refused.

use crate::{ConversationKind, Role};

/// What somebody wants to do to a conversation.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Action {
    Send,
    AddMember {
        as_role: Role,
    },
    /// Somebody else, of this role.
    RemoveMember {
        of: Role,
    },
    Leave,
    SetRole,
    SetTitle,
}

/// The application's backend, or a member in a role.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Actor {
    Backend,
    Member(Role),
}

/// Whether `actor` may, in a conversation of this kind. Nobody changes the members of a direct one.
#[must_use]
pub fn may(actor: Actor, action: Action, kind: ConversationKind) -> bool {
    if kind == ConversationKind::Direct {
        return action == Action::Send;
    }
    let role = match actor {
        Actor::Backend => return true,
        Actor::Member(role) => role,
    };
    match action {
        Action::Send | Action::Leave => true,
        Action::AddMember { as_role } => role >= Role::Admin && as_role <= role,
        Action::RemoveMember { of } => role == Role::Owner || (role == Role::Admin && of == Role::Member),
        Action::SetRole => role == Role::Owner,
        Action::SetTitle => role >= Role::Admin,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_role_may_what_the_table_says() {
        let add = Action::AddMember { as_role: Role::Member };
        let crown = Action::AddMember { as_role: Role::Owner };
        let (kick, dethrone) = (Action::RemoveMember { of: Role::Member }, Action::RemoveMember { of: Role::Admin });
        let table = [
            (Role::Member, [true, false, false, false, false, false]),
            (Role::Admin, [true, true, false, true, false, false]),
            (Role::Owner, [true, true, true, true, true, true]),
        ];
        for (role, expected) in table {
            let actions = [Action::Send, add, crown, kick, dethrone, Action::SetRole];
            let got = actions.map(|action| may(Actor::Member(role), action, ConversationKind::Group));
            assert_eq!(got, expected, "{role:?}");
        }
    }

    #[test]
    fn nobody_changes_the_members_of_a_direct_conversation() {
        for actor in [Actor::Backend, Actor::Member(Role::Owner)] {
            assert!(!may(actor, Action::AddMember { as_role: Role::Member }, ConversationKind::Direct));
            assert!(!may(actor, Action::Leave, ConversationKind::Direct));
            assert!(may(actor, Action::Send, ConversationKind::Direct));
        }
    }
}
