//! All integration tests: one binary.

mod guide;
mod log_model;
mod process;
mod raw;
mod scenarios;
mod world;
