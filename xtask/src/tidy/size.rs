//! Files stay small enough to be read in one sitting.

use super::rust;
use crate::tree::{Finding, SourceFile};

/// Lines of a file, without tests, from which it is worth splitting, and beyond which it must be.
const SOFT_LINES: usize = 400;
const HARD_LINES: usize = 600;
const ARCHITECTURE_LINES: usize = 250;
const CODE: [&str; 7] = [".rs", ".js", ".mjs", ".css", ".html", ".proto", ".sh"];

pub fn check(file: &SourceFile, findings: &mut Vec<Finding>) {
    if let Some(lines) = counted(file).filter(|lines| *lines > HARD_LINES) {
        findings.push(Finding::new(&file.path, 0, format!("{lines} lines without tests: more than {HARD_LINES}")));
    }
    let lines = file.text.lines().count();
    if file.path == "ARCHITECTURE.md" && lines >= ARCHITECTURE_LINES {
        findings.push(Finding::new(&file.path, 0, format!("{lines} lines: not under {ARCHITECTURE_LINES}")));
    }
}

pub fn warning(file: &SourceFile) -> Option<String> {
    let lines = counted(file).filter(|lines| *lines > SOFT_LINES && *lines <= HARD_LINES)?;
    Some(format!("{}: {lines} lines without tests (aim at {SOFT_LINES})", file.path))
}

fn counted(file: &SourceFile) -> Option<usize> {
    if file.is_generated() || file.is_recorded() || file.is_test() {
        return None;
    }
    if file.path.ends_with(".rs") {
        return Some(rust::lines_without_tests(&file.text));
    }
    CODE.iter().any(|end| file.path.ends_with(end)).then(|| file.text.lines().count())
}
