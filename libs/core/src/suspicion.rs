//! Who is silent. A sign of life counts only as a change seen here: no clock of another process is
//! compared with, and silence is counted only while the own beats go through (an instance that cannot
//! reach the store must not suspect those that can).

use std::{collections::BTreeMap, time::Duration};

/// What was heard of one instance.
#[derive(Clone, Debug, Default)]
struct Heard {
    count: u64,
    silent: Duration,
}

/// The watch that one instance keeps over the others.
#[derive(Clone, Debug)]
pub struct Watch {
    limit: Duration,
    /// Longest step that is counted: who was stopped for long learns nothing about others by it.
    longest: Duration,
    heard: BTreeMap<String, Heard>,
}

impl Watch {
    /// Suspects after `limit` of silence, looking about every `interval`.
    #[must_use]
    pub const fn new(limit: Duration, interval: Duration) -> Self {
        Self { limit, longest: interval.saturating_mul(2), heard: BTreeMap::new() }
    }

    /// A look at the store that went through, as did the own beat before it, `passed` after the last one
    /// that did. `names` are all of whom there is anything to fear: those that own shards or have beaten.
    /// Returns who is silent for too long.
    pub fn look<'a>(&mut self, passed: Duration, names: impl IntoIterator<Item = (&'a str, u64)>) -> Vec<String> {
        let mut before = std::mem::take(&mut self.heard);
        let step = passed.min(self.longest);
        for (name, count) in names {
            let heard = match before.remove(name) {
                Some(heard) if heard.count == count => Heard { count, silent: heard.silent + step },
                _ => Heard { count, silent: Duration::ZERO },
            };
            self.heard.insert(name.to_owned(), heard);
        }
        let silent = self.heard.iter().filter(|(_, heard)| heard.silent >= self.limit);
        silent.map(|(name, _)| name.clone()).collect()
    }
}

/// At most so many in a minute: when everybody seems silent, the fault is more likely here.
#[derive(Clone, Debug)]
pub struct Cap {
    most: usize,
    /// Milliseconds of some clock that does not go back.
    recent: Vec<u64>,
}

const MINUTE_MS: u64 = 60_000;

impl Cap {
    #[must_use]
    pub const fn per_minute(most: usize) -> Self {
        Self { most, recent: Vec::new() }
    }

    /// Takes one, if there is one left.
    pub fn take(&mut self, now_ms: u64) -> bool {
        self.recent.retain(|at| now_ms.saturating_sub(*at) < MINUTE_MS);
        let free = self.recent.len() < self.most;
        if free {
            self.recent.push(now_ms);
        }
        free
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MS: Duration = Duration::from_millis(1);

    #[test]
    fn who_does_not_beat_for_the_limit_is_suspected_and_who_beats_again_is_not() {
        let mut watch = Watch::new(1_000 * MS, 250 * MS);
        for _ in 0..4 {
            assert!(watch.look(250 * MS, [("a", 1), ("b", 1)]).is_empty());
        }
        assert_eq!(watch.look(250 * MS, [("a", 1), ("b", 2)]), ["a"]);
        assert!(watch.look(250 * MS, [("a", 2), ("b", 2)]).is_empty());
    }

    #[test]
    fn a_long_stop_of_the_watcher_counts_as_one_step() {
        let mut watch = Watch::new(1_000 * MS, 250 * MS);
        assert!(watch.look(250 * MS, [("a", 1)]).is_empty());
        assert!(watch.look(15_000 * MS, [("a", 1)]).is_empty(), "nobody can say whether a was silent meanwhile");
        assert_eq!(watch.look(500 * MS, [("a", 1)]), ["a"]);
    }

    #[test]
    fn who_is_not_named_any_more_is_forgotten() {
        let mut watch = Watch::new(100 * MS, 100 * MS);
        assert!(watch.look(100 * MS, [("a", 1)]).is_empty());
        assert!(watch.look(100 * MS, []).is_empty());
        assert!(watch.look(100 * MS, [("a", 1)]).is_empty(), "counted from the beginning");
    }

    #[test]
    fn fences_are_capped_per_minute() {
        let mut cap = Cap::per_minute(2);
        assert!(cap.take(0) && cap.take(10));
        assert!(!cap.take(59_999));
        assert!(cap.take(60_000));
        assert!(!cap.take(60_001));
    }
}
