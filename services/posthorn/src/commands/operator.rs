//! What the commands share that ask a running server as its operator.

use std::{path::PathBuf, time::Duration};

use anyhow::{Context, Result};
use clap::Args;
use posthorn_client::operator::Operator;

use crate::{dev::keys::Keys, trust::TrustArgs};

/// For one answer: more than the server takes for one (`edge.http.request_timeout_ms`).
const TIMEOUT: Duration = Duration::from_secs(30);

#[derive(Args)]
pub struct OperatorArgs {
    /// The server, http://HOST:PORT or https://HOST
    #[arg(long, value_name = "URL", default_value = "http://127.0.0.1:7200")]
    pub url: String,
    /// The operator's key [default: the one in --data-dir]
    #[arg(long, value_name = "KEY", env = "POSTHORN_ADMIN_KEY", hide_env_values = true)]
    admin_key: Option<String>,
    /// Where the server keeps its data and keys, if it is on this machine
    #[arg(long, value_name = "DIR", default_value = "posthorn-data")]
    data_dir: PathBuf,
    #[command(flatten)]
    pub trust: TrustArgs,
}

impl OperatorArgs {
    pub fn key(&self) -> Result<String> {
        if let Some(key) = &self.admin_key {
            return Ok(key.clone());
        }
        let file = Keys::of(&self.data_dir).operator_file();
        Keys::read(&file)?.with_context(|| format!("no --admin-key, and no key in {}", file.display()))
    }

    pub fn client(&self) -> Result<Operator> {
        Ok(Operator::over(self.trust.connector()?, &self.url, &self.key()?, TIMEOUT)?)
    }
}
