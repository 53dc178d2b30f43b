//! `posthorn drain`: a gateway that takes no new connections and sends those that it has elsewhere, while its
//! process goes on.

use std::{process::ExitCode, time::Duration};

use anyhow::{Result, bail};
use clap::Args;
use posthorn_client::operator::DrainState;
use posthorn_clock::sleep;
use serde_json::json;

use super::operator::OperatorArgs;

/// Between two looks at how many are left.
const LOOK: Duration = Duration::from_millis(500);

#[derive(Args)]
pub struct DrainArgs {
    #[command(flatten)]
    operator: OperatorArgs,
    /// Take connections again
    #[arg(long, conflicts_with = "wait")]
    cancel: bool,
    /// Return when no connection is left
    #[arg(long)]
    wait: bool,
    /// One JSON object instead of text
    #[arg(long)]
    json: bool,
}

pub async fn run(args: DrainArgs) -> Result<ExitCode> {
    let operator = args.operator.client()?;
    let mut state = if args.cancel { operator.cancel_drain().await? } else { operator.drain().await? };
    while args.wait && state.connections > 0 {
        sleep(LOOK).await;
        state = operator.drain_state().await?;
        if !state.draining {
            bail!("somebody has taken the drain back: {} takes connections", args.operator.url);
        }
    }
    let DrainState { draining, connections } = state;
    let text = if args.json {
        json!({ "draining": draining, "connections": connections }).to_string()
    } else {
        let does = if draining { "drains" } else { "takes connections" };
        format!("{} {does}: {connections} connections", args.operator.url)
    };
    super::print(&format!("{text}\n"))?;
    Ok(ExitCode::SUCCESS)
}
