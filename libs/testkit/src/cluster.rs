//! A node in this process, or processes behind one address.

use std::net::SocketAddr;

use anyhow::{Context, Result};
use posthorn_clock::Clock;
use posthorn_node::{BusEngine, Engines, Node, NodeConfig, NodeParts, Reason, Role, Roles, Stopped, Topology};
use posthorn_telemetry::Metrics;
use tempfile::TempDir;
use tokio::net::TcpListener;

use crate::{Deployment, Tenant};

/// Where a cluster keeps its log.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Storage {
    /// The real store, in a directory that is deleted with the cluster.
    #[default]
    Embedded,
    /// The model: fast, and gone with the cluster.
    Memory,
}

/// What a test may want otherwise.
#[derive(Clone, Debug, Default)]
pub struct ClusterOptions {
    pub topology: Topology,
    pub storage: Storage,
    /// `listen.addr` and `store.data_dir` are set by the cluster.
    pub config: NodeConfig,
}

impl ClusterOptions {
    /// The embedded store, and no waiting at the end for clients that are slow to leave.
    #[must_use]
    pub fn new(topology: Topology) -> Self {
        let mut config = NodeConfig::default();
        config.edge.drain_cap_ms = 1_000;
        config.node.stop_budget_ms = 20_000;
        // A test must not depend on how full the machine's disk is.
        config.store.min_free_bytes = 0;
        Self { topology, storage: Storage::Embedded, config }
    }

    #[must_use]
    pub const fn memory(mut self) -> Self {
        self.storage = Storage::Memory;
        self
    }

    /// With the configuration changed.
    #[must_use]
    pub fn with(mut self, change: impl FnOnce(&mut NodeConfig)) -> Self {
        change(&mut self.config);
        self
    }
}

/// A running node, or several. Stop it at the end ([`Cluster::stop`]): that checks that it stops cleanly.
pub struct Cluster {
    options: ClusterOptions,
    clock: Clock,
    metrics: Metrics,
    node: Option<Node>,
    addr: SocketAddr,
    /// Kept over restarts of a node on the model.
    memory: Option<Engines>,
    /// The services, where they are apart; the node is then a gateway of the test's own, for its clients.
    processes: Option<Deployment>,
    _folder: TempDir,
}

impl Cluster {
    /// On the embedded store, with the defaults.
    pub async fn start(topology: Topology) -> Result<Self> {
        Box::pin(Self::start_with(ClusterOptions::new(topology))).await
    }

    pub async fn start_with(mut options: ClusterOptions) -> Result<Self> {
        let folder = tempfile::tempdir().context("no temporary directory")?;
        options.config.store.data_dir = folder.path().join("data");
        let clock = Clock::system();
        let memory = (options.storage == Storage::Memory).then(|| Engines::memory(&clock));
        let addr = SocketAddr::from(([127, 0, 0, 1], 0));
        let metrics = Metrics::default();
        let mut cluster = Self { options, clock, metrics, node: None, addr, memory, processes: None, _folder: folder };
        cluster.resume().await?;
        Ok(cluster)
    }

    /// Two processes of each service on real engines, with arguments of `posthorn cluster up`.
    pub async fn apart(arguments: &[&str]) -> Result<Self> {
        let processes = Deployment::start(arguments).await?;
        let of = async |part: &str| -> Result<Vec<String>> {
            let members = processes.members(part).await?.into_iter();
            Ok(members.filter_map(|member| Some(format!("http://{}", member.inner_address?))).collect())
        };
        let mut options = ClusterOptions::new(Topology::Local);
        let config = &mut options.config;
        (config.cluster.storage, config.cluster.session) = (of("storage").await?, of("session").await?);
        config.engines.bus = BusEngine::Nats;
        config.nats.servers = vec![format!("nats://{}", processes.member("nats").await?.address)];
        let (clock, metrics, roles) = (Clock::system(), Metrics::default(), Roles::of(&[Role::Gateway]));
        let engines = posthorn_node::open(config, roles, &clock, &metrics, &Reason::default()).await?;
        let parts = NodeParts {
            listener: Box::new(TcpListener::bind("127.0.0.1:0").await?),
            clock: clock.clone(),
            metrics: metrics.clone(),
            topology: Topology::Local,
            roles,
            grpc: None,
            network: posthorn_node::Tcp::shared(),
            engines,
            pages: axum::Router::new(),
        };
        let node = Some(Box::pin(Node::start(config.clone(), parts)).await?);
        let addr = processes.running.http.trim_start_matches("http://").parse()?;
        let (folder, processes) = (tempfile::tempdir().context("no temporary directory")?, Some(processes));
        Ok(Self { options, clock, metrics, node, addr, memory: None, processes, _folder: folder })
    }

    /// Stops in order and starts again: same address, same data.
    pub async fn restart(&mut self) -> Result<()> {
        self.halt().await?;
        self.resume().await
    }

    /// Stops in order; [`Cluster::resume`] goes on.
    pub async fn halt(&mut self) -> Result<Stopped> {
        let node = self.node.take().context("the node is stopped already")?;
        let stopped = node.shutdown().await;
        anyhow::ensure!(stopped.clean(), "the node did not stop cleanly: {stopped:?}");
        Ok(stopped)
    }

    /// Starts the node, on the address it had.
    pub async fn resume(&mut self) -> Result<()> {
        let listener = TcpListener::bind(self.addr).await.with_context(|| format!("cannot bind {}", self.addr))?;
        self.addr = listener.local_addr()?;
        self.metrics = Metrics::default();
        let engines = match &self.memory {
            Some(engines) => engines.clone(),
            None => Engines::embedded(&self.options.config, &self.metrics).await?,
        };
        let parts = NodeParts {
            listener: Box::new(listener),
            clock: self.clock.clone(),
            metrics: self.metrics.clone(),
            topology: self.options.topology,
            roles: Roles::ALL,
            grpc: None,
            network: posthorn_node::Tcp::shared(),
            engines,
            pages: axum::Router::new(),
        };
        self.node = Some(Box::pin(Node::start(self.options.config.clone(), parts)).await?);
        Ok(())
    }

    /// The end: stops in order and deletes the data.
    pub async fn stop(mut self) -> Result<()> {
        self.halt().await.map(|_| ())
    }

    /// The running node; an error while it is halted.
    pub fn node(&self) -> Result<&Node> {
        self.node.as_ref().context("the node is stopped")
    }

    /// The text of `/metrics`, since the last start.
    #[must_use]
    pub fn metrics(&self) -> String {
        self.metrics.encode()
    }

    /// A counter or gauge by its whole name, over all labels and processes.
    pub async fn sum(&self, metric: &str) -> Result<f64> {
        let Some(processes) = &self.processes else { return Ok(sum_of(&self.metrics(), metric).unwrap_or_default()) };
        let mut sum = 0.0;
        for member in processes.all().await? {
            if member.is_service() {
                sum += processes.metric(&member.name, metric).await?.unwrap_or_default();
            }
        }
        Ok(sum)
    }

    #[must_use]
    pub const fn clock(&self) -> &Clock {
        &self.clock
    }

    #[must_use]
    pub const fn addr(&self) -> SocketAddr {
        self.addr
    }

    /// `ws://HOST:PORT/v1/ws`
    #[must_use]
    pub fn ws(&self) -> String {
        format!("ws://{}/v1/ws", self.addr)
    }

    /// `http://HOST:PORT`
    #[must_use]
    pub fn http(&self) -> String {
        format!("http://{}", self.addr)
    }

    /// A tenant with a key, made if it is not there.
    pub async fn tenant(&self, name: &str) -> Result<Tenant> {
        Tenant::make(self.node()?, name, self.ws(), self.http()).await
    }

    /// An operator's key.
    pub async fn operator_key(&self) -> Result<String> {
        crate::tenant::operator_key(self.node()?).await
    }
}

/// What a text of metrics says of one, over all its labels that begin as `metric` does. `None`: nothing.
pub(crate) fn sum_of(text: &str, metric: &str) -> Option<f64> {
    let of = |line: &str| {
        let rest = line.strip_prefix(metric)?;
        let value = if rest.starts_with('{') { rest.split_once("} ")?.1 } else { rest.strip_prefix(' ')? };
        value.split(' ').next()?.parse::<f64>().ok()
    };
    text.lines().filter_map(of).reduce(|sum, value| sum + value)
}
