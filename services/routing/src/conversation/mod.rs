//! Conversations in memory: one owner task each, with one append in flight, and what it has confirmed
//! for everybody to read.

mod after;
mod cell;
mod commit;
mod decide;
mod load;
mod marks;
mod owed;
mod owner;
pub mod records;
mod registry;
mod settle;
mod trace;

use cell::Asked;
pub use cell::{Cell, Command, Made, created};
pub use registry::Registry;
