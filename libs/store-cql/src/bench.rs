//! What an append costs beside a plain insert of the same row by the same driver.

use std::{sync::Arc, time::Duration};

use bytes::Bytes;
use posthorn_clock::Instant;
use posthorn_core::{Chain, ConversationId, ConversationKey, SHARDS, Shard, TenantId};
use posthorn_proto::internal::{Head, Row};
use posthorn_store::{Append, InstanceId, Result, Store, StoreError};
use posthorn_tasks::Tasks;
use serde::Serialize;
use tokio::sync::{mpsc, oneshot};

use crate::CqlStore;

/// A line of chat, encoded.
const ENVELOPE_BYTES: usize = 96;
const BODY_BYTES: usize = 64;

/// Rate and latency of one way to write.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
pub struct Measured {
    pub messages: usize,
    pub per_s: f64,
    pub p50_us: u64,
    pub p99_us: u64,
}

/// What [`compare`] found.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Report {
    /// As many conversations as messages in flight.
    pub conversations: usize,
    /// The row, one a mutation.
    pub plain: Measured,
    /// The same row as an append: with its share of a note and of a check.
    pub appends: Measured,
    /// Rate of appends by rate of plain inserts.
    pub ratio: f64,
    /// During the appends.
    pub conditional_statements: u64,
}

/// Measures both in turn, `rounds` times `each`, in the keyspace of `store` under a tenant of its own. Call
/// it on a runtime with several threads.
///
/// # Errors
/// A write failed.
pub async fn compare(store: &Arc<CqlStore>, conversations: usize, rounds: usize, each: Duration) -> Result<Report> {
    let instance = InstanceId(format!("bench-{:x}", store.calls.clock.random()));
    store.register(&instance, "bench").await?;
    let shards: Vec<Shard> = (0..SHARDS).map(Shard).collect();
    let claimed = store.claim(&shards, &instance, "bench").await?;
    let epoch = claimed.iter().map(|claim| claim.epoch).max().unwrap_or(0);
    let tasks = Tasks::new();
    let checks = Checks::start(store, &instance, &tasks);
    let (mut plain, mut appends, mut conditional) = (Samples::default(), Samples::default(), 0);
    for round in 0..rounds {
        let name = |way| format!("{way}-{:x}-{round}", store.calls.clock.random());
        let write = Write { store: Arc::clone(store), instance: instance.clone(), epoch, checks: None };
        plain.add(load(&tasks, &write, &name("plain"), conversations, each).await?);
        let before = store.conditional_statements();
        let write = Write { checks: Some(checks.clone()), ..write };
        appends.add(load(&tasks, &write, &name("append"), conversations, each).await?);
        conditional += store.conditional_statements() - before;
    }
    store.fence(&instance).await?;
    let (plain, appends) = (plain.measured(), appends.measured());
    Ok(Report {
        conversations,
        plain,
        appends,
        ratio: appends.per_s / plain.per_s,
        conditional_statements: conditional,
    })
}

#[derive(Default)]
struct Samples {
    times: Vec<Duration>,
    took: Duration,
}

impl Samples {
    fn add(&mut self, other: Self) {
        self.times.extend(other.times);
        self.took += other.took;
    }

    fn measured(mut self) -> Measured {
        self.times.sort_unstable();
        let at = |hundredths: usize| {
            let time = self.times.get(self.times.len() * hundredths / 100);
            time.map_or(0, |time| u64::try_from(time.as_micros()).unwrap_or(u64::MAX))
        };
        #[allow(clippy::cast_precision_loss, reason = "a rate")]
        let per_s = self.times.len() as f64 / self.took.as_secs_f64();
        Measured { messages: self.times.len(), per_s, p50_us: at(50), p99_us: at(99) }
    }
}

/// How a message is written.
#[derive(Clone)]
struct Write {
    store: Arc<CqlStore>,
    instance: InstanceId,
    epoch: u64,
    /// `None`: the row alone.
    checks: Option<Checks>,
}

impl Write {
    async fn one(&self, key: &ConversationKey, row: Row) -> Result<()> {
        let Some(checks) = &self.checks else {
            return self.store.write_rows(key, &[row]).await;
        };
        let head = Head { seq: row.seq, chain: row.chain.clone(), ..Head::default() };
        let (key, instance) = (key.clone(), self.instance.clone());
        let (rows, members, note) = (vec![row], Vec::new(), Some(head.seq));
        self.store.append(Append { key, instance, rows, head, members, effects: false, note }).await?;
        checks.active().await
    }
}

/// One check serves everybody who waited when it began, as an owner's does.
#[derive(Clone)]
struct Checks(mpsc::Sender<oneshot::Sender<Result<bool>>>);

impl Checks {
    fn start(store: &Arc<CqlStore>, instance: &InstanceId, tasks: &Tasks) -> Self {
        const MAX_WAITING: usize = 4_096;
        let (tx, mut rx) = mpsc::channel::<oneshot::Sender<Result<bool>>>(MAX_WAITING);
        let (store, instance) = (Arc::clone(store), instance.clone());
        tasks.background("bench checks", async move {
            let mut waiting = Vec::new();
            while rx.recv_many(&mut waiting, MAX_WAITING).await > 0 {
                let active = store.check(&instance).await;
                for asker in waiting.drain(..) {
                    // Whoever stopped waiting needs no answer.
                    let _ = asker.send(active.clone());
                }
            }
        });
        Self(tx)
    }

    async fn active(&self) -> Result<()> {
        let gone = || StoreError::Unavailable("the checks ended".to_owned());
        let (tx, rx) = oneshot::channel();
        self.0.send(tx).await.map_err(|_| gone())?;
        if rx.await.map_err(|_| gone())?? { Ok(()) } else { Err(StoreError::Fenced("the bench".to_owned())) }
    }
}

/// Each conversation has one message in flight.
async fn load(tasks: &Tasks, write: &Write, name: &str, conversations: usize, each: Duration) -> Result<Samples> {
    let (done, mut results) = mpsc::channel(conversations.max(1));
    let begun = Instant::now();
    for n in 0..conversations {
        let (write, done, name) = (write.clone(), done.clone(), format!("{name}-{n}"));
        tasks.background("bench", async move {
            // The receiver lives until all have sent.
            let _ = done.send(talk(&write, &name, begun + each).await).await;
        });
    }
    drop(done);
    let mut times = Vec::new();
    while let Some(some) = results.recv().await {
        times.extend(some?);
    }
    Ok(Samples { times, took: begun.elapsed() })
}

async fn talk(write: &Write, name: &str, end: Instant) -> Result<Vec<Duration>> {
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
        write.one(&key, Row { seq, epoch: write.epoch, load: 1, chain: link, envelope, body }).await?;
        times.push(begun.elapsed());
    }
    Ok(times)
}
