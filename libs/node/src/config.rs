//! The root of the configuration: one section per part, each defined beside the part that reads it.

use std::{path::PathBuf, sync::Arc, time::Duration};

use posthorn_config::{ConfigError, Layers, Sources};
use posthorn_gateway::GatewayConfig;
use posthorn_push::PushConfig;
use posthorn_routing::RoutingConfig;
use posthorn_rpc::{Network, RpcConfig, Tcp, Tls, TlsFiles, TlsTimes};
use posthorn_session::SessionConfig;
use posthorn_store::embedded::StoreConfig;
use posthorn_telemetry::Metrics;
use serde::{Deserialize, Serialize};

use crate::StartError;
pub use crate::http::ListenConfig;
#[cfg(feature = "networked")]
use crate::networked::{CqlConfig, NatsConfig, RedisConfig};

/// Sections whose keys the operator names.
const OPEN: &[&str] = &["edge.classes"];

#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct NodeConfig {
    pub node: NodeSection,
    pub listen: ListenConfig,
    pub cluster: ClusterConfig,
    pub engines: EnginesConfig,
    pub store: StoreConfig,
    #[cfg(feature = "networked")]
    pub cql: CqlConfig,
    #[cfg(feature = "networked")]
    pub nats: NatsConfig,
    #[cfg(feature = "networked")]
    pub redis: RedisConfig,
    pub edge: GatewayConfig,
    pub routing: RoutingConfig,
    pub session: SessionConfig,
    pub push: PushConfig,
    pub rpc: RpcConfig,
    pub log: LogConfig,
}

/// The `[node]` section.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct NodeSection {
    pub stop_budget_ms: u64,
    pub max_backups: usize,
}

impl Default for NodeSection {
    fn default() -> Self {
        Self { stop_budget_ms: 60_000, max_backups: 1 }
    }
}

/// The `[cluster]` section: how the processes of several tiers find each other.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ClusterConfig {
    /// Where the services of this process are served to others over gRPC; empty: nowhere.
    pub grpc_addr: String,
    /// Where others reach that: `http://HOST:PORT`.
    pub advertise: String,
    pub storage: Vec<String>,
    pub session: Vec<String>,
    /// Asked by gateways for the operator; empty: they answer `unavailable` to that.
    pub push: Vec<String>,
    /// PEM files: of the authority, of the own certificate and its key. All three, or none: then the links are not
    /// encrypted.
    pub tls_ca_file: String,
    pub tls_cert_file: String,
    pub tls_key_file: String,
    /// How often they are read again.
    pub tls_reload_ms: u64,
    /// How long a peer may take to shake hands.
    pub tls_handshake_ms: u64,
}

impl Default for ClusterConfig {
    fn default() -> Self {
        let nowhere = String::new;
        Self {
            grpc_addr: nowhere(),
            advertise: nowhere(),
            storage: Vec::new(),
            session: Vec::new(),
            push: Vec::new(),
            tls_ca_file: nowhere(),
            tls_cert_file: nowhere(),
            tls_key_file: nowhere(),
            tls_reload_ms: 10_000,
            tls_handshake_ms: 5_000,
        }
    }
}

impl ClusterConfig {
    /// `None`: the links are not encrypted.
    #[must_use]
    pub fn tls_files(&self) -> Option<TlsFiles> {
        let [ca, cert, key] = self.tls_paths().map(PathBuf::from);
        self.tls_paths().iter().all(|file| !file.is_empty()).then_some(TlsFiles { ca, cert, key })
    }

    const fn tls_paths(&self) -> [&String; 3] {
        [&self.tls_ca_file, &self.tls_cert_file, &self.tls_key_file]
    }

    /// How the processes of the services reach each other.
    pub fn network(&self, metrics: &Metrics) -> Result<Arc<dyn Network>, StartError> {
        let Some(files) = self.tls_files() else { return Ok(Tcp::shared()) };
        let ms = Duration::from_millis;
        let times = TlsTimes { handshake: ms(self.tls_handshake_ms), reload: ms(self.tls_reload_ms) };
        Ok(Arc::new(Tls::load(files, times, metrics)?))
    }

    fn tls_is_whole(&self) -> bool {
        self.tls_paths().iter().all(|file| file.is_empty()) || self.tls_files().is_some()
    }
}

/// The `[engines]` section: what is behind each trait.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct EnginesConfig {
    pub store: StoreEngine,
    pub bus: BusEngine,
    pub presence: PresenceEngine,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum StoreEngine {
    #[default]
    Embedded,
    Cql,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum BusEngine {
    #[default]
    Memory,
    Nats,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum PresenceEngine {
    #[default]
    Memory,
    Redis,
}

/// The `[log]` section.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct LogConfig {
    pub filter: String,
    pub format: LogFormat,
}

impl Default for LogConfig {
    fn default() -> Self {
        Self { filter: "info".to_owned(), format: LogFormat::Text }
    }
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum LogFormat {
    #[default]
    Text,
    Json,
}

impl From<LogFormat> for posthorn_telemetry::LogFormat {
    fn from(format: LogFormat) -> Self {
        match format {
            LogFormat::Text => Self::Text,
            LogFormat::Json => Self::Json,
        }
    }
}

impl NodeConfig {
    /// The layers over the defaults, to be filled in their order.
    pub fn layers() -> Result<Layers, ConfigError> {
        Self::layers_over(&Self::default())
    }

    /// Over other defaults: `posthorn dev` has some of its own.
    pub fn layers_over(defaults: &Self) -> Result<Layers, ConfigError> {
        Ok(Layers::over(defaults)?.open(OPEN))
    }

    /// What the layers make, checked.
    pub fn build(layers: Layers) -> Result<(Self, Sources), ConfigError> {
        let (config, sources) = layers.build::<Self>()?;
        config.check()?;
        Ok((config, sources))
    }

    /// What the types cannot say.
    fn check(&self) -> Result<(), ConfigError> {
        let wrong = |key: &str, why: &str| Err(ConfigError::Invalid(format!("`{key}` {why}")));
        if self.listen.addr.parse::<std::net::SocketAddr>().is_err() {
            return wrong("listen.addr", "must be IP:PORT, such as 127.0.0.1:7200");
        }
        // Settlements leave the feed to a stream, and JetStream is the one there is.
        if self.engines.store == StoreEngine::Cql && self.engines.bus != BusEngine::Nats {
            return wrong("engines.bus", "must be nats where `engines.store` is cql: the feed is on JetStream then");
        }
        #[cfg(feature = "networked")]
        self.redis.check().map_err(|error| ConfigError::Invalid(error.to_string()))?;
        if !self.cluster.tls_is_whole() {
            return wrong(
                "cluster.tls_ca_file",
                "and `tls_cert_file` and `tls_key_file` go together: all three, or none",
            );
        }
        let scheme = if self.cluster.tls_files().is_some() { "https://" } else { "http://" };
        if !self.cluster.advertise.is_empty() && !self.cluster.advertise.starts_with(scheme) {
            return wrong(
                "cluster.advertise",
                &format!("must begin with {scheme}: `cluster.tls_cert_file` says which"),
            );
        }
        // hyper takes no smaller buffer.
        if self.listen.max_header_bytes < 8_192 {
            return wrong("listen.max_header_bytes", "must be at least 8192");
        }
        let positive = [
            ("listen.max_connections", self.listen.max_connections as u64),
            ("listen.header_timeout_ms", self.listen.header_timeout_ms),
            ("node.stop_budget_ms", self.node.stop_budget_ms),
            ("cluster.tls_reload_ms", self.cluster.tls_reload_ms),
            ("cluster.tls_handshake_ms", self.cluster.tls_handshake_ms),
            ("rpc.deadline_ms", self.rpc.deadline_ms),
            ("rpc.max_in_flight", self.rpc.max_in_flight as u64),
        ];
        match positive.into_iter().find(|(_, value)| *value == 0) {
            Some((key, _)) => wrong(key, "must be at least 1"),
            None => Ok(()),
        }
    }
}
