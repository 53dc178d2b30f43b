//! What each route does: a file per object.

pub(super) mod conversations;
pub(super) mod devices;
pub(super) mod drain;
pub(super) mod entries;
pub(super) mod health;
pub(super) mod letters;
pub(super) mod members;
pub(super) mod tenants;
pub(super) mod tokens;
pub(super) mod users;
