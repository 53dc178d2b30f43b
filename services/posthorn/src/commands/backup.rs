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

use super::operator::OperatorArgs;

/// Of an answer that is no backup, what is shown, bytes.
const MAX_REFUSAL_BYTES: usize = 4096;

#[derive(Args)]
pub struct BackupArgs {
    /// The file to write; it must not exist
    #[arg(long, value_name = "FILE")]
    out: PathBuf,
    #[command(flatten)]
    operator: OperatorArgs,
}

pub async fn run(args: BackupArgs) -> Result<ExitCode> {
    let OperatorArgs { url, trust, .. } = &args.operator;
    let key = args.operator.key()?;
    if args.out.exists() {
        bail!("{} is there already", args.out.display());
    }
    let url = format!("{}/admin/backup", url.trim_end_matches('/'));
    let request = Request::get(&url).header(header::AUTHORIZATION, format!("Bearer {key}")).body(Bytes::new().into());
    let reached = Http::new(trust.connector()?).send(request.with_context(|| format!("{url} is no address"))?).await;
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
