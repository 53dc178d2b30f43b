//! What an append costs beside a plain insert of the same row by the same driver.

mod cpu;
mod talk;

use std::{sync::Arc, time::Duration};

use posthorn_clock::{Clock, Instant};
use posthorn_core::{SHARDS, Shard};
use posthorn_store::{InstanceId, Result, Store};
use posthorn_tasks::Tasks;
use posthorn_telemetry::Metrics;
use serde::Serialize;
use tokio::sync::mpsc;

pub use cpu::CpuShares;
use cpu::Ticks;
use talk::{Checks, Shared, talk};

use crate::{CqlConfig, CqlStore, OpenError, schema::Schema};

/// How much is measured.
#[derive(Clone, Copy, Debug)]
pub struct Options {
    /// Each has one message in flight.
    pub conversations: usize,
    /// Both ways are measured in turn, so often, after one round that does not count.
    pub rounds: usize,
    /// Of each way in each round.
    pub each: Duration,
}

/// Rate and latency of one way to write.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
pub struct Measured {
    pub messages: usize,
    pub per_s: f64,
    pub p50_us: u64,
    pub p99_us: u64,
    pub cpu: CpuShares,
}

/// What [`run`] found.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Report {
    /// As many as messages in flight.
    pub conversations: usize,
    /// The row, one a mutation.
    pub plain: Measured,
    /// The same row as an append: with its share of a note and of a check, and settled as an owner does.
    pub appends: Measured,
    /// Rate of appends by rate of plain inserts.
    pub ratio: f64,
    /// Sent during the appends, by the messages appended.
    pub conditional_per_message: f64,
}

/// Measures in a keyspace of its own, which is dropped afterwards. `engine`: the processes of the database,
/// where they run here. Call it on a runtime with several threads.
///
/// # Errors
/// The database does not answer, or a write failed.
pub async fn run(config: &CqlConfig, engine: &[u32], options: Options) -> Result<Report, OpenError> {
    let keyspace = format!("posthorn_bench_{:x}", Clock::system().random());
    let config = CqlConfig { keyspace, ..config.clone() };
    let schema = Schema::connect(&config).await?;
    schema.apply().await?;
    let tasks = Tasks::new();
    let store = CqlStore::open(&config, &Clock::system(), &Metrics::default(), &tasks).await?;
    let report = compare(&store, engine, options).await;
    tasks.stop();
    schema.drop_keyspace().await?;
    Ok(report?)
}

/// As [`run`], in the tables of `store`.
///
/// # Errors
/// A write failed.
pub async fn compare(store: &Arc<CqlStore>, engine: &[u32], options: Options) -> Result<Report> {
    let instance = InstanceId(format!("bench-{:x}", store.calls.clock.random()));
    store.register(&instance, "bench").await?;
    let shards: Vec<Shard> = (0..SHARDS).map(Shard).collect();
    let claimed = store.claim(&shards, &instance, "bench").await?;
    let epoch = claimed.iter().map(|claim| claim.epoch).max().unwrap_or(0);
    let tasks = Tasks::new();
    let checks = Checks::start(store, &instance, &tasks);
    let plainly = Shared { store: Arc::clone(store), tasks, instance, epoch, checks: None };
    let appending = Shared { checks: Some(checks), ..plainly.clone() };
    let (mut plain, mut appends, mut conditional) = (Samples::default(), Samples::default(), 0);
    for round in 0..=options.rounds {
        let name = |way| format!("{way}-{:x}-{round}", store.calls.clock.random());
        let some = load(&plainly, &name("plain"), engine, options).await?;
        let before = store.conditional_statements();
        let others = load(&appending, &name("append"), engine, options).await?;
        if round > 0 {
            plain.add(some);
            appends.add(others);
            conditional += store.conditional_statements() - before;
        }
    }
    store.fence(&plainly.instance).await?;
    plainly.tasks.stop();
    let (plain, appends) = (plain.measured(), appends.measured());
    #[allow(clippy::cast_precision_loss, reason = "a rate")]
    let conditional_per_message = conditional as f64 / appends.messages.max(1) as f64;
    let ratio = appends.per_s / plain.per_s;
    Ok(Report { conversations: options.conversations, plain, appends, ratio, conditional_per_message })
}

#[derive(Default)]
struct Samples {
    times: Vec<Duration>,
    took: Duration,
    ticks: Ticks,
}

impl Samples {
    fn add(&mut self, other: Self) {
        self.times.extend(other.times);
        self.took += other.took;
        self.ticks = self.ticks.plus(other.ticks);
    }

    fn measured(mut self) -> Measured {
        self.times.sort_unstable();
        let at = |hundredths: usize| {
            let time = self.times.get(self.times.len() * hundredths / 100);
            time.map_or(0, |time| u64::try_from(time.as_micros()).unwrap_or(u64::MAX))
        };
        #[allow(clippy::cast_precision_loss, reason = "a rate")]
        let per_s = self.times.len() as f64 / self.took.as_secs_f64();
        let (messages, cpu) = (self.times.len(), self.ticks.shares());
        Measured { messages, per_s, p50_us: at(50), p99_us: at(99), cpu }
    }
}

async fn load(shared: &Shared, name: &str, engine: &[u32], options: Options) -> Result<Samples> {
    let (done, mut results) = mpsc::channel(options.conversations.max(1));
    let (begun, before) = (Instant::now(), Ticks::now(engine));
    for n in 0..options.conversations {
        let (shared, done, name) = (shared.clone(), done.clone(), format!("{name}-{n}"));
        let end = begun + options.each;
        shared.tasks.clone().background("bench", async move {
            // The receiver lives until all have sent.
            let _ = done.send(talk(&shared, &name, end).await).await;
        });
    }
    drop(done);
    let mut times = Vec::new();
    while let Some(some) = results.recv().await {
        times.extend(some?);
    }
    Ok(Samples { times, took: begun.elapsed(), ticks: Ticks::now(engine).since(before) })
}
