//! The services as processes of their own on real engines: `posthorn cluster` in a directory of its own.

use std::{
    collections::BTreeMap,
    os::unix::process::CommandExt,
    path::{Path, PathBuf},
    process::Stdio,
};

use anyhow::{Context, Result, ensure};
use serde::Deserialize;
use serde_json::Value;
use tempfile::TempDir;
use tokio::process::Command;

use crate::Server;

/// Waits for the end of its input, which the test holds open, then ends the cluster: also where the test is
/// killed, and where its statics are never dropped.
const GUARD: &str = r#"trap "" INT TERM HUP
read -r _
"$1" cluster down --now --dir "$2"
rm -rf -- "$2""#;

/// What `posthorn cluster up --json` says, and every command that changes the cluster.
#[derive(Clone, Debug, Deserialize)]
pub struct Running {
    pub ws: String,
    pub http: String,
    pub metrics: String,
    pub admin_key: String,
    /// By service or engine; only what runs.
    pub pids: BTreeMap<String, Vec<u32>>,
}

/// A running cluster. All of it is gone when this is dropped, or its process ends.
pub struct Deployment {
    pub running: Running,
    dir: PathBuf,
    binary: PathBuf,
    guard: std::process::Child,
    /// Where what is left of it goes, if somebody wants to look at it.
    kept: Option<PathBuf>,
    _folder: TempDir,
}

impl Deployment {
    /// Two of each service, unless the arguments of `posthorn cluster up` say otherwise.
    pub async fn start(arguments: &[&str]) -> Result<Self> {
        Self::start_of(Server::binary()?, arguments).await
    }

    /// Of another build.
    pub async fn start_of(binary: PathBuf, arguments: &[&str]) -> Result<Self> {
        Self::up(binary, &std::env::temp_dir(), arguments).await
    }

    /// With all that it keeps in a folder of this one.
    pub async fn start_under(parent: &Path, arguments: &[&str]) -> Result<Self> {
        Self::up(Server::binary()?, parent, arguments).await
    }

    async fn up(binary: PathBuf, parent: &Path, arguments: &[&str]) -> Result<Self> {
        let folder = tempfile::Builder::new().prefix("posthorn-cluster-").tempdir_in(parent)?;
        let dir = folder.path().join("cluster");
        let guard = std::process::Command::new("sh")
            .args(["-c", GUARD, "sh"])
            .arg(&binary)
            .arg(&dir)
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .process_group(0)
            .spawn()
            .context("cannot guard the cluster")?;
        let pids = BTreeMap::new();
        let nowhere = String::new;
        let running = Running { ws: nowhere(), http: nowhere(), metrics: nowhere(), admin_key: nowhere(), pids };
        // Made before anything is started: on failure it is dropped here, and what was started with it.
        let mut deployment = Self { running, dir, binary, guard, kept: None, _folder: folder };
        deployment.change("up", arguments).await?;
        Ok(deployment)
    }

    /// `start`, `stop` or `scale`, and what runs then.
    pub async fn change(&mut self, command: &str, arguments: &[&str]) -> Result<()> {
        let line = self.cluster(command, arguments).await?;
        self.running = serde_json::from_str(&line).with_context(|| format!("no line of a cluster: {line:?}"))?;
        Ok(())
    }

    /// What is started from now on is of this build.
    pub fn goes_on_with_this_build(&mut self) -> Result<()> {
        self.binary = Server::binary()?;
        Ok(())
    }

    /// Ends all of it in order.
    pub async fn down(&mut self) -> Result<()> {
        self.cluster("down", &[]).await.map(drop)
    }

    /// What `posthorn cluster status --json` says.
    pub async fn status(&self) -> Result<Value> {
        let output = self.command("status", &[])?.output().await?;
        serde_json::from_slice(&output.stdout).with_context(|| String::from_utf8_lossy(&output.stderr).into_owned())
    }

    /// The processes of a service or an engine.
    #[must_use]
    pub fn pids(&self, name: &str) -> &[u32] {
        self.running.pids.get(name).map_or(&[], Vec::as_slice)
    }

    /// Where its logs, its keys and its state are.
    #[must_use]
    pub fn dir(&self) -> &Path {
        &self.dir
    }

    /// Its logs and data stay after its end, and where.
    pub fn keep(&mut self) -> &Path {
        self.kept.get_or_insert_with(|| std::env::temp_dir().join(format!("posthorn-kept-{}", std::process::id())))
    }

    /// `posthorn cluster COMMAND` to its end, and what it printed.
    pub async fn cluster(&self, command: &str, arguments: &[&str]) -> Result<String> {
        let output = self.command(command, arguments)?.output().await?;
        let said = String::from_utf8_lossy(&output.stderr);
        ensure!(output.status.success(), "cluster {command} {arguments:?}: {said}");
        Ok(String::from_utf8(output.stdout)?)
    }

    pub(crate) fn command(&self, command: &str, arguments: &[&str]) -> Result<Command> {
        let mut posthorn = Command::new(&self.binary);
        posthorn.args(["cluster", command, "--json", "--dir"]).arg(&self.dir).args(arguments).stdin(Stdio::null());
        Ok(posthorn)
    }
}

impl Drop for Deployment {
    fn drop(&mut self) {
        if let Some(kept) = &self.kept {
            // Its processes end before the guard looks for them.
            let mut down = std::process::Command::new("sh");
            down.args(["-c", r#""$1" cluster down --now --dir "$2" && mv -- "$2" "$3""#, "sh"]);
            let _ = down.arg(&self.binary).arg(&self.dir).arg(kept).status();
        }
        // Its input closes, and it does the rest before the folder goes.
        drop(self.guard.stdin.take());
        let _ = self.guard.wait();
    }
}
