//! `posthorn bench hops`: what the calls between services add to a send. The same sends go through the same
//! services twice: linked within the process, and each served over gRPC on a port of its own. The two take
//! turns, so that both meet the machine in the same moods.

use std::{
    fmt::Write as _,
    path::{Path, PathBuf},
    process::ExitCode,
    time::Duration,
};

use anyhow::Result;
use clap::Args;
use posthorn_node::{Node, Topology};
use posthorn_store::bench::Measured;
use posthorn_tasks::Tasks;
use serde::Serialize;

use super::{RELEASE, Sender, Times, in_folder, load, node, senders, told};
use crate::replay::tape::Tape;

#[derive(Args)]
pub struct HopsArgs {
    /// Seconds of each way in each round
    #[arg(long, default_value_t = 3, value_name = "S")]
    seconds: u64,
    /// Rounds that count; one before them does not
    #[arg(long, default_value_t = 3, value_name = "N")]
    rounds: usize,
    /// How many sends wait at once; may be given several times
    #[arg(long, default_values_t = [1, 64], value_name = "N")]
    in_flight: Vec<usize>,
    /// On whose disk the messages go; a directory of its own is made there and removed
    #[arg(long, default_value = ".", value_name = "DIR")]
    dir: PathBuf,
    /// JSON instead of a table
    #[arg(long)]
    json: bool,
}

#[derive(Serialize)]
struct Hops {
    loads: Vec<Load>,
    /// The build: only a release build's figures mean anything.
    release: bool,
}

/// From the frame's way into the client's socket to its acknowledgement.
#[derive(Serialize)]
struct Load {
    local: Measured,
    grpc: Measured,
    /// What is between their quantiles, us.
    added_p50_us: i64,
    added_p99_us: i64,
}

/// One way to link the services, and what was measured of it.
struct Way {
    node: Node,
    senders: Vec<Sender>,
    times: Vec<Times>,
}

pub async fn run(args: HopsArgs) -> Result<ExitCode> {
    let loads = in_folder(&args.dir, async |dir| measure(dir, &args).await).await?;
    let hops = Hops { loads, release: RELEASE };
    told(&hops, args.json, table)
}

async fn measure(dir: &Path, args: &HopsArgs) -> Result<Vec<Load>> {
    let each = Duration::from_secs(args.seconds.max(1));
    let (tasks, tape) = (Tasks::new(), Tape::to(None)?);
    let mut ways = Vec::new();
    for (name, topology) in [("local", Topology::Local), ("grpc", Topology::Loopback)] {
        let (node, url) = node(&dir.join(name), topology).await?;
        let senders = senders(&node, &url, &tasks, &tape).await?;
        ways.push(Way { node, senders, times: vec![Times::default(); args.in_flight.len()] });
    }
    for round in 0..=args.rounds.max(1) {
        for (n, &in_flight) in args.in_flight.iter().enumerate() {
            for way in &mut ways {
                let times = load(&way.senders, in_flight, each, &tape).await?;
                if round > 0 {
                    way.times[n].add(&times)?;
                }
            }
        }
    }
    let [local, grpc]: [Vec<Measured>; 2] = [0, 1].map(|way: usize| {
        let loads = args.in_flight.iter().zip(&ways[way].times);
        loads.map(|(&in_flight, times)| times.measured(in_flight)).collect()
    });
    for way in ways {
        for sender in way.senders {
            sender.client.close().await;
        }
        way.node.shutdown().await;
    }
    let between = |local: u64, grpc: u64| grpc.cast_signed() - local.cast_signed();
    let loads = local.into_iter().zip(grpc).map(|(local, grpc)| Load {
        added_p50_us: between(local.p50_us, grpc.p50_us),
        added_p99_us: between(local.p99_us, grpc.p99_us),
        local,
        grpc,
    });
    Ok(loads.collect())
}

fn table(hops: &Hops) -> String {
    let mut out = String::from("                     in flight         /s    p50 us    p99 us\n");
    for Load { local, grpc, added_p50_us, added_p99_us } in &hops.loads {
        for (name, m) in [("in one process", local), ("over gRPC", grpc)] {
            // Writing to a string cannot fail.
            let _ = writeln!(out, "{name:<20} {:>9} {:>10.0} {:>9} {:>9}", m.in_flight, m.per_s, m.p50_us, m.p99_us);
        }
        let _ =
            writeln!(out, "{:<20} {:>9} {:>10} {added_p50_us:>+9} {added_p99_us:>+9}", "hops add", local.in_flight, "");
    }
    out
}
