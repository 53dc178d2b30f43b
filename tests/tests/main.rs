//! All integration tests: one binary.

mod log_model;
mod world;
