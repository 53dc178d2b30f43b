//! Engines on this machine: installed in a pinned version outside the tree, started on ports and in a
//! directory of their own, ended by their own process ids. For tests, and for a cluster to try.
//!
//! A test asks [`mode`] first: `POSTHORN_TEST_ENGINES=off` leaves out what needs an engine, and says so.

pub mod cache;
pub mod cassandra;
pub mod debian;
pub mod detached;
pub mod nats;
pub mod ports;
pub mod process;
pub mod redis;

/// What tests that need an engine do.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Mode {
    /// Run; a missing engine is a failure.
    Run,
    /// Say that they did not run.
    Off,
}

/// `POSTHORN_TEST_ENGINES`: `off`, or unset.
#[must_use]
pub fn mode() -> Mode {
    match std::env::var("POSTHORN_TEST_ENGINES").as_deref() {
        Ok("off") => Mode::Off,
        _ => Mode::Run,
    }
}
