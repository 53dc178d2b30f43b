//! Two processes with certificates, and peers that are none of theirs.

use std::{fs, path::Path, time::Duration};

use posthorn_clock::{Clock, timeout};
use posthorn_errors::{Code, failure_of};
use posthorn_proto::internal::ShardsRequest;
use posthorn_tasks::Tasks;
use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair};
use tokio::net::{TcpListener, TcpStream};

use super::*;
use crate::{Link, Rpc, RpcConfig, StorageClient, serve, tests::Odd};

struct Authority(Issuer<'static, KeyPair>, String);

impl Authority {
    fn new() -> Self {
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let key = KeyPair::generate().unwrap();
        let certificate = params.self_signed(&key).unwrap();
        let pem = pem("CERTIFICATE", certificate.der());
        Self(Issuer::new(params, key), pem)
    }

    /// A certificate for 127.0.0.1 and the authority's own, in a folder.
    fn write(&self, folder: &Path) -> TlsFiles {
        let key = KeyPair::generate().unwrap();
        let params = CertificateParams::new(vec!["127.0.0.1".to_owned()]).unwrap();
        let certificate = params.signed_by(&key, &self.0).unwrap();
        let files = TlsFiles { ca: folder.join("ca.pem"), cert: folder.join("cert.pem"), key: folder.join("key.pem") };
        fs::write(&files.ca, &self.1).unwrap();
        fs::write(&files.cert, pem("CERTIFICATE", certificate.der())).unwrap();
        fs::write(&files.key, pem("PRIVATE KEY", key.serialized_der())).unwrap();
        files
    }
}

fn pem(label: &str, der: &[u8]) -> String {
    use base64::{Engine, engine::general_purpose::STANDARD};
    format!("-----BEGIN {label}-----\n{}\n-----END {label}-----\n", STANDARD.encode(der))
}

const TIMES: TlsTimes = TlsTimes { handshake: Duration::from_secs(10), reload: Duration::from_millis(20) };

/// A process that serves, on a network that others may have, too.
struct Served {
    address: String,
    network: Arc<Tls>,
    metrics: Metrics,
    tasks: Tasks,
}

impl Served {
    async fn start(files: &TlsFiles) -> Self {
        let (metrics, tasks) = (Metrics::default(), Tasks::new());
        let network = Arc::new(Tls::load(files.clone(), TIMES, &metrics).unwrap());
        let rpc =
            Rpc::new(RpcConfig::default(), &metrics, Clock::system()).over(Arc::clone(&network) as Arc<dyn Network>);
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = format!("https://{}", listener.local_addr().unwrap());
        let routes = rpc.guard("storage", tonic::service::Routes::new(Odd::default()));
        let (stop, followed) = (tasks.stopping(), Arc::clone(&network));
        tasks.background("serve", async move {
            serve(&rpc, routes, Box::new(listener), stop.cancelled_owned()).await.unwrap();
        });
        tasks.background("follow", tasks.until_stopped(async move { followed.maintain().await }));
        Self { address, network, metrics, tasks }
    }

    async fn until(&self, metric: &str) {
        let counted = async {
            while !self.metrics.encode().contains(metric) {
                sleep(Duration::from_millis(5)).await;
            }
        };
        timeout(Duration::from_secs(30), counted).await.unwrap_or_else(|_| panic!("{}", self.metrics.encode()));
    }
}

fn client(network: Arc<dyn Network>, address: &str) -> StorageClient {
    let rpc = Rpc::new(RpcConfig::default(), &Metrics::default(), Clock::system()).over(network);
    Link::remote(&rpc, "storage", address).unwrap().storage()
}

async fn code(mut client: StorageClient) -> Code {
    failure_of(&client.shards(ShardsRequest {}).await.unwrap_err()).code
}

/// What [`Odd`] answers.
const ANSWERED: Code = Code::StoreFull;

#[tokio::test]
async fn who_has_a_certificate_of_the_authority_is_answered_and_nobody_else() {
    let (folder, other) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let authority = Authority::new();
    let files = authority.write(folder.path());
    let served = Served::start(&files).await;
    assert_eq!(code(client(Arc::clone(&served.network) as Arc<dyn Network>, &served.address)).await, ANSWERED);
    // Another process of the same authority.
    let peer = Arc::new(Tls::load(authority.write(other.path()), TIMES, &Metrics::default()).unwrap());
    assert_eq!(code(client(peer, &served.address)).await, ANSWERED);
    // Who trusts the authority, and shows a certificate of another one.
    let foreign = Authority::new().write(other.path());
    fs::copy(&files.ca, &foreign.ca).unwrap();
    let stranger = Arc::new(Tls::load(foreign.clone(), TIMES, &Metrics::default()).unwrap());
    assert_ne!(code(client(stranger, &served.address)).await, ANSWERED);
    // In the clear.
    let plain = served.address.replace("https", "http");
    assert_ne!(code(client(crate::Tcp::shared(), &plain)).await, ANSWERED);
    served.until("rpc_tls_handshakes_total{result=\"failed\"} 2").await;
    served.tasks.stop();
}

#[tokio::test]
async fn a_server_that_others_signed_is_not_talked_to() {
    let (folder, other) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let served = Served::start(&Authority::new().write(folder.path())).await;
    let network = Arc::new(Tls::load(Authority::new().write(other.path()), TIMES, &Metrics::default()).unwrap());
    assert_eq!(code(client(network, &served.address)).await, Code::Unavailable);
    served.tasks.stop();
}

#[tokio::test]
async fn files_that_changed_hold_for_new_connections_and_broken_ones_change_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let files = Authority::new().write(folder.path());
    let served = Served::start(&files).await;
    let own = || client(Arc::clone(&served.network) as Arc<dyn Network>, &served.address);
    assert_eq!(code(own()).await, ANSWERED);
    fs::write(&files.cert, "no certificate").unwrap();
    served.until("rpc_tls_reloads_total{result=\"failed\"}").await;
    assert_eq!(code(own()).await, ANSWERED);
    // Another authority altogether: who still has the old one is out.
    let before = tempfile::tempdir().unwrap();
    let next = Authority::new();
    let old = Arc::new(Tls::load(Authority::new().write(before.path()), TIMES, &Metrics::default()).unwrap());
    next.write(folder.path());
    served.until("rpc_tls_reloads_total{result=\"ok\"}").await;
    while served.network.reload().is_err() {
        sleep(Duration::from_millis(5)).await;
    }
    assert_eq!(code(own()).await, ANSWERED);
    assert_eq!(code(client(old, &served.address)).await, Code::Unavailable);
    served.tasks.stop();
}

#[tokio::test]
async fn a_peer_that_says_nothing_keeps_nobody_waiting() {
    let folder = tempfile::tempdir().unwrap();
    let served = Served::start(&Authority::new().write(folder.path())).await;
    let silent = TcpStream::connect(served.address.trim_start_matches("https://")).await.unwrap();
    assert_eq!(code(client(Arc::clone(&served.network) as Arc<dyn Network>, &served.address)).await, ANSWERED);
    drop(silent);
    served.until("rpc_tls_handshakes_total{result=\"failed\"} 1").await;
    served.tasks.stop();
}

#[test]
fn an_address_has_the_scheme_of_its_network() {
    let rpc = Rpc::new(RpcConfig::default(), &Metrics::default(), Clock::system());
    for bad in ["https://a:1", "http://a", "a:1", ""] {
        assert!(rpc.address(bad).is_err(), "{bad}");
    }
    assert_eq!(rpc.address("http://a:1").unwrap().port_u16(), Some(1));
}
