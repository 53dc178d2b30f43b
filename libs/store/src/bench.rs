//! How many durable appends a second the embedded store takes, beside what the disk under it can sync.

use std::{
    fs::File,
    io::{Seek, SeekFrom, Write},
    path::Path,
    sync::Arc,
    time::Duration,
};

use bytes::Bytes;
use posthorn_clock::Instant;
use posthorn_core::{Chain, ConversationId, ConversationKey, SHARDS, Shard, TenantId};
use posthorn_proto::internal::{Head, Row};
use posthorn_tasks::Tasks;
use posthorn_telemetry::Metrics;
use serde::Serialize;
use tokio::sync::mpsc;

use crate::{
    Append, InstanceId, Result, Store, StoreError,
    embedded::{EmbeddedStore, StoreConfig},
};

/// Writes of this size, each followed by `fdatasync`, into a file that has its blocks already.
const FLOOR_WRITE_BYTES: usize = 512;
const FLOOR_FILE_BYTES: usize = 1024 * 1024;
/// A line of chat, encoded.
const ENVELOPE_BYTES: usize = 96;
const BODY_BYTES: usize = 64;

/// Rate and latency of one measurement.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Measured {
    /// Appends (or, for the floor, writes) that wait at once.
    pub in_flight: usize,
    pub per_s: f64,
    pub p50_us: u64,
    pub p99_us: u64,
}

/// What [`run`] found.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Report {
    /// One 512-byte write and one `fdatasync` after the other, same disk, same run.
    pub fdatasync: Measured,
    /// Appends of one message, each acknowledged after its sync.
    pub appends: Vec<Measured>,
}

/// Measures in a new store in `data_dir`, which must be empty, for `each` per load: the disk first,
/// then appends with so many in flight. Call it on a runtime with several threads.
pub async fn run(data_dir: &Path, loads: &[usize], each: Duration) -> Result<Report> {
    let dir = data_dir.to_owned();
    let floor = tokio::task::spawn_blocking(move || floor(&dir, each)).await;
    let floor = floor.map_err(|error| StoreError::Unavailable(error.to_string()))?;
    let fdatasync = floor.map_err(|error| StoreError::Unavailable(format!("measuring the disk: {error}")))?;
    let config = StoreConfig { data_dir: data_dir.join("store"), ..StoreConfig::default() };
    let store = EmbeddedStore::open(config, &Metrics::default())?;
    let instance = InstanceId("bench".to_owned());
    store.register(&instance, "bench").await?;
    let shards: Vec<Shard> = (0..SHARDS).map(Shard).collect();
    let epoch = store.claim(&shards, &instance, "bench").await?.iter().map(|claim| claim.epoch).max().unwrap_or(0);
    let mut appends = Vec::new();
    for &in_flight in loads {
        appends.push(load(Arc::clone(&store) as Arc<dyn Store>, &instance, epoch, in_flight, each).await?);
    }
    Ok(Report { fdatasync, appends })
}

fn floor(dir: &Path, each: Duration) -> std::io::Result<Measured> {
    std::fs::create_dir_all(dir)?;
    let path = dir.join("floor");
    let mut file = File::create(&path)?;
    file.write_all(&vec![1; FLOOR_FILE_BYTES])?;
    file.sync_all()?;
    let (begun, mut times, mut at) = (Instant::now(), Vec::new(), 0);
    while begun.elapsed() < each {
        let write = Instant::now();
        file.seek(SeekFrom::Start(at as u64))?;
        file.write_all(&[2; FLOOR_WRITE_BYTES])?;
        file.sync_data()?;
        at = (at + FLOOR_WRITE_BYTES) % FLOOR_FILE_BYTES;
        times.push(write.elapsed());
    }
    let took = begun.elapsed();
    std::fs::remove_file(path)?;
    Ok(measured(1, times, took))
}

fn measured(in_flight: usize, mut times: Vec<Duration>, took: Duration) -> Measured {
    times.sort_unstable();
    let at = |hundredths: usize| {
        let time = times.get((times.len() * hundredths / 100).min(times.len().saturating_sub(1)));
        time.map_or(0, |time| u64::try_from(time.as_micros()).unwrap_or(u64::MAX))
    };
    #[allow(clippy::cast_precision_loss, reason = "a rate")]
    let per_s = times.len() as f64 / took.as_secs_f64();
    Measured { in_flight, per_s, p50_us: at(50), p99_us: at(99) }
}

/// As many conversations as appends in flight: each has one at a time, as an owner keeps it.
async fn load(
    store: Arc<dyn Store>,
    instance: &InstanceId,
    epoch: u64,
    in_flight: usize,
    each: Duration,
) -> Result<Measured> {
    let tasks = Tasks::new();
    let (done, mut results) = mpsc::channel(in_flight.max(1));
    let begun = Instant::now();
    for n in 0..in_flight {
        let (store, instance, done) = (Arc::clone(&store), instance.clone(), done.clone());
        tasks.background("bench", async move {
            let times = talk(&*store, instance, epoch, &format!("load-{in_flight}-{n}"), begun + each).await;
            // The receiver lives until all have sent.
            let _ = done.send(times).await;
        });
    }
    drop(done);
    let mut all = Vec::new();
    while let Some(times) = results.recv().await {
        all.extend(times?);
    }
    Ok(measured(in_flight, all, begun.elapsed()))
}

async fn talk(store: &dyn Store, instance: InstanceId, epoch: u64, name: &str, end: Instant) -> Result<Vec<Duration>> {
    let misnamed = |_| StoreError::Misused("a name of the bench".to_owned());
    let tenant = TenantId::new("bench").map_err(misnamed)?;
    let key = ConversationKey { tenant, conversation: ConversationId::new(name).map_err(misnamed)? };
    let (mut chain, mut times) = (Chain::START, Vec::new());
    for seq in 1.. {
        let begun = Instant::now();
        if begun >= end {
            break;
        }
        let envelope = Bytes::from(vec![b'e'; ENVELOPE_BYTES]);
        chain = chain.link(&envelope);
        let link = Bytes::copy_from_slice(&chain.0);
        let body = Some(Bytes::from(vec![b'b'; BODY_BYTES]));
        let rows = vec![Row { seq, epoch, load: 1, chain: link.clone(), envelope, body }];
        let head =
            Head { seq, ordinal: seq, chain: link, version_epoch: epoch, version_counter: seq, ..Head::default() };
        let (key, instance) = (key.clone(), instance.clone());
        store.append(Append { key, instance, rows, head, members: Vec::new(), effects: false, note: None }).await?;
        times.push(begun.elapsed());
    }
    Ok(times)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Also the way to run it: `cargo test --release -p posthorn-store bench -- --nocapture`, with
    /// `BENCH_SECONDS=5` for figures worth noting.
    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn the_bench_measures_the_disk_and_every_load() {
        let seconds = std::env::var("BENCH_SECONDS").ok().and_then(|text| text.parse().ok());
        let each = seconds.map_or(Duration::from_millis(50), Duration::from_secs);
        let dir = tempfile::tempdir().expect("a directory");
        let report = run(dir.path(), &[1, 64, 1_024], each).await.expect("measures");
        println!("{}", serde_json::to_string_pretty(&report).expect("encodes"));
        assert_eq!(report.appends.iter().map(|load| load.in_flight).collect::<Vec<_>>(), [1, 64, 1_024]);
        assert!(report.appends.iter().chain([&report.fdatasync]).all(|m| m.per_s > 0.0 && m.p50_us <= m.p99_us));
    }
}
