//! What is generated and committed: written again, or checked for drift.

use std::{
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context, Result};

/// Generated code, and the pages and constants of the table of codes.
///
/// # Errors
/// Cargo cannot be started.
pub fn code(root: &Path, check: bool) -> Result<bool> {
    package(root, "posthorn-codegen", &[&root.to_string_lossy()], check)
}

/// Pages: of the table of codes, of the configuration, and of the crates. A check leaves out the last,
/// which are not committed.
///
/// # Errors
/// Cargo cannot be started.
pub fn pages(root: &Path, check: bool) -> Result<bool> {
    let codes = package(root, "posthorn-codegen", &[&root.to_string_lossy(), "errors"], check)?;
    let configuration = package(root, "posthorn", &["config", "docs", "--root", &root.to_string_lossy()], check)?;
    Ok(codes && configuration && (check || cargo(root, &["doc", "--workspace", "--no-deps"])?))
}

fn package(root: &Path, name: &str, args: &[&str], check: bool) -> Result<bool> {
    let mut words = vec!["run", "--quiet", "--package", name, "--"];
    words.extend(args);
    words.extend(check.then_some("--check"));
    cargo(root, &words)
}

fn cargo(root: &Path, args: &[&str]) -> Result<bool> {
    let status = Command::new("cargo").args(args).current_dir(root).status();
    Ok(status.context("cargo cannot be started")?.success())
}

/// The folder that cargo builds into.
pub fn target_dir(root: &Path) -> PathBuf {
    std::env::var_os("CARGO_TARGET_DIR").map_or_else(|| root.join("target"), |dir| root.join(dir))
}

/// Where a program of a build of the whole workspace lies.
pub fn built(root: &Path, name: &str) -> PathBuf {
    target_dir(root).join("debug").join(name)
}
