//! Other clocks for single processes, by Debian's libfaketime.

use std::{fs, process::Command};

use anyhow::{Context, Result, ensure};

/// The environment of a process whose wall clock is an hour ahead.
pub fn an_hour_ahead() -> Result<[(&'static str, String); 3]> {
    // The monotonic clock is nobody's to move.
    Ok([("LD_PRELOAD", library()?), ("FAKETIME", "+1h".to_owned()), ("FAKETIME_DONT_FAKE_MONOTONIC", "1".to_owned())])
}

/// Installed if it is not there.
fn library() -> Result<String> {
    if find().is_none() {
        let mut install = Command::new("apt-get");
        install.args(["install", "-y", "--no-install-recommends", "libfaketime"]);
        let output = install.env("DEBIAN_FRONTEND", "noninteractive").output().context("no apt-get here")?;
        ensure!(output.status.success(), "libfaketime cannot be installed");
    }
    find().context("libfaketime is not there although it was installed")
}

fn find() -> Option<String> {
    let folders = fs::read_dir("/usr/lib").ok()?.flatten();
    let mut libraries = folders.map(|folder| folder.path().join("faketime/libfaketimeMT.so.1"));
    libraries.find(|file| file.is_file()).map(|file| file.display().to_string())
}
