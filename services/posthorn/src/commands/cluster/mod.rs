//! `posthorn cluster`: the services as processes of this machine, on real engines, behind one address. Nobody
//! watches over them: what is killed stays dead until it is started again.

mod balance;
mod change;
mod down;
mod fetch;
mod launch;
mod limits;
mod plan;
mod ready;
mod services;
mod state;
mod status;
mod up;

use std::{
    fs,
    path::{Path, PathBuf},
    process::ExitCode,
};

use anyhow::{Context, Result};
use clap::{Args, Subcommand};

#[derive(Subcommand)]
pub enum ClusterCommand {
    /// Install and start the engines, then two of each service; end once all is ready
    ///
    /// The processes go on; their output is in DIR/log. An engine that POSTHORN_CLUSTER_NATS,
    /// POSTHORN_CLUSTER_REDIS or POSTHORN_CLUSTER_CQL names is used instead of one of the cluster's own.
    Up(up::UpArgs),
    /// Start again what is dead, on its ports and data
    Start(change::StartArgs),
    /// Stop a service, an instance or an engine in order
    Stop(change::StopArgs),
    /// Run more or fewer instances of a service
    Scale(change::ScaleArgs),
    /// Say what runs and is ready; exits with 1 if not all of it is
    Status(Place),
    /// End all of it; data and keys stay
    Down(down::DownArgs),
    /// The clients' address: connections go to gateways that are alive
    #[command(hide = true)]
    Balance(Place),
}

/// Which cluster.
#[derive(Args, Clone)]
pub struct Place {
    /// Where the cluster keeps everything
    #[arg(long, value_name = "DIR")]
    dir: PathBuf,
    /// One line of JSON on stdout instead of text
    #[arg(long)]
    json: bool,
}

impl Place {
    /// The directory, made if it is not there.
    fn made(&self) -> Result<PathBuf> {
        fs::create_dir_all(&self.dir).with_context(|| format!("cannot make {}", self.dir.display()))?;
        self.there()
    }

    /// The directory; absolute, since processes that stay are told it.
    fn there(&self) -> Result<PathBuf> {
        let dir: &Path = &self.dir;
        fs::canonicalize(dir).with_context(|| format!("there is no cluster in {}", dir.display()))
    }
}

pub async fn run(command: ClusterCommand) -> Result<ExitCode> {
    match command {
        ClusterCommand::Up(args) => up::run(args).await,
        ClusterCommand::Start(args) => change::start(args).await,
        ClusterCommand::Stop(args) => change::stop(args).await,
        ClusterCommand::Scale(args) => change::scale(args).await,
        ClusterCommand::Status(place) => status::run(place).await,
        ClusterCommand::Down(args) => down::run(args).await,
        ClusterCommand::Balance(place) => balance::run(&place.there()?).await,
    }
}
