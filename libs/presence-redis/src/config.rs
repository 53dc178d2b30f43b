//! `[redis]`: where it is, and how long it may take.

use std::fmt;

use posthorn_config::Row;
use serde::{Deserialize, Serialize};

use crate::OpenError;

#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct RedisConfig {
    pub mode: RedisMode,
    pub addresses: Vec<String>,
    pub master: String,
    pub database: u32,
    pub user: String,
    pub password: String,
    pub sentinel_user: String,
    pub sentinel_password: String,
    pub tls: bool,
    pub tls_ca_file: String,
    pub tls_cert_file: String,
    pub tls_key_file: String,
    pub prefix: String,
    pub connect_timeout_ms: u64,
    pub response_timeout_ms: u64,
    pub reconnect_ms: u64,
    pub max_reconnect_ms: u64,
    pub max_in_flight: usize,
    pub lease_ms: u64,
    pub settle_ms: u64,
    pub keep_ms: u64,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum RedisMode {
    #[default]
    Single,
    Sentinel,
    Cluster,
}

impl fmt::Debug for RedisConfig {
    /// Without passwords.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { mode, addresses, tls, .. } = self;
        let mut shown = f.debug_struct("RedisConfig");
        shown.field("mode", mode).field("addresses", addresses).field("tls", tls).finish_non_exhaustive()
    }
}

impl Default for RedisConfig {
    fn default() -> Self {
        Self {
            mode: RedisMode::Single,
            addresses: vec!["127.0.0.1:6379".to_owned()],
            master: "posthorn".to_owned(),
            database: 0,
            user: String::new(),
            password: String::new(),
            sentinel_user: String::new(),
            sentinel_password: String::new(),
            tls: false,
            tls_ca_file: String::new(),
            tls_cert_file: String::new(),
            tls_key_file: String::new(),
            prefix: "posthorn".to_owned(),
            connect_timeout_ms: 1_000,
            response_timeout_ms: 500,
            reconnect_ms: 50,
            max_reconnect_ms: 1_000,
            max_in_flight: 1_024,
            lease_ms: 6_000,
            settle_ms: 6_000,
            keep_ms: 86_400_000,
        }
    }
}

/// Rows of the section, for the reference page.
pub const ROWS: &[Row] = &[
    Row::new("redis", "Redis or Valkey, for connections and presence."),
    Row::new("redis.mode", "`single`, `sentinel` or `cluster`."),
    Row::new(
        "redis.addresses",
        "`HOST:PORT` of the server; of the sentinels; or of some nodes of the cluster, which name the others.",
    ),
    Row::new("redis.master", "`sentinel`: the name of the master."),
    Row::new("redis.database", "Number of the database; 0 in a cluster."),
    Row::new("redis.user", "User of the access list; empty: the default user."),
    Row::secret("redis.password", "Its password; empty: none."),
    Row::new("redis.sentinel_user", "`sentinel`: user at the sentinels, which have access lists of their own."),
    Row::secret("redis.sentinel_password", "Its password; empty: none."),
    Row::new("redis.tls", "Whether connections are encrypted, those to sentinels too."),
    Row::new("redis.tls_ca_file", "PEM file of the authorities that are trusted; empty: those of the system."),
    Row::new("redis.tls_cert_file", "PEM file of the client's certificate, where the server asks for one."),
    Row::new("redis.tls_key_file", "PEM file of its key."),
    Row::new("redis.prefix", "First part of every key. Deployments that share a server need one each."),
    Row::new("redis.connect_timeout_ms", "Time to connect and sign in."),
    Row::new(
        "redis.response_timeout_ms",
        "How long an answer may take. Beyond it the engine counts as away: events go to all gateways, presence is `unknown`.",
    ),
    Row::new("redis.reconnect_ms", "The first delay before connecting again, at most; doubled each time."),
    Row::new("redis.max_reconnect_ms", "The longest."),
    Row::new("redis.max_in_flight", "Operations at once; more wait for their turn within the response timeout."),
    Row::new(
        "redis.lease_ms",
        "How long a gateway counts as alive after its last sign. It gives one every third of this; its connections vanish at once when it ends.",
    ),
    Row::new(
        "redis.settle_ms",
        "How long an engine that was emptied is not believed: events go to all gateways until these have registered again, or know by their own clocks that lookups leave them out. At least `redis.lease_ms`; 0: it is believed at once.",
    ),
    Row::new(
        "redis.keep_ms",
        "After which what a gateway left behind is gone, whatever else happened. Longer than `redis.lease_ms` by far.",
    ),
];

impl RedisConfig {
    /// What the types cannot say.
    ///
    /// # Errors
    /// Names the key that is wrong.
    pub fn check(&self) -> Result<(), OpenError> {
        let wrong = |key, why: &str| Err(OpenError::config(key, why));
        let clean = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-' | ':');
        if self.prefix.is_empty() || self.prefix.len() > 64 || !self.prefix.chars().all(clean) {
            return wrong("redis.prefix", "must be 1 to 64 characters of A-Z a-z 0-9 . _ - :");
        }
        if self.addresses.is_empty() {
            return wrong("redis.addresses", "names no server");
        }
        if self.mode == RedisMode::Sentinel && self.master.is_empty() {
            return wrong("redis.master", "is needed where there are sentinels");
        }
        if self.mode == RedisMode::Cluster && self.database != 0 {
            return wrong("redis.database", "must be 0 in a cluster");
        }
        if self.tls_cert_file.is_empty() != self.tls_key_file.is_empty() {
            return wrong("redis.tls_key_file", "and `redis.tls_cert_file` go together");
        }
        if !self.user.is_empty() && self.password.is_empty() {
            return wrong("redis.password", "is needed with `redis.user`");
        }
        let positive = [
            ("redis.connect_timeout_ms", self.connect_timeout_ms),
            ("redis.response_timeout_ms", self.response_timeout_ms),
            ("redis.max_in_flight", self.max_in_flight as u64),
            ("redis.lease_ms", self.lease_ms),
        ];
        if let Some((key, _)) = positive.into_iter().find(|(_, value)| *value == 0) {
            return wrong(key, "must be at least 1");
        }
        if self.settle_ms != 0 && self.settle_ms < self.lease_ms {
            return wrong("redis.settle_ms", "must be 0, or at least `redis.lease_ms`");
        }
        if self.keep_ms < 10 * self.lease_ms.max(self.settle_ms) {
            return wrong("redis.keep_ms", "must be at least ten times `redis.lease_ms` and `redis.settle_ms`");
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_key_is_documented() {
        #[derive(Serialize)]
        struct Root {
            redis: RedisConfig,
        }
        posthorn_config::check_rows(&Root { redis: RedisConfig::default() }, ROWS).expect("rows and keys");
    }

    #[test]
    fn a_wrong_key_is_named() {
        let check = |change: fn(&mut RedisConfig)| {
            let mut config = RedisConfig::default();
            change(&mut config);
            config.check().map_err(|error| error.to_string())
        };
        assert_eq!(check(|_| {}), Ok(()));
        type Change = fn(&mut RedisConfig);
        let wrong: [(Change, &str); 7] = [
            (|c| c.prefix = "a{b}".into(), "redis.prefix"),
            (|c| c.addresses.clear(), "redis.addresses"),
            (|c| (c.mode, c.database) = (RedisMode::Cluster, 1), "redis.database"),
            (|c| c.tls_cert_file = "cert.pem".into(), "redis.tls_key_file"),
            (|c| c.response_timeout_ms = 0, "redis.response_timeout_ms"),
            (|c| c.settle_ms = c.lease_ms - 1, "redis.settle_ms"),
            (|c| c.keep_ms = c.lease_ms, "redis.keep_ms"),
        ];
        for (change, key) in wrong {
            assert!(check(change).expect_err(key).contains(key), "{key}");
        }
    }
}
