//! Every relative link of a Markdown page leads to a file, and its fragment to a heading there.

use std::{
    collections::BTreeMap,
    path::{Component, Path, PathBuf},
};

use crate::tree::{Finding, SourceFile};

pub fn check(root: &Path, files: &[SourceFile], findings: &mut Vec<Finding>) {
    let pages: BTreeMap<&str, &SourceFile> =
        files.iter().filter(|file| file.path.ends_with(".md")).map(|file| (file.path.as_str(), file)).collect();
    for page in pages.values() {
        for (line, link) in links(&page.text) {
            let (target, fragment) = link.split_once('#').unwrap_or((link, ""));
            let path = if target.is_empty() { page.path.clone() } else { resolve(&page.path, target) };
            if !root.join(&path).exists() {
                findings.push(Finding::new(&page.path, line, format!("{link}: no such file")));
            } else if let Some(there) = pages.get(path.as_str())
                && !fragment.is_empty()
                && !anchors(&there.text).iter().any(|anchor| anchor == fragment)
            {
                findings.push(Finding::new(&page.path, line, format!("{link}: no such heading in {path}")));
            }
        }
    }
}

/// Targets within the repository, with their lines from 1.
fn links(text: &str) -> Vec<(usize, &str)> {
    let mut found = Vec::new();
    for (at, line) in prose(text) {
        for (open, _) in line.match_indices("](") {
            let rest = &line[open + 2..];
            let target = rest[..rest.find(')').unwrap_or(rest.len())].split(' ').next().unwrap_or_default();
            if !target.is_empty() && !target.contains("://") && !target.starts_with("mailto:") {
                found.push((at, target));
            }
        }
        if let Some(rest) = line.split(" src=\"").nth(1) {
            let target = &rest[..rest.find('"').unwrap_or(rest.len())];
            if !target.contains("://") {
                found.push((at, target));
            }
        }
    }
    found
}

/// Lines outside fenced code, from 1.
fn prose(text: &str) -> Vec<(usize, &str)> {
    let mut fenced = false;
    let mut lines = Vec::new();
    for (at, line) in text.lines().enumerate() {
        if line.trim_start().starts_with("```") {
            fenced = !fenced;
        } else if !fenced {
            lines.push((at + 1, line));
        }
    }
    lines
}

/// The target seen from the root; without `..` that could be resolved.
fn resolve(page: &str, target: &str) -> String {
    let folder = Path::new(page).parent().unwrap_or(Path::new(""));
    let joined = target.strip_prefix('/').map_or_else(|| folder.join(target), PathBuf::from);
    let mut parts: Vec<&std::ffi::OsStr> = Vec::new();
    for part in joined.components() {
        match part {
            Component::ParentDir => {
                parts.pop();
            }
            Component::Normal(name) => parts.push(name),
            _ => {}
        }
    }
    parts.iter().map(|part| part.to_string_lossy()).collect::<Vec<_>>().join("/")
}

/// The fragments of a page's headings, as the usual renderers make them.
fn anchors(text: &str) -> Vec<String> {
    let headings = prose(text).into_iter().filter(|(_, line)| line.starts_with('#'));
    headings
        .map(|(_, line)| {
            let kept = line.trim_start_matches('#').trim().to_lowercase();
            kept.chars()
                .filter(|c| c.is_alphanumeric() || matches!(c, ' ' | '-' | '_'))
                .map(|c| if c == ' ' { '-' } else { c })
                .collect()
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn links_are_found_outside_code_and_within_the_repository() {
        let text = "[a](b.md) ![c](d.png \"t\")\n```\n[x](y)\n```\n[e](https://f.example) <img src=\"g.svg\">\n";
        assert_eq!(links(text), [(1, "b.md"), (1, "d.png"), (5, "g.svg")]);
    }

    #[test]
    fn targets_are_resolved_from_their_page() {
        assert_eq!(resolve("docs/adr/0001.md", "../protocol.md"), "docs/protocol.md");
        assert_eq!(resolve("README.md", "docs/images/a.svg"), "docs/images/a.svg");
        assert_eq!(resolve("docs/a.md", "/LICENSE"), "LICENSE");
    }

    #[test]
    fn headings_become_fragments() {
        assert_eq!(
            anchors("# One message's path\n## `connect`, and: more_of\n"),
            ["one-messages-path", "connect-and-more_of"]
        );
    }

    #[test]
    fn a_link_to_nothing_is_found() {
        let folder = tempfile::tempdir().expect("a folder");
        std::fs::write(folder.path().join("a.md"), "").expect("written");
        let text = "# A\n[x](a.md#a) [y](#b) [z](c.md)\n".to_owned();
        let mut findings = Vec::new();
        check(folder.path(), &[SourceFile { path: "a.md".to_owned(), text }], &mut findings);
        let found: Vec<&str> = findings.iter().map(|finding| finding.what.as_str()).collect();
        assert_eq!(found, ["#b: no such heading in a.md", "c.md: no such file"]);
    }
}
