//! The commands that are not servers.

pub mod backup;
pub mod cluster;
pub mod config;
pub mod drain;
pub mod errors;
pub mod export;
pub mod history;
pub mod import;
pub mod letters;
mod operator;
pub mod operator_key;
pub mod restore;
pub mod schema;
pub mod serve;
pub mod token;
mod transfer;
pub mod version;

use std::io::{ErrorKind, Write};

use anyhow::Result;

/// To stdout, flushed. A reader that has seen enough (`| head`) is no error.
pub fn print(text: &str) -> Result<()> {
    let mut out = std::io::stdout().lock();
    match out.write_all(text.as_bytes()).and_then(|()| out.flush()) {
        Err(error) if error.kind() == ErrorKind::BrokenPipe => Ok(()),
        other => Ok(other?),
    }
}
