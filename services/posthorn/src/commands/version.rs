//! `posthorn version`.

use anyhow::Result;
use clap::Args;
use serde_json::json;

#[derive(Args)]
pub struct VersionArgs {
    /// One JSON object instead of text
    #[arg(long)]
    json: bool,
}

/// The newest edge protocol that this build speaks, and the format of entries that it writes.
const PROTOCOL: u32 = 1;

pub fn run(args: &VersionArgs) -> Result<()> {
    let version = env!("CARGO_PKG_VERSION");
    let format = posthorn_core::entry::FORMAT;
    super::print(&if args.json {
        json!({ "version": version, "protocol": PROTOCOL, "entry_format": format }).to_string() + "\n"
    } else {
        format!("posthorn {version} (edge protocol v{PROTOCOL}, entry format {format})\n")
    })
}
