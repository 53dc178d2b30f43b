//! Why a node did not start.

use posthorn_errors::Failure;
use posthorn_store::StoreError;

#[derive(Debug, thiserror::Error)]
pub enum StartError {
    #[error("the listener has no address: {0}")]
    Listener(std::io::Error),
    #[error("cannot listen on a loopback port for {service}: {why}")]
    Loopback { service: &'static str, why: std::io::Error },
    #[error("the link to {service} failed: {why}")]
    Link { service: &'static str, why: posthorn_rpc::LinkError },
    #[error("the services cannot be encrypted: {0}")]
    Tls(#[from] posthorn_rpc::TlsError),
    #[error("cannot open the store: {0}")]
    Store(#[from] StoreError),
    #[error("opening the store panicked")]
    StorePanicked,
    #[error("{role} needs the engine `{engine}`, and none is configured")]
    Engine { role: &'static str, engine: &'static str },
    #[error("the engine `{engine}` cannot be used: {why}")]
    Unusable { engine: &'static str, why: String },
    #[error("{service} did not start: {why}")]
    Service { service: &'static str, why: Failure },
}
