//! Live delivery: which connections are here, what waits for each, and what the bus brings.

pub(crate) mod asking;
pub(crate) mod event;
pub(crate) mod followed;
pub(crate) mod following;
pub(crate) mod links;
pub(crate) mod moves;
pub(crate) mod outbox;
pub(crate) mod registry;
pub(crate) mod subscriber;
pub(crate) mod told;
pub(crate) mod watching;

pub(crate) use event::Event;
pub(crate) use following::Following;
pub(crate) use links::Links;
pub(crate) use outbox::{Item, Order, Outbox};
pub(crate) use registry::{Connection, Identity, Registry, Token};
pub(crate) use watching::Watching;
