//! All integration tests: one binary.

mod disk;
mod guide;
mod log_model;
mod process;
mod raw;
mod scenarios;
mod terminal;
mod tls;
mod world;
