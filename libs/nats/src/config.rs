//! `[nats]`: where it is, who we are there, and every bound.

use std::fmt;

use serde::{Deserialize, Serialize};

/// One connection serves the bus and the feed of a process.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct NatsConfig {
    /// Addresses of the servers: `nats://HOST:PORT`, or `tls://`. Others of the cluster are learned. Their
    /// `max_payload` has to hold `routing.max_batch_bytes` and a little: 4 MiB for the default.
    pub servers: Vec<String>,
    /// What every subject begins with, and every stream: several installations may share servers.
    pub prefix: String,
    /// Of an account with a password. All credentials: the first of `credentials`, `nkey_seed`, `token`,
    /// `user` that is set.
    pub user: String,
    pub password: String,
    pub token: String,
    /// A seed that begins with `SU`.
    pub nkey_seed: String,
    /// The text of a credentials file: a user's JWT and seed.
    pub credentials: String,
    /// Refuse a connection that is not encrypted. `tls://` does the same for one server.
    pub tls: bool,
    /// Start with the handshake, before the server's greeting (`handshake_first` of the server).
    pub tls_first: bool,
    /// PEM files: who signed the servers' certificates (empty: the system's), and our own certificate and key.
    pub tls_ca_file: String,
    pub tls_cert_file: String,
    pub tls_key_file: String,
    /// For one attempt to connect.
    pub connect_timeout_ms: u64,
    /// First pause between attempts and the longest, both with full jitter. There is no last attempt.
    pub reconnect_ms: u64,
    pub max_reconnect_ms: u64,
    /// Between two looks at whether messages still come through; without an answer for
    /// `request_timeout_ms` the connection counts as away.
    pub probe_ms: u64,
    /// For one answer of the servers.
    pub request_timeout_ms: u64,
    /// How long a publication waits for room.
    pub publish_timeout_ms: u64,
    /// Messages that may wait for the connection.
    pub max_outgoing_messages: usize,
    /// Messages and bytes that may wait for one subscriber; what is beyond is dropped and it is told.
    pub max_subscription_messages: usize,
    pub max_subscription_bytes: usize,
    pub feed: FeedConfig,
}

/// The feed's streams.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct FeedConfig {
    /// Copies of each stream, on as many servers: 1, 3 or 5.
    pub replicas: usize,
    /// What is older or beyond is discarded, the oldest first: who comes later reads the log.
    pub max_age_s: u64,
    pub max_bytes: u64,
    /// How long the servers know what they have taken, to drop second copies.
    pub duplicate_window_s: u64,
    /// Publications that wait for their acknowledgement.
    pub max_in_flight: usize,
    /// Of one read.
    pub max_read_bytes: usize,
    /// Between two looks at whether the stream still has what it had.
    pub verify_ms: u64,
    /// Bytes of dead letters that are kept; beyond them none is taken, and its consumer waits.
    pub max_dead_bytes: u64,
}

impl fmt::Debug for NatsConfig {
    /// Without passwords and tokens, which may stand in the addresses, too.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("NatsConfig").field("prefix", &self.prefix).field("tls", &self.tls).finish_non_exhaustive()
    }
}

impl Default for NatsConfig {
    fn default() -> Self {
        Self {
            servers: vec!["nats://127.0.0.1:4222".to_owned()],
            prefix: "posthorn".to_owned(),
            user: String::new(),
            password: String::new(),
            token: String::new(),
            nkey_seed: String::new(),
            credentials: String::new(),
            tls: false,
            tls_first: false,
            tls_ca_file: String::new(),
            tls_cert_file: String::new(),
            tls_key_file: String::new(),
            connect_timeout_ms: 2_000,
            reconnect_ms: 100,
            max_reconnect_ms: 2_000,
            probe_ms: 1_000,
            request_timeout_ms: 2_000,
            publish_timeout_ms: 100,
            max_outgoing_messages: 8_192,
            max_subscription_messages: 16_384,
            max_subscription_bytes: 64 * 1024 * 1024,
            feed: FeedConfig::default(),
        }
    }
}

impl Default for FeedConfig {
    fn default() -> Self {
        Self {
            replicas: 1,
            max_age_s: 7 * 24 * 3_600,
            max_bytes: 16 * 1024 * 1024 * 1024,
            duplicate_window_s: 120,
            max_in_flight: 1_024,
            max_read_bytes: 4 * 1024 * 1024,
            verify_ms: 30_000,
            max_dead_bytes: 1024 * 1024 * 1024,
        }
    }
}
