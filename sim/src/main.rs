//! `posthorn-sim --seeds N [--from S]`: one run per seed, each deterministic; ends with one line of
//! JSON, and with an error if any history breaks a rule.

mod check;
mod history;
mod net;
mod person;
mod scenario;
mod server;

use std::process::ExitCode;

use clap::Parser;
use serde_json::json;

#[derive(Parser)]
struct Args {
    /// How many seeds
    #[arg(long, default_value_t = 50)]
    seeds: u64,
    /// The first of them
    #[arg(long, default_value_t = 1)]
    from: u64,
    /// Print the history of each seed
    #[arg(long)]
    history: bool,
}

fn main() -> anyhow::Result<ExitCode> {
    let args = Args::parse();
    let (mut operations, mut acked, mut crashes, mut violations, mut first) = (0, 0, 0, 0, None);
    for seed in args.from..args.from + args.seeds {
        let outcome = scenario::run(seed)?;
        let counts = outcome.counts();
        operations += counts.0;
        acked += counts.1;
        crashes += outcome.crashes;
        violations += outcome.violations.len();
        if !outcome.violations.is_empty() {
            first.get_or_insert(outcome.seed);
            for violation in &outcome.violations {
                eprintln!("seed {seed}: {violation}");
            }
        }
        if args.history {
            print!("{}", outcome.history.lines());
        }
    }
    let report = json!({
        "seeds": args.seeds,
        "operations": operations,
        "acked": acked,
        "histories_checked": args.seeds,
        "faults_by_kind": { "crash": crashes },
        "violations": violations,
        "first_failing_seed": first,
    });
    println!("{report}");
    Ok(if violations == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}
