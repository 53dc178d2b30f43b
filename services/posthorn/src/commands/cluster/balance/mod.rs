//! The clients' address. A connection goes to the gateway with the fewest among those that are ready; what
//! flows over it is not looked at.

mod gateways;
mod merge;
mod page;
mod proxy;

use std::{net::SocketAddr, path::Path, process::ExitCode, sync::Arc, time::Duration};

use anyhow::{Context, Result};
use posthorn_clock::sleep;
use posthorn_engines::ports::Port;
use posthorn_tasks::Tasks;
use posthorn_telemetry::{LogFormat, Metrics, gauge};
use prometheus_client::metrics::{counter::Counter, gauge::Gauge};
use tokio::{
    net::{TcpListener, TcpStream},
    sync::Semaphore,
};

use super::state::{Member, Part, State};
use crate::commands::serve::{Signals, bind};
use gateways::Gateways;
use page::Page;

/// Two sockets each; beyond it connections wait to be accepted.
const MAX_CONNECTIONS: usize = 16_384;
/// Between two looks at the gateways.
const CHECK: Duration = Duration::from_millis(200);
/// After a failed accept: usually for want of file descriptors, which do not come back at once.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);
/// For connections to end with their tasks.
const STOP: Duration = Duration::from_secs(1);

/// What goes through.
#[derive(Clone)]
struct Traffic {
    open: Gauge,
    accepted: Counter,
    refused: Counter,
}

impl Traffic {
    fn new(metrics: &Metrics) -> Self {
        let counter = |name, help| metrics.register(name, help, Counter::default());
        Self {
            open: metrics.register("balancer_connections", "Connections of clients that are open", gauge()),
            accepted: counter("balancer_accepted", "Connections of clients that were accepted"),
            refused: counter("balancer_refused", "Connections that were closed because no gateway took them"),
        }
    }
}

pub async fn run(dir: &Path) -> Result<ExitCode> {
    posthorn_telemetry::init_logs("info", LogFormat::Text);
    let (addresses, balancer) = read(dir)?;
    let listener = bind(&balancer.address().to_string()).await?;
    let inner = bind(&balancer.inner_address().context("no second port")?.to_string()).await?;
    let mut signals = Signals::new()?;
    let (tasks, metrics, gateways) = (Tasks::new(), Metrics::default(), Gateways::default());
    // Before the first connection is taken.
    gateways.replace(&addresses);
    gateways.check().await;
    tasks.background("ports", hold_ports(dir.to_owned()));
    tasks.critical("checks", follow(dir.to_owned(), gateways.clone()));
    let page = page::router(Page { dir: dir.to_owned(), gateways: gateways.clone(), metrics: metrics.clone() });
    tasks.critical("page", async move {
        if let Err(error) = axum::serve(inner, page).await {
            tracing::error!(%error, "the page ended");
        }
    });
    tasks.critical("listener", accept(listener, gateways, Traffic::new(&metrics), tasks.clone()));
    tracing::info!(address = %balancer.address(), "balancing");
    tokio::select! {
        _ = signals.next() => {}
        () = tasks.stopping().cancelled_owned() => {}
    }
    let failed = tasks.failed();
    tasks.stop();
    tasks.ended(STOP).await;
    Ok(if failed.is_none() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// Where the gateways are, and the balancer itself.
fn read(dir: &Path) -> Result<(Vec<SocketAddr>, Member)> {
    let state = State::load(dir)?.with_context(|| format!("there is no cluster in {}", dir.display()))?;
    let gateways = state.of(Part::Gateway).map(Member::address).collect();
    let balancer = state.of(Part::Balancer).next().cloned();
    Ok((gateways, balancer.context("no balancer in this cluster")?))
}

/// Asks the gateways how they are, again and again; which there are may change meanwhile.
async fn follow(dir: std::path::PathBuf, gateways: Gateways) {
    loop {
        sleep(CHECK).await;
        match read(&dir) {
            Ok((addresses, _)) => gateways.replace(&addresses),
            Err(error) => tracing::warn!(error = %format!("{error:#}"), "which gateways there are is not known"),
        }
        gateways.check().await;
    }
}

/// Keeps the ports of the cluster for it, also those of processes that are dead at the moment.
async fn hold_ports(dir: std::path::PathBuf) {
    let mut held: Vec<Port> = Vec::new();
    loop {
        if let Ok(Some(state)) = State::load(&dir) {
            let ports: Vec<u16> = state.members.iter().flat_map(Member::ports).collect();
            held.retain(|port| ports.contains(&port.number()));
            for number in ports {
                if !held.iter().any(|port| port.number() == number) {
                    held.extend(Port::hold(number).ok().flatten());
                }
            }
        }
        sleep(Duration::from_secs(1)).await;
    }
}

async fn accept(listener: TcpListener, gateways: Gateways, traffic: Traffic, tasks: Tasks) {
    let places = Arc::new(Semaphore::new(MAX_CONNECTIONS));
    loop {
        // Never closed.
        let Ok(place) = Arc::clone(&places).acquire_owned().await else { return };
        let client: TcpStream = match listener.accept().await {
            Ok((client, _)) => client,
            Err(error) => {
                tracing::warn!(%error, "accepting failed");
                sleep(ACCEPT_PAUSE).await;
                continue;
            }
        };
        traffic.accepted.inc();
        let (gateways, traffic) = (gateways.clone(), traffic.clone());
        tasks.background("connection", async move {
            traffic.open.inc();
            proxy::serve(client, &gateways, &traffic).await;
            traffic.open.dec();
            drop(place);
        });
    }
}

#[cfg(test)]
mod tests;
