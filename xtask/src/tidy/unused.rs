//! Every dependency of a manifest is named in the code of its crate: what nobody uses is built by
//! everybody, and trusted.

use std::collections::BTreeSet;

use anyhow::{Context, Result};
use toml::Table;

use super::{crates::KINDS, text::has_word};
use crate::tree::{Finding, SourceFile};

/// Dependencies that no code names, each with why it is there: manifest, name, reason.
type Allowed = (&'static str, &'static str, &'static str);
const ALLOWED: [Allowed; 0] = [];

pub fn check(files: &[SourceFile], findings: &mut Vec<Finding>) -> Result<()> {
    judged(files, &ALLOWED, findings)
}

fn judged(files: &[SourceFile], allowed: &[Allowed], findings: &mut Vec<Finding>) -> Result<()> {
    let folders: BTreeSet<&str> = files.iter().filter_map(|file| file.path.strip_suffix("Cargo.toml")).collect();
    let mut used: Vec<&Allowed> = Vec::new();
    for file in files.iter().filter(|file| file.path.ends_with("Cargo.toml")) {
        let manifest: Table = file.text.parse().with_context(|| file.path.clone())?;
        let folder = file.path.trim_end_matches("Cargo.toml");
        let code: Vec<&str> = files
            .iter()
            .filter(|source| source.path.ends_with(".rs") && home(&folders, &source.path) == Some(folder))
            .map(|source| source.text.as_str())
            .collect();
        for name in named(&manifest) {
            if code.iter().any(|text| names(text, &name.replace('-', "_"))) {
                continue;
            }
            match allowed.iter().find(|(path, dependency, _)| *path == file.path && *dependency == name) {
                Some(exception) => used.push(exception),
                None => findings.push(Finding::new(&file.path, 0, format!("{name}: no code of the crate names it"))),
            }
        }
    }
    for exception in allowed.iter().filter(|exception| !used.contains(exception)) {
        findings.push(Finding::new(exception.0, 0, format!("{}: needs no exception any more", exception.1)));
    }
    Ok(())
}

/// The folder of the crate that a file belongs to: the innermost with a manifest.
fn home<'a>(folders: &BTreeSet<&'a str>, path: &str) -> Option<&'a str> {
    folders.iter().copied().filter(|folder| path.starts_with(folder)).max_by_key(|folder| folder.len())
}

/// What code calls its dependencies: the key, also where `package` says that it is another's name.
fn named(manifest: &Table) -> BTreeSet<String> {
    let targets = manifest.get("target").and_then(|targets| targets.as_table());
    let tables = targets.into_iter().flatten().filter_map(|(_, table)| table.as_table()).chain([manifest]);
    tables
        .flat_map(|table| KINDS.iter().filter_map(|kind| table.get(*kind)?.as_table()))
        .flat_map(|dependencies| dependencies.keys().cloned())
        .collect()
}

/// Whether code, and not a comment, has the crate at the beginning of a path or in a `use`.
fn names(text: &str, name: &str) -> bool {
    let part = |c: char| c.is_alphanumeric() || c == '_';
    text.lines().map(str::trim_start).filter(|line| !line.starts_with("//") && has_word(line, name)).any(|line| {
        let import = line.trim_start_matches("pub ").starts_with("use ") || line.starts_with("extern crate ");
        line.match_indices(name).any(|(at, _)| {
            let (before, after) = (&line[..at], &line[at + name.len()..]);
            let alone = !before.ends_with(part) && !after.starts_with(part);
            let within = before.strip_suffix("::").is_some_and(|path| path.ends_with(part));
            alone && !within && (import || after.starts_with("::"))
        })
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(files: &[(&str, &str)], allowed: &[Allowed]) -> Vec<String> {
        let files: Vec<SourceFile> = files
            .iter()
            .map(|(path, text)| SourceFile { path: (*path).to_owned(), text: (*text).to_owned() })
            .collect();
        let mut findings = Vec::new();
        judged(&files, allowed, &mut findings).expect("manifests parse");
        findings.into_iter().map(|finding| format!("{}: {}", finding.path, finding.what)).collect()
    }

    const MANIFEST: &str = "[dependencies]\nasync-trait = \"1\"\nold = { package = \"bytes\", version = \"1\" }\n\
                            [dev-dependencies]\ntempfile = \"3\"\n[target.'cfg(unix)'.build-dependencies]\ncc = \"1\"\n";

    #[test]
    fn a_dependency_is_named_by_a_path_or_a_use_of_its_own_crate() {
        let files = [
            ("libs/a/Cargo.toml", MANIFEST),
            ("libs/a/src/lib.rs", "use async_trait::async_trait;\npub use old as new;\n"),
            ("libs/a/tests/b.rs", "fn f() { tempfile::tempdir(); }\n"),
            ("libs/a/build.rs", "    cc::Build::new();\n"),
        ];
        assert_eq!(found(&files, &[]), Vec::<String>::new());
    }

    #[test]
    fn a_comment_another_word_and_a_crate_within_do_not_count() {
        let files = [
            ("libs/a/Cargo.toml", MANIFEST),
            ("libs/a/src/lib.rs", "// async_trait::x\nuse older::x;\nlet bytes::y = not_tempfile::x;\n"),
            ("libs/a/b/Cargo.toml", ""),
            ("libs/a/b/src/lib.rs", "use async_trait::x; cc::y; old::z; tempfile::w;\n"),
        ];
        let unused = |name| format!("libs/a/Cargo.toml: {name}: no code of the crate names it");
        assert_eq!(found(&files, &[]), ["async-trait", "cc", "old", "tempfile"].map(unused));
    }

    #[test]
    fn an_exception_holds_as_long_as_it_is_needed() {
        let files = [("Cargo.toml", "[dependencies]\na = \"1\"\nb = \"1\"\n"), ("src/lib.rs", "use a::b;\n")];
        let allowed = [("Cargo.toml", "a", "of old"), ("Cargo.toml", "b", "turns a feature on")];
        assert_eq!(found(&files, &allowed), ["Cargo.toml: a: needs no exception any more"]);
    }
}
