//! `posthorn-sim --seeds N [--from S]`: one run per seed, each deterministic; ends with one line of
//! JSON, and with an error if any history breaks a rule.
//!
//! Every seed runs in a process of its own: the runtime numbers its tasks per process, and the order
//! in which a crash ends them follows these numbers.

mod alone;
mod engines;
mod faults;
mod fleet;
mod history;
mod net;
mod person;
mod scenario;
mod world;

use std::{
    collections::BTreeMap,
    process::{Command, ExitCode},
};

use anyhow::{Context, Result};
use clap::Parser;
use rand::{SeedableRng, rngs::StdRng};
use serde::{Deserialize, Serialize};

#[derive(Parser)]
struct Args {
    /// How many seeds
    #[arg(long, default_value_t = 50)]
    seeds: u64,
    /// The first of them
    #[arg(long, default_value_t = 1)]
    from: u64,
    /// Run this seed in this process, and print its history before its report
    #[arg(long, conflicts_with_all = ["seeds", "from"])]
    seed: Option<u64>,
}

/// The last line.
#[derive(Default, Serialize, Deserialize)]
struct Report {
    seeds: u64,
    operations: u64,
    acked: u64,
    histories_checked: u64,
    faults_by_kind: BTreeMap<String, u64>,
    violations: Vec<String>,
    first_failing_seed: Option<u64>,
}

fn main() -> Result<ExitCode> {
    let args = Args::parse();
    let report = match args.seed {
        Some(seed) => one(seed)?,
        None => many(args.from, args.seeds)?,
    };
    println!("{}", serde_json::to_string(&report)?);
    Ok(if report.violations.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

fn one(seed: u64) -> Result<Report> {
    mad_turmoil::rand::set_rng(StdRng::seed_from_u64(seed));
    let outcome = scenario::run(seed)?;
    print!("{}", outcome.history.lines());
    let (operations, acked) = outcome.counts();
    Ok(Report {
        seeds: 1,
        operations,
        acked,
        histories_checked: 1,
        faults_by_kind: outcome.faults.iter().map(|(kind, count)| ((*kind).to_owned(), *count)).collect(),
        first_failing_seed: (!outcome.violations.is_empty()).then_some(seed),
        violations: outcome.violations,
    })
}

fn many(from: u64, seeds: u64) -> Result<Report> {
    let program = std::env::current_exe()?;
    let mut total = Report { seeds, ..Report::default() };
    for seed in from..from + seeds {
        let output = Command::new(&program).args(["--seed", &seed.to_string()]).output()?;
        let text = String::from_utf8_lossy(&output.stdout);
        let last = text
            .lines()
            .last()
            .with_context(|| format!("seed {seed} printed no report: {}", String::from_utf8_lossy(&output.stderr)))?;
        let report: Report = serde_json::from_str(last).with_context(|| format!("seed {seed}: {last}"))?;
        total.operations += report.operations;
        total.acked += report.acked;
        total.histories_checked += 1;
        for (kind, count) in report.faults_by_kind {
            *total.faults_by_kind.entry(kind).or_default() += count;
        }
        total.first_failing_seed = total.first_failing_seed.or(report.first_failing_seed);
        total.violations.extend(report.violations.into_iter().map(|violation| format!("seed {seed}: {violation}")));
    }
    Ok(total)
}
