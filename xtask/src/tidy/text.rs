//! Rules for every text file.

use crate::tree::{Finding, SourceFile};

/// Words that say that something is not done. In two parts, so that this file passes.
const UNDONE: [(&str, &str); 2] = [("FIX", "ME"), ("XX", "X")];

/// Hosts that packages come from: a build takes them from its own settings, so that a mirror works.
const REGISTRIES: [(&str, &str); 6] = [
    ("crates", ".io"),
    ("registry.npmjs", ".org"),
    ("pypi", ".org"),
    ("pythonhosted", ".org"),
    ("deb.debian", ".org"),
    ("proxy.golang", ".org"),
];

/// Paths of the machine of whoever wrote it.
const MACHINES: [(&str, &str); 3] = [("/wo", "rk/"), ("/ro", "ot/"), ("/Us", "ers/")];

pub fn check(file: &SourceFile, findings: &mut Vec<Finding>) {
    let mut found = |line: usize, what: String| findings.push(Finding::new(&file.path, line, what));
    let tabs_allowed = file.path.ends_with("Makefile");
    for (at, line) in file.text.lines().enumerate() {
        if line.ends_with([' ', '\t']) {
            found(at + 1, "space at the end of the line".to_owned());
        }
        if line.contains('\t') && !tabs_allowed {
            found(at + 1, "a tab".to_owned());
        }
        for (a, b) in UNDONE {
            if has_word(line, &[a, b].concat()) {
                found(at + 1, format!("{a}{b}: do it, or say in the text what is not there"));
            }
        }
        for (a, b) in REGISTRIES {
            if file.path != "deny.toml" && line.contains(&[a, b].concat()) {
                found(at + 1, format!("{a}{b}: a package registry is chosen by the machine, not by the tree"));
            }
        }
        for (a, b) in MACHINES {
            if line.contains(&[a, b].concat()) {
                found(at + 1, format!("{a}{b}: a path of one machine"));
            }
        }
    }
    if !file.text.is_empty() && !file.text.ends_with('\n') {
        found(file.text.lines().count(), "no newline at the end".to_owned());
    }
    if file.text.ends_with("\n\n") {
        found(file.text.lines().count(), "empty lines at the end".to_owned());
    }
}

/// Whether the line has the word, standing alone.
pub fn has_word(line: &str, word: &str) -> bool {
    let part = |c: char| c.is_alphanumeric() || c == '_';
    line.match_indices(word).any(|(at, _)| {
        !line[..at].chars().next_back().is_some_and(part) && !line[at + word.len()..].chars().next().is_some_and(part)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(path: &str, text: &str) -> Vec<String> {
        let mut findings = Vec::new();
        check(&SourceFile { path: path.to_owned(), text: text.to_owned() }, &mut findings);
        findings.into_iter().map(|finding| format!("{}: {}", finding.line, finding.what)).collect()
    }

    #[test]
    fn spaces_tabs_and_ends_are_looked_at() {
        assert_eq!(found("a.md", "fine\n"), Vec::<String>::new());
        assert_eq!(found("a.md", "fine\nbad \n"), ["2: space at the end of the line"]);
        assert_eq!(found("a.md", "a\tb\n"), ["1: a tab"]);
        assert_eq!(found("Makefile", "a:\n\tb\n"), Vec::<String>::new());
        assert_eq!(found("a.md", "open"), ["1: no newline at the end"]);
        assert_eq!(found("a.md", "a\n\n"), ["2: empty lines at the end"]);
    }

    #[test]
    fn words_count_alone_and_hosts_anywhere() {
        let undone = ["FIX", "ME"].concat();
        assert_eq!(found("a.md", &format!("a {undone}: b\n")).len(), 1);
        assert_eq!(found("a.md", &format!("a {undone}D b\n")).len(), 0);
        let host = ["https://crates", ".io/crates/x\n"].concat();
        assert_eq!(found("a.md", &host).len(), 1);
        assert_eq!(found("deny.toml", &host).len(), 0);
        assert_eq!(found("a.sh", &["cd /wo", "rk/main\n"].concat()).len(), 1);
    }
}
