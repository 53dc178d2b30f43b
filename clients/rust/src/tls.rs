//! Whose certificates are believed, and TLS as a client speaks it (RFC 8446; 1.2 too).

use std::{
    io,
    path::{Path, PathBuf},
    sync::{Arc, OnceLock},
};

use rustls::{
    CertificateError, ClientConfig, RootCertStore,
    crypto::aws_lc_rs,
    pki_types::{CertificateDer, ServerName, pem::PemObject},
};
use tokio::net::TcpStream;
use tokio_rustls::{TlsConnector, client::TlsStream};

/// The authorities whose certificates are believed: those of this system, and any of the application's
/// own. The system's are read once, when the first connection needs them. Cheap to clone.
#[derive(Clone, Default)]
pub struct Trust {
    own: Vec<CertificateDer<'static>>,
    config: Arc<OnceLock<Arc<ClientConfig>>>,
}

/// Why there is no connection under TLS.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    #[error("cannot read certificates from {}: {why}", path.display())]
    CaFile { path: PathBuf, why: String },
    #[error("{} holds no certificate in PEM form", .0.display())]
    NoCertificate(PathBuf),
    #[error("this system has no certificates of authorities: install them, or give a file of your own{0}")]
    NoAuthority(String),
    #[error("`{0}` is no name that a certificate can be for")]
    Name(String),
    #[error("the certificate of {host} is not to be trusted: {why}")]
    Untrusted { host: String, why: String },
    #[error("no TLS with {host}: {why}")]
    Handshake { host: String, why: String },
    #[error("TLS cannot be set up: {0}")]
    Setup(#[from] rustls::Error),
}

impl TlsError {
    /// Of an error of a [`crate::Connector`], where TLS is its cause.
    #[must_use]
    pub fn of(error: &io::Error) -> Option<&Self> {
        error.get_ref()?.downcast_ref()
    }
}

impl Trust {
    /// The system's authorities and those in this file, which holds certificates in PEM form.
    pub fn with_ca_file(path: &Path) -> Result<Self, TlsError> {
        let unreadable = |why: &dyn std::fmt::Display| TlsError::CaFile { path: path.into(), why: why.to_string() };
        let found = CertificateDer::pem_file_iter(path).map_err(|error| unreadable(&error))?;
        let own: Vec<_> = found.collect::<Result<_, _>>().map_err(|error| unreadable(&error))?;
        if own.is_empty() {
            return Err(TlsError::NoCertificate(path.into()));
        }
        // Said now, not at the first connection.
        add(&mut RootCertStore::empty(), &own).map_err(|error| unreadable(&error))?;
        Ok(Self { own, config: Arc::default() })
    }

    fn config(&self) -> Result<Arc<ClientConfig>, TlsError> {
        if let Some(config) = self.config.get() {
            return Ok(Arc::clone(config));
        }
        let mut roots = RootCertStore::empty();
        let system = rustls_native_certs::load_native_certs();
        // A system has certificates that nobody can read; those it has are not ours to judge.
        roots.add_parsable_certificates(system.certs);
        add(&mut roots, &self.own)?;
        if roots.is_empty() {
            let why = system.errors.first().map(|error| format!(" ({error})")).unwrap_or_default();
            return Err(TlsError::NoAuthority(why));
        }
        // Named, not the process's default: nobody has to have installed one.
        let config = ClientConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
            .with_safe_default_protocol_versions()?
            .with_root_certificates(roots)
            .with_no_client_auth();
        Ok(Arc::clone(self.config.get_or_init(|| Arc::new(config))))
    }

    /// Talks TLS on the stream, and checks that the other end is `host`.
    pub(crate) async fn handshake(&self, host: &str, stream: TcpStream) -> io::Result<TlsStream<TcpStream>> {
        let name = ServerName::try_from(host.to_owned()).map_err(|_| io::Error::other(TlsError::Name(host.into())))?;
        let connector = TlsConnector::from(self.config().map_err(io::Error::other)?);
        connector.connect(name, stream).await.map_err(|error| failed(host, error))
    }
}

fn add(roots: &mut RootCertStore, own: &[CertificateDer<'static>]) -> Result<(), rustls::Error> {
    own.iter().try_for_each(|certificate| roots.add(certificate.clone()))
}

/// What TLS itself found; a connection that broke meanwhile is an error like any other.
fn failed(host: &str, error: io::Error) -> io::Error {
    let host = host.to_owned();
    let found = match error.get_ref().and_then(|cause| cause.downcast_ref()) {
        Some(rustls::Error::InvalidCertificate(why)) => TlsError::Untrusted { host, why: reason(why) },
        Some(other) => TlsError::Handshake { host, why: other.to_string() },
        None => return error,
    };
    io::Error::new(error.kind(), found)
}

fn reason(why: &CertificateError) -> String {
    match why {
        CertificateError::UnknownIssuer => "no authority that is known here signed it".to_owned(),
        CertificateError::NotValidForNameContext { presented, .. } if !presented.is_empty() => {
            format!("it is for {}", presented.join(", "))
        }
        CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. } => {
            "it is for another name".to_owned()
        }
        CertificateError::Expired | CertificateError::ExpiredContext { .. } => "it has expired".to_owned(),
        CertificateError::NotValidYet | CertificateError::NotValidYetContext { .. } => "it is not valid yet".to_owned(),
        other => other.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_without_a_usable_certificate_is_said_at_once() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("ca.pem");
        let said = || Trust::with_ca_file(&file).err().map(|error| error.to_string()).unwrap_or_default();
        assert!(said().starts_with("cannot read certificates from "), "{}", said());
        for (content, end) in [
            ("nothing of the kind", "holds no certificate in PEM form"),
            ("-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n", "invalid peer certificate: BadEncoding"),
        ] {
            std::fs::write(&file, content).unwrap();
            assert!(said().ends_with(end), "{}", said());
        }
    }
}
