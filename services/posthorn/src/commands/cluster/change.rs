//! `posthorn cluster start`, `stop` and `scale`: a cluster that runs, changed.

use std::process::ExitCode;

use anyhow::{Result, bail};
use clap::Args;

use super::{
    Place,
    launch::Cluster,
    limits,
    plan::{Reserved, name},
    ready,
    state::Part,
    up::count,
};

#[derive(Args)]
pub struct StartArgs {
    #[command(flatten)]
    place: Place,
    /// A service, one instance of it (`routing-2`), an engine, or `balancer`; whatever is dead, if none is named
    names: Vec<String>,
}

#[derive(Args)]
pub struct StopArgs {
    #[command(flatten)]
    place: Place,
    /// A service, one instance of it (`routing-2`), an engine, or `balancer`
    #[arg(required = true)]
    names: Vec<String>,
}

#[derive(Args)]
pub struct ScaleArgs {
    #[command(flatten)]
    place: Place,
    /// `routing`, `gateway` or `push`; the others find storage and session by their configuration
    service: String,
    /// So many instances
    #[arg(value_parser = count)]
    instances: usize,
}

/// Starts again what is dead, where it was. What runs is left alone.
pub async fn start(args: StartArgs) -> Result<ExitCode> {
    let mut cluster = open(&args.place)?;
    let mut places = chosen(&cluster, &args.names)?;
    if args.names.is_empty() {
        places = (0..cluster.state.members.len()).collect();
    }
    let places = cluster.dead(&places).await;
    limits::raise();
    // Engines before services, and each service before those that call it.
    for part in Part::ALL {
        let now: Vec<usize> = places.iter().copied().filter(|&at| cluster.state.members[at].part == part).collect();
        if let Err(error) = cluster.launch(&now).await {
            cluster.kill(&now).await?;
            return Err(error);
        }
    }
    ready::print(&cluster, args.place.json)?;
    Ok(ExitCode::SUCCESS)
}

/// SIGTERM, and waits for the end. Nothing starts it again but `start`.
pub async fn stop(args: StopArgs) -> Result<ExitCode> {
    let mut cluster = open(&args.place)?;
    let places = chosen(&cluster, &args.names)?;
    cluster.stop(&places, false).await?;
    ready::print(&cluster, args.place.json)?;
    Ok(ExitCode::SUCCESS)
}

/// More instances, which are waited for, or fewer, the last ones being stopped in order.
pub async fn scale(args: ScaleArgs) -> Result<ExitCode> {
    let part = Part::ALL.into_iter().find(|part| part.name() == args.service);
    let Some(part @ (Part::Routing | Part::Gateway | Part::Push)) = part else {
        bail!("`{}` cannot be scaled while the cluster runs: routing, gateway and push can", args.service);
    };
    let mut cluster = open(&args.place)?;
    let there = cluster.places(part);
    if there.len() > args.instances {
        let leaving = &there[args.instances..];
        cluster.stop(leaving, false).await?;
        cluster.state.members.drain(leaving[0]..leaving[0] + leaving.len());
        cluster.save()?;
    } else {
        let mut reserved = Reserved::default();
        let behind = there.last().map_or(0, |last| last + 1);
        let mut joining = Vec::new();
        for number in there.len() + 1..=args.instances {
            let member = reserved.member(part, name(part, number), &[])?;
            let at = behind + joining.len();
            cluster.state.members.insert(at, member);
            joining.push(at);
        }
        limits::raise();
        if let Err(error) = cluster.launch(&joining).await {
            cluster.kill(&joining).await?;
            cluster.state.members.drain(behind..behind + joining.len());
            cluster.save()?;
            return Err(error);
        }
    }
    ready::print(&cluster, args.place.json)?;
    Ok(ExitCode::SUCCESS)
}

fn open(place: &Place) -> Result<Cluster> {
    let cluster = Cluster::open(place.there()?)?;
    if !cluster.state.up {
        bail!("the cluster in {} is down: `cluster up` starts it", cluster.dir.display());
    }
    Ok(cluster)
}

/// In the order of their start, each once.
fn chosen(cluster: &Cluster, names: &[String]) -> Result<Vec<usize>> {
    let mut places = Vec::new();
    for name in names {
        places.extend(cluster.state.named(name)?);
    }
    places.sort_unstable();
    places.dedup();
    Ok(places)
}
