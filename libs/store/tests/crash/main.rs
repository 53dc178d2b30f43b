//! The embedded store is killed, its power is cut and its files are damaged, over and over: what was
//! acknowledged is there afterwards, or the store says that it is damaged. `make crash RUNS=500 [FROM=1]`;
//! without arguments a slice of it, and with `--minutes` as many of the runs as fit. Ends with one line of JSON. First
//! of all a writer that acknowledges too early has to be caught.
//!
//! A seed decides what is written, killed and damaged, not the moment at which a process dies: a failing seed is
//! a place to look, and the directory of the failure is kept.

mod child;
mod damage;
mod disk;
mod drill;
mod history;
mod looker;
mod order;
mod payload;
mod run;
mod tally;
mod writer;

use std::{
    fs,
    io::IsTerminal,
    path::{Path, PathBuf},
    process::ExitCode,
    time::Duration,
};

use anyhow::{Context, Result, bail};
use posthorn_clock::Instant;

use crate::{disk::Disk, run::Run, tally::Tally};

/// What `cargo test` runs.
const SLICE_RUNS: u64 = 24;
const SLICE_TIME: Duration = Duration::from_secs(30);
/// Of the writer that acknowledges too early: each kill finds it nearly always.
const CONTROL_RUNS: u64 = 10;
const MEMORY: &str = "/dev/shm";
const PROGRESS_EVERY: Duration = Duration::from_secs(5);
/// Under which `cargo test NAME` and `--skip NAME` find this.
const NAME: &str = "the_embedded_store_survives_kills_power_cuts_and_damage";

fn main() -> ExitCode {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let done = match args.first().map(String::as_str) {
        Some(child::WRITE) => child_process(&args).map(|()| true),
        Some(child::LOOK) => child_process(&args).map(|()| true),
        _ => parent(&args),
    };
    match done {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("crash: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn child_process(args: &[String]) -> Result<()> {
    let [how, order, ..] = args else { bail!("a child without an order") };
    let order = serde_json::from_str(order)?;
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
    runtime.block_on(async {
        if how == child::WRITE { Box::pin(writer::run(order)).await } else { Box::pin(looker::run(order)).await }
    })
}

struct Asked {
    from: u64,
    runs: u64,
    /// `None`: the slice's, where it is one.
    time: Option<Duration>,
    slice: bool,
    without_power_cuts: bool,
}

/// `None` where the words, of `cargo test` for one, ask for something else.
fn asked(args: &[String]) -> Result<Option<Asked>> {
    let mut asked = Asked { from: 1, runs: SLICE_RUNS, time: None, slice: true, without_power_cuts: false };
    let (mut names, mut words) = (Vec::new(), args.iter().map(String::as_str));
    while let Some(word) = words.next() {
        let mut number = || -> Result<u64> { words.next().context("a number is missing")?.parse().context("a number") };
        match word {
            "--list" => return Ok(None),
            "--runs" => asked = Asked { runs: number()?, slice: false, ..asked },
            "--without-power-cuts" => asked.without_power_cuts = true,
            "--from" => asked.from = number()?,
            "--minutes" => asked.time = Some(Duration::from_secs(60 * number()?)),
            "--skip" if words.next().is_some_and(|name| NAME.contains(name)) => return Ok(None),
            "--test-threads" | "--format" | "--color" | "--logfile" | "--shuffle-seed" | "-Z" => {
                words.next();
            }
            flag if flag.starts_with('-') => {}
            name => names.push(name),
        }
    }
    let meant = names.is_empty() || names.iter().any(|name| NAME.contains(name));
    Ok(meant.then_some(asked))
}

fn parent(args: &[String]) -> Result<bool> {
    let Some(asked) = asked(args)? else { return Ok(true) };
    let tmp = Path::new(env!("CARGO_TARGET_TMPDIR"));
    let base = Base::new(tmp)?;
    // Without it, it takes longer.
    let memory = Base::new(Path::new(MEMORY)).or_else(|_| Base::new(&base.0))?;
    let mut tally = Tally::default();
    let disk = match Disk::new(&base.0) {
        Ok(disk) => Some(disk),
        Err(error) if asked.slice || asked.without_power_cuts => {
            eprintln!("power cuts: not run: needs root and loop devices ({error:#})");
            tally.not_run.push("power_cut: needs root and loop devices".to_owned());
            tally.faults_by_kind.insert("power_cut", 0);
            None
        }
        Err(error) => {
            let way_on =
                "power cuts need root and loop devices; --without-power-cuts (ARGS in make) goes on without them";
            return Err(error.context(way_on));
        }
    };
    if let Some(disk) = &disk {
        disk.loses_what_was_not_synced(&base.0)?;
    }
    is_caught_too_early([&base, &memory])?;
    let bound = asked.time.unwrap_or(if asked.slice { SLICE_TIME } else { Duration::MAX });
    let begun = Instant::now();
    let mut told = begun;
    for seed in asked.from..asked.from.saturating_add(asked.runs) {
        if begun.elapsed() >= bound {
            break;
        }
        let [dir, memory] = [&base, &memory].map(|base| base.0.join(format!("seed-{seed}")));
        fs::create_dir_all(&dir)?;
        fs::create_dir_all(&memory)?;
        tally.runs += 1;
        let ended = Run::new(seed, [&dir, &memory], disk.as_ref(), &mut tally).go();
        if let Err(error) = ended {
            tally.violations += 1;
            tally.first_failing_seed.get_or_insert(seed);
            let kept = keep(&dir, &memory, tmp, seed)?;
            eprintln!("\nseed {seed} failed: {error:#}\n  its files: {}", kept.display());
        } else {
            fs::remove_dir_all(&dir)?;
        }
        fs::remove_dir_all(&memory)?;
        if told.elapsed() >= if std::io::stderr().is_terminal() { Duration::ZERO } else { PROGRESS_EVERY } {
            told = Instant::now();
            progress(&tally, &asked, begun);
        }
    }
    drop(disk);
    let ok = tally.violations == 0 && tally.runs > 0;
    if asked.slice {
        println!(
            "test result: {}. {} passed; {} failed",
            if ok { "ok" } else { "FAILED" },
            u8::from(ok),
            u8::from(!ok)
        );
    }
    println!("{}", serde_json::to_string(&tally)?);
    Ok(ok)
}

/// A writer that says that something is stored before it is.
fn is_caught_too_early(bases: [&Base; 2]) -> Result<()> {
    for seed in 1..=CONTROL_RUNS {
        let [dir, memory] = bases.map(|base| base.0.join(format!("control-{seed}")));
        fs::create_dir_all(&dir)?;
        fs::create_dir_all(&memory)?;
        let mut nobody_counts = Tally::default();
        let mut run = Run::new(seed, [&dir, &memory], None, &mut nobody_counts);
        run.too_early = true;
        let ended = run.go();
        fs::remove_dir_all(&dir)?;
        fs::remove_dir_all(&memory)?;
        match ended {
            Err(error) if format!("{error:#}").contains("acknowledged rows are lost") => return Ok(()),
            ended => ended?,
        }
    }
    bail!("{CONTROL_RUNS} runs of a writer that acknowledges too early found nothing: this test finds nothing")
}

fn progress(tally: &Tally, asked: &Asked, begun: Instant) {
    let (ended, end) = if std::io::stderr().is_terminal() { ("\r", "") } else { ("", "\n") };
    eprint!(
        "{ended}{} of {} runs, {} faults, {} acknowledged, {} violations, {} s{end}",
        tally.runs,
        asked.runs,
        tally.faults(),
        tally.acked,
        tally.violations,
        begun.elapsed().as_secs()
    );
}

/// Moves what a failing run left out of the way of the others.
fn keep(dir: &Path, memory: &Path, tmp: &Path, seed: u64) -> Result<PathBuf> {
    let kept = tmp.join(format!("crash-failed-{seed}"));
    if kept.exists() {
        fs::remove_dir_all(&kept)?;
    }
    fs::rename(dir, &kept)?;
    run::copy_dir(memory, &kept.join("in-memory"))?;
    Ok(kept)
}

/// Where everything lies; removed at the end. What is killed and cut lies on the disk that is built on: in memory
/// nothing would be synced.
struct Base(PathBuf);

impl Base {
    fn new(tmp: &Path) -> Result<Self> {
        for entry in fs::read_dir(tmp)?.flatten() {
            let name = entry.file_name().to_string_lossy().into_owned();
            let left = name.strip_prefix("posthorn-crash-of-").filter(|pid| !Path::new("/proc").join(pid).exists());
            if left.is_some() {
                disk::clean_up(&entry.path());
                fs::remove_dir_all(entry.path())?;
            }
        }
        let base = tmp.join(format!("posthorn-crash-of-{}", std::process::id()));
        fs::create_dir_all(&base)?;
        Ok(Self(base))
    }
}

impl Drop for Base {
    fn drop(&mut self) {
        disk::clean_up(&self.0);
        let _ = fs::remove_dir_all(&self.0);
    }
}
