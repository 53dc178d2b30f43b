//! `posthorn operator-key`: the first key of a deployment, for which no key can be asked. It is made at the session
//! service itself, which only the deployment's own network reaches.

use std::{path::PathBuf, process::ExitCode};

use anyhow::{Context, Result, bail};
use clap::Args;
use posthorn_clock::Clock;
use posthorn_node::ConfigSource;
use posthorn_proto::internal::{CreateApiKeyRequest, KeyScope};
use posthorn_rpc::{Link, Rpc, call};
use posthorn_telemetry::Metrics;
use serde_json::json;

#[derive(Args)]
pub struct OperatorKeyArgs {
    /// The configuration of one of the services; its `cluster.session` says whom to ask
    #[arg(long, value_name = "FILE")]
    config: PathBuf,
    /// One JSON object instead of the bare key
    #[arg(long)]
    json: bool,
}

pub async fn run(args: OperatorKeyArgs) -> Result<ExitCode> {
    let (config, _) = ConfigSource::from_env(Some(&args.config)).load()?;
    if config.cluster.session.is_empty() {
        bail!("{}: `cluster.session` names no session service", args.config.display());
    }
    let metrics = Metrics::default();
    let network = config.cluster.network(&metrics)?;
    let rpc = Rpc::new(config.rpc, &metrics, Clock::system()).over(network);
    let mut session = Link::any(&rpc, "session", &config.cluster.session)?.session();
    let request = CreateApiKeyRequest { tenant: String::new(), scope: KeyScope::Operator.into() };
    let made = call(session.create_api_key(request)).await;
    let key = made.with_context(|| format!("asking {}", config.cluster.session.join(", ")))?.key;
    let text = if args.json { json!({ "operator_key": key }).to_string() } else { key };
    super::print(&format!("{text}\n"))?;
    Ok(ExitCode::SUCCESS)
}
