//! `posthorn export`: the whole of a store whose services have stopped, as one file.

use std::{
    fs::{self, File},
    io::BufWriter,
    path::{Path, PathBuf},
    process::ExitCode,
};

use anyhow::{Context, Result, bail};
use clap::Args;
use posthorn_clock::{Clock, Instant};
use posthorn_node::{ConfigSource, NodeConfig, StoreEngine};
use posthorn_store::{
    InstanceId,
    embedded::EmbeddedStore,
    transfer::{self, Header, PIECES_WAITING, Source, Writer, Written},
};
use posthorn_store_cql::CqlStore;
use posthorn_tasks::Tasks;
use posthorn_telemetry::Metrics;
use tokio::sync::mpsc;

use super::transfer::{Progress, summary};

#[derive(Args)]
pub struct ExportArgs {
    /// The configuration file; its `[engines]` say which store is read. Stop its services first
    #[arg(long, value_name = "FILE")]
    config: PathBuf,
    /// The file to write; it must not exist
    #[arg(long, value_name = "FILE")]
    out: PathBuf,
    /// One JSON object at the end instead of text
    #[arg(long)]
    json: bool,
}

pub async fn run(args: ExportArgs) -> Result<ExitCode> {
    if args.out.exists() {
        bail!("{} is there already", args.out.display());
    }
    let (config, _) = ConfigSource::from_env(Some(&args.config)).load()?;
    let begun = Instant::now();
    // Under another name until it is whole.
    let mut partial = args.out.clone().into_os_string();
    partial.push(".partial");
    let partial = PathBuf::from(partial);
    let saved = read(&config, &partial).await.and_then(|saved| {
        fs::rename(&partial, &args.out).with_context(|| format!("cannot name {}", args.out.display()))?;
        Ok(saved)
    });
    if saved.is_err() {
        // It may never have been made.
        let _ = fs::remove_file(&partial);
    }
    let (generation, written) = saved?;
    summary(&written, generation, begun, &args.out, args.json)?;
    Ok(ExitCode::SUCCESS)
}

async fn read(config: &NodeConfig, out: &Path) -> Result<(u64, Written)> {
    let (clock, metrics, tasks) = (Clock::system(), Metrics::default(), Tasks::new());
    match config.engines.store {
        StoreEngine::Embedded => {
            let store = config.store.clone();
            // Opening would make one.
            if !store.data_dir.join("db").exists() {
                bail!("there is no store in {}", store.data_dir.display());
            }
            let store = tokio::task::spawn_blocking(move || EmbeddedStore::open(store, &metrics)).await??;
            save(&*store, &clock, out).await
        }
        StoreEngine::Cql => {
            let store = CqlStore::open(&config.cql, &clock, &metrics, &tasks).await?;
            save(&*store, &clock, out).await
        }
    }
}

async fn save<S: Source>(store: &S, clock: &Clock, out: &Path) -> Result<(u64, Written)> {
    let generation = store.generation();
    let header = Header { generation, driver: store.driver().to_owned(), taken_ms: clock.now_ms() };
    let file = File::create(out).with_context(|| format!("cannot write {}", out.display()))?;
    let mut writer = Writer::begin(BufWriter::new(file), &header)?;
    let (pieces, mut read) = mpsc::channel(PIECES_WAITING);
    let writing = tokio::task::spawn_blocking(move || {
        let mut progress = Progress::new("read");
        while let Some(piece) = read.blocking_recv() {
            writer.put(piece)?;
            progress.at(writer.counts());
        }
        anyhow::Ok(writer)
    });
    let never_was = InstanceId(format!("moved-{:016x}", clock.random()));
    let read = transfer::export(store, never_was, pieces).await;
    // A disk that is full is why nobody takes what is read.
    let writer = writing.await??;
    read?;
    let (file, written) = writer.finish()?;
    let file = file.into_inner().context("writing the export")?;
    file.sync_all().context("syncing the export")?;
    Ok((generation, written))
}
