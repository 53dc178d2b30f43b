//! TLS 1.3 between the processes of the services: both ends show a certificate of one authority. Files that
//! change are read again, for the connections that come after.

use std::{io, net::SocketAddr, path::PathBuf, sync::Arc, time::Duration};

use async_trait::async_trait;
use futures_util::{StreamExt, future::BoxFuture, stream::FuturesUnordered};
use http::Uri;
use parking_lot::RwLock;
use posthorn_clock::{sleep, timeout};
use posthorn_telemetry::{Metrics, Word, counter_family};
use prometheus_client::{
    encoding::EncodeLabelSet,
    metrics::{counter::Counter, family::Family},
};
use rustls::{
    ClientConfig, RootCertStore, ServerConfig,
    crypto::aws_lc_rs,
    pki_types::{CertificateDer, PrivateKeyDer, ServerName, pem::PemObject},
    server::WebPkiClientVerifier,
    version::TLS13,
};
use tokio_rustls::{TlsAcceptor, TlsConnector};

use crate::net::{Io, Listener, Network, dial};

/// Peers that shake hands at once; the next wait in the listener's queue.
const MAX_HANDSHAKES: usize = 256;
/// The only protocol of the links, as both ends say.
const ALPN: &[u8] = b"h2";

/// Where the certificates of a process are, as PEM.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TlsFiles {
    /// Of the authority whose certificates are a service's.
    pub ca: PathBuf,
    pub cert: PathBuf,
    pub key: PathBuf,
}

/// The `[cluster]` section has them.
#[derive(Clone, Copy, Debug)]
pub struct TlsTimes {
    /// How long a peer may take to shake hands.
    pub handshake: Duration,
    /// How often the files are read again.
    pub reload: Duration,
}

/// A file cannot be used.
#[derive(Debug, thiserror::Error)]
#[error("{}: {why}", path.display())]
pub struct TlsError {
    pub path: PathBuf,
    pub why: String,
}

/// A network on which only who has a certificate of the authority is a service.
pub struct Tls {
    files: TlsFiles,
    times: TlsTimes,
    current: Arc<RwLock<Current>>,
    outcomes: Outcomes,
}

/// What the files said when they were read last.
struct Current {
    pem: [Vec<u8>; 3],
    server: TlsAcceptor,
    client: TlsConnector,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct ResultLabel {
    result: Word,
}

#[derive(Clone)]
struct Outcomes {
    handshakes: Family<ResultLabel, Counter>,
    reloads: Family<ResultLabel, Counter>,
}

fn count(family: &Family<ResultLabel, Counter>, result: &'static str) {
    family.get_or_create_owned(&ResultLabel { result: Word(result) }).inc();
}

impl Tls {
    pub fn load(files: TlsFiles, times: TlsTimes, metrics: &Metrics) -> Result<Self, TlsError> {
        let current = Arc::new(RwLock::new(Current::of(&files, files.read()?)?));
        let outcomes = Outcomes {
            handshakes: metrics.register("rpc_tls_handshakes", "Peers that shook hands, or did not", counter_family()),
            reloads: metrics.register("rpc_tls_reloads", "Certificates that were read again", counter_family()),
        };
        Ok(Self { files, times, current, outcomes })
    }

    /// Reads the files again. False if they say what they said.
    pub fn reload(&self) -> Result<bool, TlsError> {
        let pem = self.files.read()?;
        if self.current.read().pem == pem {
            return Ok(false);
        }
        let next = Current::of(&self.files, pem)?;
        *self.current.write() = next;
        Ok(true)
    }
}

impl TlsFiles {
    /// Authority, certificate, key.
    fn read(&self) -> Result<[Vec<u8>; 3], TlsError> {
        let read =
            |path: &PathBuf| std::fs::read(path).map_err(|why| TlsError { path: path.clone(), why: why.to_string() });
        Ok([read(&self.ca)?, read(&self.cert)?, read(&self.key)?])
    }
}

impl Current {
    fn of(files: &TlsFiles, pem: [Vec<u8>; 3]) -> Result<Self, TlsError> {
        let wrong = |path: &PathBuf, why: String| TlsError { path: path.clone(), why };
        let certificates = |pem: &[u8], path: &PathBuf| {
            let found = CertificateDer::pem_slice_iter(pem).collect::<Result<Vec<_>, _>>();
            let found = found.map_err(|why| wrong(path, why.to_string()))?;
            if found.is_empty() { Err(wrong(path, "no certificate is in it".to_owned())) } else { Ok(found) }
        };
        let mut roots = RootCertStore::empty();
        for root in certificates(&pem[0], &files.ca)? {
            roots.add(root).map_err(|why| wrong(&files.ca, why.to_string()))?;
        }
        let roots = Arc::new(roots);
        let chain = certificates(&pem[1], &files.cert)?;
        let key = PrivateKeyDer::from_pem_slice(&pem[2]).map_err(|why| wrong(&files.key, why.to_string()))?;
        let provider = Arc::new(aws_lc_rs::default_provider());
        let unusable = |why: rustls::Error| wrong(&files.cert, why.to_string());
        let peers = WebPkiClientVerifier::builder_with_provider(Arc::clone(&roots), Arc::clone(&provider)).build();
        let peers = peers.map_err(|why| wrong(&files.ca, why.to_string()))?;
        let mut server = ServerConfig::builder_with_provider(Arc::clone(&provider))
            .with_protocol_versions(&[&TLS13])
            .and_then(|builder| {
                builder.with_client_cert_verifier(peers).with_single_cert(chain.clone(), key.clone_key())
            })
            .map_err(unusable)?;
        server.alpn_protocols = vec![ALPN.to_vec()];
        let mut client = ClientConfig::builder_with_provider(provider)
            .with_protocol_versions(&[&TLS13])
            .and_then(|builder| builder.with_root_certificates(roots).with_client_auth_cert(chain, key))
            .map_err(unusable)?;
        client.alpn_protocols = vec![ALPN.to_vec()];
        Ok(Self { pem, server: TlsAcceptor::from(Arc::new(server)), client: TlsConnector::from(Arc::new(client)) })
    }
}

#[async_trait]
impl Network for Tls {
    fn scheme(&self) -> &'static str {
        "https"
    }

    async fn connect(&self, to: &Uri) -> io::Result<Box<dyn Io>> {
        let host = to.host().unwrap_or_default().trim_matches(['[', ']']).to_owned();
        let name = ServerName::try_from(host).map_err(|why| io::Error::new(io::ErrorKind::InvalidInput, why))?;
        let client = self.current.read().client.clone();
        Ok(Box::new(client.connect(name, dial(to).await?).await?))
    }

    /// Reads the files again and again. What cannot be used changes nothing.
    async fn maintain(&self) {
        loop {
            sleep(self.times.reload).await;
            match self.reload() {
                Ok(false) => {}
                Ok(true) => {
                    count(&self.outcomes.reloads, "ok");
                    tracing::info!(file = %self.files.cert.display(), "the certificates were read again");
                }
                Err(error) => {
                    count(&self.outcomes.reloads, "failed");
                    tracing::warn!(%error, "the certificates cannot be read again: the old ones stay");
                }
            }
        }
    }

    fn guard(&self, listener: Box<dyn Listener>) -> Box<dyn Listener> {
        let (current, outcomes) = (Arc::clone(&self.current), self.outcomes.clone());
        Box::new(TlsListener {
            listener,
            current,
            outcomes,
            within: self.times.handshake,
            underway: FuturesUnordered::new(),
        })
    }
}

type Handshake = BoxFuture<'static, io::Result<(Box<dyn Io>, SocketAddr)>>;

/// Hands out who has shaken hands. A peer that takes its time keeps nobody else waiting.
struct TlsListener {
    listener: Box<dyn Listener>,
    current: Arc<RwLock<Current>>,
    outcomes: Outcomes,
    within: Duration,
    underway: FuturesUnordered<Handshake>,
}

impl TlsListener {
    fn begin(&self, io: Box<dyn Io>, peer: SocketAddr) -> Handshake {
        let (server, within) = (self.current.read().server.clone(), self.within);
        Box::pin(async move {
            let late = || io::Error::new(io::ErrorKind::TimedOut, "the handshake took too long");
            let stream = timeout(within, server.accept(io)).await.map_err(|_| late())??;
            Ok((Box::new(stream) as Box<dyn Io>, peer))
        })
    }
}

#[async_trait]
impl Listener for TlsListener {
    async fn accept(&mut self) -> io::Result<(Box<dyn Io>, SocketAddr)> {
        loop {
            tokio::select! {
                Some(done) = self.underway.next() => match done {
                    Ok(accepted) => {
                        count(&self.outcomes.handshakes, "ok");
                        return Ok(accepted);
                    }
                    Err(error) => {
                        count(&self.outcomes.handshakes, "failed");
                        tracing::debug!(%error, "a peer is no service");
                    }
                },
                accepted = self.listener.accept(), if self.underway.len() < MAX_HANDSHAKES => {
                    let (io, peer) = accepted?;
                    let handshake = self.begin(io, peer);
                    self.underway.push(handshake);
                }
            }
        }
    }

    fn local_addr(&self) -> io::Result<SocketAddr> {
        self.listener.local_addr()
    }
}

#[cfg(test)]
mod tests;
