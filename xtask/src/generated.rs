//! What is generated and committed: written again, or checked for drift.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context, Result};

use crate::process::answer;

/// Reference pages that the program itself prints, and the arguments that make it do so.
const PRINTED: [(&str, &[&str]); 2] =
    [("docs/configuration.md", &["config", "docs"]), ("services/gateway/openapi.json", &["openapi"])];

pub fn write(root: &Path, part: &str) -> Result<bool> {
    from_source(root, part, &[])
}

pub fn check(root: &Path, part: &str) -> Result<bool> {
    from_source(root, part, &["--check"])
}

fn from_source(root: &Path, part: &str, flags: &[&str]) -> Result<bool> {
    let mut cargo = Command::new("cargo");
    cargo.args(["run", "--quiet", "--package", "posthorn-codegen", "--"]).arg(root).arg(part).args(flags);
    Ok(cargo.current_dir(root).status().context("cargo cannot be started")?.success())
}

/// The pages that differ from what the built program prints.
pub fn stale_pages(root: &Path, binary: &Path) -> Vec<String> {
    let program = binary.to_string_lossy();
    let mut stale = Vec::new();
    for (page, args) in PRINTED {
        if !root.join(page).exists() {
            continue;
        }
        let kept = fs::read_to_string(root.join(page)).unwrap_or_default();
        match answer(&program, args) {
            Some(fresh) if fresh.trim() == kept.trim() => {}
            Some(_) => stale.push(format!("{page} is out of date: posthorn {} > {page}", args.join(" "))),
            None => stale.push(format!("{page}: `posthorn {}` fails", args.join(" "))),
        }
    }
    stale
}

/// The folder that cargo builds into.
pub fn target_dir(root: &Path) -> PathBuf {
    std::env::var_os("CARGO_TARGET_DIR").map_or_else(|| root.join("target"), |dir| root.join(dir))
}

/// Where a program of a build of the whole workspace lies.
pub fn built(root: &Path, name: &str) -> PathBuf {
    target_dir(root).join("debug").join(name)
}
