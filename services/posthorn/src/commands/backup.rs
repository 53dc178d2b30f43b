//! `posthorn backup`: a consistent copy of a running server's data.

use std::{
    path::{Path, PathBuf},
    process::ExitCode,
};

use anyhow::{Context, Result, bail};
use bytes::Bytes;
use clap::Args;
use http::{Request, Response, header};
use http_body_util::{BodyExt, Limited};
use posthorn_client::http::{Body, Http};
use tokio::{
    fs::File,
    io::{AsyncWriteExt, BufWriter},
};

use crate::{dev::keys::Keys, trust::TrustArgs};

/// Of an answer that is no backup, what is shown, bytes.
const MAX_REFUSAL_BYTES: usize = 4096;

#[derive(Args)]
pub struct BackupArgs {
    /// The server, http://HOST:PORT or https://HOST
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
    #[command(flatten)]
    trust: TrustArgs,
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
    let request = Request::get(&url).header(header::AUTHORIZATION, format!("Bearer {key}")).body(Bytes::new().into());
    let reached =
        Http::new(args.trust.connector()?).send(request.with_context(|| format!("{url} is no address"))?).await;
    let mut response = reached.with_context(|| format!("cannot reach {url}"))?;
    if !response.status().is_success() {
        let status = response.status();
        let said = Limited::new(response.into_body(), MAX_REFUSAL_BYTES).collect().await;
        let said = said.map(|said| said.to_bytes()).unwrap_or_default();
        bail!("{url} answered {status}: {}", String::from_utf8_lossy(&said));
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

async fn save(response: &mut Response<Body>, part: &Path) -> Result<u64> {
    let about = || format!("cannot write {}", part.display());
    let mut file = BufWriter::new(File::create(part).await.with_context(about)?);
    let mut bytes = 0;
    while let Some(frame) = response.body_mut().frame().await {
        let frame = frame.context("the server broke off: the backup is not whole")?;
        let Some(chunk) = frame.data_ref() else { continue };
        file.write_all(chunk).await.with_context(about)?;
        bytes += chunk.len() as u64;
    }
    file.flush().await.with_context(about)?;
    file.get_ref().sync_all().await.with_context(about)?;
    Ok(bytes)
}
