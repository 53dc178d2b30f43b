//! Whom to trust behind `wss://` and `https://`: for the commands that talk to a server.

use std::{path::PathBuf, sync::Arc};

use anyhow::Result;
use clap::Args;
use posthorn_client::{Connector, NetConnector, Trust};

#[derive(Args, Clone, Debug, Default)]
pub struct TrustArgs {
    /// Trust the certificate authorities in this PEM file too, besides those of the system
    #[arg(long, value_name = "FILE", env = "POSTHORN_CA_FILE")]
    ca_file: Option<PathBuf>,
}

impl TrustArgs {
    pub fn connector(&self) -> Result<Arc<dyn Connector>> {
        let trust = self.ca_file.as_deref().map(Trust::with_ca_file).transpose()?;
        Ok(Arc::new(NetConnector::new(trust.unwrap_or_default())))
    }
}
