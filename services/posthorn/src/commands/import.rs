//! `posthorn import`: what `posthorn export` wrote becomes a store.

use std::{fs::File, io::BufReader, path::PathBuf, process::ExitCode};

use anyhow::{Context, Result};
use clap::Args;
use posthorn_clock::{Clock, Instant};
use posthorn_node::{ConfigSource, StoreEngine};
use posthorn_store::{
    embedded::EmbeddedImport,
    transfer::{self, Counts, PIECES_WAITING, Reader, Target, Written},
};
use posthorn_store_cql::CqlImport;
use posthorn_tasks::Tasks;
use posthorn_telemetry::Metrics;
use tokio::sync::mpsc;

use super::transfer::{Progress, summary};

#[derive(Args)]
pub struct ImportArgs {
    /// The configuration file; its `[engines]` say which store is made: it has to be empty
    #[arg(long, value_name = "FILE")]
    config: PathBuf,
    /// What `posthorn export` wrote
    #[arg(long = "in", value_name = "FILE")]
    input: PathBuf,
    /// One JSON object at the end instead of text
    #[arg(long)]
    json: bool,
}

pub async fn run(args: ImportArgs) -> Result<ExitCode> {
    let (config, _) = ConfigSource::from_env(Some(&args.config)).load()?;
    let (clock, metrics, tasks) = (Clock::system(), Metrics::default(), Tasks::new());
    let begun = Instant::now();
    // To its end, before anything is written.
    let file = open(&args.input)?;
    let (header, written) = tokio::task::spawn_blocking(move || transfer::check(file)).await??;
    let generation = header.generation;
    match config.engines.store {
        StoreEngine::Embedded => {
            let store = config.store.clone();
            let begin = move || EmbeddedImport::begin(&store, generation, Clock::system().now_ms());
            let target = tokio::task::spawn_blocking(begin).await??;
            fill(&target, &args.input, &written).await?;
        }
        StoreEngine::Cql => {
            let target = CqlImport::begin(&config.cql, &clock, &metrics, &tasks, generation, written.id).await?;
            fill(&target, &args.input, &written).await?;
        }
    }
    summary(&written, generation, begun, &args.input, args.json)?;
    Ok(ExitCode::SUCCESS)
}

fn open(path: &PathBuf) -> Result<BufReader<File>> {
    let file = File::open(path).with_context(|| format!("cannot open {}", path.display()))?;
    Ok(BufReader::new(file))
}

async fn fill(target: &dyn Target, path: &PathBuf, written: &Written) -> Result<()> {
    let mut reader = Reader::begin(open(path)?)?;
    let (tx, pieces) = mpsc::channel(PIECES_WAITING);
    let reading = tokio::task::spawn_blocking(move || {
        let (mut progress, mut counts) = (Progress::new("written"), Counts::default());
        while let Some(piece) = reader.piece().transpose() {
            if let Ok(piece) = &piece {
                counts.add(piece);
                progress.at(counts);
            }
            let last = piece.is_err();
            // Who takes no more says why.
            if tx.blocking_send(piece).is_err() || last {
                return;
            }
        }
    });
    transfer::import(target, pieces, written.counts).await?;
    reading.await?;
    Ok(())
}
