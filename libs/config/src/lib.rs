//! One strict configuration out of layers: defaults < file < environment < flags.
//!
//! The root is any struct that serializes its own default: that default is the schema. A key that is
//! not in it is an error with a suggestion. `POSTHORN__SECTION__KEY` sets one key, and
//! `POSTHORN__SECTION__KEY_FILE` sets it to the contents of a file, for secrets.

mod docs;
mod error;
mod layers;
mod suggest;

#[cfg(test)]
mod tests;

pub use docs::{Row, check_rows, example, print, reference};
pub use error::ConfigError;
pub use layers::{Layers, PREFIX, Sources};
pub use suggest::nearest;
