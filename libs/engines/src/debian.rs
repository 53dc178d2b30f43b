//! What an engine needs of the system: found, or installed from Debian's packages without asking.

use std::{path::PathBuf, process::Command};

use anyhow::{Context, Result, ensure};

use crate::cache;

/// The first of `programs` that is missing is a reason to install `packages`. The path of the first.
///
/// # Errors
/// It is not there and cannot be installed.
pub(crate) fn programs(programs: &[&str], packages: &[&str]) -> Result<PathBuf> {
    found(|| all(programs), packages).with_context(|| format!("needed: {programs:?}"))
}

/// What `find` finds, the packages being installed where it does not.
///
/// # Errors
/// It is not there and cannot be installed.
pub fn found<T>(find: impl Fn() -> Option<T>, packages: &[&str]) -> Result<T> {
    if let Some(there) = find() {
        return Ok(there);
    }
    let root = cache::root()?;
    std::fs::create_dir_all(&root)?;
    let _held = cache::lock(&root.join("debian.lock"))?;
    if let Some(there) = find() {
        return Ok(there);
    }
    let mut install = Command::new("apt-get");
    install.args(["install", "-y", "--no-install-recommends"]).args(packages);
    let status = install.env("DEBIAN_FRONTEND", "noninteractive").output().context("no apt-get here")?.status;
    ensure!(status.success(), "{packages:?} cannot be installed: {status}");
    find().with_context(|| format!("not there although {packages:?} were installed"))
}

/// The path of the first, if all are there.
fn all(programs: &[&str]) -> Option<PathBuf> {
    let paths: Option<Vec<PathBuf>> = programs.iter().map(|name| in_path(name)).collect();
    paths?.into_iter().next()
}

fn in_path(name: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH")?;
    std::env::split_paths(&path).map(|folder| folder.join(name)).find(|file| file.is_file())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_there_is_not_installed() {
        let found = programs(&["sh", "cat"], &["no-such-package"]).expect("is there");
        assert!(found.ends_with("sh"), "{}", found.display());
        assert_eq!(all(&["sh", "no-such-program"]), None);
    }
}
