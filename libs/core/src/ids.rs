//! Names of things. All opaque to the server but for their length and alphabet.

use std::{borrow::Borrow, fmt, str::FromStr, sync::Arc};

use sha2::{Digest, Sha256};
use uuid::Uuid;

/// An id was empty, too long or had a character outside its alphabet.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{what} must be 1 to {max} characters of A-Z a-z 0-9 . _ -")]
pub struct InvalidId {
    pub what: &'static str,
    pub max: usize,
}

fn check(what: &'static str, text: &str, max: usize) -> Result<Arc<str>, InvalidId> {
    let fits = (1..=max).contains(&text.len());
    let clean = text.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'_' | b'-'));
    if fits && clean { Ok(text.into()) } else { Err(InvalidId { what, max }) }
}

macro_rules! id {
    ($(#[$doc:meta])* $name:ident, $what:literal, $max:literal) => {
        $(#[$doc])*
        #[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub struct $name(Arc<str>);

        impl $name {
            /// Longest accepted, in characters.
            pub const MAX: usize = $max;
            /// Checked: see [`InvalidId`].
            pub fn new(text: &str) -> Result<Self, InvalidId> {
                check($what, text, $max).map(Self)
            }
            #[must_use]
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }
        impl FromStr for $name {
            type Err = InvalidId;
            fn from_str(text: &str) -> Result<Self, InvalidId> {
                Self::new(text)
            }
        }
        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }
        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "{:?}", &*self.0)
            }
        }
        impl Borrow<str> for $name {
            fn borrow(&self) -> &str {
                &self.0
            }
        }
        impl From<&$name> for String {
            fn from(id: &$name) -> Self {
                id.0.as_ref().to_owned()
            }
        }
    };
}

id!(
    /// An application that uses this deployment; first part of every key.
    TenantId, "tenant", 64
);
id!(
    /// A person, as the application names them. Not personal data: names live in the profile.
    UserId, "user", 64
);
id!(
    /// One of a user's devices, as the application names it.
    DeviceId, "device", 64
);
id!(
    /// A conversation: `d.` and a hash for direct ones, a UUIDv7 or the application's id for groups.
    ConversationId, "conversation", 64
);

impl UserId {
    /// Author of what the application itself says and does; nobody can be called so.
    #[must_use]
    pub fn system() -> Self {
        Self("system".into())
    }
}

/// Made by the client (UUIDv7): the idempotency key within (conversation, author).
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Debug)]
pub struct MessageId(pub Uuid);

impl MessageId {
    #[must_use]
    pub fn from_slice(bytes: &[u8]) -> Option<Self> {
        Uuid::from_slice(bytes).ok().map(Self)
    }
}

impl FromStr for MessageId {
    type Err = uuid::Error;
    fn from_str(text: &str) -> Result<Self, uuid::Error> {
        Uuid::parse_str(text).map(Self)
    }
}

impl fmt::Display for MessageId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// (tenant, conversation): the partition of a log.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Debug)]
pub struct ConversationKey {
    pub tenant: TenantId,
    pub conversation: ConversationId,
}

/// (tenant, user): the partition of a user's registers.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Debug)]
pub struct UserKey {
    pub tenant: TenantId,
    pub user: UserId,
}

/// How many shards a region has. Never changes.
pub const SHARDS: u16 = 1_024;

/// A shard of the region: what an owner owns.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Debug)]
pub struct Shard(pub u16);

impl Shard {
    fn of(kind: &str, tenant: &TenantId, name: &str) -> Self {
        let mut hash = xxhash_rust::xxh3::Xxh3::new();
        for part in [kind, tenant.as_str(), name] {
            hash.update(part.as_bytes());
            hash.update(&[0]);
        }
        #[allow(clippy::cast_possible_truncation, reason = "below SHARDS")]
        Self((hash.digest() % u64::from(SHARDS)) as u16)
    }
}

impl ConversationKey {
    #[must_use]
    pub fn shard(&self) -> Shard {
        Shard::of("c", &self.tenant, self.conversation.as_str())
    }
}

impl UserKey {
    #[must_use]
    pub fn shard(&self) -> Shard {
        Shard::of("u", &self.tenant, self.user.as_str())
    }
}

/// The id of the direct conversation of two users: the same from either side.
#[must_use]
pub fn direct_id(tenant: &TenantId, a: &UserId, b: &UserId) -> ConversationId {
    let (low, high) = if a <= b { (a, b) } else { (b, a) };
    let mut hash = Sha256::new();
    for part in [tenant.as_str(), low.as_str(), high.as_str()] {
        hash.update(part.as_bytes());
        hash.update([0]);
    }
    let hex: String = hash.finalize().iter().take(16).map(|b| format!("{b:02x}")).collect();
    ConversationId(format!("d.{hex}").into())
}

impl ConversationId {
    /// Whether it has the form of a direct conversation's id: applications cannot choose such.
    #[must_use]
    pub fn is_direct(&self) -> bool {
        self.0.starts_with("d.")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_accept_their_alphabet_and_nothing_else() {
        for good in ["a", "A.b_c-9", &"x".repeat(64)] {
            assert!(UserId::new(good).is_ok(), "{good}");
        }
        for bad in ["", "a b", "a/b", "ü", "a\0", "*", "a#", &"x".repeat(65)] {
            assert!(UserId::new(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn a_direct_conversation_is_one_per_pair_and_tenant() -> Result<(), InvalidId> {
        let (t, u) = (TenantId::new("t")?, TenantId::new("u")?);
        let (a, b, c) = (UserId::new("a")?, UserId::new("b")?, UserId::new("c")?);
        assert_eq!(direct_id(&t, &a, &b), direct_id(&t, &b, &a));
        assert_ne!(direct_id(&t, &a, &b), direct_id(&t, &a, &c));
        assert_ne!(direct_id(&t, &a, &b), direct_id(&u, &a, &b));
        assert!(direct_id(&t, &a, &b).is_direct());
        Ok(())
    }

    #[test]
    fn shards_never_move() -> Result<(), InvalidId> {
        let key = ConversationKey { tenant: TenantId::new("demo")?, conversation: ConversationId::new("lobby")? };
        let again = key.clone();
        assert_eq!(key.shard(), again.shard());
        assert!(key.shard().0 < SHARDS);
        Ok(())
    }
}
