//! The embedded store, on fjall. One writer thread turns what waits into one commit with one sync and
//! acknowledges after it; reads see only what was committed. docs/storage.md has the tables,
//! docs/adr/0002-one-writer-one-sync.md the reasons.

mod appends;
mod backup;
mod config;
mod engine;
mod group;
mod heads;
mod import;
mod journal;
mod keys;
mod layout;
mod mark;
mod metrics;
mod ownership;
mod queue;
mod reads;
mod restore;
mod scan;
mod space;
#[cfg(test)]
mod tests;
mod trait_impl;
mod trim;
mod values;
mod writer;

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    thread::JoinHandle,
    time::Duration,
};

use parking_lot::{Condvar, Mutex};
use posthorn_clock::{Clock, Instant, timeout};
use posthorn_telemetry::Metrics;
use tokio::sync::{Semaphore, oneshot, watch};

use crate::{Result, StoreError, beats::Beats};
pub use config::StoreConfig;
use engine::Engine;
use group::{Group, Held};
pub use import::EmbeddedImport;
use metrics::StoreMetrics;
use queue::{Kind, Queue, Typed};
pub use restore::{Restored, restore, restore_replacing};

/// Bytes that every queued write counts beyond its content.
const WRITE_OVERHEAD_BYTES: usize = 512;
/// How long a call waits for a database that is being opened again.
const OPEN_PATIENCE: Duration = Duration::from_secs(2);

/// See the module's documentation. Dropping it writes what is queued, syncs and releases the directory.
pub struct EmbeddedStore {
    shared: Arc<Shared>,
    /// Bytes free in the queue.
    room: Arc<Semaphore>,
    /// Ranges that may still be read at once.
    readers: Arc<Semaphore>,
    writer: Mutex<Option<JoinHandle<()>>>,
    /// Until [`EmbeddedStore::close`]: whoever still holds a handle then does not hold the directory.
    lock: Mutex<Option<layout::DirLock>>,
}

/// What the writer thread and the callers share.
struct Shared {
    config: StoreConfig,
    generation: u64,
    clock: Clock,
    queue: Queue,
    /// `None` while it is being opened again, and at the end.
    engine: watch::Sender<Option<Arc<Engine>>>,
    metrics: StoreMetrics,
    writable: AtomicBool,
    /// Entries fed since the start.
    changes: watch::Sender<u64>,
    beats: Beats,
    pause: (Mutex<()>, Condvar),
}

impl Shared {
    /// For the writer thread, which no runtime runs.
    fn pause(&self, time: Duration) {
        let (lock, never) = &self.pause;
        never.wait_for(&mut lock.lock(), time);
    }

    fn note_space(&self, free: u64) {
        self.metrics.free.set(i64::try_from(free).unwrap_or(i64::MAX));
        let writable = free >= self.config.min_free_bytes && self.engine.borrow().is_some();
        if self.writable.swap(writable, Ordering::Relaxed) != writable {
            tracing::warn!(writable, free_bytes = free, "the store changed what it takes");
        }
    }
}

impl EmbeddedStore {
    /// Opens or makes the store in `config.data_dir`, and starts its writer thread. An error says what
    /// to do: the directory is in use, of a newer format, or damaged. Reads the journal: takes up to
    /// seconds, on the calling thread.
    pub fn open(config: StoreConfig, metrics: &Metrics) -> Result<Arc<Self>> {
        let lock = layout::lock(&config.data_dir)?;
        let path = layout::check(&config.data_dir)?;
        let synced = mark::read(&path, layout::generation(&config.data_dir)?)?;
        let engine = Engine::open(&path, &config, synced)?;
        let generation = settle_generation(&config, &engine)?;
        let mark = mark::Mark::open(&path, generation)?;
        let held = Held::load(&engine)?;
        let engine = Arc::new(engine);
        let room = Arc::new(Semaphore::new(config.max_queue_bytes as usize));
        let readers = Arc::new(Semaphore::new(config.max_running_reads.max(1)));
        let shared = Arc::new(Shared {
            generation,
            clock: Clock::system(),
            queue: Queue::default(),
            engine: watch::Sender::new(Some(Arc::clone(&engine))),
            metrics: StoreMetrics::new(metrics),
            writable: AtomicBool::new(true),
            changes: watch::Sender::new(0),
            beats: Beats::default(),
            pause: Default::default(),
            config,
        });
        shared.note_space(space::free_bytes(&shared.config.data_dir));
        let writer = writer::Writer::new(Arc::clone(&shared), engine, held, mark);
        let thread = std::thread::Builder::new().name("store-writer".to_owned()).spawn(|| writer.run());
        let thread = thread.map_err(|error| StoreError::Unavailable(format!("no thread for the writer: {error}")))?;
        Ok(Arc::new(Self { shared, room, readers, writer: Mutex::new(Some(thread)), lock: Mutex::new(Some(lock)) }))
    }

    /// Writes what is queued, syncs and closes. Later calls answer [`StoreError::Unavailable`]. Blocks
    /// until that is done.
    pub fn close(&self) {
        self.shared.queue.close();
        let writer = self.writer.lock().take();
        if let Some(writer) = writer
            && writer.join().is_err()
        {
            tracing::error!("the store's writer panicked");
        }
        drop(self.lock.lock().take());
    }

    /// Runs a write in the next commit.
    async fn write<T, F>(&self, op: &'static str, kind: Kind, bytes: usize, run: F) -> Result<T>
    where
        T: Send + 'static,
        F: FnOnce(&mut Group<'_>) -> Result<T> + Send + 'static,
    {
        let begun = Instant::now();
        let metrics = &self.shared.metrics;
        let size = u32::try_from(bytes + WRITE_OVERHEAD_BYTES).unwrap_or(u32::MAX);
        if size > self.shared.config.max_queue_bytes {
            return Err(StoreError::Misused(format!("a write of {bytes} bytes is beyond `store.max_queue_bytes`")));
        }
        let patience = Duration::from_millis(self.shared.config.queue_wait_ms);
        let room = match Arc::clone(&self.room).try_acquire_many_owned(size) {
            Ok(room) => room,
            Err(_) => match timeout(patience, Arc::clone(&self.room).acquire_many_owned(size)).await {
                Ok(Ok(room)) => room,
                _ => {
                    metrics.refused("queue_full", 1);
                    return Err(StoreError::Unavailable("`store.max_queue_bytes` of writes wait already".to_owned()));
                }
            },
        };
        let (reply, answer) = oneshot::channel();
        let job = Box::new(Typed { kind, bytes, run: Some(run), result: None, reply, room });
        let used = self.shared.config.max_queue_bytes as usize - self.room.available_permits();
        metrics.queue.set(i64::try_from(used).unwrap_or(i64::MAX));
        if !self.shared.queue.push(job) {
            return Err(StoreError::Unavailable("the store is closed".to_owned()));
        }
        let result = answer.await;
        metrics.timed(op, begun);
        result.unwrap_or_else(|_| Err(StoreError::Ambiguous("the store's writer died".to_owned())))
    }

    /// The open database.
    async fn engine(&self) -> Result<Arc<Engine>> {
        if let Some(engine) = &*self.shared.engine.borrow() {
            return Ok(Arc::clone(engine));
        }
        let mut changes = self.shared.engine.subscribe();
        let opened = timeout(OPEN_PATIENCE, changes.wait_for(Option::is_some)).await;
        let engine = opened.ok().and_then(|engine| engine.ok()?.clone());
        engine.ok_or_else(|| StoreError::Unavailable("the store is closed, or being opened again".to_owned()))
    }
}

impl Drop for EmbeddedStore {
    fn drop(&mut self) {
        self.close();
    }
}

/// The generation stands in the database and beside it; neither alone takes it back.
fn settle_generation(config: &StoreConfig, engine: &Engine) -> Result<u64> {
    let key = keys::about("generation");
    let inside = engine.latest(keys::Space::System, &key)?.map(|value| values::decode_u64(&value)).transpose()?;
    let beside = layout::generation(&config.data_dir)?;
    // A directory that was emptied for a fresh start, without a restore, is of a generation of its own.
    let generation = match (inside, beside) {
        (Some(inside), beside) => inside.max(beside.unwrap_or(0)),
        (None, Some(beside)) => beside + 1,
        (None, None) => 1,
    };
    if inside != Some(generation) {
        let value = Some(values::encode_u64(generation));
        let put = engine::Put { space: keys::Space::System, key: key.into(), value };
        let written = engine.commit(vec![put], None, true);
        written.map_err(|error| StoreError::Unavailable(format!("the generation was not written: {error:?}")))?;
    }
    if beside != Some(generation) {
        layout::write_generation(&config.data_dir, generation)?;
    }
    Ok(generation)
}
