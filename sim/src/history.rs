//! What happened, as the clients saw it, in the order of the simulation. `posthorn_history` says what a line is.

use posthorn_history::{Event, Kind, Op, Recorder};

/// Shared by the processes of one simulation, which is one thread.
#[derive(Clone)]
pub struct History(Recorder);

impl Default for History {
    fn default() -> Self {
        Self(Recorder::memory())
    }
}

impl History {
    /// Now, in simulated time.
    pub fn add(&self, process: &str, kind: Kind, op: Op) {
        let at_ms = u64::try_from(turmoil::sim_elapsed().unwrap_or_default().as_millis()).unwrap_or(u64::MAX);
        self.add_at(at_ms, process, kind, op);
    }

    /// Outside of every host there is no simulated time.
    pub fn add_at(&self, at_ms: u64, process: &str, kind: Kind, op: Op) {
        self.0.add(at_ms, process, kind, op);
    }

    pub fn events(&self) -> Vec<Event> {
        self.0.events()
    }

    /// The file: what two runs of one seed must agree on byte for byte.
    pub fn lines(&self) -> String {
        self.0.lines()
    }
}
