//! All integration tests: one binary.

mod authority;
mod cluster;
mod disk;
mod fleet;
mod guide;
mod instances;
mod large;
mod log_model;
mod memory;
mod moves;
mod outage;
mod process;
mod raw;
mod scenarios;
mod secured;
mod terminal;
mod tls;
mod traces;
mod world;
