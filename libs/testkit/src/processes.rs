//! The processes of a deployment, one by one: asked, signalled, waited for.

use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use posthorn_clock::{Instant, sleep};
pub use rustix::process::Signal;
use rustix::process::{Pid, kill_process};
use serde_json::Value;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};

use crate::{Deployment, cluster::sum_of};

/// For a state that is waited for.
const PATIENCE: Duration = Duration::from_secs(120);
const POLL: Duration = Duration::from_millis(200);

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

impl Member {
    /// Whether it is one of Posthorn's services.
    #[must_use]
    pub fn is_service(&self) -> bool {
        ["gateway", "session", "routing", "storage", "push"].contains(&self.part.as_str())
    }
}

impl Deployment {
    /// As [`Deployment::cluster`], with a changed environment for the command and for what it starts.
    pub async fn cluster_in(&self, environment: &[(&str, &str)], command: &str, arguments: &[&str]) -> Result<()> {
        let mut command = self.command(command, arguments)?;
        let output = command.envs(environment.iter().copied()).output().await?;
        ensure!(output.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
        Ok(())
    }

    /// All processes, dead ones too.
    pub async fn all(&self) -> Result<Vec<Member>> {
        let status = self.status().await?;
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
        let whole = async || Ok(self.status().await?["ready"] == true);
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
