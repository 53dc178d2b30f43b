//! What a gateway holds, as a count and a hash: compared with what the presence engine holds, to notice
//! that the engine lost something.

use crate::UserKey;

/// Connections of one gateway. Order does not matter, and what is added can be taken away again.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Held {
    pub count: u64,
    /// Sum of the connections' weights.
    pub hash: u64,
}

impl Held {
    /// One connection's part of the hash: 40 bits, so that the sum of a million of them stays below 2^60
    /// and fits the counters of every engine.
    #[must_use]
    pub fn weight(user: &UserKey, connection: u64) -> u64 {
        let mut hash = xxhash_rust::xxh3::Xxh3::new();
        for part in [user.tenant.as_str(), user.user.as_str()] {
            hash.update(part.as_bytes());
            hash.update(&[0]);
        }
        hash.update(&connection.to_le_bytes());
        hash.digest() >> 24
    }

    pub fn add(&mut self, user: &UserKey, connection: u64) {
        self.count += 1;
        self.hash += Self::weight(user, connection);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{InvalidId, TenantId, UserId};

    #[test]
    fn the_same_connections_are_the_same_in_any_order_and_others_are_not() -> Result<(), InvalidId> {
        let user = |name: &str| Ok(UserKey { tenant: TenantId::new("t")?, user: UserId::new(name)? });
        let held = |all: &[(&str, u64)]| {
            all.iter().try_fold(Held::default(), |mut held, (name, connection)| {
                held.add(&user(name)?, *connection);
                Ok::<_, InvalidId>(held)
            })
        };
        assert_eq!(held(&[("ann", 1), ("bob", 2)])?, held(&[("bob", 2), ("ann", 1)])?);
        for other in [&[("ann", 2), ("bob", 1)][..], &[("ann", 1), ("bob", 3)], &[("ann", 1)]] {
            assert_ne!(held(&[("ann", 1), ("bob", 2)])?, held(other)?);
        }
        Ok(())
    }
}
