//! The protocols that Posthorn rests on as small state machines, every state of which is visited.
//!
//! Each module is a model of its own that shares no code with the product: it says what it holds,
//! what it leaves out and what must never be. Within the bounds of a configuration nothing is left
//! to chance: all interleavings, all late, lost and partial writes, all crashes. Each model has
//! variants that leave a step out or do it wrongly, and each of these must be caught; properties
//! that something *does* happen, and a least number of states, keep a model from holding because
//! nothing moves in it. States are told apart by hashes of 64 bits.
//!
//! The first command prints what each configuration visited, and the steps by which each wrong
//! variant breaks; the second visits larger configurations, in many
//! minutes and a few GiB of memory.
//!
//! ```text
//! cargo test -p posthorn-model -- --nocapture
//! POSTHORN_MODEL=full cargo test -p posthorn-model -- --nocapture full
//! ```

pub mod append;
pub mod cursor;
pub mod explore;
pub mod feed;
