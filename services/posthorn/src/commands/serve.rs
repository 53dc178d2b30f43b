//! `posthorn serve`, and what it shares with `dev`: running a node until a signal.

use std::{path::PathBuf, process::ExitCode};

use anyhow::{Context, Result, bail};
use clap::{Args, ValueEnum};
use posthorn_node::{ConfigSource, Node, Stopped};
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
    /// Which services to run
    #[arg(long, value_enum, default_value_t = Role::All)]
    role: Role,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Role {
    All,
    Gateway,
    Session,
    Routing,
    Storage,
    Push,
}

pub async fn run(args: ServeArgs) -> Result<ExitCode> {
    if args.role != Role::All {
        let role = args.role.to_possible_value().map(|value| value.get_name().to_owned()).unwrap_or_default();
        bail!("this build runs all services in one process and cannot run `{role}` alone: leave --role out");
    }
    let (config, _) = ConfigSource::from_env(Some(&args.config)).load()?;
    posthorn_telemetry::init_logs(&config.log.filter, config.log.format.into());
    let listener = bind(&config.listen.addr).await?;
    let mut signals = Signals::new()?;
    let data_dir = config.store.data_dir.clone();
    let node = crate::dev::start(config, listener, axum::Router::new()).await?;
    let keys = Keys::of(&data_dir);
    crate::dev::provision::operator_key(&node, &keys).await?;
    tracing::info!(file = %keys.operator_file().display(), "the operator key is in this file");
    Ok(until_stopped(node, &mut signals).await)
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
