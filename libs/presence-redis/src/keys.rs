//! The names of all keys; the crate's page says what lies there.

use posthorn_core::{TenantId, UserId, UserKey};
use posthorn_presence::ConnectionRef;

/// Never changes: instances must agree. A divisor of the number of shards.
pub(crate) const CELLS: u16 = 64;

/// Where a key lies; the hash tag of a cluster.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) enum Place {
    Cell(u16),
    Gateways,
}

impl Place {
    pub fn of(user: &UserKey) -> Self {
        Self::Cell(user.shard().0 % CELLS)
    }

    pub fn cells() -> impl Iterator<Item = Self> {
        (0..CELLS).map(Self::Cell)
    }

    pub fn tag(self) -> String {
        match self {
            Self::Cell(cell) => format!("{{c{cell}}}"),
            Self::Gateways => "{gw}".to_owned(),
        }
    }
}

pub(crate) struct Keys {
    pub prefix: String,
}

impl Keys {
    fn of_user(&self, user: &UserKey, what: char) -> String {
        format!("{}:{}:{}:{what}:{}", self.prefix, user.tenant, Place::of(user).tag(), user.user)
    }

    pub fn connections(&self, user: &UserKey) -> String {
        self.of_user(user, 'u')
    }

    pub fn shown(&self, user: &UserKey) -> String {
        self.of_user(user, 's')
    }

    /// The last version that was given in the cell.
    pub fn version(&self, place: Place) -> String {
        format!("{}:@:{}:v", self.prefix, place.tag())
    }

    pub fn noted(&self, place: Place) -> String {
        format!("{}:@:{}:noted", self.prefix, place.tag())
    }

    pub fn telling(&self, place: Place) -> String {
        format!("{}:@:{}:telling", self.prefix, place.tag())
    }

    pub fn watchers(&self, user: &UserKey) -> String {
        self.of_user(user, 'w')
    }

    pub fn index(&self, place: Place, gateway: &str) -> String {
        format!("{}:@:{}:g:{gateway}", self.prefix, place.tag())
    }

    pub fn since(&self, place: Place) -> String {
        format!("{}:@:{}:since", self.prefix, place.tag())
    }

    pub fn watching(&self, place: Place, at: &ConnectionRef) -> String {
        format!("{}:@:{}:c:{}", self.prefix, place.tag(), field(at))
    }

    pub fn lease(&self, gateway: &str) -> String {
        format!("{}:@:{}:l:{gateway}", self.prefix, Place::Gateways.tag())
    }

    pub fn gateways(&self) -> String {
        format!("{}:@:{}:all", self.prefix, Place::Gateways.tag())
    }
}

/// `GATEWAY:CONNECTION`
pub(crate) fn field(at: &ConnectionRef) -> String {
    format!("{}:{}", at.gateway, at.connection)
}

pub(crate) fn connection_of(field: &str) -> Option<ConnectionRef> {
    let (gateway, connection) = field.rsplit_once(':')?;
    Some(ConnectionRef { gateway: gateway.to_owned(), connection: connection.parse().ok()? })
}

/// `TENANT/USER`
pub(crate) fn name(user: &UserKey) -> String {
    format!("{}/{}", user.tenant, user.user)
}

pub(crate) fn user_of(name: &str) -> Option<UserKey> {
    let (tenant, user) = name.split_once('/')?;
    Some(UserKey { tenant: TenantId::new(tenant).ok()?, user: UserId::new(user).ok()? })
}

/// The value of an index: `WEIGHT/TENANT/USER`.
pub(crate) fn owner_of(value: &str) -> Option<UserKey> {
    user_of(value.split_once('/')?.1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read() {
        let user = user_of("acme.x/ann_1").expect("a user");
        let at = ConnectionRef { gateway: "a:b".into(), connection: 7 };
        assert_eq!(name(&user), "acme.x/ann_1");
        assert_eq!(owner_of("123/acme.x/ann_1"), Some(user.clone()));
        assert_eq!(connection_of(&field(&at)), Some(at));
        let keys = Keys { prefix: "p".into() };
        assert_eq!(keys.connections(&user), format!("p:acme.x:{}:u:ann_1", Place::of(&user).tag()));
    }
}
