//! What the steps took and how they ended, kept between `test` and `lint`.

use std::{
    fs,
    path::{Path, PathBuf},
};

use anyhow::{Context, Result};
use serde_json::{Value, json};

#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    Setup,
    Build,
    Test,
    Check,
}

impl Kind {
    const ALL: [(Self, &'static str); 4] =
        [(Self::Setup, "installing"), (Self::Build, "building"), (Self::Test, "testing"), (Self::Check, "checking")];

    fn word(self) -> &'static str {
        Self::ALL.iter().find(|(kind, _)| *kind == self).map_or("", |(_, word)| word)
    }
}

/// A finished step.
pub struct Entry {
    pub name: String,
    pub kind: Kind,
    pub ok: bool,
    pub seconds: f64,
    /// Single tests in it, of kind [`Kind::Test`].
    pub passed: u64,
    pub failed: u64,
}

#[derive(Default)]
pub struct Report {
    entries: Vec<Entry>,
}

impl Report {
    /// Adds a step and prints its line.
    pub fn add(&mut self, entry: Entry) {
        let word = if entry.ok { "ok" } else { "FAILED" };
        let counts = if entry.kind == Kind::Test {
            format!(": {} passed, {} failed", entry.passed, entry.failed)
        } else {
            String::new()
        };
        println!("{:>8.1} s  {:<6}  {}{counts}", entry.seconds, word, entry.name);
        self.entries.push(entry);
    }

    pub fn ok(&self) -> bool {
        self.entries.iter().all(|entry| entry.ok)
    }

    /// Passed and failed tests. A failed step without a failed test counts as one.
    pub fn tests(&self) -> (u64, u64) {
        let passed = self.entries.iter().map(|entry| entry.passed).sum();
        let failed = self
            .entries
            .iter()
            .filter(|entry| entry.kind != Kind::Check)
            .map(|entry| if entry.ok { entry.failed } else { entry.failed.max(1) })
            .sum();
        (passed, failed)
    }

    /// Seconds by kind, such as `building 301 s, testing 95 s`.
    pub fn times(&self) -> String {
        let sums = Kind::ALL.iter().map(|(kind, word)| {
            let steps = self.entries.iter().filter(|entry| entry.kind == *kind);
            format!("{word} {:.0} s", steps.fold(0.0, |sum, entry| sum + entry.seconds))
        });
        sums.collect::<Vec<_>>().join(", ")
    }

    /// The names of the failed steps.
    pub fn failed(&self) -> Vec<&str> {
        self.entries.iter().filter(|entry| !entry.ok).map(|entry| entry.name.as_str()).collect()
    }

    /// What failed, what building and testing took, and the numbers of tests as `cargo test` tells them.
    pub fn print_end(&self) {
        for name in self.failed() {
            println!("failed: {name} (target/xtask/{}.log)", name.replace(' ', "-"));
        }
        println!("{}", self.times());
        if self.ok() && !self.entries.iter().any(|entry| entry.kind == Kind::Test) {
            return;
        }
        let (passed, failed) = self.tests();
        let word = if self.ok() { "ok" } else { "FAILED" };
        println!("test result: {word}. {passed} passed; {failed} failed");
    }

    /// # Errors
    /// The folder of the build cannot be written.
    pub fn save(&self, root: &Path) -> Result<()> {
        let rows: Vec<Value> = self
            .entries
            .iter()
            .map(|e| {
                json!({"name": e.name, "kind": e.kind.word(), "ok": e.ok, "seconds": e.seconds,
                       "passed": e.passed, "failed": e.failed})
            })
            .collect();
        let path = path(root);
        fs::create_dir_all(path.parent().unwrap_or(root))?;
        fs::write(&path, serde_json::to_vec_pretty(&rows)?).with_context(|| path.display().to_string())
    }

    /// Takes away the report of an earlier `test`.
    pub fn forget(root: &Path) {
        let _ = fs::remove_file(path(root));
    }

    /// The report of the last `test`, or an empty one.
    pub fn load(root: &Path) -> Self {
        let text = fs::read(path(root)).unwrap_or_default();
        let rows: Vec<Value> = serde_json::from_slice(&text).unwrap_or_default();
        Self { entries: rows.iter().filter_map(entry).collect() }
    }
}

fn entry(row: &Value) -> Option<Entry> {
    let word = row.get("kind")?.as_str()?;
    Some(Entry {
        name: row.get("name")?.as_str()?.to_owned(),
        kind: Kind::ALL.iter().find(|(_, other)| *other == word)?.0,
        ok: row.get("ok")?.as_bool()?,
        seconds: row.get("seconds")?.as_f64()?,
        passed: row.get("passed")?.as_u64()?,
        failed: row.get("failed")?.as_u64()?,
    })
}

fn path(root: &Path) -> PathBuf {
    root.join("target/xtask/tests.json")
}

/// Passed and failed tests in the output of `cargo test`, of the browser test, or of node's runner.
pub fn counts(lines: &[String]) -> (u64, u64) {
    let mut sums = (0, 0);
    for line in lines {
        let line = line.trim();
        if line.starts_with("test result:") || line.ends_with(" failed") && line.contains(" passed, ") {
            sums.0 += before(line, " passed");
            sums.1 += before(line, " failed");
        } else if let Some(n) = line.strip_prefix("# pass ") {
            sums.0 += n.parse::<u64>().unwrap_or(0);
        } else if let Some(n) = line.strip_prefix("# fail ") {
            sums.1 += n.parse::<u64>().unwrap_or(0);
        }
    }
    sums
}

/// The number that stands before the word.
fn before(line: &str, word: &str) -> u64 {
    let head = line.find(word).map_or("", |at| &line[..at]);
    head.rsplit(' ').next().and_then(|number| number.parse().ok()).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn step(kind: Kind, ok: bool, passed: u64, failed: u64) -> Entry {
        Entry { name: "a".to_owned(), kind, ok, seconds: 1.5, passed, failed }
    }

    #[test]
    fn counts_are_read_from_each_kind_of_output() {
        let lines = [
            "running 3 tests",
            "test result: ok. 3 passed; 0 failed; 0 ignored; 0 measured; 0 filtered out; finished in 0.00s",
            "test result: FAILED. 4 passed; 2 failed; 0 ignored; 0 measured; 0 filtered out",
            "# pass 5",
            "# fail 1",
            "10 passed, 0 failed",
        ];
        assert_eq!(counts(&lines.map(str::to_owned)), (22, 3));
    }

    #[test]
    fn a_step_that_fails_without_a_test_counts_as_one_failure() {
        let mut report = Report::default();
        report.add(step(Kind::Test, true, 7, 0));
        report.add(step(Kind::Build, false, 0, 0));
        assert_eq!(report.tests(), (7, 1));
        assert!(!report.ok());
        assert_eq!(report.times(), "installing 0 s, building 2 s, testing 2 s, checking 0 s");
    }

    #[test]
    fn a_report_is_read_as_it_was_saved() {
        let folder = tempfile::tempdir().expect("a folder");
        let mut report = Report::default();
        report.add(step(Kind::Test, false, 2, 1));
        report.save(folder.path()).expect("saved");
        let again = Report::load(folder.path());
        assert_eq!(again.tests(), (2, 1));
        assert_eq!(again.failed(), ["a"]);
        assert_eq!(Report::load(&folder.path().join("nowhere")).tests(), (0, 0));
    }
}
