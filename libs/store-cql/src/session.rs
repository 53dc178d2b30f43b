//! The session: which nodes it asks, with what it proves itself, how long it waits.

use std::{
    collections::HashMap,
    net::{IpAddr, SocketAddr},
    path::Path,
    sync::Arc,
    time::Duration,
};

use async_trait::async_trait;
use rustls::{
    ClientConfig, RootCertStore,
    crypto::aws_lc_rs,
    pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject},
};
use scylla::{
    client::{execution_profile::ExecutionProfile, session::Session, session_builder::SessionBuilder},
    errors::TranslationError,
    policies::{
        address_translator::{AddressTranslator, UntranslatedPeer},
        load_balancing::DefaultPolicy,
        retry::DefaultRetryPolicy,
        speculative_execution::SimpleSpeculativeExecutionPolicy,
    },
    statement::{Consistency, SerialConsistency},
};

use crate::{CqlConfig, OpenError};

/// Connects to the home data centre.
///
/// Connections that are lost are made again by the session: at once, then after delays that double from
/// 50 ms to 10 s, each with jitter.
pub(crate) async fn connect(config: &CqlConfig) -> Result<Session, OpenError> {
    if config.nodes.is_empty() {
        return Err(OpenError::Config("`cql.nodes` names no node".to_owned()));
    }
    let ms = Duration::from_millis;
    let mut builder = SessionBuilder::new()
        .known_nodes(&config.nodes)
        .default_execution_profile_handle(profile(config).into_handle())
        .connection_timeout(ms(config.connect_timeout_ms))
        .keepalive_interval(ms(config.keepalive_ms.max(1_000)))
        .keepalive_timeout(ms(config.keepalive_ms.max(1_000)))
        .tcp_nodelay(true)
        // Tables are named in full and statements prepared: nothing else of the schema is needed.
        .keyspaces_to_fetch([config.keyspace.clone()])
        .fetch_schema_metadata(true)
        .refresh_metadata_on_auto_schema_agreement(false);
    if !config.user.is_empty() {
        builder = builder.user(&config.user, &config.password);
    }
    if !config.ca_file.as_os_str().is_empty() {
        builder = builder.tls_context(Some(Arc::new(tls(config)?)));
    }
    if !config.addresses.is_empty() {
        builder = builder.address_translator(Arc::new(Addresses::new(config)?));
    }
    let session = builder.build().await.map_err(|error| OpenError::Session(Box::new(error)))?;
    one_datacenter(&session, config)?;
    Ok(session)
}

fn profile(config: &CqlConfig) -> ExecutionProfile {
    let mut policy = DefaultPolicy::builder().token_aware(true).permit_dc_failover(false);
    if !config.datacenter.is_empty() {
        policy = policy.prefer_datacenter(config.datacenter.clone());
    }
    let interval = Duration::from_millis(config.second_read_ms.max(1));
    let second = SimpleSpeculativeExecutionPolicy { max_retry_count: 1, retry_interval: interval };
    ExecutionProfile::builder()
        .consistency(Consistency::LocalQuorum)
        .serial_consistency(Some(SerialConsistency::LocalSerial))
        .request_timeout(Some(Duration::from_millis(config.attempt_timeout_ms)))
        .load_balancing_policy(policy.build())
        // Never lowers a consistency level. Writes are told to it as not idempotent: it repeats only what
        // was certainly not done, and so the last error tells the truth about all tries.
        .retry_policy(Arc::new(DefaultRetryPolicy::new()))
        .speculative_execution_policy(Some(Arc::new(second)))
        .build()
}

/// Local levels mean the data centre of the node that is asked: with several, ours has to be named.
fn one_datacenter(session: &Session, config: &CqlConfig) -> Result<(), OpenError> {
    let found = datacenters(session);
    let fits = match config.datacenter.as_str() {
        "" => found.len() == 1,
        named => found.iter().any(|name| name == named),
    };
    if fits {
        return Ok(());
    }
    Err(OpenError::Config(format!("`cql.datacenter` is {:?}, the nodes are in {found:?}", config.datacenter)))
}

/// Those that the nodes are in.
pub(crate) fn datacenters(session: &Session) -> Vec<String> {
    let state = session.get_cluster_state();
    let mut names: Vec<String> = state.get_nodes_info().iter().filter_map(|node| node.datacenter.clone()).collect();
    names.sort();
    names.dedup();
    names
}

/// By the address alone: as its port a node gives the one of the contact point.
struct Addresses(HashMap<IpAddr, SocketAddr>);

impl Addresses {
    fn new(config: &CqlConfig) -> Result<Self, OpenError> {
        let pair = |text: &String| {
            let (given, reachable) = text.split_once('=')?;
            Some((given.trim().parse().ok()?, reachable.trim().parse().ok()?))
        };
        let parse = |text: &String| {
            let wrong = || OpenError::Config(format!("`cql.addresses`: {text:?} is no `address=address:port`"));
            pair(text).ok_or_else(wrong)
        };
        config.addresses.iter().map(parse).collect::<Result<_, _>>().map(Self)
    }
}

#[async_trait]
impl AddressTranslator for Addresses {
    async fn translate_address(&self, peer: &UntranslatedPeer) -> Result<SocketAddr, TranslationError> {
        let given = peer.untranslated_address();
        self.0.get(&given.ip()).copied().ok_or(TranslationError::NoRuleForAddress(given))
    }
}

fn tls(config: &CqlConfig) -> Result<ClientConfig, OpenError> {
    let unreadable = |path: &Path, why: &dyn std::fmt::Display| OpenError::Config(format!("{}: {why}", path.display()));
    let certificates = |path: &Path| -> Result<Vec<CertificateDer<'static>>, OpenError> {
        let found = CertificateDer::pem_file_iter(path).and_then(Iterator::collect::<Result<Vec<_>, _>>);
        found.map_err(|why| unreadable(path, &why))
    };
    let mut roots = RootCertStore::empty();
    for root in certificates(&config.ca_file)? {
        roots.add(root).map_err(|why| unreadable(&config.ca_file, &why))?;
    }
    let provider = Arc::new(aws_lc_rs::default_provider());
    let builder = ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions();
    let builder = builder.map_err(|why| OpenError::Config(format!("TLS: {why}")))?.with_root_certificates(roots);
    if config.cert_file.as_os_str().is_empty() {
        return Ok(builder.with_no_client_auth());
    }
    let own = certificates(&config.cert_file)?;
    let key = PrivateKeyDer::from_pem_file(&config.key_file).map_err(|why| unreadable(&config.key_file, &why))?;
    builder.with_client_auth_cert(own, key).map_err(|why| unreadable(&config.cert_file, &why))
}
