//! What engines do wrong, how often, and to whom: calls that fail, are late, or reach nobody.

use std::{
    collections::BTreeMap,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering::Relaxed},
    },
    time::Duration,
};

use parking_lot::Mutex;
use posthorn_clock::{Clock, sleep};
use posthorn_tasks::Tasks;

/// Of so many calls one goes wrong, in a storm.
const ONE_IN: u64 = 12;
/// The latest that an answer comes.
pub const SLOW_MS: u64 = 150;
/// Between two looks of a call whose process is paused.
const POLL: Duration = Duration::from_millis(5);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Engine {
    Store,
    /// One of the three that the store is made of.
    Replica,
    Bus,
    Presence,
    Feed,
}

impl Engine {
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Store => "store",
            Self::Replica => "replica",
            Self::Bus => "bus",
            Self::Presence => "presence",
            Self::Feed => "feed",
        }
    }
}

/// Whether engines misbehave now; shared by all processes of a simulation.
#[derive(Clone, Default)]
pub struct Storm(Arc<Inner>);

#[derive(Default)]
struct Inner {
    over: AtomicBool,
    /// By engine.
    away: [AtomicBool; 5],
    /// By process.
    paused: Mutex<BTreeMap<usize, Arc<AtomicBool>>>,
    made: Mutex<BTreeMap<String, u64>>,
}

impl Storm {
    /// One in which nothing goes wrong.
    pub fn none() -> Self {
        let storm = Self::default();
        storm.end();
        storm
    }

    pub fn end(&self) {
        self.0.over.store(true, Relaxed);
    }

    /// What went wrong, and how often.
    pub fn made(&self) -> BTreeMap<String, u64> {
        self.0.made.lock().clone()
    }

    /// Whether an engine answers nobody.
    pub fn away(&self, engine: Engine, away: bool) {
        self.0.away[engine as usize].store(away, Relaxed);
    }

    /// Whether calls from and messages to a process wait.
    pub fn pause(&self, process: usize, paused: bool) {
        self.paused(process).store(paused, Relaxed);
    }

    fn paused(&self, process: usize) -> Arc<AtomicBool> {
        Arc::clone(self.0.paused.lock().entry(process).or_default())
    }
}

/// A way to an engine of one process.
#[derive(Clone)]
pub struct Way {
    pub engine: Engine,
    pub clock: Clock,
    /// What arrives late goes with the process that sent it.
    pub tasks: Tasks,
    storm: Storm,
    paused: Arc<AtomicBool>,
}

impl Way {
    pub fn new(process: usize, engine: Engine, storm: Storm, clock: Clock) -> Self {
        let paused = storm.paused(process);
        Self { engine, clock, tasks: Tasks::new(), storm, paused }
    }

    /// Of the same process.
    pub fn to(&self, engine: Engine) -> Self {
        Self { engine, ..self.clone() }
    }

    /// Whether this call goes wrong.
    pub fn hits(&self) -> bool {
        !self.storm.0.over.load(Relaxed) && self.clock.below(ONE_IN) == 0
    }

    /// A call that went wrong, and how.
    pub fn went(&self, how: &str) {
        let kind = format!("{}-{how}", self.engine.as_str());
        *self.storm.0.made.lock().entry(kind).or_default() += 1;
    }

    /// Returns when the process is not paused; false: the engine is away, or was gone by then.
    pub async fn reaches(&self) -> bool {
        self.resumed().await;
        let away = &self.storm.0.away[self.engine as usize];
        if away.load(Relaxed) {
            self.slow().await;
            return false;
        }
        true
    }

    pub async fn resumed(&self) {
        while self.paused.load(Relaxed) {
            sleep(POLL).await;
        }
    }

    pub async fn slow(&self) {
        self.late(SLOW_MS).await;
    }

    pub async fn late(&self, most_ms: u64) {
        sleep(Duration::from_millis(1 + self.clock.below(most_ms))).await;
    }
}
