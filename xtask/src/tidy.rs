//! The rules of the house that neither the compiler nor clippy knows. CONTRIBUTING.md gives the reasons.

mod crates;
mod links;
mod rust;
mod size;
mod text;
mod unused;

use std::path::Path;

use anyhow::Result;

use crate::tree::{self, Finding, SourceFile};

/// Prints what breaks a rule, and as warnings what comes close to one.
///
/// # Errors
/// The tree cannot be read.
pub fn run(root: &Path) -> Result<bool> {
    let files = tree::read(root)?;
    let mut findings = Vec::new();
    for file in &files {
        if !file.is_recorded() && !file.is_generated() {
            text::check(file, &mut findings);
        }
        if file.is_rust() {
            rust::check(file, &mut findings);
        }
        size::check(file, &mut findings);
    }
    links::check(root, &files, &mut findings);
    crates::check(&files, &mut findings)?;
    unused::check(&files, &mut findings)?;
    findings.sort();
    for large in warnings(&files) {
        println!("warning: {large}");
    }
    for Finding { path, line, what } in &findings {
        println!("{path}:{line}: {what}");
    }
    if !findings.is_empty() {
        println!("tidy: {} findings in {} files", findings.len(), files.len());
    }
    Ok(findings.is_empty())
}

fn warnings(files: &[SourceFile]) -> Vec<String> {
    files.iter().filter_map(size::warning).collect()
}
