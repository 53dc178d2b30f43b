//! `posthorn backup`: a consistent copy of a running server's data.

use std::{
    path::{Path, PathBuf},
    process::ExitCode,
};

use anyhow::{Context, Result, bail};
use clap::Args;
use tokio::{
    fs::File,
    io::{AsyncWriteExt, BufWriter},
};

use crate::dev::keys::Keys;

#[derive(Args)]
pub struct BackupArgs {
    /// The server, http://HOST:PORT
    #[arg(long, value_name = "URL", default_value = "http://127.0.0.1:7200")]
    url: String,
    /// The operator's key [default: the one in --data-dir]
    #[arg(long, value_name = "KEY", env = "POSTHORN_ADMIN_KEY", hide_env_values = true)]
    admin_key: Option<String>,
    /// Where the server keeps its data and keys, if it is on this machine
    #[arg(long, value_name = "DIR", default_value = "posthorn-data")]
    data_dir: PathBuf,
    /// The file to write; it must not exist
    #[arg(long, value_name = "FILE")]
    out: PathBuf,
}

pub async fn run(args: BackupArgs) -> Result<ExitCode> {
    let key = match args.admin_key {
        Some(key) => key,
        None => {
            let file = Keys::of(&args.data_dir).operator_file();
            Keys::read(&file)?.with_context(|| format!("no --admin-key, and no key in {}", file.display()))?
        }
    };
    if args.out.exists() {
        bail!("{} is there already", args.out.display());
    }
    let url = format!("{}/admin/backup", args.url.trim_end_matches('/'));
    let reached = reqwest::Client::new().get(&url).bearer_auth(key).send().await;
    let mut response = reached.with_context(|| format!("cannot reach {url}"))?;
    if !response.status().is_success() {
        let status = response.status();
        bail!("{url} answered {status}: {}", response.text().await.unwrap_or_default());
    }
    // Under another name until it is whole: a file of the right name is a backup that can be restored.
    let part = args.out.with_extension("part");
    let written = save(&mut response, &part).await;
    if written.is_err() {
        let _ = tokio::fs::remove_file(&part).await;
    }
    let bytes = written?;
    tokio::fs::rename(&part, &args.out).await.context("cannot rename the finished file")?;
    eprintln!("{bytes} bytes are in {}", args.out.display());
    Ok(ExitCode::SUCCESS)
}

async fn save(response: &mut reqwest::Response, part: &Path) -> Result<u64> {
    let about = || format!("cannot write {}", part.display());
    let mut file = BufWriter::new(File::create(part).await.with_context(about)?);
    let mut bytes = 0;
    while let Some(chunk) = response.chunk().await.context("the server broke off: the backup is not whole")? {
        file.write_all(&chunk).await.with_context(about)?;
        bytes += chunk.len() as u64;
    }
    file.flush().await.with_context(about)?;
    file.get_ref().sync_all().await.with_context(about)?;
    Ok(bytes)
}
