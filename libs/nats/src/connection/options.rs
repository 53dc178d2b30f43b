//! From the configuration to the library's options.

use std::{path::PathBuf, time::Duration};

use async_nats::{ConnectOptions, ServerAddr};
use posthorn_clock::Clock;
use posthorn_core::backoff::Backoff;

use super::OpenError;
use crate::NatsConfig;

/// Pauses grow no further after this many attempts.
const MAX_DOUBLINGS: usize = 32;
/// Of the library's own queue of one subscription, which ours empties at once.
const SUBSCRIPTION_CAPACITY: usize = 8_192;

pub fn addresses(config: &NatsConfig) -> Result<Vec<ServerAddr>, OpenError> {
    if config.servers.is_empty() {
        return Err(invalid("servers", "names no server"));
    }
    let parse =
        |server: &String| server.parse::<ServerAddr>().map_err(|e| invalid("servers", &format!("{server:?}: {e}")));
    config.servers.iter().map(parse).collect()
}

pub fn options(config: &NatsConfig, clock: &Clock) -> Result<ConnectOptions, OpenError> {
    if posthorn_bus::check_subject(&config.prefix).is_err() || config.prefix.contains('.') {
        return Err(invalid("prefix", "must be letters, digits, _ and -"));
    }
    let (first, most, clock) = (config.reconnect_ms, config.max_reconnect_ms, clock.clone());
    let delay = move |attempts: usize| {
        let mut backoff = Backoff::new(first, most);
        for _ in 1..attempts.min(MAX_DOUBLINGS) {
            backoff.next_ms(0);
        }
        Duration::from_millis(backoff.next_ms(clock.random()))
    };
    let options = ConnectOptions::new()
        .name(&config.prefix)
        .retry_on_initial_connect()
        .max_reconnects(None)
        .connection_timeout(Duration::from_millis(config.connect_timeout_ms))
        .request_timeout(Some(Duration::from_millis(config.request_timeout_ms)))
        // Ends a connection on which three of them were not answered.
        .ping_interval(Duration::from_millis(config.request_timeout_ms.max(1)))
        .reconnect_delay_callback(delay)
        .client_capacity(config.max_outgoing_messages.max(1))
        .subscription_capacity(SUBSCRIPTION_CAPACITY);
    credentials(tls(options, config)?, config)
}

fn tls(mut options: ConnectOptions, config: &NatsConfig) -> Result<ConnectOptions, OpenError> {
    options = options.require_tls(config.tls);
    if config.tls_first {
        options = options.tls_first();
    }
    if !config.tls_ca_file.is_empty() {
        options = options.add_root_certificates(PathBuf::from(&config.tls_ca_file));
    }
    match (config.tls_cert_file.as_str(), config.tls_key_file.as_str()) {
        ("", "") => Ok(options),
        ("", _) => Err(invalid("tls_key_file", "needs tls_cert_file")),
        (_, "") => Err(invalid("tls_cert_file", "needs tls_key_file")),
        (cert, key) => Ok(options.add_client_certificate(PathBuf::from(cert), PathBuf::from(key))),
    }
}

fn credentials(options: ConnectOptions, config: &NatsConfig) -> Result<ConnectOptions, OpenError> {
    if !config.credentials.is_empty() {
        // The library's words may quote them.
        return options
            .credentials(&config.credentials)
            .map_err(|_| invalid("credentials", "are not a JWT and a seed"));
    }
    Ok(if !config.nkey_seed.is_empty() {
        options.nkey(config.nkey_seed.clone())
    } else if !config.token.is_empty() {
        options.token(config.token.clone())
    } else if !config.user.is_empty() {
        options.user_and_password(config.user.clone(), config.password.clone())
    } else {
        options
    })
}

fn invalid(key: &'static str, why: &str) -> OpenError {
    OpenError::Invalid { key, why: why.to_owned() }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(config: &NatsConfig) -> String {
        let refused = addresses(config).map(drop).and_then(|()| options(config, &Clock::system()).map(drop));
        refused.map_or_else(|error| error.to_string(), |()| String::new())
    }

    #[test]
    fn what_cannot_be_used_is_named_and_no_secret_is() {
        let of = |change: fn(&mut NatsConfig)| {
            let mut config = NatsConfig::default();
            change(&mut config);
            refused(&config)
        };
        assert_eq!(of(|_| {}), "");
        assert_eq!(of(|c| c.servers.clear()), "nats.servers: names no server");
        assert!(of(|c| c.servers = vec!["http://there".into()]).starts_with("nats.servers: \"http://there\""));
        assert_eq!(of(|c| c.prefix = "a.b".into()), "nats.prefix: must be letters, digits, _ and -");
        assert_eq!(of(|c| c.tls_cert_file = "cert".into()), "nats.tls_cert_file: needs tls_key_file");
        assert_eq!(of(|c| c.credentials = "hush".into()), "nats.credentials: are not a JWT and a seed");
    }
}
