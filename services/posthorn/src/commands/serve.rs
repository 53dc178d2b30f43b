//! `posthorn serve`, and what it shares with `dev`: running a node until a signal.

use std::{path::PathBuf, process::ExitCode};

use anyhow::{Context, Result};
use axum::Router;
use clap::Args;
use posthorn_clock::Clock;
use posthorn_node::{
    ConfigSource, Listener, Node, NodeConfig, NodeParts, Reason, Role, Roles, Stopped, StoreEngine, Topology,
    while_waiting,
};
use posthorn_telemetry::Metrics;
use tokio::{
    net::TcpListener,
    signal::unix::{Signal, SignalKind, signal},
};

use crate::dev::keys::Keys;

#[derive(Args)]
pub struct ServeArgs {
    /// The configuration file; config/posthorn.example.toml names every key
    #[arg(long, value_name = "FILE")]
    config: PathBuf,
    /// Which services to run: several with commas between them [default: all]
    #[arg(long = "role", value_name = "ROLE", value_delimiter = ',')]
    roles: Vec<Role>,
}

pub async fn run(args: ServeArgs) -> Result<ExitCode> {
    let (config, _) = ConfigSource::from_env(Some(&args.config)).load()?;
    posthorn_telemetry::init_logs(&config.log.filter, config.log.format.into());
    let listener = bind(&config.listen.addr).await?;
    let mut signals = Signals::new()?;
    let keys = Keys::of(&config.store.data_dir);
    let (embedded, roles) = (config.engines.store == StoreEngine::Embedded, Roles::of(&args.roles));
    let node = tokio::select! {
        started = start(config, roles, listener) => started?,
        // Nothing has been promised to anybody yet.
        _ = signals.next() => return Ok(ExitCode::SUCCESS),
    };
    if roles == Roles::ALL && embedded {
        crate::dev::provision::operator_key(&node, &keys).await?;
        tracing::info!(file = %keys.operator_file().display(), "the operator key is in this file");
    }
    Ok(until_stopped(node, &mut signals).await)
}

/// Engines as configured, waited for where they are late; then the services.
async fn start(config: NodeConfig, roles: Roles, listener: TcpListener) -> Result<Node> {
    let grpc = match config.cluster.grpc_addr.as_str() {
        "" => None,
        addr => Some(bind(addr).await?),
    };
    let (metrics, clock, reason) = (Metrics::default(), Clock::system(), Reason::default());
    let (listener, meanwhile) = twice(listener)?;
    let (listen, shown) = (config.listen.clone(), metrics.clone());
    let work = Box::pin(async {
        // Files that cannot be used are said before anything is waited for.
        let network = config.cluster.network(&metrics)?;
        let engines = posthorn_node::open(&config, roles, &clock, &metrics, &reason).await?;
        reason.set("waiting for the other services".to_owned());
        let parts = NodeParts {
            listener: Box::new(listener),
            clock,
            metrics,
            topology: Topology::Local,
            roles,
            grpc: grpc.map(|listener| Box::new(listener) as Box<dyn Listener>),
            network,
            engines,
            pages: Router::new(),
        };
        Box::pin(Node::start(config, parts)).await
    });
    Ok(while_waiting(listen, Box::new(meanwhile), shown, reason.clone(), work).await?)
}

/// Two handles of one socket.
fn twice(listener: TcpListener) -> Result<(TcpListener, TcpListener)> {
    let first = listener.into_std()?;
    let second = first.try_clone()?;
    Ok((TcpListener::from_std(first)?, TcpListener::from_std(second)?))
}

/// Binds before anything else begins. A port that is taken is said in so many words.
pub async fn bind(addr: &str) -> Result<TcpListener> {
    TcpListener::bind(addr)
        .await
        .with_context(|| format!("cannot listen on {addr}: is another server using the port? Port 0 picks a free one"))
}

/// SIGTERM and SIGINT, caught from here on.
pub struct Signals {
    terminate: Signal,
    interrupt: Signal,
}

impl Signals {
    pub fn new() -> Result<Self> {
        Ok(Self { terminate: signal(SignalKind::terminate())?, interrupt: signal(SignalKind::interrupt())? })
    }

    /// The next of either, with the exit code of who dies by it.
    pub async fn next(&mut self) -> u8 {
        tokio::select! {
            _ = self.terminate.recv() => 128 + 15,
            _ = self.interrupt.recv() => 128 + 2,
        }
    }
}

/// Runs the node until a signal or the death of a critical task, then stops it. A second signal ends
/// the process at once.
pub async fn until_stopped(node: Node, signals: &mut Signals) -> ExitCode {
    tokio::select! {
        _ = signals.next() => {}
        () = node.died() => {}
    }
    let stopped = tokio::select! {
        stopped = node.shutdown() => stopped,
        code = signals.next() => std::process::exit(i32::from(code)),
    };
    exit_code(&stopped)
}

fn exit_code(stopped: &Stopped) -> ExitCode {
    if stopped.clean() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}
