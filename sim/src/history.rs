//! What happened, as the clients saw it, in the order of the simulation. `posthorn_history` says what a line is.

use posthorn_history::{Event, Kind, Op, Recorder};

/// Shared by the processes of one simulation, which is one thread.
#[derive(Clone)]
pub struct History {
    recorder: Recorder,
    /// Marks count as told by events and syncs, too, and not by answers alone.
    pub heard_marks: bool,
}

impl History {
    pub fn new(heard_marks: bool) -> Self {
        Self { recorder: Recorder::memory(), heard_marks }
    }

    /// Now, in simulated time.
    pub fn add(&self, process: &str, kind: Kind, op: Op) {
        let at_ms = u64::try_from(turmoil::sim_elapsed().unwrap_or_default().as_millis()).unwrap_or(u64::MAX);
        self.add_at(at_ms, process, kind, op);
    }

    /// Outside of every host there is no simulated time.
    pub fn add_at(&self, at_ms: u64, process: &str, kind: Kind, op: Op) {
        self.recorder.add(at_ms, process, kind, op);
    }

    pub fn events(&self) -> Vec<Event> {
        self.recorder.events()
    }

    /// The file: what two runs of one seed must agree on byte for byte.
    pub fn lines(&self) -> String {
        self.recorder.lines()
    }
}
