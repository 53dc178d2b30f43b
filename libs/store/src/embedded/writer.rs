//! The writer thread: drains the queue, puts a group into one commit, syncs once, then answers all.

use std::{
    panic::{AssertUnwindSafe, catch_unwind},
    sync::{Arc, atomic::Ordering},
    time::Duration,
};

use posthorn_clock::Instant;

use super::{
    Shared,
    engine::{CommitError, Engine},
    group::{Group, Held, Staged},
    mark::Mark,
    queue::{Job, Kind},
    space,
};
use crate::{Result, StoreError};

/// How often a store that gave up is tried again.
const REOPEN_INTERVAL: Duration = Duration::from_millis(500);
/// How long readers may hold the old database before an attempt to open it again is put off.
const RELEASE_PATIENCE: Duration = Duration::from_secs(2);
/// Opening writes a little itself.
const REOPEN_FREE_BYTES: u64 = 4 * 1024 * 1024;
const ROOM_INTERVAL: Duration = Duration::from_millis(5);

pub(super) struct Writer {
    shared: Arc<Shared>,
    /// The database, where it takes writes.
    open: Option<(Arc<Engine>, Held)>,
    mark: Mark,
    /// The disk failed: nothing but a restart, after a look at the disk, makes the page cache honest.
    broken: Option<String>,
    last_reopen: Instant,
    last_housekeeping: Instant,
    last_batch: usize,
    /// Something is written and not synced.
    unsynced: bool,
}

impl Writer {
    pub(super) fn new(shared: Arc<Shared>, engine: Arc<Engine>, held: Held, mark: Mark) -> Self {
        let now = Instant::now();
        let (last_reopen, last_housekeeping) = (now, now);
        let open = Some((engine, held));
        Self { shared, open, mark, broken: None, last_reopen, last_housekeeping, last_batch: 0, unsynced: false }
    }

    /// Until the queue is closed and empty. A panic, of the library for one, ends the store and not the
    /// process: nobody waits for an answer that cannot come.
    pub(super) fn run(self) {
        let shared = Arc::clone(&self.shared);
        if catch_unwind(AssertUnwindSafe(|| self.drain())).is_err() {
            tracing::error!("the store's writer panicked: the store is closed, restart it");
            shared.writable.store(false, Ordering::Relaxed);
            shared.engine.send_replace(None);
            shared.queue.abandon();
        }
    }

    fn drain(mut self) {
        let pause = Duration::from_millis(self.shared.config.housekeeping_ms.max(1));
        let gather = Duration::from_micros(self.shared.config.gather_us);
        while !self.shared.queue.closed() {
            let some = self.shared.queue.wait(1, pause);
            if some && self.last_batch > 1 && !gather.is_zero() {
                // Those whom the last commit answered are about to write again.
                self.shared.queue.wait(self.last_batch, gather);
            }
            if some {
                let jobs =
                    self.shared.queue.take(self.shared.config.max_commit_ops, self.shared.config.max_commit_bytes);
                self.last_batch = jobs.len();
                self.commit(jobs);
            }
            if self.last_housekeeping.elapsed() >= pause {
                self.last_housekeeping = Instant::now();
                self.housekeeping();
            }
        }
        if let Some((engine, _)) = self.open.take() {
            match engine.sync() {
                Ok(()) => self.mark.write(engine.commits()),
                Err(error) => tracing::error!(?error, "the last sync of the store failed"),
            }
        }
        self.mark.sync();
        self.shared.engine.send_replace(None);
    }

    fn commit(&mut self, jobs: Vec<Box<dyn Job>>) {
        if self.open.is_none() {
            self.try_reopen();
        }
        let free = space::free_bytes(&self.shared.config.data_dir);
        self.shared.note_space(free);
        let mut jobs = self.admit(jobs, free);
        if jobs.is_empty() {
            return;
        }
        let Some((engine, held)) = self.open.as_mut() else {
            let why = self.broken.clone().unwrap_or_else(|| "the store is being opened again".to_owned());
            self.shared.metrics.refused("closed", jobs.len() as u64);
            jobs.into_iter().for_each(|job| job.finish(Err(StoreError::Unavailable(why.clone()))));
            return;
        };
        let engine = Arc::clone(engine);
        let now_ms = self.shared.clock.now_ms();
        let mut group = Group::new(&engine, held, self.shared.generation, now_ms, jobs.len());
        let mut sync = false;
        for job in &mut jobs {
            let keep = job.stage(&mut group);
            group.end_write(keep);
            sync |= keep && job.kind() != Kind::Lazy;
        }
        let staged = group.stage();
        let fed = staged.fed;
        let outcome =
            if staged.puts.is_empty() { self.confirm(&engine, sync) } else { self.write(&engine, staged, sync) };
        match outcome {
            Ok(()) => {
                if sync {
                    self.mark.write(engine.commits());
                }
                self.succeed(jobs, fed, sync);
            }
            Err(error) => self.fail(error, jobs),
        }
    }

    /// A group that puts nothing still answers from what lies before it, which has to be durable.
    fn confirm(&mut self, engine: &Engine, sync: bool) -> Result<(), CommitError> {
        if sync && self.unsynced { engine.sync() } else { Ok(()) }
    }

    fn write(&mut self, engine: &Engine, staged: Staged, sync: bool) -> Result<(), CommitError> {
        while !engine.has_room() {
            engine.alive()?;
            self.shared.pause(ROOM_INTERVAL);
        }
        engine.commit(staged.puts, staged.heads, sync)
    }

    fn succeed(&mut self, jobs: Vec<Box<dyn Job>>, fed: u64, sync: bool) {
        self.unsynced = !sync;
        let metrics = &self.shared.metrics;
        metrics.commits.inc();
        #[allow(clippy::cast_precision_loss, reason = "a small count")]
        metrics.batch.observe(jobs.len() as f64);
        jobs.into_iter().for_each(|job| job.finish(Ok(())));
        if fed > 0 {
            self.shared.changes.send_modify(|changes| *changes += fed);
        }
    }

    /// Nobody can say whether the group is on disk: the database is closed, and opened again from disk.
    fn fail(&mut self, error: CommitError, jobs: Vec<Box<dyn Job>>) {
        tracing::error!(?error, writes = jobs.len(), "a commit failed, the store is opened again");
        self.open = None;
        let why = match error {
            CommitError::NoSpace(why) | CommitError::GaveUp(why) => why,
            CommitError::Disk(why) => {
                let what = format!("the disk failed ({why}): check it, then restart");
                self.broken = Some(what.clone());
                what
            }
        };
        self.shared.writable.store(false, Ordering::Relaxed);
        jobs.into_iter().for_each(|job| job.finish(Err(StoreError::Ambiguous(why.clone()))));
        self.last_reopen = Instant::now();
    }

    /// Refuses what adds data while space is short, and everything just before there is none.
    fn admit(&self, jobs: Vec<Box<dyn Job>>, free: u64) -> Vec<Box<dyn Job>> {
        let min = self.shared.config.min_free_bytes;
        if free >= min {
            return jobs;
        }
        let (mut admitted, mut refused) = (Vec::new(), 0);
        for job in jobs {
            if job.kind() == Kind::Grows || free < min / 8 {
                job.finish(Err(StoreError::Full { free_bytes: free, min_free_bytes: min }));
                refused += 1;
            } else {
                admitted.push(job);
            }
        }
        self.shared.metrics.refused("full", refused);
        admitted
    }

    fn housekeeping(&mut self) {
        if self.open.is_none() {
            self.try_reopen();
        }
        let free = space::free_bytes(&self.shared.config.data_dir);
        self.shared.note_space(free);
        let Some((engine, _)) = self.open.as_ref() else { return };
        let engine = Arc::clone(engine);
        self.mark.sync();
        let done = self.sync_lazy(&engine).and_then(|()| self.trim(&engine));
        if let Err(error) = done {
            self.fail(error, Vec::new());
        }
    }

    fn sync_lazy(&mut self, engine: &Engine) -> Result<(), CommitError> {
        if self.unsynced {
            engine.sync()?;
            self.unsynced = false;
            self.mark.write(engine.commits());
        } else {
            // A library that gave up in the background is noticed although nobody writes.
            engine.alive()?;
        }
        Ok(())
    }

    fn trim(&mut self, engine: &Engine) -> Result<(), CommitError> {
        let bounds = super::trim::Bounds::of(&self.shared.config, self.shared.clock.now_ms());
        match super::trim::plan(engine, bounds) {
            Ok(puts) if puts.is_empty() => Ok(()),
            Ok(puts) => {
                self.unsynced = true;
                engine.commit(puts, None, false)
            }
            Err(error) => {
                tracing::warn!(%error, "the feed was not trimmed");
                Ok(())
            }
        }
    }

    /// Opens the database again once there is space, when nobody reads from the old handle any more.
    fn try_reopen(&mut self) {
        if self.broken.is_some() || self.last_reopen.elapsed() < REOPEN_INTERVAL {
            return;
        }
        self.last_reopen = Instant::now();
        let free = space::free_bytes(&self.shared.config.data_dir);
        if free < self.shared.config.min_free_bytes.max(REOPEN_FREE_BYTES) {
            return;
        }
        if let Some(old) = self.shared.engine.send_replace(None) {
            let begun = Instant::now();
            while Arc::strong_count(&old) > 1 && begun.elapsed() < RELEASE_PATIENCE {
                self.shared.pause(ROOM_INTERVAL);
            }
            if Arc::strong_count(&old) > 1 {
                self.shared.engine.send_replace(Some(old));
                return;
            }
            drop(old);
        }
        let path = self.shared.config.data_dir.join(super::layout::DATABASE);
        let opened = Engine::open(&path, &self.shared.config, self.mark.commit()).and_then(|engine| {
            let held = Held::load(&engine)?;
            Ok((Arc::new(engine), held))
        });
        match opened {
            Ok((engine, held)) => {
                tracing::info!("the store is open again");
                self.shared.metrics.reopened.inc();
                self.shared.engine.send_replace(Some(Arc::clone(&engine)));
                self.open = Some((engine, held));
                self.shared.note_space(free);
            }
            Err(error) => tracing::error!(%error, "the store does not open again yet"),
        }
    }
}
