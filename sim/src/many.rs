//! Many seeds, several at a time.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    io::{IsTerminal, Write},
    path::{Path, PathBuf},
    process::{Command, Output},
    sync::{
        atomic::{AtomicU64, Ordering::Relaxed},
        mpsc,
    },
    thread,
};

use anyhow::{Context, Result};

use crate::{Report, broken::Broken, coverage, reduce};

/// Seeds whose faults are left out one by one; the others that fail are only told.
const MAX_REDUCED: usize = 3;
/// Seeds between two lines of progress.
const PROGRESS: usize = 50;

/// Runs one seed, in a process of its own.
struct Runner {
    program: PathBuf,
    broken: Option<Broken>,
}

/// What is known of a seed that was run.
struct Ran {
    /// `None`: it died before it could say.
    report: Option<Report>,
    violations: Vec<String>,
    /// Where it is, of one that failed.
    kept: Option<String>,
}

pub fn run((from, step, seeds): (u64, u64, u64), jobs: Option<usize>, broken: Option<Broken>) -> Result<Report> {
    let runner = Runner { program: std::env::current_exe()?, broken };
    let jobs = jobs.unwrap_or_else(|| thread::available_parallelism().map_or(1, usize::from)).max(1);
    let next = AtomicU64::new(0);
    let (done, results) = mpsc::channel();
    let mut all = BTreeMap::new();
    thread::scope(|scope| {
        for _ in 0..jobs {
            let (runner, next, done) = (&runner, &next, done.clone());
            scope.spawn(move || {
                loop {
                    let nth = next.fetch_add(1, Relaxed);
                    let seed = from + nth * step;
                    if nth >= seeds || done.send((seed, runner.whole(seed))).is_err() {
                        return;
                    }
                }
            });
        }
        drop(done);
        for (seed, ran) in results {
            let failed = ran.kept.clone();
            all.insert(seed, ran);
            progress(all.len(), seeds, failed.map(|kept| (seed, kept)));
        }
    });
    let (mut total, mut seen) = (Report { seeds, ..Report::default() }, BTreeMap::new());
    let mut reduced = 0;
    for (seed, Ran { report, violations, .. }) in all {
        for violation in &violations {
            println!("seed {seed}: {violation}");
        }
        if !violations.is_empty() {
            total.violations += violations.len() as u64;
            total.first_failing_seed = total.first_failing_seed.or(Some(seed));
            if reduced < MAX_REDUCED {
                reduced += 1;
                let faults = report.as_ref().and_then(|report| report.run.as_ref()).map(|run| run.faults);
                let again = runner.reduced(seed, faults);
                eprintln!("seed {seed} fails with: posthorn-sim {again}");
            }
        }
        let Some(report) = report else { continue };
        total.operations += report.operations;
        total.acked += report.acked;
        total.histories_checked += report.histories_checked;
        coverage::add(&mut total.faults_by_kind, report.faults_by_kind);
        coverage::add(&mut seen, report.run.unwrap_or_default().seen);
    }
    println!("seen: {}", seen.iter().map(|(sight, times)| format!("{sight} {times}")).collect::<Vec<_>>().join(", "));
    // Of every kind of seed.
    let every = if step == 1 { seeds } else { 0 };
    for missing in coverage::missing(every, &total.faults_by_kind, &seen) {
        println!("{missing}");
        total.violations += 1;
    }
    Ok(total)
}

/// A line that is written over; where that cannot be, one now and then.
fn progress(done: usize, of: u64, failed: Option<(u64, String)>) {
    let mut err = std::io::stderr();
    let (begin, last) = (if err.is_terminal() { "\r" } else { "" }, done as u64 == of);
    if let Some((seed, kept)) = failed {
        let _ = writeln!(err, "{begin}seed {seed} failed ({kept}); the others are run first");
    }
    if !begin.is_empty() || last || done.is_multiple_of(PROGRESS) {
        let _ = write!(err, "{begin}{done} of {of} seeds");
        let _ = if begin.is_empty() || last { writeln!(err) } else { err.flush() };
    }
}

impl Runner {
    fn output(&self, seed: u64, only: Option<&BTreeSet<usize>>) -> Result<Output> {
        let mut command = Command::new(&self.program);
        command.args(["--seed", &seed.to_string()]);
        if let Some(only) = only {
            command.args(["--only", &reduce::list(only)]);
        }
        if let Some(broken) = self.broken {
            command.args(["--broken", broken.as_str()]);
        }
        command.output().context("not run")
    }

    fn whole(&self, seed: u64) -> Ran {
        let output = match self.output(seed, None) {
            Ok(output) => output,
            Err(error) => {
                return Ran { report: None, violations: vec![format!("{error:#}")], kept: Some(String::new()) };
            }
        };
        let report = report_of(&output);
        // One that died without a word has broken all of the rules.
        let violations = match &report {
            Some(report) => report.run.as_ref().map_or_else(Vec::new, |run| run.violations.clone()),
            None => vec![format!("printed no report, {}", output.status)],
        };
        let kept = (!violations.is_empty()).then(|| keep(&self.program, seed, &output));
        Ran { report, violations, kept }
    }

    /// What to call for as few of its faults as it fails with; `None`: nobody knows how many it has.
    fn reduced(&self, seed: u64, faults: Option<usize>) -> String {
        let Some(faults) = faults else { return format!("--seed {seed}") };
        let fails = |fewer: &BTreeSet<usize>| {
            let report = self.output(seed, Some(fewer)).ok().and_then(|output| report_of(&output));
            // A death is a failure.
            report.is_none_or(|report| report.violations > 0)
        };
        format!("--seed {seed} --only {}", reduce::list(&reduce::reduce(faults, fails)))
    }
}

fn report_of(output: &Output) -> Option<Report> {
    serde_json::from_str(String::from_utf8_lossy(&output.stdout).lines().last()?).ok()
}

/// Its history and what it logged, beside what was built; says where.
fn keep(program: &Path, seed: u64, output: &Output) -> String {
    let target = program.parent().and_then(Path::parent).unwrap_or(Path::new("target"));
    let folder = target.join("sim");
    let at = |end: &str| folder.join(format!("seed-{seed}.{end}"));
    let text = String::from_utf8_lossy(&output.stdout);
    let history: String =
        text.lines().filter(|line| !line.starts_with("{\"seeds\"")).map(|l| l.to_owned() + "\n").collect();
    let written = fs::create_dir_all(&folder)
        .and_then(|()| fs::write(at("jsonl"), history))
        .and_then(|()| fs::write(at("stderr"), &output.stderr));
    match written {
        Ok(()) => format!("{}, {}", at("jsonl").display(), at("stderr").display()),
        Err(error) => format!("not kept: {error}"),
    }
}
