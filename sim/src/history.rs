//! What happened, as the clients saw it: one JSON line an event, in the order of the simulation.
//! `invoke` begins an operation; `ok`, `fail` (certainly not done) or `info` (unknown) ends it.

use std::{cell::RefCell, rc::Rc};

use serde::Serialize;

#[derive(Clone, Debug, Serialize, PartialEq, Eq)]
pub struct Event {
    /// Simulated milliseconds since the start.
    pub at_ms: u64,
    pub process: String,
    pub kind: Kind,
    pub op: Op,
}

#[derive(Clone, Copy, Debug, Serialize, PartialEq, Eq)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    Invoke,
    Ok,
    Fail,
    Info,
}

#[derive(Clone, Debug, Serialize, PartialEq, Eq)]
#[serde(rename_all = "snake_case")]
pub enum Op {
    Send {
        conversation: String,
        id: String,
        seq: u64,
    },
    /// Behind the client library: ascending, each once.
    Receive {
        conversation: String,
        seq: u64,
        id: String,
    },
    /// The whole log, at the end.
    Read {
        conversation: String,
        ids: Vec<(u64, String)>,
    },
    Crash,
    Restart,
    Connected,
    Disconnected,
}

/// Shared by the processes of one simulation, which is one thread.
#[derive(Clone, Default)]
pub struct History(Rc<RefCell<Vec<Event>>>);

impl History {
    pub fn add(&self, process: &str, kind: Kind, op: Op) {
        let at_ms = u64::try_from(turmoil::sim_elapsed().unwrap_or_default().as_millis()).unwrap_or(u64::MAX);
        self.add_at(at_ms, process, kind, op);
    }

    pub fn add_at(&self, at_ms: u64, process: &str, kind: Kind, op: Op) {
        self.0.borrow_mut().push(Event { at_ms, process: process.to_owned(), kind, op });
    }

    pub fn events(&self) -> Vec<Event> {
        self.0.borrow().clone()
    }

    /// The file: what two runs of one seed must agree on byte for byte.
    pub fn lines(&self) -> String {
        let line = |event: &Event| serde_json::to_string(event).unwrap_or_default() + "\n";
        self.0.borrow().iter().map(line).collect()
    }
}
