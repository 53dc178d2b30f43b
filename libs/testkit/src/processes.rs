//! The whole product as processes of this machine on real engines: `posthorn cluster`, for tests.

use std::{
    path::{Path, PathBuf},
    time::Duration,
};

use anyhow::{Context, Result, bail, ensure};
use posthorn_clock::{Instant, sleep, timeout};
pub use rustix::process::Signal;
use rustix::process::{Pid, kill_process};
use serde_json::Value;
use tempfile::TempDir;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    process::Command,
};

use crate::{Server, cluster::sum_of};

/// For one command: the first installs what is missing and starts a JVM and eleven other processes.
const COMMAND: Duration = Duration::from_secs(300);
/// For a state that is waited for.
const PATIENCE: Duration = Duration::from_secs(120);
const POLL: Duration = Duration::from_millis(200);

/// Running engines and two of each service behind one address. Ended when dropped.
#[derive(Debug)]
pub struct Processes {
    folder: TempDir,
    binary: PathBuf,
    ready: Value,
}

/// One process.
#[derive(Clone, Debug)]
pub struct Member {
    pub name: String,
    /// Of which service or engine.
    pub part: String,
    /// `None`: it is dead.
    pub pid: Option<i32>,
    /// HTTP of a service, an engine's own protocol.
    pub address: String,
    /// gRPC of a service.
    pub inner_address: Option<String>,
}

impl Processes {
    /// With keys of the services' configuration that are not at what a cluster sets: `session.leeway_ms=5`.
    pub async fn up(settings: &[&str]) -> Result<Self> {
        let (folder, binary) = (tempfile::Builder::new().prefix("posthorn-cluster-").tempdir()?, Server::binary()?);
        let mut cluster = Self { folder, binary, ready: Value::Null };
        let mut words = vec!["up", "--json"];
        for setting in settings {
            words.extend(["--set", setting]);
        }
        let line = cluster.command(&words).await?;
        cluster.ready = serde_json::from_str(&line).with_context(|| format!("no line of JSON: {line:?}"))?;
        Ok(cluster)
    }

    /// Where its data, keys and logs are.
    #[must_use]
    pub fn dir(&self) -> &Path {
        self.folder.path()
    }

    /// What it wrote stays for whoever looks for a cause.
    pub fn keep(&mut self) {
        self.folder.disable_cleanup(true);
    }

    /// `ws`, `http`, `admin_key` or `operator_key`.
    pub fn word(&self, key: &str) -> Result<&str> {
        self.ready[key].as_str().with_context(|| format!("the cluster did not say its {key}"))
    }

    /// `posthorn cluster ...` to its end, and what it printed.
    pub async fn command(&self, words: &[&str]) -> Result<String> {
        self.run(words, &[]).await
    }

    /// As [`Processes::command`], with a changed environment for it and for what it starts.
    pub async fn run(&self, words: &[&str], environment: &[(&str, &str)]) -> Result<String> {
        let mut command = Command::new(&self.binary);
        command.arg("cluster").args(words).arg("--dir").arg(self.dir()).envs(environment.iter().copied());
        let output = timeout(COMMAND, command.kill_on_drop(true).output()).await;
        let output = output.with_context(|| format!("`posthorn cluster {}` hangs", words.join(" ")))??;
        let errors = String::from_utf8_lossy(&output.stderr);
        ensure!(output.status.success(), "`posthorn cluster {}`: {}\n{errors}", words.join(" "), output.status);
        Ok(String::from_utf8_lossy(&output.stdout).into_owned())
    }

    /// All processes, dead ones too.
    pub async fn all(&self) -> Result<Vec<Member>> {
        let mut command = Command::new(&self.binary);
        command.args(["cluster", "status", "--json", "--dir"]).arg(self.dir());
        // Its exit status says whether all is ready; here it is who there is.
        let output = command.output().await?;
        let status: Value = serde_json::from_slice(&output.stdout).context("no line of JSON from status")?;
        let member = |value: &Value| {
            let word = |key: &str| value[key].as_str().map(str::to_owned);
            let of = |key: &str| word(key).with_context(|| format!("no {key} in {value}"));
            let pid = value["pid"].as_i64().and_then(|pid| i32::try_from(pid).ok());
            let (name, part, address) = (of("name")?, of("service")?, of("address")?);
            Ok(Member { name, part, pid, address, inner_address: word("inner_address") })
        };
        status["members"].as_array().context("no members")?.iter().map(member).collect()
    }

    /// Those of a service, or one engine.
    pub async fn members(&self, part: &str) -> Result<Vec<Member>> {
        let mut members = self.all().await?;
        members.retain(|member| member.part == part);
        Ok(members)
    }

    pub async fn member(&self, name: &str) -> Result<Member> {
        let found = self.all().await?.into_iter().find(|member| member.name == name);
        found.with_context(|| format!("there is no {name}"))
    }

    pub async fn signal(&self, name: &str, signal: Signal) -> Result<()> {
        let pid = self.member(name).await?.pid.and_then(Pid::from_raw);
        kill_process(pid.with_context(|| format!("{name} is not running"))?, signal)?;
        Ok(())
    }

    /// Until every process says that it is ready.
    pub async fn ready(&self) -> Result<()> {
        let whole = async || Ok(self.command(&["status", "--json"]).await.is_ok());
        self.until("all of the cluster is ready", whole).await
    }

    pub async fn until(&self, what: &str, holds: impl AsyncFn() -> Result<bool>) -> Result<()> {
        let begun = Instant::now();
        loop {
            let held = holds().await;
            if matches!(held, Ok(true)) {
                return Ok(());
            }
            if begun.elapsed() > PATIENCE {
                bail!("not within {} s: {what} ({held:?})", PATIENCE.as_secs());
            }
            sleep(POLL).await;
        }
    }

    /// A metric of one process by its whole name, over all its labels. `None`: it has no such metric.
    pub async fn metric(&self, name: &str, metric: &str) -> Result<Option<f64>> {
        let text = http_get(&self.member(name).await?.address, "/metrics").await?;
        Ok(sum_of(&text, metric))
    }

    /// One word to Redis, as <https://redis.io/docs/latest/develop/reference/protocol-spec> has it.
    pub async fn redis(&self, word: &str) -> Result<()> {
        let mut stream = TcpStream::connect(self.member("redis").await?.address).await?;
        stream.write_all(format!("*1\r\n${}\r\n{word}\r\n", word.len()).as_bytes()).await?;
        let mut answer = [0; 3];
        stream.read_exact(&mut answer).await?;
        ensure!(&answer == b"+OK", "Redis answers {answer:?}");
        Ok(())
    }
}

async fn http_get(address: &str, path: &str) -> Result<String> {
    let mut stream = TcpStream::connect(address).await?;
    let request = format!("GET {path} HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).await?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await?;
    Ok(answer)
}

impl Drop for Processes {
    fn drop(&mut self) {
        let mut down = std::process::Command::new(&self.binary);
        let status = down.args(["cluster", "down", "--dir"]).arg(self.dir()).status();
        if !matches!(status, Ok(status) if status.success()) {
            eprintln!("the cluster in {} could not be ended", self.dir().display());
        }
    }
}
