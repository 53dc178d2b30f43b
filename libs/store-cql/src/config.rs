//! `[cql]`: where the database is, and how patient the driver is with it.

use std::{fmt, path::PathBuf};

use serde::{Deserialize, Serialize};

/// The `[cql]` section.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct CqlConfig {
    /// `host:port` of some nodes; the others are learnt from them.
    pub nodes: Vec<String>,
    pub keyspace: String,
    /// The home data centre: the only one that is asked. May be empty where there is only one.
    pub datacenter: String,
    /// Replicas in the data centre, for `posthorn schema apply`.
    pub replication: u8,
    /// Empty: the database asks for no name.
    pub user: String,
    pub password: String,
    /// PEM with the authority that signed the nodes' certificates, which name their IP addresses. Empty: no TLS.
    pub ca_file: PathBuf,
    /// PEM of the own certificate and key, where the nodes ask for them.
    pub cert_file: PathBuf,
    pub key_file: PathBuf,
    /// Where nodes cannot be reached at the addresses that they give: `address=address:port` of each.
    pub addresses: Vec<String>,
    pub connect_timeout_ms: u64,
    /// How long one try of a statement may take.
    pub attempt_timeout_ms: u64,
    /// Tries of a statement, each at another node if there is one, before it is answered as failed.
    pub max_attempts: u32,
    /// A read that has not come back is asked of a second node after this.
    pub second_read_ms: u64,
    /// A conditional write without an answer is repeated for this long.
    pub conditional_timeout_ms: u64,
    /// How often an idle connection is probed, and how long the answer may take.
    pub keepalive_ms: u64,
    /// Statements at the database at once; more wait.
    pub max_in_flight: usize,
    /// How long a statement waits for its turn before it is refused.
    pub queue_wait_ms: u64,
    /// Rows in one page of an answer.
    pub page_rows: u32,
    /// Notes and settlements of one journal partition in one write.
    pub max_batch_notes: usize,
}

impl Default for CqlConfig {
    fn default() -> Self {
        Self {
            nodes: Vec::new(),
            keyspace: "posthorn".to_owned(),
            datacenter: String::new(),
            replication: 3,
            user: String::new(),
            password: String::new(),
            ca_file: PathBuf::new(),
            cert_file: PathBuf::new(),
            key_file: PathBuf::new(),
            addresses: Vec::new(),
            connect_timeout_ms: 2_000,
            attempt_timeout_ms: 2_500,
            max_attempts: 3,
            second_read_ms: 300,
            conditional_timeout_ms: 15_000,
            keepalive_ms: 2_000,
            max_in_flight: 1_024,
            queue_wait_ms: 2_000,
            page_rows: 256,
            max_batch_notes: 256,
        }
    }
}

impl fmt::Debug for CqlConfig {
    /// Without the password.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { nodes, keyspace, datacenter, replication, user, .. } = self;
        f.debug_struct("CqlConfig")
            .field("nodes", nodes)
            .field("keyspace", keyspace)
            .field("datacenter", datacenter)
            .field("replication", replication)
            .field("user", user)
            .finish_non_exhaustive()
    }
}
