//! What a run adds up to.

use std::collections::BTreeMap;

use serde::Serialize;

/// There was nothing to damage.
pub const NONE: &str = "none";

#[derive(Debug, Default, Serialize)]
pub struct Tally {
    pub runs: u64,
    /// Writes that were begun.
    pub operations: u64,
    /// Rows, registers and records that were acknowledged.
    pub acked: u64,
    /// Times that a store was opened after a fault and all it shows was held against the history.
    pub histories_checked: u64,
    pub faults_by_kind: BTreeMap<&'static str, u64>,
    /// Of those: how often the store refused to open, with a message that says what to do.
    pub refused_by_kind: BTreeMap<&'static str, u64>,
    /// Of those: opened after the last resort of docs/storage.md, a raised generation.
    pub opened_by_hand: u64,
    pub not_run: Vec<String>,
    pub violations: u64,
    pub first_failing_seed: Option<u64>,
}

impl Tally {
    pub fn fault(&mut self, kind: &'static str) {
        if kind == NONE {
            return;
        }
        *self.faults_by_kind.entry(kind).or_default() += 1;
    }

    pub fn refused(&mut self, kind: &'static str) {
        *self.refused_by_kind.entry(kind).or_default() += 1;
    }

    pub fn faults(&self) -> u64 {
        self.faults_by_kind.values().sum()
    }
}
