//! `posthorn restore`: a backup becomes a data directory.

use std::{fs::File, io::BufReader, path::PathBuf};

use anyhow::{Context, Result};
use clap::Args;
use posthorn_clock::Clock;
use posthorn_store::embedded;

#[derive(Args)]
pub struct RestoreArgs {
    /// What `posthorn backup` wrote
    file: PathBuf,
    /// Where to restore to; it must hold no data, and no server may use it
    #[arg(long, value_name = "DIR", default_value = "posthorn-data")]
    data_dir: PathBuf,
    /// Put the store that is there aside, into before-restore-* beneath the directory
    #[arg(long)]
    replace: bool,
}

pub fn run(args: &RestoreArgs) -> Result<()> {
    let file = File::open(&args.file).with_context(|| format!("cannot open {}", args.file.display()))?;
    let into = || format!("cannot restore into {}", args.data_dir.display());
    let (reader, now_ms) = (BufReader::new(file), Clock::system().now_ms());
    let restored = if args.replace {
        embedded::restore_replacing(reader, &args.data_dir, &now_ms.to_string()).with_context(into)?
    } else {
        embedded::restore(reader, &args.data_dir).with_context(|| into() + " (--replace puts aside what is there)")?
    };
    let age_s = now_ms.saturating_sub(restored.taken_ms) / 1_000;
    eprintln!(
        "{} records of a backup taken {age_s} s ago are in {}, as generation {}",
        restored.records,
        args.data_dir.display(),
        restored.generation
    );
    Ok(())
}
