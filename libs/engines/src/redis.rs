//! Redis: one server, a master with a replica and three sentinels, or a cluster of masters. Nothing is kept
//! on disk: whoever is killed comes back empty. One binary is all of these.

use std::{
    io::{BufRead, BufReader, Read, Write},
    net::TcpStream,
    path::{Path, PathBuf},
    process::Command,
    time::Duration,
};

use anyhow::{Context, Result, bail};
use posthorn_clock::{Instant, sleep};

use crate::{debian, detached::Detached, ports::Port, process::Process};

/// The name of the master at its sentinels.
pub const MASTER: &str = "posthorn";
/// Slots of every cluster.
const SLOTS: u16 = 16_384;
/// For a server to come up, or a group of them to agree, on a busy machine.
const PATIENCE: Duration = Duration::from_secs(60);
const POLL: Duration = Duration::from_millis(50);
/// Nothing is kept on disk.
const FORGETFUL: &str = "--save '' --appendonly no";

/// `redis-server`, installed if it is not there.
///
/// # Errors
/// It is not there and cannot be installed.
pub fn binary() -> Result<PathBuf> {
    debian::programs(&["redis-server"], &["redis-server"])
}

/// One server. Killed when dropped.
#[derive(Debug)]
pub struct Server {
    name: String,
    folder: PathBuf,
    arguments: Vec<String>,
    port: Port,
    process: Process,
    /// Others it listens on.
    _ports: Vec<Port>,
}

impl Server {
    /// With these arguments besides the port, its files in `folder`.
    ///
    /// # Errors
    /// It does not come up.
    pub async fn start(folder: &Path, name: &str, arguments: &[String]) -> Result<Self> {
        Self::start_on(Port::free()?, Vec::new(), folder, name, arguments).await
    }

    async fn start_on(port: Port, others: Vec<Port>, folder: &Path, name: &str, arguments: &[String]) -> Result<Self> {
        std::fs::create_dir_all(folder)?;
        let process =
            Process::start(name, command(port.number(), folder, arguments)?, &folder.join(format!("{name}.log")))?;
        let (name, folder, arguments) = (name.to_owned(), folder.to_owned(), arguments.to_vec());
        let mut server = Self { name, folder, arguments, port, process, _ports: others };
        server.answers().await?;
        Ok(server)
    }

    async fn answers(&mut self) -> Result<()> {
        let port = self.port.number();
        self.process.ready(PATIENCE, async || answers(port)).await
    }

    #[must_use]
    pub fn address(&self) -> String {
        format!("127.0.0.1:{}", self.port.number())
    }

    #[must_use]
    pub fn port(&self) -> u16 {
        self.port.number()
    }

    /// The process, for `kill -9`, SIGSTOP and SIGCONT.
    pub fn process(&mut self) -> &mut Process {
        &mut self.process
    }

    /// Starts it again, empty, on its port.
    ///
    /// # Errors
    /// It does not come up.
    pub async fn restart(&mut self) -> Result<()> {
        if self.process.running() {
            self.process.kill()?;
        }
        let command = command(self.port(), &self.folder, &self.arguments)?;
        self.process = Process::start(&self.name, command, &self.folder.join(format!("{}.log", self.name)))?;
        self.answers().await
    }

    /// One command; nested answers are lines.
    ///
    /// # Errors
    /// It does not answer, or with an error.
    pub fn ask(&self, words: &[&str]) -> Result<String> {
        ask(self.port.number(), words)
    }
}

fn command(port: u16, folder: &Path, arguments: &[String]) -> Result<Command> {
    let mut command = Command::new(binary()?);
    let config = folder.join(format!("{port}.conf"));
    if config.is_file() {
        command.arg(config);
    }
    command.args(["--port", &port.to_string(), "--bind", "127.0.0.1", "--dir"]).arg(folder);
    command.args(arguments);
    Ok(command)
}

fn words(text: &str) -> Vec<String> {
    text.split(' ').map(|word| if word == "''" { String::new() } else { word.to_owned() }).collect()
}

/// One server.
///
/// # Errors
/// It does not come up.
pub async fn single(folder: &Path) -> Result<Server> {
    Server::start(folder, "redis", &words(FORGETFUL)).await
}

/// One server that outlives this process; [`answers`] says when it is ready.
///
/// # Errors
/// It cannot be installed or started.
pub fn start_detached(folder: &Path, port: u16, log: &Path) -> Result<Detached> {
    std::fs::create_dir_all(folder).with_context(|| format!("cannot make {}", folder.display()))?;
    Process::start_detached("redis", command(port, folder, &words(FORGETFUL))?, log)
}

/// Whether a server on this port of 127.0.0.1 takes commands.
#[must_use]
pub fn answers(port: u16) -> bool {
    ask(port, &["PING"]).is_ok()
}

/// A master, a replica and three sentinels that agree on it.
#[derive(Debug)]
pub struct Watched {
    pub master: Server,
    pub replica: Server,
    pub sentinels: Vec<Server>,
}

/// # Errors
/// They do not come up, or do not find each other.
pub async fn watched(folder: &Path) -> Result<Watched> {
    let master = Server::start(folder, "master", &words(FORGETFUL)).await?;
    let follow = words(&format!(
        "--save '' --appendonly no --repl-diskless-sync-delay 0 --replicaof 127.0.0.1 {}",
        master.port()
    ));
    let replica = Server::start(folder, "replica", &follow).await?;
    until("the replica follows", || Ok(replica.ask(&["INFO", "replication"])?.contains("master_link_status:up")))
        .await?;
    let mut sentinels = Vec::new();
    for number in 0..3 {
        let port = Port::free()?;
        let config = format!(
            "sentinel monitor {MASTER} 127.0.0.1 {} 2\nsentinel down-after-milliseconds {MASTER} 1000\n\
             sentinel failover-timeout {MASTER} 5000\n",
            master.port()
        );
        std::fs::write(folder.join(format!("{}.conf", port.number())), config)?;
        let name = format!("sentinel{number}");
        sentinels.push(Server::start_on(port, Vec::new(), folder, &name, &["--sentinel".to_owned()]).await?);
    }
    for sentinel in &sentinels {
        let knows = || {
            let master = sentinel.ask(&["SENTINEL", "MASTER", MASTER])?;
            let of = |key: &str| master.lines().skip_while(|line| *line != key).nth(1).map(str::to_owned);
            Ok(of("num-slaves").as_deref() == Some("1") && of("num-other-sentinels").as_deref() == Some("2"))
        };
        until("the sentinels know each other and the replica", knows).await?;
    }
    Ok(Watched { master, replica, sentinels })
}

/// So many masters, each with its part of the slots.
///
/// # Errors
/// They do not come up, or do not become a cluster.
pub async fn cluster(folder: &Path, masters: u16) -> Result<Vec<Server>> {
    let mut nodes = Vec::new();
    let mut buses = Vec::new();
    for number in 0..masters {
        let (port, bus) = (Port::free()?, Port::free()?);
        buses.push(bus.number().to_string());
        let arguments = words(&format!(
            "--save '' --appendonly no --cluster-enabled yes --cluster-node-timeout 5000 \
             --cluster-config-file nodes{number}.conf --cluster-port {}",
            bus.number()
        ));
        nodes.push(Server::start_on(port, vec![bus], folder, &format!("node{number}"), &arguments).await?);
    }
    let share = SLOTS.div_ceil(masters);
    for (number, node) in (0..masters).zip(&nodes) {
        let (first, last) = (number * share, ((number + 1) * share - 1).min(SLOTS - 1));
        node.ask(&["CLUSTER", "ADDSLOTSRANGE", &first.to_string(), &last.to_string()])?;
        node.ask(&["CLUSTER", "SET-CONFIG-EPOCH", &(number + 1).to_string()])?;
    }
    for (other, bus) in nodes.iter().zip(&buses).skip(1) {
        nodes[0].ask(&["CLUSTER", "MEET", "127.0.0.1", &other.port().to_string(), bus])?;
    }
    let known = format!("cluster_known_nodes:{masters}");
    for node in &nodes {
        let whole = || {
            let info = node.ask(&["CLUSTER", "INFO"])?;
            Ok(info.contains("cluster_state:ok") && info.contains(&known))
        };
        until("the cluster is whole", whole).await?;
    }
    Ok(nodes)
}

async fn until(what: &str, holds: impl Fn() -> Result<bool>) -> Result<()> {
    let begun = Instant::now();
    while !matches!(holds(), Ok(true)) {
        if begun.elapsed() > PATIENCE {
            bail!("not within {PATIENCE:?}: {what}");
        }
        sleep(POLL).await;
    }
    Ok(())
}

/// The protocol of <https://redis.io/docs/latest/develop/reference/protocol-spec>, as much as it takes.
fn ask(port: u16, words: &[&str]) -> Result<String> {
    let mut stream = TcpStream::connect_timeout(&([127, 0, 0, 1], port).into(), Duration::from_secs(1))?;
    stream.set_read_timeout(Some(Duration::from_secs(2)))?;
    let mut request = format!("*{}\r\n", words.len());
    for word in words {
        request.push_str(&format!("${}\r\n{word}\r\n", word.len()));
    }
    stream.write_all(request.as_bytes())?;
    let mut lines = Vec::new();
    answer(&mut BufReader::new(stream), &mut lines)?;
    Ok(lines.join("\n"))
}

fn answer(from: &mut BufReader<TcpStream>, lines: &mut Vec<String>) -> Result<()> {
    let mut head = String::new();
    from.read_line(&mut head)?;
    let head = head.trim_end();
    let kind = head.chars().next().context("no answer")?;
    let rest = &head[kind.len_utf8()..];
    match kind {
        '-' => bail!("redis: {rest}"),
        '$' => {
            let Ok(length) = rest.parse::<usize>() else { return Ok(()) };
            let mut text = vec![0; length + 2];
            from.read_exact(&mut text)?;
            lines.push(String::from_utf8_lossy(&text[..length]).into_owned());
        }
        '*' => {
            for _ in 0..rest.parse::<usize>().unwrap_or(0) {
                answer(from, lines)?;
            }
        }
        _ => lines.push(rest.to_owned()),
    }
    Ok(())
}
