//! Which connection is on which gateway, and who is online. Soft state: it may be lost and is then
//! registered again by the gateways; what must not be lost (last-seen) goes to the store.

pub mod conformance;
pub mod memory;

use async_trait::async_trait;
use posthorn_core::UserKey;

/// A connection of a gateway, by the gateway's incarnation and its number there.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Debug)]
pub struct ConnectionRef {
    pub gateway: String,
    pub connection: u64,
}

#[derive(Debug, thiserror::Error)]
pub enum PresenceError {
    #[error("the presence engine does not answer: {0}")]
    Unavailable(String),
}

pub type Result<T, E = PresenceError> = std::result::Result<T, E>;

/// Registered connections. A registration that returned is seen by every lookup that begins later.
#[async_trait]
pub trait Presence: Send + Sync + 'static {
    fn driver(&self) -> &'static str;

    /// True if it is the user's first: they came online. Registering again changes nothing.
    async fn register(&self, user: &UserKey, device: &str, at: &ConnectionRef) -> Result<bool>;

    /// True if it was the user's last: they went offline. Unknown connections change nothing.
    async fn unregister(&self, user: &UserKey, at: &ConnectionRef) -> Result<bool>;

    /// The connections of all these users, in one round trip.
    async fn lookup(&self, users: &[UserKey]) -> Result<Vec<ConnectionRef>>;

    /// Whether each has a connection, in the order asked.
    async fn online(&self, users: &[UserKey]) -> Result<Vec<bool>>;

    /// Every connection of a gateway that is gone; returns the users that went offline by it.
    async fn drop_gateway(&self, gateway: &str) -> Result<Vec<UserKey>>;

    /// Replaces the users that a connection watches. False, and nothing is changed, where the connection
    /// is not registered (any more): what watches ends with its connection, whatever comes late.
    async fn watch(&self, at: &ConnectionRef, users: &[UserKey]) -> Result<bool>;

    /// The connections that watch the user.
    async fn watchers(&self, user: &UserKey) -> Result<Vec<ConnectionRef>>;
}
