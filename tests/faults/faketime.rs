//! Other clocks for single processes, by Debian's libfaketime.

use std::fs;

use anyhow::Result;
use posthorn_engines::debian;

/// The environment of a process whose wall clock is so far off.
pub fn of(offset: &str) -> Result<[(&'static str, String); 3]> {
    let library = debian::found(find, &["libfaketime"])?;
    // The monotonic clock is nobody's to move.
    Ok([("LD_PRELOAD", library), ("FAKETIME", offset.to_owned()), ("FAKETIME_DONT_FAKE_MONOTONIC", "1".to_owned())])
}

fn find() -> Option<String> {
    let folders = fs::read_dir("/usr/lib").ok()?.flatten();
    let mut libraries = folders.map(|folder| folder.path().join("faketime/libfaketimeMT.so.1"));
    libraries.find(|file| file.is_file()).map(|file| file.display().to_string())
}
