//! `posthorn cluster down`: ends all that runs, also what a start that was cut off left.

use std::process::ExitCode;

use anyhow::Result;
use clap::Args;

use super::{
    Place,
    launch::Cluster,
    state::{Part, State},
};

/// Who is asked to stop together, in this order: nobody loses one it still needs.
const STEPS: [&[Part]; 7] = [
    &[Part::Gateway],
    &[Part::Push],
    &[Part::Routing],
    &[Part::Session],
    &[Part::Storage],
    &[Part::Balancer],
    &[Part::Nats, Part::Redis, Part::Cassandra],
];

#[derive(Args)]
pub struct DownArgs {
    #[command(flatten)]
    place: Place,
    /// `kill -9` for all of them: nobody is asked to leave
    #[arg(long)]
    now: bool,
}

/// Doing it again changes nothing. Data, keys, ports and logs stay.
pub async fn run(args: DownArgs) -> Result<ExitCode> {
    let Ok(dir) = args.place.there() else { return none(&args.place) };
    if State::load(&dir)?.is_none() {
        return none(&args.place);
    }
    let mut cluster = Cluster::open(dir)?;
    // Before anything ends: a command that is cut off here leaves something to be ended, not to be started.
    cluster.state.up = false;
    cluster.save()?;
    if args.now {
        let all: Vec<usize> = (0..cluster.state.members.len()).collect();
        cluster.kill(&all).await?;
    }
    for parts in STEPS {
        let places: Vec<usize> = parts.iter().flat_map(|&part| cluster.places(part)).collect();
        cluster.stop(&places, true).await?;
    }
    crate::commands::print(if args.place.json { "{\"up\":false}\n" } else { "the cluster is down\n" })?;
    Ok(ExitCode::SUCCESS)
}

fn none(place: &Place) -> Result<ExitCode> {
    eprintln!("there is no cluster in {}", place.dir.display());
    crate::commands::print(if place.json { "{\"up\":false}\n" } else { "" })?;
    Ok(ExitCode::SUCCESS)
}
