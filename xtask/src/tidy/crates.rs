//! Rules for manifests: names follow folders, versions and lints come from the workspace, and every
//! crate from outside has its reason in ARCHITECTURE.md.

use std::collections::{BTreeMap, BTreeSet};

use anyhow::{Context, Result};
use toml::Table;

use crate::tree::{Finding, SourceFile};

pub const KINDS: [&str; 3] = ["dependencies", "dev-dependencies", "build-dependencies"];
const TABLE_PAGE: &str = "ARCHITECTURE.md";
const TABLE_HEADING: &str = "## Dependencies";

/// Crates whose names their folders do not tell.
const NAMED: [(&str, &str); 4] = [
    ("services/posthorn", "posthorn"),
    ("clients/rust", "posthorn-client"),
    ("xtask", "xtask"),
    ("xtask/codegen", "posthorn-codegen"),
];

pub fn check(files: &[SourceFile], findings: &mut Vec<Finding>) -> Result<()> {
    // By name, and where it is asked for.
    let mut used: BTreeMap<String, String> = BTreeMap::new();
    let mut shared = BTreeSet::new();
    for file in files.iter().filter(|file| file.path.ends_with("Cargo.toml")) {
        let manifest: Table = file.text.parse().with_context(|| file.path.clone())?;
        if let Some(table) = manifest.get("workspace").and_then(|w| w.get("dependencies")).and_then(|d| d.as_table())
            && file.path == "Cargo.toml"
        {
            shared.extend(table.keys().cloned());
        }
        if let Some(package) = manifest.get("package").and_then(|package| package.as_table()) {
            package_rules(&file.path, package, &manifest, findings);
        }
        for kind in KINDS {
            let table = manifest.get(kind).and_then(|table| table.as_table());
            for (name, spec) in table.into_iter().flatten() {
                used.entry(name.clone()).or_insert_with(|| file.path.clone());
                if in_workspace(&file.path) && spec.get("workspace").is_none() {
                    findings.push(Finding::new(&file.path, 0, format!("{name}: its version belongs in the workspace")));
                }
            }
        }
    }
    for name in shared.iter().filter(|name| !used.contains_key(*name)) {
        findings.push(Finding::new("Cargo.toml", 0, format!("{name}: no crate uses it")));
    }
    let page = files.iter().find(|file| file.path == TABLE_PAGE).map_or("", |file| file.text.as_str());
    table_rules(&used, page, findings);
    Ok(())
}

/// `sim/` is a workspace of its own; the rest is one.
fn in_workspace(path: &str) -> bool {
    !path.starts_with("sim/") && path != "Cargo.toml"
}

fn package_rules(path: &str, package: &Table, manifest: &Table, findings: &mut Vec<Finding>) {
    let folder = path.trim_end_matches("Cargo.toml").trim_end_matches('/');
    let last = folder.rsplit('/').next().unwrap_or_default();
    let expect = NAMED
        .iter()
        .find(|(at, _)| *at == folder)
        .map_or_else(|| format!("posthorn-{last}"), |(_, name)| (*name).to_owned());
    let mut found = |what: String| findings.push(Finding::new(path, 0, what));
    if package.get("name").and_then(|name| name.as_str()) != Some(&expect) {
        found(format!("the crate in {folder} is named {expect}"));
    }
    if package.get("description").and_then(|text| text.as_str()).is_none_or(str::is_empty) {
        found("a description says in a line what the crate is for".to_owned());
    }
    let lints = manifest.get("lints").and_then(|lints| lints.get("workspace")).and_then(toml::Value::as_bool);
    if in_workspace(path) && lints != Some(true) {
        found("lints come from the workspace: `lints.workspace = true`".to_owned());
    }
}

fn table_rules(used: &BTreeMap<String, String>, page: &str, findings: &mut Vec<Finding>) {
    let listed = listed(page);
    for (name, path) in used {
        if !name.starts_with("posthorn-") && !listed.contains_key(name) {
            findings.push(Finding::new(path, 0, format!("{name}: give its reason in the table of {TABLE_PAGE}")));
        }
    }
    for (name, line) in listed {
        if !used.contains_key(&name) {
            findings.push(Finding::new(TABLE_PAGE, line, format!("{name}: no crate uses it")));
        }
    }
}

/// The crates of the table, with their lines: all that stands in backticks in the first cell of a row.
fn listed(page: &str) -> BTreeMap<String, usize> {
    let lines = page.lines().enumerate().skip_while(|(_, line)| !line.starts_with(TABLE_HEADING)).skip(1);
    let rows = lines.take_while(|(_, line)| !line.starts_with("## ")).filter(|(_, line)| line.starts_with("| `"));
    let mut names = BTreeMap::new();
    for (at, row) in rows {
        let cell = row.split('|').nth(1).unwrap_or_default();
        for name in cell.split('`').skip(1).step_by(2) {
            names.insert(name.to_owned(), at + 1);
        }
    }
    names
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(files: &[(&str, &str)]) -> Vec<String> {
        let files: Vec<SourceFile> = files
            .iter()
            .map(|(path, text)| SourceFile { path: (*path).to_owned(), text: (*text).to_owned() })
            .collect();
        let mut findings = Vec::new();
        check(&files, &mut findings).expect("manifests parse");
        findings.into_iter().map(|finding| format!("{}: {}", finding.path, finding.what)).collect()
    }

    const ROOT: &str = "[workspace.dependencies]\nbytes = \"1\"\n";
    const GOOD: &str = "[package]\nname = \"posthorn-bus\"\ndescription = \"x\"\n[lints]\nworkspace = true\n\
                        [dependencies]\nbytes.workspace = true\n";
    const TABLE: &str =
        "# A\n## Dependencies\n| crate | why |\n| --- | --- |\n| `bytes` | shared frames |\n## More\n| `x` | |\n";

    #[test]
    fn a_crate_that_keeps_the_rules_passes() {
        let files = [("Cargo.toml", ROOT), ("libs/bus/Cargo.toml", GOOD), (TABLE_PAGE, TABLE)];
        assert_eq!(found(&files), Vec::<String>::new());
    }

    #[test]
    fn each_broken_rule_is_named() {
        let bad = "[package]\nname = \"bus\"\n[dependencies]\nhttp = \"1\"\n";
        let files = [("Cargo.toml", ROOT), ("libs/bus/Cargo.toml", bad), (TABLE_PAGE, TABLE)];
        assert_eq!(
            found(&files),
            [
                "libs/bus/Cargo.toml: the crate in libs/bus is named posthorn-bus",
                "libs/bus/Cargo.toml: a description says in a line what the crate is for",
                "libs/bus/Cargo.toml: lints come from the workspace: `lints.workspace = true`",
                "libs/bus/Cargo.toml: http: its version belongs in the workspace",
                "Cargo.toml: bytes: no crate uses it",
                "libs/bus/Cargo.toml: http: give its reason in the table of ARCHITECTURE.md",
                "ARCHITECTURE.md: bytes: no crate uses it",
            ]
        );
    }
}
