//! `posthorn-sim --seeds N [--from S]`: one run per seed, each deterministic; ends with one line of
//! JSON, and with an error if any history breaks a rule. A seed that fails is run again with ever fewer of its
//! faults; `--seed N --only 0,3` is such a run. What it printed is kept below `target/sim`. Those that failed once
//! stay in `seeds.txt`, and are run by the tests.
//!
//! Every seed runs in a process of its own: the runtime numbers its tasks per process, and the order
//! in which a crash ends them follows these numbers.

mod alone;
mod broken;
mod coverage;
mod crowd;
mod engines;
mod faults;
mod feed;
mod fleet;
mod guests;
mod heard;
mod history;
mod many;
mod net;
mod panics;
mod person;
mod plan;
mod quorum;
mod reduce;
mod scenario;
mod soft;
mod storm;
mod world;

use std::{collections::BTreeMap, process::ExitCode};

use anyhow::Result;
use clap::Parser;
use rand::{SeedableRng, rngs::StdRng};
use serde::{Deserialize, Serialize};

use crate::{broken::Broken, scenario::Options};

#[derive(Parser)]
struct Args {
    /// How many seeds
    #[arg(long, default_value_t = 50)]
    seeds: u64,
    /// The first of them
    #[arg(long, default_value_t = 1)]
    from: u64,
    /// From one to the next
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u64).range(1..))]
    step: u64,
    /// Runs beside each other [default: one per core]
    #[arg(long)]
    jobs: Option<usize>,
    /// Run this seed in this process, and print its history before its report
    #[arg(long, conflicts_with_all = ["seeds", "from", "step", "jobs"])]
    seed: Option<u64>,
    /// Of its faults only those with these numbers, from 0
    #[arg(long, requires = "seed", value_delimiter = ',')]
    only: Option<Vec<usize>>,
    /// What the services log, on stderr: as RUST_LOG
    #[arg(long, requires = "seed")]
    log: Option<String>,
    /// A control: some runs must fail
    #[arg(long, hide = true)]
    broken: Option<Broken>,
}

/// The last line.
#[derive(Default, Serialize, Deserialize)]
struct Report {
    seeds: u64,
    operations: u64,
    acked: u64,
    histories_checked: u64,
    faults_by_kind: BTreeMap<String, u64>,
    violations: u64,
    first_failing_seed: Option<u64>,
    /// Of a seed alone.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    run: Option<Run>,
}

#[derive(Default, Serialize, Deserialize)]
struct Run {
    /// How many there are to leave out.
    faults: usize,
    /// What the checker saw, and how often.
    seen: BTreeMap<String, u64>,
    violations: Vec<String>,
}

fn main() -> Result<ExitCode> {
    let args = Args::parse();
    let report = match args.seed {
        Some(seed) => {
            if let Some(filter) = &args.log {
                posthorn_telemetry::init_logs(filter, posthorn_telemetry::LogFormat::Text);
            }
            one(seed, Options { only: args.only, broken: args.broken })?
        }
        None => many::run((args.from, args.step, args.seeds), args.jobs, args.broken)?,
    };
    println!("{}", serde_json::to_string(&report)?);
    Ok(if report.violations == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

fn one(seed: u64, options: Options) -> Result<Report> {
    panics::note();
    mad_turmoil::rand::set_rng(StdRng::seed_from_u64(seed));
    let outcome = scenario::run(seed, options)?;
    print!("{}", outcome.history.lines());
    let (operations, acked) = outcome.counts();
    let violations = outcome.violations.len() as u64;
    Ok(Report {
        seeds: 1,
        operations,
        acked,
        histories_checked: 1,
        faults_by_kind: outcome.faults,
        violations,
        first_failing_seed: (violations > 0).then_some(seed),
        run: Some(Run { faults: outcome.planned, seen: outcome.seen, violations: outcome.violations }),
    })
}
