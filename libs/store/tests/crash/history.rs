//! What was acknowledged, and whether a store still shows it.

use std::collections::{BTreeMap, BTreeSet};

use anyhow::{Context, Result};

use crate::{
    looker::Seen,
    payload::{PROBE, mark},
};

#[derive(Clone, Debug, Default)]
pub struct History {
    /// Digests by seq.
    rows: BTreeMap<String, BTreeMap<u64, u64>>,
    registers: BTreeMap<String, (u64, u64)>,
    records: BTreeMap<String, (u64, u64)>,
    generation: u64,
    /// Of the last writer: what its journal has to name, and what it may have settled.
    noted: BTreeSet<String>,
    /// The last that was acknowledged, by kind and name.
    last: BTreeMap<(char, String), String>,
    /// As it was when the last backup began.
    pub at_backup: Option<Box<Self>>,
    pub begun: u64,
    pub acked: u64,
}

impl History {
    /// Of a new writer.
    pub fn begin(&mut self) {
        self.noted.clear();
        self.at_backup = None;
    }

    /// True for an acknowledgement.
    pub fn hear(&mut self, line: &str) -> Result<bool> {
        let words: Vec<&str> = line.split(' ').collect();
        let number = |text: &str| text.parse::<u64>().with_context(|| format!("a child said {line:?}"));
        match words[..] {
            ["begun"] => self.begun += 1,
            ["backup"] => {
                // What was noted by now may be settled when the backup looks.
                let before = Self { at_backup: None, noted: BTreeSet::new(), ..self.clone() };
                self.at_backup = Some(Box::new(before));
            }
            ["instance", _] | ["saved"] => {}
            ["noted", name, _] => {
                self.noted.insert(name.to_owned());
            }
            ["settling", name] => {
                self.noted.remove(name);
            }
            ["row", name, seq, epoch, digest] => {
                let (seq, epoch) = (number(seq)?, number(epoch)?);
                self.rows.entry(name.to_owned()).or_default().insert(seq, number(digest)?);
                return Ok(self.ack('r', name, seq, epoch));
            }
            ["register", name, n, epoch] => {
                let (n, epoch) = (number(n)?, number(epoch)?);
                self.registers.insert(name.to_owned(), (epoch, n));
                return Ok(self.ack('g', name, n, epoch));
            }
            ["record", name, n, epoch] => {
                let (n, epoch) = (number(n)?, number(epoch)?);
                self.records.insert(name.to_owned(), (epoch, n));
                return Ok(self.ack('k', name, n, epoch));
            }
            _ => anyhow::bail!("a child said {line:?}"),
        }
        Ok(false)
    }

    fn ack(&mut self, kind: char, name: &str, number: u64, epoch: u64) -> bool {
        self.acked += 1;
        self.last.insert((kind, name.to_owned()), mark(kind, name, number, epoch));
        true
    }

    /// Bytes that stand in a journal before the end of what was acknowledged.
    pub fn marks(&self) -> impl Iterator<Item = &str> {
        self.last.values().map(String::as_str)
    }

    /// What is missing or wrong.
    pub fn judge(&self, seen: &Seen) -> Vec<String> {
        if let Some(why) = &seen.refused {
            return vec![format!("it does not open: {why}")];
        }
        let mut wrong = seen.wrong.clone();
        for (name, rows) in &self.rows {
            let log = seen.logs.get(name).map_or(&[][..], Vec::as_slice);
            let at = |seq: u64| usize::try_from(seq - 1).ok().and_then(|at| log.get(at));
            let lost: Vec<u64> = rows.keys().copied().filter(|seq| at(*seq).is_none()).collect();
            if let (Some(first), Some(last)) = (lost.first(), lost.last()) {
                wrong.push(format!("{name}: {} acknowledged rows are lost, {first} to {last}", lost.len()));
            }
            let bent = rows.iter().find(|(seq, digest)| at(**seq).is_some_and(|shown| shown != *digest));
            wrong.extend(bent.map(|(seq, _)| format!("{name}: row {seq} is not the one that was acknowledged")));
        }
        for (what, ours, theirs) in
            [("register", &self.registers, &seen.registers), ("record", &self.records, &seen.records)]
        {
            let lost = ours.iter().filter(|(name, at)| theirs.get(*name).is_none_or(|shown| shown < at));
            wrong.extend(lost.map(|(name, at)| format!("{name}: the {what} of {at:?} is lost")));
        }
        let forgotten = self.noted.iter().filter(|name| !seen.noted.contains(name));
        wrong.extend(forgotten.map(|name| format!("{name}: the journal does not name it")));
        if seen.generation < self.generation {
            wrong.push(format!("generation {} after {}", seen.generation, self.generation));
        }
        wrong
    }

    /// What was shown once is as good as acknowledged.
    pub fn learn(&mut self, seen: &Seen) {
        for (name, log) in &seen.logs {
            self.rows.insert(name.clone(), (1..).zip(log.iter().copied()).collect());
        }
        self.registers.extend(seen.registers.clone());
        self.records.extend(seen.records.clone());
        self.generation = seen.generation;
        // Whoever owns next inherits the journal.
        self.noted.clear();
        self.last = BTreeMap::from([(('r', PROBE.to_owned()), seen.probe.clone())]);
    }

    pub fn generation(&self) -> u64 {
        self.generation
    }
}
