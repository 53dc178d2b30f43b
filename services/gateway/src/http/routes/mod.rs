//! What each route does: a file per object.

pub(crate) mod conversations;
pub(crate) mod devices;
pub(crate) mod drain;
pub(crate) mod entries;
pub(crate) mod health;
pub(crate) mod letters;
pub(crate) mod members;
pub(crate) mod tenants;
pub(crate) mod tokens;
pub(crate) mod users;
