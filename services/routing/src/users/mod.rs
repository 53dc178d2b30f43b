//! Users in memory: their registers, and the lists made of them. Owned by the user's shard.

mod cell;
mod marks;
mod sync;

pub use cell::{UserCell, Users};
