//! `posthorn cluster up`: everything in its order, or nothing.

use std::{path::Path, process::ExitCode};

use anyhow::{Context, Result, bail};
use clap::Args;
use futures_util::future::join_all;
use posthorn_clock::{Clock, Instant, sleep};
use posthorn_core::SHARDS;
use posthorn_rpc::{Link, Rpc, RpcConfig};
use posthorn_telemetry::Metrics;

use super::{
    Place, fetch,
    launch::{ASK, Cluster, POLL, READY},
    limits,
    plan::{Counts, MAX_INSTANCES, given, plan},
    ready, services,
    state::{Member, Part, State, Turn},
};
use crate::{
    commands::serve::Signals,
    dev::{keys::Keys, provision},
};

#[derive(Args)]
pub struct UpArgs {
    #[command(flatten)]
    place: Place,
    /// So many gateways
    #[arg(long, value_name = "N", default_value_t = 2, value_parser = count)]
    gateways: usize,
    /// So many instances of the session service
    #[arg(long, value_name = "N", default_value_t = 2, value_parser = count)]
    session: usize,
    /// So many instances of the routing service
    #[arg(long, value_name = "N", default_value_t = 2, value_parser = count)]
    routing: usize,
    /// So many instances of the storage service
    #[arg(long, value_name = "N", default_value_t = 2, value_parser = count)]
    storage: usize,
    /// So many instances of the push service
    #[arg(long, value_name = "N", default_value_t = 2, value_parser = count)]
    push: usize,
    /// A key of the services' configuration, `section.key=value`; may be repeated
    #[arg(long = "set", value_name = "KEY=VALUE", value_parser = setting)]
    settings: Vec<(String, String)>,
}

pub fn count(text: &str) -> Result<usize, String> {
    let number = text.parse().ok().filter(|number| (1..=MAX_INSTANCES).contains(number));
    number.ok_or_else(|| format!("a number from 1 to {MAX_INSTANCES}"))
}

fn setting(text: &str) -> Result<(String, String), String> {
    let parts = text.split_once('=').filter(|(key, _)| key.contains('.'));
    parts.map(|(key, value)| (key.to_owned(), value.to_owned())).ok_or_else(|| "section.key=value".to_owned())
}

pub async fn run(args: UpArgs) -> Result<ExitCode> {
    let UpArgs { place, gateways, session, routing, storage, push, settings } = args;
    let counts = Counts { storage, session, routing, push, gateway: gateways };
    let dir = place.made()?;
    let turn = Turn::take(&dir)?;
    let (turn, before) = leftovers(&dir, turn).await?;
    limits::raise();
    let (state, reserved) = plan(counts, given(), settings, &before)?;
    let mut cluster = Cluster { dir, state, turn };
    cluster.save()?;
    let mut signals = Signals::new()?;
    let done = tokio::select! {
        done = everything(&mut cluster) => done,
        _ = signals.next() => Err(anyhow::anyhow!("interrupted")),
    };
    if let Err(error) = done {
        eprintln!("ending what was started");
        let all: Vec<usize> = (0..cluster.state.members.len()).collect();
        cluster.kill(&all).await.with_context(|| format!("{error:#}; and then"))?;
        return Err(error);
    }
    // The balancer holds them from here on.
    drop(reserved);
    ready::print(&cluster, place.json)?;
    Ok(ExitCode::SUCCESS)
}

/// What an `up` that was cut off left is ended; a cluster that runs is left alone.
async fn leftovers(dir: &Path, turn: Turn) -> Result<(Turn, Vec<Member>)> {
    let Some(state) = State::load(dir)? else { return Ok((turn, Vec::new())) };
    let running: Vec<usize> = (0..state.members.len()).filter(|&at| state.members[at].running()).collect();
    if running.is_empty() {
        return Ok((turn, state.members));
    }
    let at = dir.display();
    if state.up {
        bail!(
            "a cluster runs in {at} already: `cluster status`, `cluster start` for what of it is dead, `cluster down`"
        );
    }
    eprintln!("ending what an earlier start left");
    let mut cluster = Cluster { dir: dir.to_owned(), state, turn };
    cluster.kill(&running).await?;
    Ok((cluster.turn, cluster.state.members))
}

async fn everything(cluster: &mut Cluster) -> Result<()> {
    for parts in [&[Part::Nats, Part::Redis, Part::Cassandra][..], &[Part::Storage], &[Part::Session]] {
        if parts == [Part::Storage] {
            services::apply_schema(&cluster.dir, &cluster.state)?;
            eprintln!("the schema is applied");
        }
        let places = parts.iter().flat_map(|&part| cluster.places(part)).collect::<Vec<_>>();
        cluster.launch(&places).await?;
    }
    provision(cluster).await?;
    for parts in [&[Part::Routing][..], &[Part::Push, Part::Gateway], &[Part::Balancer]] {
        let places = parts.iter().flat_map(|&part| cluster.places(part)).collect::<Vec<_>>();
        cluster.launch(&places).await?;
    }
    owned(&cluster.state).await?;
    cluster.state.up = true;
    cluster.save()
}

/// Until every shard has an owner, so that the first send need not wait for one.
async fn owned(state: &State) -> Result<()> {
    let begun = Instant::now();
    loop {
        let pages = join_all(state.of(Part::Routing).map(|member| fetch::get(member.address(), "/metrics", ASK))).await;
        let owned: u32 = pages.iter().flatten().map(|(_, text)| shards(text)).sum();
        if owned >= u32::from(SHARDS) {
            eprintln!("every shard has an owner after {:.1} s", begun.elapsed().as_secs_f64());
            return Ok(());
        }
        if begun.elapsed() > READY {
            bail!("{owned} of {SHARDS} shards have an owner after {READY:?}");
        }
        sleep(POLL).await;
    }
}

/// How many a routing process says it owns.
fn shards(metrics: &str) -> u32 {
    let value = metrics.lines().find_map(|line| line.strip_prefix("posthorn_routing_shards "));
    value.and_then(|value| value.parse().ok()).unwrap_or(0)
}

/// The tenant and its keys, in files of the cluster's directory.
async fn provision(cluster: &Cluster) -> Result<()> {
    let rpc = Rpc::new(RpcConfig::default(), &Metrics::default(), Clock::system());
    let session = Link::any(&rpc, "session", &cluster.state.grpc(Part::Session))?.session();
    provision::tenant(&session, &Keys::of(&cluster.dir)).await.context("the keys cannot be made")?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_setting_names_a_key_in_a_section() {
        assert_eq!(setting("a.b=c=d"), Ok(("a.b".to_owned(), "c=d".to_owned())));
        for bad in ["a.b", "ab=c", ""] {
            assert!(setting(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn shards_are_read_from_the_metrics() {
        assert_eq!(shards("posthorn_routing_shards_claimed_total 7\nposthorn_routing_shards 512\n# EOF\n"), 512);
        assert_eq!(shards("# EOF\n"), 0);
    }

    #[test]
    fn there_is_at_least_one_of_each_and_not_too_many() {
        assert_eq!(count("3"), Ok(3));
        for bad in ["0", "17", "-1", "many"] {
            assert!(count(bad).is_err(), "{bad}");
        }
    }
}
