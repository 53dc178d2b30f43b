//! Decoders under damaged input: what was recorded, mutated from a fixed seed, within a bound of executions. A panic,
//! or an execution that takes far too long, fails the test and leaves its input in
//! fixtures/fuzz/regressions/TARGET, which every later run begins with. `make fuzz SECONDS=N` goes on for so
//! long with each target.
//!
//! Own code, since the fuzzers of the registry mutate only where the compiler instruments for them: in an ordinary test
//! they draw blindly, and from blind bytes hardly a frame comes that decodes.

mod mutate;
mod seeds;
mod targets;

use std::{
    collections::BTreeSet,
    fs::{self, File},
    io::Write as _,
    panic::{AssertUnwindSafe, catch_unwind},
    path::{Path, PathBuf},
    time::Duration,
};

use posthorn_clock::Instant;

use mutate::Mutator;

/// Of a target in one ordinary run.
const EXECUTIONS: u64 = 20_000;
const RUN: Duration = Duration::from_secs(5);
/// Thousands of times what the slowest takes, also where the machine is busy with others.
const TOO_LONG: Duration = Duration::from_secs(60);
/// Growth of the whole process while a target runs, beyond which something keeps or announces memory.
const TOO_MUCH_BYTES: u64 = 1 << 30;
/// Inputs whose outcome was new, kept to be mutated further.
const POOL: usize = 512;

/// Runs one input; the word says what became of it, so that new paths are noticed.
pub type Run<'a> = &'a mut dyn FnMut(&[u8]) -> String;

/// Mutates the seeds until the bound, and says what came of it: in words, and as a line of JSON in the file that
/// `POSTHORN_REPORT` names.
fn fuzz(target: &str, seeds: Vec<Vec<u8>>, run: Run<'_>) {
    let mut pool: Vec<Vec<u8>> =
        [seeds, files(&folder("corpus", target)), files(&folder("regressions", target))].concat();
    assert!(!pool.is_empty(), "{target} has no seeds");
    let mut search = Search { target, run, outcomes: BTreeSet::new(), executions: 0, before: peak_bytes() };
    let result = search.go_on(&mut pool);
    let (executions, outcomes) = (search.executions, search.outcomes.len());
    println!("{target}: {executions} executions, {outcomes} outcomes, {} seeds", pool.len());
    if let Some(path) = std::env::var_os("POSTHORN_REPORT") {
        let failed = result.is_err();
        let report =
            serde_json::json!({"target": target, "executions": executions, "outcomes": outcomes, "failed": failed});
        // In one write: targets run beside each other.
        let mut file = File::options().create(true).append(true).open(path).expect("a report");
        file.write_all(format!("{report}\n").as_bytes()).expect("a report");
    }
    if let Err(why) = result {
        panic!("{target}: {why}");
    }
}

struct Search<'a> {
    target: &'a str,
    run: Run<'a>,
    /// Every word that an execution ended with.
    outcomes: BTreeSet<String>,
    executions: u64,
    /// The process's peak when it began.
    before: u64,
}

impl Search<'_> {
    fn go_on(&mut self, pool: &mut Vec<Vec<u8>>) -> Result<(), String> {
        let started = Instant::now();
        for seed in &*pool {
            self.execute(seed)?;
        }
        let seconds = std::env::var("POSTHORN_FUZZ_SECONDS").ok().and_then(|text| text.parse().ok());
        let (most, limit) = seconds.map_or((EXECUTIONS, RUN), |n| (u64::MAX, Duration::from_secs(n)));
        let mut mutator = Mutator::new(self.target);
        while self.executions < most && started.elapsed() < limit {
            let input = mutator.mutated(pool);
            if self.execute(&input)? && pool.len() < POOL {
                pool.push(input);
            }
        }
        Ok(())
    }

    /// Whether its outcome is new.
    fn execute(&mut self, input: &[u8]) -> Result<bool, String> {
        self.executions += 1;
        let begun = Instant::now();
        let outcome = catch_unwind(AssertUnwindSafe(|| (self.run)(input)));
        let (took, grown) = (begun.elapsed(), peak_bytes().saturating_sub(self.before));
        match outcome {
            Ok(word) if took <= TOO_LONG && grown <= TOO_MUCH_BYTES => Ok(self.outcomes.insert(word)),
            outcome => {
                let path = keep(&folder("regressions", self.target), input);
                Err(format!("took {took:?}, grew by {grown} bytes, panicked: {}; {path}", outcome.is_err()))
            }
        }
    }
}

fn folder(kind: &str, target: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("fixtures/fuzz").join(kind).join(target)
}

fn files(folder: &Path) -> Vec<Vec<u8>> {
    let Ok(entries) = fs::read_dir(folder) else { return Vec::new() };
    let mut paths: Vec<PathBuf> = entries.filter_map(|entry| Some(entry.ok()?.path())).collect();
    paths.sort();
    paths.iter().filter_map(|path| fs::read(path).ok()).collect()
}

fn keep(folder: &Path, input: &[u8]) -> String {
    let name = name_of(input);
    let path = folder.join(format!("{name:016x}"));
    let kept = fs::create_dir_all(folder).and_then(|()| fs::write(&path, input));
    kept.map_or_else(|why| format!("not kept: {why}: {input:?}"), |()| format!("see {}", path.display()))
}

/// FNV-1a.
fn name_of(bytes: &[u8]) -> u64 {
    bytes.iter().fold(0xcbf2_9ce4_8422_2325, |hash, byte| (hash ^ u64::from(*byte)).wrapping_mul(0x100_0000_01b3))
}

/// The most memory that the process ever had; 0 where the system does not say.
fn peak_bytes() -> u64 {
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    line.and_then(|line| line.split_whitespace().next()?.parse::<u64>().ok()).unwrap_or(0) * 1_024
}
