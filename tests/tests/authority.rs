//! An authority of a test's own, and the certificates that it signs.

use std::{
    fs,
    path::{Path, PathBuf},
    sync::Arc,
};

use anyhow::{Error, Result};
use base64::{Engine, engine::general_purpose::STANDARD};
use posthorn_client::{Connector, NetConnector, Trust};
use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair};
use rustls::{
    ServerConfig,
    crypto::aws_lc_rs,
    pki_types::{CertificateDer, PrivateKeyDer},
};
use tokio_rustls::TlsAcceptor;

pub struct Authority {
    issuer: Issuer<'static, KeyPair>,
    folder: tempfile::TempDir,
}

/// Files of a certificate and its key.
pub struct Identity {
    pub certificate: PathBuf,
    pub key: PathBuf,
}

impl Authority {
    pub fn new(name: &str) -> Result<Self> {
        let mut params = CertificateParams::new(Vec::new())?;
        params.distinguished_name.push(DnType::CommonName, name);
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let key = KeyPair::generate()?;
        let certificate = params.self_signed(&key)?;
        let folder = tempfile::tempdir()?;
        fs::write(folder.path().join("ca.pem"), pem("CERTIFICATE", certificate.der()))?;
        Ok(Self { issuer: Issuer::new(params, key), folder })
    }

    /// For what goes with it.
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    pub fn file(&self) -> PathBuf {
        self.folder.path().join("ca.pem")
    }

    pub fn trusted(&self) -> Result<Arc<dyn Connector>> {
        Ok(Arc::new(NetConnector::new(Trust::with_ca_file(&self.file())?)))
    }

    pub fn acceptor(&self, name: &str) -> Result<TlsAcceptor> {
        let (certificate, key) = self.signed(name)?;
        let key = PrivateKeyDer::try_from(key.serialize_der()).map_err(Error::msg)?;
        let config = ServerConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
            .with_safe_default_protocol_versions()?
            .with_no_client_auth()
            .with_single_cert(vec![certificate], key)?;
        Ok(TlsAcceptor::from(Arc::new(config)))
    }

    /// For `name`, an address or a host.
    pub fn identity(&self, name: &str) -> Result<Identity> {
        let (certificate, key) = self.signed(name)?;
        let file = |ending: &str, text: String| -> Result<PathBuf> {
            let path = self.folder.path().join(Path::new(&format!("{name}.{ending}")));
            fs::write(&path, text)?;
            Ok(path)
        };
        Ok(Identity {
            certificate: file("pem", pem("CERTIFICATE", &certificate))?,
            key: file("key", pem("PRIVATE KEY", &key.serialize_der()))?,
        })
    }

    fn signed(&self, name: &str) -> Result<(CertificateDer<'static>, KeyPair)> {
        let key = KeyPair::generate()?;
        let certificate = CertificateParams::new(vec![name.to_owned()])?.signed_by(&key, &self.issuer)?;
        Ok((certificate.der().clone(), key))
    }
}

fn pem(what: &str, der: &[u8]) -> String {
    let text = STANDARD.encode(der);
    let lines: Vec<&str> = text.as_bytes().chunks(64).filter_map(|line| std::str::from_utf8(line).ok()).collect();
    format!("-----BEGIN {what}-----\n{}\n-----END {what}-----\n", lines.join("\n"))
}
