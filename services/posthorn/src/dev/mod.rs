//! `posthorn dev`: everything in one process, with two people who can talk at once.

mod demo;
pub mod keys;
mod output;
pub mod provision;

use std::{
    path::PathBuf,
    process::ExitCode,
    sync::{Arc, OnceLock},
};

use anyhow::{Context, Result, bail};
use axum::Router;
use clap::Args;
use posthorn_clock::Clock;
use posthorn_node::{ConfigSource, Engines, Node, NodeConfig, NodeParts, Roles, Topology};
use posthorn_telemetry::Metrics;
use tokio::net::TcpListener;

use crate::commands::{
    print,
    serve::{Signals, bind, until_stopped},
};
use keys::Keys;
use output::Ready;

/// Only what is not the default is worth a flag; the environment (`POSTHORN__SECTION__KEY`) has the rest.
#[derive(Args)]
pub struct DevArgs {
    /// Where data and keys are kept [default: ./posthorn-data]
    #[arg(long, value_name = "DIR")]
    data_dir: Option<PathBuf>,
    /// Where to listen; port 0 picks a free one [default: 127.0.0.1:7200]
    #[arg(long, value_name = "ADDR")]
    listen: Option<String>,
    /// Allow an address that other machines can reach: whoever does can sign in as a demo user
    #[arg(long)]
    expose: bool,
    /// One line of JSON on stdout when ready, instead of text
    #[arg(long)]
    json: bool,
}

pub async fn run(args: DevArgs) -> Result<ExitCode> {
    let data_dir = args.data_dir.as_ref().map(|dir| dir.display().to_string());
    let (config, _) = ConfigSource::from_env(None)
        .over(defaults())
        .flag("store.data_dir", "--data-dir", data_dir)
        .flag("listen.addr", "--listen", args.listen.clone())
        .load()?;
    posthorn_telemetry::init_logs(&config.log.filter, config.log.format.into());
    let listener = bind(&config.listen.addr).await?;
    let addr = listener.local_addr().context("the listener has no address")?;
    if !addr.ip().is_loopback() && !args.expose {
        bail!(
            "{addr} can be reached from other machines, where anybody could sign in as a demo user: --expose allows it"
        );
    }
    let mut signals = Signals::new()?;
    let keys = Keys::of(&config.store.data_dir);
    let data_dir = config.store.data_dir.clone();
    let desk = Arc::new(OnceLock::new());
    let node = start(config, Topology::Local, listener, pages(&desk, args.expose)).await?;

    let provisioned = tokio::select! {
        provisioned = provision::dev(&node, &keys) => provisioned,
        _ = signals.next() => { node.shutdown().await; return Ok(ExitCode::SUCCESS) }
    };
    let provisioned = match provisioned {
        Ok(provisioned) => provisioned,
        Err(error) => {
            node.shutdown().await;
            return Err(error);
        }
    };
    let demo = demo::Demo::new(addr, &node, &provisioned);
    let ready = Ready { addr, data_dir: &data_dir, provisioned: &provisioned, seats: demo.seats().await? };
    print(&if args.json { ready.json() } else { ready.text() })?;
    let _ = desk.set(demo);
    Ok(until_stopped(node, &mut signals).await)
}

/// Starts a node of this binary: embedded engines, local links, the machine's clock.
pub async fn start(config: NodeConfig, topology: Topology, listener: TcpListener, pages: Router) -> Result<Node> {
    let (metrics, clock) = (Metrics::default(), Clock::system());
    let engines = Engines::embedded(&config, &metrics).await?;
    let parts = NodeParts {
        listener: Box::new(listener),
        clock,
        metrics,
        topology,
        roles: Roles::ALL,
        grpc: None,
        network: posthorn_node::Tcp::shared(),
        engines,
        pages,
    };
    Ok(Box::pin(Node::start(config, parts)).await?)
}

/// As a deployment, but that nobody waits for a load balancer to notice a stop, nor long for clients.
fn defaults() -> NodeConfig {
    let mut config = NodeConfig::default();
    config.edge.drain_propagation_ms = 0;
    config.edge.drain_cap_ms = 3_000;
    config.node.stop_budget_ms = 15_000;
    // The page's "offline 10 s" is to be seen on the other side.
    config.session.presence_grace_ms = 1_500;
    // The push provider of this build is the log: a line per absent person and message.
    config.log.filter = "warn,posthorn=info,posthorn_push=warn".to_owned();
    config
}

fn pages(desk: &Arc<OnceLock<demo::Demo>>, exposed: bool) -> Router {
    demo::routes(Arc::clone(desk), exposed).merge(crate::page::routes())
}
