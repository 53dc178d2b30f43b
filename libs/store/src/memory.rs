//! The model: typed maps behind one lock, no threads. With modelled syncs a write becomes visible,
//! durable and acknowledged when the sync ends that began after it (group commit on virtual time), and
//! a crash takes back the rest. The same calls at the same times give the same results.

mod state;
#[cfg(test)]
mod tests;
mod trait_impl;
mod transfer;

use std::{collections::VecDeque, sync::Arc, time::Duration};

use parking_lot::Mutex;
use posthorn_clock::{Clock, Instant, sleep_until};
use tokio::sync::{oneshot, watch};

use crate::{Result, StoreError, beats::Beats};
use state::State;
pub use transfer::MemoryImport;

/// How the model behaves.
#[derive(Clone, Copy, Debug, Default)]
pub struct MemoryOptions {
    /// How long a sync takes. Zero: writes are durable at once.
    pub sync: Duration,
    /// Keep rows and note in one write and leave heads, members and feed to `settle`, as a driver
    /// without large transactions does: `append` then answers false.
    pub settle_apart: bool,
}

/// See the module's documentation.
pub struct MemoryStore {
    clock: Clock,
    options: MemoryOptions,
    inner: Mutex<Inner>,
    changes: watch::Sender<u64>,
    beats: Beats,
}

#[derive(Default)]
struct Inner {
    visible: State,
    /// What a crash leaves. Kept only where syncs are modelled.
    durable: State,
    /// Writes that wait for their sync, by its end.
    pending: VecDeque<(Instant, Box<dyn Write>)>,
    /// Visible, acknowledged, durable with the next sync that begins.
    unsynced: Vec<Box<dyn Write>>,
    crashed: bool,
}

/// A write, done once to what is visible and once to what is durable.
trait Write: Send {
    fn show(&mut self, state: &mut State);
    fn keep(&self, state: &mut State);
}

struct Typed<T, F> {
    run: F,
    reply: Option<oneshot::Sender<Result<T>>>,
}

impl<T: Send, F: Fn(&mut State) -> Result<T> + Send> Write for Typed<T, F> {
    fn show(&mut self, state: &mut State) {
        let result = (self.run)(state);
        if let Some(reply) = self.reply.take() {
            let _ = reply.send(result);
        }
    }

    fn keep(&self, state: &mut State) {
        // The outcome was told when it was shown.
        let _ = (self.run)(state);
    }
}

impl MemoryStore {
    /// Writes are durable at once.
    #[must_use]
    pub fn new(clock: Clock) -> Arc<Self> {
        Self::with_options(clock, MemoryOptions::default())
    }

    /// As `options` say.
    #[must_use]
    pub fn with_options(clock: Clock, options: MemoryOptions) -> Arc<Self> {
        let state = State { generation: 1, ..State::default() };
        Self::from_state(clock, options, state)
    }

    fn from_state(clock: Clock, options: MemoryOptions, state: State) -> Arc<Self> {
        let durable = if options.sync.is_zero() { State::default() } else { state.clone() };
        let inner = Inner { visible: state, durable, ..Inner::default() };
        Arc::new(Self {
            clock,
            options,
            inner: Mutex::new(inner),
            changes: watch::Sender::new(0),
            beats: Beats::default(),
        })
    }

    /// The power goes: what no sync has covered is gone. Calls in flight answer [`StoreError::Ambiguous`],
    /// later ones on this handle [`StoreError::Unavailable`]. Returns the store, opened again.
    #[must_use]
    pub fn crash(&self) -> Arc<Self> {
        self.end(false)
    }

    /// The process dies and the machine lives: everything that was written is kept, acknowledged or not.
    #[must_use]
    pub fn crash_of_process(&self) -> Arc<Self> {
        self.end(true)
    }

    fn end(&self, keep_written: bool) -> Arc<Self> {
        let mut inner = self.inner.lock();
        self.advance(&mut inner);
        inner.crashed = true;
        let pending = std::mem::take(&mut inner.pending);
        let unsynced = std::mem::take(&mut inner.unsynced);
        let state = if self.options.sync.is_zero() {
            inner.visible.clone()
        } else {
            let mut state = inner.durable.clone();
            if keep_written {
                unsynced.iter().for_each(|write| write.keep(&mut state));
                pending.iter().for_each(|(_, write)| write.keep(&mut state));
            }
            state
        };
        Self::from_state(self.clock.clone(), self.options, state)
    }

    /// Restores a backup, as far as anybody can tell: the same content under a new generation.
    #[must_use]
    pub fn restored(&self) -> Arc<Self> {
        let mut state = self.inner.lock().visible.clone();
        state.generation += 1;
        Self::from_state(self.clock.clone(), self.options, state)
    }

    /// Ends the syncs whose time has come.
    fn advance(&self, inner: &mut Inner) {
        let now = Instant::now();
        let before: u64 = inner.visible.feed_last.values().sum();
        while inner.pending.front().is_some_and(|(end, _)| *end <= now) {
            if let Some((_, mut write)) = inner.pending.pop_front() {
                write.show(&mut inner.visible);
                write.keep(&mut inner.durable);
            }
        }
        self.announce(inner, before);
    }

    fn announce(&self, inner: &Inner, before: u64) {
        let after: u64 = inner.visible.feed_last.values().sum();
        if after > before {
            self.changes.send_replace(after);
        }
    }

    fn read<T>(&self, f: impl FnOnce(&State) -> T) -> Result<T> {
        let mut inner = self.inner.lock();
        if inner.crashed {
            return Err(StoreError::Unavailable("crashed".to_owned()));
        }
        self.advance(&mut inner);
        Ok(f(&inner.visible))
    }

    /// A write that is acknowledged when a sync that began after it has ended.
    async fn write<T, F>(&self, run: F) -> Result<T>
    where
        T: Send + 'static,
        F: Fn(&mut State) -> Result<T> + Send + 'static,
    {
        let (reply, mut answer) = oneshot::channel();
        let end = {
            let mut inner = self.inner.lock();
            if inner.crashed {
                return Err(StoreError::Unavailable("crashed".to_owned()));
            }
            self.advance(&mut inner);
            if self.options.sync.is_zero() {
                let before = inner.visible.feed_last.values().sum();
                let result = run(&mut inner.visible);
                self.announce(&inner, before);
                return result;
            }
            let now = Instant::now();
            // A sync that runs does not cover what comes while it does: that waits for the next one.
            let end = match inner.pending.back().map(|(end, _)| *end) {
                Some(end) if end - self.options.sync >= now => end,
                Some(end) => end + self.options.sync,
                None => now + self.options.sync,
            };
            for write in std::mem::take(&mut inner.unsynced) {
                inner.pending.push_back((end, Box::new(KeepOnly(write))));
            }
            inner.pending.push_back((end, Box::new(Typed { run, reply: Some(reply) })));
            end
        };
        sleep_until(end).await;
        self.advance(&mut self.inner.lock());
        answer.try_recv().unwrap_or_else(|_| Err(StoreError::Ambiguous("crashed".to_owned())))
    }

    /// A write that is visible at once and durable with a sync that another one asks for.
    fn write_lazily<F>(&self, run: F) -> Result<()>
    where
        F: Fn(&mut State) -> Result<()> + Send + 'static,
    {
        let mut inner = self.inner.lock();
        if inner.crashed {
            return Err(StoreError::Unavailable("crashed".to_owned()));
        }
        self.advance(&mut inner);
        run(&mut inner.visible)?;
        if !self.options.sync.is_zero() {
            inner.unsynced.push(Box::new(Typed { run, reply: None }));
        }
        Ok(())
    }
}

/// Already shown: only becomes durable.
struct KeepOnly(Box<dyn Write>);

impl Write for KeepOnly {
    fn show(&mut self, _: &mut State) {}
    fn keep(&self, state: &mut State) {
        self.0.keep(state);
    }
}
