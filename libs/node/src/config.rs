//! The root of the configuration: one section per part, each defined beside the part that reads it.

use posthorn_config::{ConfigError, Layers, Sources};
use posthorn_gateway::GatewayConfig;
use posthorn_push::PushConfig;
use posthorn_routing::RoutingConfig;
use posthorn_rpc::RpcConfig;
use posthorn_session::SessionConfig;
use posthorn_store::embedded::StoreConfig;
use serde::{Deserialize, Serialize};

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
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
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
        // hyper takes no smaller buffer.
        if self.listen.max_header_bytes < 8_192 {
            return wrong("listen.max_header_bytes", "must be at least 8192");
        }
        let positive = [
            ("listen.max_connections", self.listen.max_connections as u64),
            ("listen.header_timeout_ms", self.listen.header_timeout_ms),
            ("node.stop_budget_ms", self.node.stop_budget_ms),
            ("rpc.deadline_ms", self.rpc.deadline_ms),
            ("rpc.max_in_flight", self.rpc.max_in_flight as u64),
        ];
        match positive.into_iter().find(|(_, value)| *value == 0) {
            Some((key, _)) => wrong(key, "must be at least 1"),
            None => Ok(()),
        }
    }
}
