//! The files of the repository as git sees them: tracked, or new and not ignored.

use std::{fs, path::Path, process::Command};

use anyhow::{Context, Result, bail};

/// A text file of the repository.
pub struct SourceFile {
    /// Below the root, with forward slashes.
    pub path: String,
    pub text: String,
}

/// What a rule found, where.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Finding {
    pub path: String,
    /// From 1; 0: the file as a whole.
    pub line: usize,
    pub what: String,
}

impl Finding {
    pub fn new(path: &str, line: usize, what: impl Into<String>) -> Self {
        Self { path: path.to_owned(), line, what: what.into() }
    }
}

impl SourceFile {
    /// Rust that people wrote.
    pub fn is_rust(&self) -> bool {
        self.path.ends_with(".rs") && !self.is_generated()
    }

    /// Written by a program; the drift checks look after it.
    pub fn is_generated(&self) -> bool {
        const PLACES: [&str; 8] = [
            "/generated/",
            "Cargo.lock",
            "package-lock.json",
            "docs/errors.md",
            "docs/configuration.md",
            "config/posthorn.example.toml",
            "clients/web/js/codes.js",
            "openapi.json",
        ];
        PLACES.iter().any(|place| self.path.contains(place))
    }

    /// Recorded input or output, kept byte for byte.
    pub fn is_recorded(&self) -> bool {
        let kept = ["/fixtures/", "/snapshots/", "proptest-regressions"];
        kept.iter().any(|part| self.path.contains(part)) || self.path.ends_with(".snap") || self.path == "LICENSE"
    }

    /// Holds nothing but tests and what they share.
    pub fn is_test(&self) -> bool {
        let name = self.path.rsplit('/').next().unwrap_or_default();
        self.path.starts_with("tests/")
            || self.path.contains("/tests/")
            || matches!(name, "tests.rs" | "conformance.rs")
            || name.contains(".test.")
    }
}

/// Every text file, by path. Files that are not UTF-8 are left out: images, recorded bytes.
pub fn read(root: &Path) -> Result<Vec<SourceFile>> {
    let list = ["ls-files", "-z", "--cached", "--others", "--exclude-standard"];
    let output = Command::new("git").args(list).current_dir(root).output().context("git cannot be started")?;
    if !output.status.success() {
        bail!("git ls-files: {}", String::from_utf8_lossy(&output.stderr).trim());
    }
    let mut paths: Vec<String> =
        output.stdout.split(|byte| *byte == 0).filter_map(|path| String::from_utf8(path.to_vec()).ok()).collect();
    paths.retain(|path| !path.is_empty());
    paths.sort();
    paths.dedup();
    // A path that is listed and cannot be read was deleted since, or is not text.
    Ok(paths
        .into_iter()
        .filter_map(|path| fs::read_to_string(root.join(&path)).ok().map(|text| SourceFile { path, text }))
        .collect())
}
