//! Which connection is on which gateway, and who is online. Soft state: it may be lost and is then
//! registered again by the gateways; what must not be lost (last-seen) goes to the store.

pub mod conformance;
pub mod memory;

use async_trait::async_trait;
use posthorn_core::{Held, UserKey};

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

/// What a renewal of a lease found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LeaseState {
    /// The lease had not ended, and the engine holds the same connections as the gateway.
    Kept,
    /// The lease had not ended, but the engine holds others: it lost something, or registrations were on
    /// their way.
    Differs,
    /// There was no lease: it is the first, it ended, or the engine forgot it. Lookups may have missed the
    /// gateway meanwhile.
    Lost,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Lease {
    pub state: LeaseState,
    /// How long it lives from here on if it is not renewed, ms.
    pub ttl_ms: u64,
}

/// What is known of one user's presence at one moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Look {
    /// There is a connection.
    pub online: bool,
    /// What watchers were told last, or are being told.
    pub shown: bool,
    /// Names the note that the user came or went, each another one; 0: they were shown as they are since.
    pub noted: u64,
}

/// A user whose last connection ended.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Gone {
    pub user: UserKey,
    /// As in [`Look`].
    pub noted: u64,
}

/// A user of whom watchers have to be told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Untold {
    pub user: UserKey,
    pub what: Outstanding,
    /// How long ago that was.
    pub ago_ms: u64,
}

/// What is to be done for the watchers of a user. Each of both goes on beside the other: a user who comes and goes
/// while somebody tells of them takes nothing from what has to be told.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Outstanding {
    /// To show the user as they are: they came or went. As in [`Look`]. Whoever made the note does that, and who went
    /// may be given time to come back: others leave it to them.
    Noted(u64),
    /// To tell the change of this version: nobody said that they have.
    Telling(u64),
}

/// Registered connections. A registration that returned is seen by every lookup that begins later, as
/// long as the lease of its gateway lives: one lease for all connections of a gateway, so that those of a
/// dead one vanish together. A gateway leases before it registers.
#[async_trait]
pub trait Presence: Send + Sync + 'static {
    fn driver(&self) -> &'static str;

    /// True if watchers are to be told, which is noted: it is the user's first, or they are not shown to be online.
    /// Registering again changes no connection.
    async fn register(&self, user: &UserKey, device: &str, at: &ConnectionRef) -> Result<bool>;

    /// If it was the user's last: they went offline, and this is the note of it. Unknown connections change nothing.
    async fn unregister(&self, user: &UserKey, at: &ConnectionRef) -> Result<Option<u64>>;

    /// The connections of all these users, in one round trip.
    async fn lookup(&self, users: &[UserKey]) -> Result<Vec<ConnectionRef>>;

    /// Whether each has a connection, in the order asked.
    async fn online(&self, users: &[UserKey]) -> Result<Vec<bool>>;

    /// Begins or renews the lease of a gateway, which says what it holds.
    async fn lease(&self, gateway: &str, held: Held) -> Result<Lease>;

    /// As [`Self::lease`], but one that has ended, or never began, does not live by it.
    async fn renew(&self, gateway: &str, held: Held) -> Result<Lease>;

    /// The gateways whose lease ended and that were not dropped since.
    async fn lapsed(&self) -> Result<Vec<String>>;

    /// Every connection of a gateway that is gone; returns the users that went offline by it. Of callers
    /// at the same time one gets each user. Where some of the engine does not answer, those of the rest; the gateway is
    /// then still among those whose lease ended.
    async fn drop_gateway(&self, gateway: &str) -> Result<Vec<Gone>>;

    /// Unregisters the gateway's connections up to this number that are not among `kept`; returns the
    /// users that went offline by it.
    async fn prune(&self, gateway: &str, kept: &[u64], upto: u64) -> Result<Vec<Gone>>;

    /// Replaces the users that a connection watches. False, and nothing is changed, where the connection
    /// is not registered (any more): what watches ends with its connection, whatever comes late.
    async fn watch(&self, at: &ConnectionRef, users: &[UserKey]) -> Result<bool>;

    /// The connections that watch the user.
    async fn watchers(&self, user: &UserKey) -> Result<Vec<ConnectionRef>>;

    async fn look(&self, user: &UserKey) -> Result<Look>;

    /// Notes what watchers are told of the user; `Some` if it is not what they were told last, or are being told. In
    /// the beginning everybody is offline. With a version of the change, greater than that of every change of the
    /// user before: what several instances tell of one user may arrive in any order. Also where the engine
    /// lost what it had, as far as its clock goes on.
    ///
    /// The note of the look, `noted`, is done with, unless the user came or went since. So is the telling of the version
    /// that the caller has `told`, 0 for none, unless there is a newer one; a change has to be told from here on.
    async fn show(&self, user: &UserKey, online: bool, noted: u64, told: u64) -> Result<Option<u64>>;

    /// Whether watchers of each were told last that they are online: what a new one is to begin with, so that what
    /// it is told next is a change.
    async fn shown(&self, users: &[UserKey]) -> Result<Vec<bool>>;

    /// Watchers were told the change of this version: as by the next [`Presence::show`], where there is none.
    async fn told(&self, user: &UserKey, version: u64) -> Result<()>;

    /// For what is [`Outstanding::Telling`] this version: a new one of the same, and whether it is that the user is
    /// online. `None` if it was told, or there is a newer one: of several callers one gets to tell it.
    async fn show_again(&self, user: &UserKey, telling: u64) -> Result<Option<(u64, bool)>>;

    /// What is outstanding for longer than so long: whoever had to do it ended, or was not answered. About `limit` at
    /// most of each kind.
    async fn untold(&self, for_ms: u64, limit: usize) -> Result<Vec<Untold>>;

    /// A version for each: every change of the user up to now has it or a smaller one, every later change a
    /// greater one. 0: there was none.
    async fn versions(&self, users: &[UserKey]) -> Result<Vec<u64>>;
}
