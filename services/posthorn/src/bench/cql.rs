//! `posthorn bench cql`: what an append costs beside a plain insert of the same row, by the same driver, on
//! the same database, in the same run.

use std::{fmt::Write as _, process::ExitCode, time::Duration};

use anyhow::Result;
use clap::Args;
use posthorn_engines::cassandra::{Cassandra, Options as EngineOptions};
use posthorn_store_cql::{
    CqlConfig,
    bench::{self, Measured, Options, Report},
};
use serde::Serialize;

use super::{RELEASE, told};

/// Below it an append is too dear; the aim is higher.
const MIN_RATIO: f64 = 0.6;
const AIM_RATIO: f64 = 0.8;
const MAX_CONDITIONAL_PER_MESSAGE: f64 = 0.02;

#[derive(Args)]
pub struct CqlArgs {
    /// `host:port` of a node; without one, Cassandra is started here (Java 17, and Maven once)
    #[arg(long, value_name = "NODE")]
    node: Vec<String>,
    /// Replicas of each row
    #[arg(long, default_value_t = 1, value_name = "N")]
    replication: u8,
    /// Seconds of each way to write in each round
    #[arg(long, default_value_t = 10, value_name = "S")]
    seconds: u64,
    /// Rounds that count; one before them does not
    #[arg(long, default_value_t = 3, value_name = "N")]
    rounds: usize,
    /// Conversations, each with one message in flight
    #[arg(long, default_value_t = 256, value_name = "N")]
    conversations: usize,
    /// JSON instead of a table
    #[arg(long)]
    json: bool,
}

#[derive(Serialize)]
struct Benched {
    #[serde(flatten)]
    report: Report,
    min_ratio: f64,
    aim_ratio: f64,
    max_conditional_per_message: f64,
    /// Whether the first and the last of these are kept.
    met: bool,
    /// The build: only a release build's figures mean anything.
    release: bool,
}

pub async fn run(args: CqlArgs) -> Result<ExitCode> {
    let started = if args.node.is_empty() {
        Some(Cassandra::start(EngineOptions { forgets_tables: true, ..EngineOptions::single() }).await?)
    } else {
        None
    };
    let nodes = started.as_ref().map_or(args.node, Cassandra::contact_points);
    let engine: Vec<u32> = started.as_ref().and_then(|engine| engine.pid(0)).into_iter().collect();
    let config = CqlConfig { nodes, replication: args.replication, ..CqlConfig::default() };
    let each = Duration::from_secs(args.seconds.max(1));
    let options = Options { conversations: args.conversations.max(1), rounds: args.rounds.max(1), each };
    let report = bench::run(&config, &engine, options).await?;
    let met = report.ratio >= MIN_RATIO && report.conditional_per_message <= MAX_CONDITIONAL_PER_MESSAGE;
    let benched = Benched {
        report,
        min_ratio: MIN_RATIO,
        aim_ratio: AIM_RATIO,
        max_conditional_per_message: MAX_CONDITIONAL_PER_MESSAGE,
        met,
        release: RELEASE,
    };
    told(&benched, args.json, table)
}

fn table(benched: &Benched) -> String {
    let report = &benched.report;
    let mut out = String::from("                        /s    p50 us    p99 us   CPU: engine    driver\n");
    let share = |share: Option<f64>| share.map_or("-".to_owned(), |share| format!("{:.0}%", share * 100.0));
    let mut row = |name: &str, m: &Measured| {
        let (engine, driver) = (share(m.cpu.engine), share(m.cpu.driver));
        // Writing to a string cannot fail.
        let _ = writeln!(out, "{name:<16} {:>9.0} {:>9} {:>9} {engine:>13} {driver:>9}", m.per_s, m.p50_us, m.p99_us);
    };
    row("plain inserts", &report.plain);
    row("appends", &report.appends);
    let _ = writeln!(
        out,
        "\n{} in flight; appends by plain inserts: {:.2} (at least {MIN_RATIO}, aim {AIM_RATIO})\n\
         conditional statements a message: {:.4} (at most {MAX_CONDITIONAL_PER_MESSAGE}): {}",
        report.conversations,
        report.ratio,
        report.conditional_per_message,
        if benched.met { "met" } else { "not met" },
    );
    out
}
