//! Apache Cassandra under Java 17: one node, or three on 127.0.0.1 to 127.0.0.3 that replicate to each
//! other.

mod install;

use std::{
    fs,
    io::{Read, Write},
    net::{IpAddr, Ipv4Addr, SocketAddr, TcpStream},
    path::{Path, PathBuf},
    process::Command,
    time::Duration,
};

use anyhow::{Context, Result, bail};
use tempfile::TempDir;

use crate::{ports::Port, process::Process};

/// What is installed.
pub const VERSION: &str = "5.0.5";
/// The data centre that nodes started here say they are in.
pub const DATACENTER: &str = "datacenter1";

const START: Duration = Duration::from_secs(300);
const ASK: Duration = Duration::from_secs(2);

/// When a write is on disk.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum CommitLog {
    /// Before it is answered.
    Batch,
    /// Within ten seconds: a node that is killed forgets what it acknowledged.
    Periodic,
}

/// How to start it.
#[derive(Clone, Copy, Debug)]
pub struct Options {
    /// 1 to 3.
    pub nodes: u8,
    pub heap_mib: u32,
    pub commit_log: CommitLog,
    /// Speaks TLS and asks for a password: user and password are `cassandra`. One node only.
    pub secured: bool,
    /// Tables are made a few times quicker, and a node that is killed and started again has forgotten them.
    pub forgets_tables: bool,
    /// Nodes keep what others missed and hand it on: without, a node that was away lacks it until it is read.
    pub hints: bool,
}

impl Options {
    /// One node with 1 GiB.
    #[must_use]
    pub const fn single() -> Self {
        let commit_log = CommitLog::Batch;
        Self { nodes: 1, heap_mib: 1_024, commit_log, secured: false, forgets_tables: false, hints: true }
    }

    /// Three nodes with 512 MiB each.
    #[must_use]
    pub const fn three() -> Self {
        Self { nodes: 3, heap_mib: 512, ..Self::single() }
    }
}

/// Running nodes in a folder of their own. All of it is gone when this is dropped, or its process ends.
pub struct Cassandra {
    nodes: Vec<Node>,
    cql: Port,
    _storage: Port,
    folder: TempDir,
}

struct Node {
    address: IpAddr,
    folder: PathBuf,
    options: Options,
    process: Option<Process>,
}

impl Cassandra {
    /// Installs it if it is not, starts the nodes and waits until each answers CQL.
    ///
    /// # Errors
    /// Java 17 or Maven is missing, or a node does not start; the text says which and why.
    pub async fn start(options: Options) -> Result<Self> {
        if !(1..=3).contains(&options.nodes) {
            bail!("one to three nodes, not {}", options.nodes);
        }
        let home = install::installed()?;
        let folder = tempfile::Builder::new().prefix("posthorn-cassandra-").tempdir()?;
        let addresses: Vec<IpAddr> = (1..=options.nodes).map(|n| Ipv4Addr::new(127, 0, 0, n).into()).collect();
        let (cql, storage) = (Port::free_on(&addresses)?, Port::free_on(&addresses)?);
        let mut nodes = Vec::new();
        for (n, address) in addresses.iter().enumerate() {
            let at = folder.path().join(format!("node{}", n + 1));
            let token = token(n, options.nodes);
            let text = install::configuration(&at, *address, token, (cql.number(), storage.number()), options);
            install::prepare(&at, &text)?;
            if options.secured {
                install::certify(&at, *address)?;
            }
            nodes.push(Node { address: *address, folder: at, options, process: None });
        }
        let mut started = Self { nodes, cql, _storage: storage, folder };
        // The first is the others' seed; they join it together.
        started.launch(&home, 0)?;
        started.wait(0).await?;
        for n in 1..started.nodes.len() {
            started.launch(&home, n)?;
        }
        for n in 1..started.nodes.len() {
            started.wait(n).await?;
        }
        Ok(started)
    }

    /// `address:port` of each node.
    #[must_use]
    pub fn contact_points(&self) -> Vec<String> {
        self.nodes.iter().map(|node| format!("{}:{}", node.address, self.cql.number())).collect()
    }

    /// What signed the certificate of a secured node.
    #[must_use]
    pub fn ca_file(&self) -> PathBuf {
        self.nodes[0].folder.join(install::CA)
    }

    /// The process of node `n`, from 0; `None` while it is down.
    #[must_use]
    pub fn pid(&self, n: usize) -> Option<u32> {
        Some(self.nodes.get(n)?.process.as_ref()?.pid())
    }

    /// `kill -9`.
    ///
    /// # Errors
    /// It is not running.
    pub fn kill(&mut self, n: usize) -> Result<()> {
        self.process(n)?.kill()?;
        self.nodes[n].process = None;
        Ok(())
    }

    /// SIGSTOP: it keeps its connections and answers nothing.
    ///
    /// # Errors
    /// It is not running.
    pub fn pause(&mut self, n: usize) -> Result<()> {
        self.process(n)?.pause()
    }

    /// SIGCONT.
    ///
    /// # Errors
    /// It is not running.
    pub fn resume(&mut self, n: usize) -> Result<()> {
        self.process(n)?.resume()
    }

    /// Starts a node that was killed on its old data, and waits until it answers.
    ///
    /// # Errors
    /// It runs already, or does not start.
    pub async fn restart(&mut self, n: usize) -> Result<()> {
        if self.pid(n).is_some() {
            bail!("node {n} is running");
        }
        self.launch(&install::installed()?, n)?;
        self.wait(n).await
    }

    fn process(&mut self, n: usize) -> Result<&mut Process> {
        let node = self.nodes.get_mut(n).with_context(|| format!("there is no node {n}"))?;
        node.process.as_mut().with_context(|| format!("node {n} is down"))
    }

    fn launch(&mut self, home: &Path, n: usize) -> Result<()> {
        let node = &mut self.nodes[n];
        let mut command = Command::new("java");
        command.args(install::flags(&node.folder, node.options)).arg("-cp");
        command.arg(format!("{}/conf:{}/*", node.folder.display(), home.display()));
        command.arg("org.apache.cassandra.service.CassandraDaemon").current_dir(&node.folder);
        let name = format!("cassandra {}", node.address);
        let process = Process::start_scrapping(&name, command, &node.folder.join("log"), &node.folder)?;
        node.process = Some(process);
        Ok(())
    }

    async fn wait(&mut self, n: usize) -> Result<()> {
        let at = SocketAddr::new(self.nodes[n].address, self.cql.number());
        let secured = self.nodes[n].options.secured;
        // The port opens once the node is ready; what speaks TLS is not asked more.
        let ready = || if secured { TcpStream::connect_timeout(&at, ASK).is_ok() } else { answers(at) };
        self.process(n)?.ready(START, async || ready()).await
    }
}

/// A key in `folder`, and a certificate for 127.0.0.1 that it signed itself: the certificate's path.
///
/// # Errors
/// There is no keytool, or it fails.
pub fn certificate(folder: &Path) -> Result<PathBuf> {
    fs::create_dir_all(folder.join("conf"))?;
    install::certify(folder, Ipv4Addr::LOCALHOST.into())?;
    Ok(folder.join(install::CA))
}

/// Whether the node answers OPTIONS of CQL's native protocol, version 4.
fn answers(at: SocketAddr) -> bool {
    let ask = || -> std::io::Result<bool> {
        let mut stream = TcpStream::connect_timeout(&at, ASK)?;
        stream.set_read_timeout(Some(ASK))?;
        stream.write_all(&[0x04, 0, 0, 0, 0x05, 0, 0, 0, 0])?;
        let mut header = [0; 9];
        stream.read_exact(&mut header)?;
        // A response of version 4: SUPPORTED.
        Ok(header[0] == 0x84 && header[4] == 0x06)
    };
    ask().unwrap_or(false)
}

/// Tokens that give each node the same share of the ring.
fn token(n: usize, of: u8) -> i64 {
    let step = (1_i128 << 64) / i128::from(of);
    let at = i128::from(i64::MIN) + step * i128::try_from(n).unwrap_or_default();
    i64::try_from(at).unwrap_or(i64::MAX)
}

impl Drop for Cassandra {
    fn drop(&mut self) {
        // Before their folder goes.
        for node in &mut self.nodes {
            node.process = None;
        }
        let _ = fs::remove_dir_all(self.folder.path());
    }
}
