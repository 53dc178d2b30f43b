//! How a connection is made in each mode. The silent traps of the client are dealt with here: its timeouts
//! are set, Nagle's delay is off, retries within the client are few, and TLS has a provider.

use std::{num::NonZeroUsize, time::Duration};

use posthorn_clock::timeout;
use redis::{
    AsyncConnectionConfig, Client, ClientTlsConfig, ConnectionAddr, ConnectionInfo, IntoConnectionInfo,
    RedisConnectionInfo, RedisResult, TlsCertificates, TlsMode,
    aio::{ConnectionLike, MultiplexedConnection},
    cluster::ClusterClient,
    cluster_async::ClusterConnection,
    io::tcp::TcpSettings,
    sentinel::{SentinelClient, SentinelClientBuilder, SentinelServerType},
};

use crate::{OpenError, RedisConfig, RedisMode};

/// Within the client, for a slot that moved; everything else is retried by whoever asks.
const CLUSTER_RETRIES: u32 = 2;

#[derive(Clone)]
pub(crate) enum Connection {
    Direct(MultiplexedConnection),
    Cluster(ClusterConnection),
}

impl ConnectionLike for Connection {
    fn req_packed_command<'a>(&'a mut self, cmd: &'a redis::Cmd) -> redis::RedisFuture<'a, redis::Value> {
        match self {
            Self::Direct(connection) => connection.req_packed_command(cmd),
            Self::Cluster(connection) => connection.req_packed_command(cmd),
        }
    }

    fn req_packed_commands<'a>(
        &'a mut self,
        commands: &'a redis::Pipeline,
        offset: usize,
        count: usize,
    ) -> redis::RedisFuture<'a, Vec<redis::Value>> {
        match self {
            Self::Direct(connection) => connection.req_packed_commands(commands, offset, count),
            Self::Cluster(connection) => connection.req_packed_commands(commands, offset, count),
        }
    }

    fn get_db(&self) -> i64 {
        match self {
            Self::Direct(connection) => connection.get_db(),
            Self::Cluster(connection) => connection.get_db(),
        }
    }
}

/// Makes connections; asks the sentinels anew each time.
pub(crate) struct Connector {
    target: Target,
    settings: AsyncConnectionConfig,
    /// For all steps of a connection.
    limit: Duration,
}

enum Target {
    Single(Box<Client>),
    Sentinel(Box<SentinelClient>),
    Cluster(Box<ClusterClient>),
}

impl Connector {
    /// Reads the files that the configuration names, connects to nothing.
    pub fn new(config: &RedisConfig) -> Result<Self, OpenError> {
        config.check()?;
        let addresses = config.addresses.iter().map(|at| address(at, config.tls)).collect::<Result<Vec<_>, _>>()?;
        let certificates = certificates(config)?;
        let connect = Duration::from_millis(config.connect_timeout_ms);
        let response = Duration::from_millis(config.response_timeout_ms);
        let (target, steps) = match config.mode {
            RedisMode::Single => (single(config, &addresses, certificates)?, 1),
            // Those that do not answer are asked before the one that does.
            RedisMode::Sentinel => (sentinel(config, &addresses, certificates)?, 2 + addresses.len()),
            RedisMode::Cluster => (cluster(config, &addresses, certificates)?, 1 + addresses.len()),
        };
        let settings = AsyncConnectionConfig::new()
            .set_connection_timeout(Some(connect))
            .set_response_timeout(Some(response))
            .set_pipeline_buffer_size(config.max_in_flight);
        let limit = connect * u32::try_from(steps).unwrap_or(u32::MAX);
        Ok(Self { target, settings, limit })
    }

    pub async fn connect(&mut self) -> Result<Connection, String> {
        let limit = self.limit;
        match timeout(limit, self.connect_now()).await {
            Ok(Ok(connection)) => Ok(connection),
            Ok(Err(error)) => Err(error.to_string()),
            Err(_) => Err("no connection in time".to_owned()),
        }
    }

    async fn connect_now(&mut self) -> RedisResult<Connection> {
        let settings = &self.settings;
        match &mut self.target {
            Target::Single(client) => {
                client.get_multiplexed_async_connection_with_config(settings).await.map(Connection::Direct)
            }
            Target::Sentinel(client) => client.get_async_connection_with_config(settings).await.map(Connection::Direct),
            Target::Cluster(client) => client.get_async_connection().await.map(Connection::Cluster),
        }
    }
}

fn address(text: &str, tls: bool) -> Result<ConnectionAddr, OpenError> {
    let wrong = || OpenError::config("redis.addresses", format!("must be HOST:PORT each, not `{text}`"));
    let (host, port) = text.rsplit_once(':').ok_or_else(wrong)?;
    let host = host.trim_start_matches('[').trim_end_matches(']').to_owned();
    let port = port.parse().map_err(|_| wrong())?;
    if host.is_empty() {
        return Err(wrong());
    }
    Ok(match tls {
        true => ConnectionAddr::TcpTls { host, port, insecure: false, tls_params: None },
        false => ConnectionAddr::Tcp(host, port),
    })
}

fn tcp() -> TcpSettings {
    TcpSettings::default().set_nodelay(true)
}

fn credentials(config: &RedisConfig) -> RedisConnectionInfo {
    let mut info = RedisConnectionInfo::default().set_db(config.database.into());
    if !config.password.is_empty() {
        info = info.set_password(&config.password);
    }
    if !config.user.is_empty() {
        info = info.set_username(&config.user);
    }
    info
}

fn info(config: &RedisConfig, address: &ConnectionAddr) -> Result<ConnectionInfo, OpenError> {
    let info = address.clone().into_connection_info()?;
    Ok(info.set_redis_settings(credentials(config)).set_tcp_settings(tcp()))
}

fn single(
    config: &RedisConfig,
    addresses: &[ConnectionAddr],
    certificates: Option<TlsCertificates>,
) -> Result<Target, OpenError> {
    let [address] = addresses else {
        return Err(OpenError::config("redis.addresses", "must be one address in mode `single`"));
    };
    let info = info(config, address)?;
    Ok(Target::Single(Box::new(match certificates {
        Some(certificates) => Client::build_with_tls(info, certificates)?,
        None => Client::open(info)?,
    })))
}

fn sentinel(
    config: &RedisConfig,
    addresses: &[ConnectionAddr],
    certificates: Option<TlsCertificates>,
) -> Result<Target, OpenError> {
    let master = SentinelServerType::Master;
    let mut builder = SentinelClientBuilder::new(addresses.to_vec(), &config.master, master)?
        .set_client_to_redis_db(config.database.into())
        .set_client_to_redis_tcp_settings(tcp())
        .set_client_to_sentinel_tcp_settings(tcp());
    if !config.password.is_empty() {
        builder = builder.set_client_to_redis_password(&config.password);
    }
    if !config.user.is_empty() {
        builder = builder.set_client_to_redis_username(&config.user);
    }
    if !config.sentinel_password.is_empty() {
        builder = builder.set_client_to_sentinel_password(&config.sentinel_password);
    }
    if !config.sentinel_user.is_empty() {
        builder = builder.set_client_to_sentinel_username(&config.sentinel_user);
    }
    if let Some(certificates) = certificates {
        builder = builder
            .set_client_to_redis_tls_mode(TlsMode::Secure)
            .set_client_to_sentinel_tls_mode(TlsMode::Secure)
            .set_client_to_redis_certificates(certificates.clone())
            .set_client_to_sentinel_certificates(certificates);
    }
    Ok(Target::Sentinel(Box::new(builder.build()?)))
}

fn cluster(
    config: &RedisConfig,
    addresses: &[ConnectionAddr],
    certificates: Option<TlsCertificates>,
) -> Result<Target, OpenError> {
    let nodes = addresses.iter().map(|address| info(config, address)).collect::<Result<Vec<_>, _>>()?;
    let response = Duration::from_millis(config.response_timeout_ms);
    let mut builder = ClusterClient::builder(nodes)
        .connection_timeout(Duration::from_millis(config.connect_timeout_ms))
        .response_timeout(response)
        .overall_response_timeout(Some(response))
        .retries(CLUSTER_RETRIES)
        .min_retry_wait(config.reconnect_ms)
        .max_retry_wait(config.max_reconnect_ms)
        .tcp_settings(tcp())
        .max_connection_attempts(NonZeroUsize::MIN);
    if let Some(certificates) = certificates {
        builder = builder.tls(TlsMode::Secure).certs(certificates);
    }
    Ok(Target::Cluster(Box::new(builder.build()?)))
}

/// `None` without TLS.
fn certificates(config: &RedisConfig) -> Result<Option<TlsCertificates>, OpenError> {
    if !config.tls {
        return Ok(None);
    }
    // Whoever came first chose the same: there is one provider in the tree.
    let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
    let read = |path: &String| match path.as_str() {
        "" => Ok(None),
        path => std::fs::read(path).map(Some).map_err(|why| OpenError::File { path: path.to_owned(), why }),
    };
    let root_cert = read(&config.tls_ca_file)?;
    let client_tls = match (read(&config.tls_cert_file)?, read(&config.tls_key_file)?) {
        (Some(client_cert), Some(client_key)) => Some(ClientTlsConfig { client_cert, client_key }),
        _ => None,
    };
    Ok(Some(TlsCertificates { client_tls, root_cert }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_a_host_and_a_port() {
        assert_eq!(
            address("redis.internal:6379", false).ok(),
            Some(ConnectionAddr::Tcp("redis.internal".into(), 6379))
        );
        assert_eq!(address("[::1]:7000", false).ok(), Some(ConnectionAddr::Tcp("::1".into(), 7000)));
        for wrong in ["redis", ":1", "redis:port", "redis:70000"] {
            assert!(address(wrong, true).is_err(), "{wrong}");
        }
    }
}
