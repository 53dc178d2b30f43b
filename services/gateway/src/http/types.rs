//! What several requests and answers are made of.

use posthorn_core as core;
use posthorn_proto::client;
use serde::{Deserialize, Serialize};
use utoipa::{
    PartialSchema, ToSchema,
    openapi::{
        RefOr,
        schema::{ObjectBuilder, Schema, Type},
    },
};

use super::{problem::Problem, schema};

macro_rules! text {
    ($(#[doc = $doc:literal])* $name:ident, $pattern:expr, $max:literal, $example:literal) => {
        $(#[doc = $doc])*
        #[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
        #[serde(transparent)]
        pub struct $name(pub String);

        impl PartialSchema for $name {
            fn schema() -> RefOr<Schema> {
                ObjectBuilder::new()
                    .schema_type(Type::String)
                    .description(Some(concat!($($doc),*).trim()))
                    .pattern(Some($pattern))
                    .min_length(Some(1))
                    .max_length(Some($max))
                    .examples([$example])
                    .into()
            }
        }
        impl ToSchema for $name {}
    };
}

text!(
    /// A user, as the application names them. Must not hold personal data: names live in the profile.
    UserRef, schema::USER_ID, 64, "ada"
);
text!(
    /// One of a user's devices, as the application names it.
    DeviceRef, schema::ID, 64, "phone"
);
text!(
    /// A conversation.
    ConversationRef, schema::ID, 64, "lobby"
);
text!(
    /// The id of a new group. Ids that begin with `d.` are those of direct conversations.
    GroupRef, schema::GROUP_ID, 64, "lobby"
);
text!(
    /// An application that uses this deployment.
    TenantRef, schema::ID, 64, "acme"
);
text!(
    /// An API key's or a signing key's id.
    KeyRef, schema::ID, 64, "k1"
);
text!(
    /// A consumer group of the event feed.
    ConsumerRef, schema::ID, 32, "push"
);
text!(
    /// A UUID in lower case: the idempotency key of an entry within (conversation, author).
    MessageRef, schema::UUID, 36, "01932c07-209e-7d3a-8f6b-5d1c3e9a7b42"
);

impl UserRef {
    pub fn checked(&self) -> Result<core::UserId, Problem> {
        core::UserId::new(&self.0).map_err(|error| Problem::invalid(error.to_string()))
    }
}

macro_rules! words {
    ($(#[doc = $doc:literal])* $name:ident = $wire:ty { $($variant:ident),* }) => {
        $(#[doc = $doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
        #[serde(rename_all = "snake_case")]
        pub enum $name { $($variant,)* }

        impl From<$name> for $wire {
            fn from(word: $name) -> Self {
                match word { $($name::$variant => Self::$variant,)* }
            }
        }
        impl $name {
            pub fn of(wire: $wire) -> Option<Self> {
                match wire { $(<$wire>::$variant => Some(Self::$variant),)* _ => None }
            }
        }
    };
}

words!(
    /// What a member may do, ascending.
    Role = client::Role { Member, Admin, Owner }
);
words!(
    /// What a member may see of the log: from each join to the leave that ends it, or everything.
    Visibility = client::Visibility { SinceJoin, All }
);
words!(
    /// Two people, or a group.
    ConversationKind = client::ConversationKind { Direct, Group }
);
words!(
    /// How a message is meant: `action` as in "* ada waves".
    Style = client::Style { Action }
);
words!(
    /// What was stored and can be lost: `synced` is on disk, `quorum` in the memory of a quorum of machines.
    Durability = client::Durability { Memory, Quorum, Synced }
);

/// What an entry is. `unknown`: of a later version of the server.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    Message,
    Created,
    Joined,
    Left,
    Removed,
    Role,
    Title,
    System,
    Edit,
    Redaction,
    Reaction,
    Pin,
    Unknown,
}

impl Kind {
    pub fn of(number: i32) -> Self {
        match client::Kind::try_from(number).unwrap_or_default() {
            client::Kind::Message => Self::Message,
            client::Kind::Created => Self::Created,
            client::Kind::Joined => Self::Joined,
            client::Kind::Left => Self::Left,
            client::Kind::Removed => Self::Removed,
            client::Kind::Role => Self::Role,
            client::Kind::Title => Self::Title,
            client::Kind::System => Self::System,
            client::Kind::Edit => Self::Edit,
            client::Kind::Redaction => Self::Redaction,
            client::Kind::Reaction => Self::Reaction,
            client::Kind::Pin => Self::Pin,
            client::Kind::Unspecified => Self::Unknown,
        }
    }
}

/// A member and what they may do.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Membership {
    pub user: UserRef,
    #[serde(default = "Membership::default_role")]
    pub role: Role,
}

impl Membership {
    const fn default_role() -> Role {
        Role::Member
    }

    pub fn of(wire: &client::Membership) -> Self {
        Self { user: UserRef(wire.user.clone()), role: Role::of(wire.role()).unwrap_or(Role::Member) }
    }

    /// Each user once, in order of their ids, with the highest of their roles.
    pub fn distinct(members: &[Self]) -> Vec<client::Membership> {
        let mut by_user = std::collections::BTreeMap::new();
        for member in members {
            let role = client::Role::from(member.role) as i32;
            let held = by_user.entry(member.user.0.clone()).or_insert(role);
            *held = role.max(*held);
        }
        by_user.into_iter().map(|(user, role)| client::Membership { user, role }).collect()
    }
}
