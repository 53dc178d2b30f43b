//! The real binary as a child process.

use std::{
    path::{Path, PathBuf},
    process::{ExitStatus, Stdio},
    time::Duration,
};

use anyhow::{Context, Result, bail};
use posthorn_clock::timeout;
use serde::Deserialize;
use tempfile::TempDir;
use tokio::{
    io::{AsyncBufReadExt, BufReader},
    process::{Child, Command},
};

const START_TIMEOUT: Duration = Duration::from_secs(60);
const STOP_TIMEOUT: Duration = Duration::from_secs(30);

/// What `posthorn dev --json` says.
#[derive(Clone, Debug, Deserialize)]
pub struct Ready {
    pub ws: String,
    pub http: String,
    pub metrics: String,
    pub admin_key: String,
    pub demo: Demo,
}

#[derive(Clone, Debug, Deserialize)]
pub struct Demo {
    pub page: String,
    pub tenant: String,
    pub users: Vec<DemoUser>,
    pub conversation: String,
    pub group: String,
    pub operator_key: String,
}

#[derive(Clone, Debug, Deserialize)]
pub struct DemoUser {
    pub user: String,
    pub name: String,
    pub token: String,
}

/// `posthorn dev` in a process of its own. Killed when dropped; its directory goes with it.
pub struct Server {
    child: Option<Child>,
    pub ready: Ready,
    data_dir: PathBuf,
    arguments: Vec<String>,
    environment: Vec<(String, String)>,
    /// Where `data_dir` is, unless the caller brought it.
    _folder: Option<TempDir>,
}

impl Server {
    /// On a free port and a new directory.
    pub async fn start() -> Result<Self> {
        Self::start_with(&[]).await
    }

    /// With more arguments for `posthorn dev`, which later starts keep.
    pub async fn start_with(arguments: &[&str]) -> Result<Self> {
        let folder = tempfile::tempdir().context("no temporary directory")?;
        let data_dir = folder.path().join("data");
        Self::spawn(data_dir, arguments, &[], Some(folder)).await
    }

    /// On a data directory of the caller's, and with a changed environment, which later starts keep.
    pub async fn start_in(data_dir: &Path, environment: &[(&str, &str)]) -> Result<Self> {
        Self::spawn(data_dir.to_owned(), &[], environment, None).await
    }

    async fn spawn(
        data_dir: PathBuf,
        arguments: &[&str],
        environment: &[(&str, &str)],
        folder: Option<TempDir>,
    ) -> Result<Self> {
        let arguments: Vec<String> = arguments.iter().map(|&argument| argument.to_owned()).collect();
        let owned = |&(key, value): &(&str, &str)| (key.to_owned(), value.to_owned());
        let environment: Vec<_> = environment.iter().map(owned).collect();
        let (child, ready) = spawn(&data_dir, "127.0.0.1:0", &arguments, &environment).await?;
        Ok(Self { child: Some(child), ready, data_dir, arguments, environment, _folder: folder })
    }

    /// `kill -9`, then waits until the process is gone. Nothing is written any more.
    pub async fn kill(&mut self) -> Result<()> {
        let mut child = self.child.take().context("the server is not running")?;
        child.start_kill()?;
        child.wait().await?;
        Ok(())
    }

    /// SIGTERM, then waits for the exit.
    pub async fn terminate(&mut self) -> Result<ExitStatus> {
        let mut child = self.child.take().context("the server is not running")?;
        let pid = child.id().context("the server is gone")?.to_string();
        let sent = Command::new("kill").args(["-TERM", &pid]).status().await.context("cannot run kill")?;
        anyhow::ensure!(sent.success(), "kill -TERM {pid} failed");
        timeout(STOP_TIMEOUT, child.wait()).await.context("the server did not stop")?.map_err(Into::into)
    }

    /// Starts it again: same address, same data.
    pub async fn restart(&mut self) -> Result<()> {
        let addr = self.ready.http.strip_prefix("http://").context("no address")?.to_owned();
        let (child, ready) = spawn(&self.data_dir, &addr, &self.arguments, &self.environment).await?;
        (self.child, self.ready) = (Some(child), ready);
        Ok(())
    }

    #[must_use]
    pub fn data_dir(&self) -> PathBuf {
        self.data_dir.clone()
    }

    /// Where the binary is: `POSTHORN_BIN`, or beside the running test. `cargo build -p posthorn` makes it.
    pub fn binary() -> Result<PathBuf> {
        if let Some(path) = std::env::var_os("POSTHORN_BIN") {
            return Ok(path.into());
        }
        let test = std::env::current_exe()?;
        let profile = test.parent().and_then(Path::parent).context("the test is in no target directory")?;
        let binary = profile.join("posthorn");
        if !binary.exists() {
            bail!("{} is missing: `cargo build -p posthorn`, or set POSTHORN_BIN", binary.display());
        }
        Ok(binary)
    }
}

async fn spawn(
    data_dir: &Path,
    listen: &str,
    arguments: &[String],
    environment: &[(String, String)],
) -> Result<(Child, Ready)> {
    let mut child = Command::new(Server::binary()?)
        .args(["dev", "--json", "--listen", listen, "--data-dir"])
        .arg(data_dir)
        .args(arguments)
        .envs(environment.iter().map(|(key, value)| (key, value)))
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .context("cannot start the server")?;
    let mut out = BufReader::new(child.stdout.take().context("no stdout")?);
    let mut line = String::new();
    let read = timeout(START_TIMEOUT, out.read_line(&mut line)).await.context("the server did not become ready")?;
    if read? == 0 {
        bail!("the server ended before it was ready: {}", child.wait().await?);
    }
    let ready = serde_json::from_str(&line).with_context(|| format!("no ready line: {line:?}"))?;
    Ok((child, ready))
}
