//! Many seeds, several at a time, and what is left of a seed that fails.

use std::{
    collections::BTreeSet,
    io::{IsTerminal, Write},
    path::PathBuf,
    process::Command,
    sync::{
        atomic::{AtomicU64, Ordering::Relaxed},
        mpsc,
    },
    thread,
};

use anyhow::{Context, Result};

use crate::Report;

/// Seeds whose faults are left out one by one; the others that fail are only told.
const MAX_REDUCED: usize = 3;
/// Seeds between two lines of progress.
const PROGRESS: usize = 50;

pub fn run(from: u64, seeds: u64, jobs: Option<usize>) -> Result<Report> {
    let program = std::env::current_exe()?;
    let jobs = jobs.unwrap_or_else(|| thread::available_parallelism().map_or(1, usize::from)).max(1);
    let next = AtomicU64::new(from);
    let (done, results) = mpsc::channel();
    let mut reports = Vec::new();
    thread::scope(|scope| {
        for _ in 0..jobs {
            let (program, next, done) = (&program, &next, done.clone());
            scope.spawn(move || {
                loop {
                    let seed = next.fetch_add(1, Relaxed);
                    if seed >= from + seeds || done.send((seed, one(program, seed, None))).is_err() {
                        return;
                    }
                }
            });
        }
        drop(done);
        for (seed, result) in results {
            // One that died without a word has broken all of the rules.
            let report: Report =
                result.unwrap_or_else(|error| Report { violations: vec![format!("{error:#}")], ..Report::default() });
            let failed = !report.violations.is_empty();
            reports.push((seed, report));
            progress(reports.len(), seeds, failed.then_some(seed));
        }
    });
    reports.sort_by_key(|(seed, _)| *seed);
    let mut total = Report { seeds, ..Report::default() };
    let mut reduced = 0;
    for (seed, report) in reports {
        total.operations += report.operations;
        total.acked += report.acked;
        total.histories_checked += report.histories_checked;
        for (kind, count) in report.faults_by_kind {
            *total.faults_by_kind.entry(kind).or_default() += count;
        }
        if !report.violations.is_empty() {
            total.first_failing_seed = total.first_failing_seed.or(Some(seed));
            if reduced < MAX_REDUCED {
                reduced += 1;
                let left = reduce(&program, seed, report.faults.unwrap_or(0))?;
                eprintln!("seed {seed} fails with {left}: posthorn-sim --seed {seed} {left}");
            }
        }
        total.violations.extend(report.violations.into_iter().map(|violation| format!("seed {seed}: {violation}")));
    }
    Ok(total)
}

/// A line that is written over; where that cannot be, one now and then.
fn progress(done: usize, of: u64, failed: Option<u64>) {
    let mut err = std::io::stderr();
    let (begin, last) = (if err.is_terminal() { "\r" } else { "" }, done as u64 == of);
    if let Some(seed) = failed {
        let _ = writeln!(err, "{begin}seed {seed} failed; the others are run first");
    }
    if !begin.is_empty() || last || done.is_multiple_of(PROGRESS) {
        let _ = write!(err, "{begin}{done} of {of} seeds");
        let _ = if begin.is_empty() || last { writeln!(err) } else { err.flush() };
    }
}

fn one(program: &PathBuf, seed: u64, only: Option<&BTreeSet<usize>>) -> Result<Report> {
    let mut command = Command::new(program);
    command.args(["--seed", &seed.to_string()]);
    if let Some(only) = only {
        command.args(["--only", &list(only)]);
    }
    let output = command.output()?;
    let text = String::from_utf8_lossy(&output.stdout);
    let said = || format!("seed {seed} printed no report: {}", String::from_utf8_lossy(&output.stderr));
    let last = text.lines().last().with_context(said)?;
    serde_json::from_str(last).with_context(said)
}

fn list(faults: &BTreeSet<usize>) -> String {
    // A number that no fault has: none of them.
    if faults.is_empty() {
        return usize::MAX.to_string();
    }
    faults.iter().map(usize::to_string).collect::<Vec<_>>().join(",")
}

/// The faults without which it no longer fails.
fn reduce(program: &PathBuf, seed: u64, faults: usize) -> Result<String> {
    let mut left: BTreeSet<usize> = (0..faults).collect();
    for fault in 0..faults {
        let mut fewer = left.clone();
        fewer.remove(&fault);
        if !one(program, seed, Some(&fewer))?.violations.is_empty() {
            left = fewer;
        }
    }
    Ok(format!("--only {}", list(&left)))
}
