//! Decoders under damaged input: what was recorded, mutated from a fixed seed, within a bound of executions. A panic,
//! or an execution that takes far too long, fails the test and leaves its input in
//! fixtures/fuzz/regressions/TARGET, which every later run begins with. `POSTHORN_FUZZ_SECONDS=N` goes on for so long
//! with each target.
//!
//! Own code, since the fuzzers of the registry mutate only where the compiler instruments for them: in an ordinary test
//! they draw blindly, and from blind bytes hardly a frame comes that decodes.

mod mutate;
mod seeds;
mod targets;

use std::{
    collections::BTreeSet,
    fs,
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

/// Mutates the seeds until the bound.
fn fuzz(target: &str, seeds: Vec<Vec<u8>>, run: Run<'_>) {
    let folder = |kind: &str| PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("fixtures/fuzz").join(kind).join(target);
    let mut pool: Vec<Vec<u8>> = [seeds, files(&folder("corpus")), files(&folder("regressions"))].concat();
    assert!(!pool.is_empty(), "{target} has no seeds");
    let (mut outcomes, started, before) = (BTreeSet::new(), Instant::now(), peak_bytes());
    let mut execute = |input: &[u8]| {
        let begun = Instant::now();
        let outcome = catch_unwind(AssertUnwindSafe(|| run(input)));
        let (took, grown) = (begun.elapsed(), peak_bytes().saturating_sub(before));
        if outcome.is_err() || took > TOO_LONG || grown > TOO_MUCH_BYTES {
            let path = keep(&folder("regressions"), input);
            panic!("{target}: took {took:?}, grew by {grown} bytes, panicked: {}; {path}", outcome.is_err());
        }
        outcome.is_ok_and(|word| outcomes.insert(word))
    };
    for seed in &pool {
        execute(seed);
    }
    let seconds = std::env::var("POSTHORN_FUZZ_SECONDS").ok().and_then(|text| text.parse().ok());
    let (most, limit) = seconds.map_or((EXECUTIONS, RUN), |n| (u64::MAX, Duration::from_secs(n)));
    let (mut mutator, mut executions) = (Mutator::new(target), 0);
    while executions < most && started.elapsed() < limit {
        let input = mutator.mutated(&pool);
        executions += 1;
        if execute(&input) && pool.len() < POOL {
            pool.push(input);
        }
    }
    println!("{target}: {executions} executions, {} outcomes, {} seeds", outcomes.len(), pool.len());
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
