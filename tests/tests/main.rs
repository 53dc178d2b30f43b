//! All integration tests: one binary.

mod guide;
mod log_model;
mod memory;
mod process;
mod raw;
mod scenarios;
mod traces;
mod world;
