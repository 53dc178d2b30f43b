//! What many seeds must have shown: what was broken, and what came of it. A search that never did something has
//! said nothing about it.

use std::collections::BTreeMap;

/// So many seeds show everything.
const SEEDS: u64 = 50;

const FAULTS: &[&str] = &[
    "crash",
    "stop",
    "partition",
    "partition-one-way",
    "hold",
    "pause",
    "store-away",
    "bus-away",
    "presence-away",
    "clock-jump",
    "clock-skew",
    "store-read-refused",
    "store-read-slow",
    "store-refused",
    "store-lost",
    "store-unanswered",
    "store-slow",
    "store-late",
    "replica-lost",
    "replica-late",
    "bus-refused",
    "bus-lost",
    "bus-twice",
    "bus-late",
    "presence-refused",
    "presence-unanswered",
    "presence-slow",
];

/// Sights of the checker. `unconfirmed` is none of them: a client asks until it knows.
const SIGHTS: &[&str] = &["resumed", "reconnected", "sent_again", "left", "marked", "fed"];

pub fn add(total: &mut BTreeMap<String, u64>, more: BTreeMap<String, u64>) {
    for (kind, times) in more {
        *total.entry(kind).or_default() += times;
    }
}

/// What so many seeds should have shown and did not, in words.
pub fn missing(seeds: u64, faults: &BTreeMap<String, u64>, seen: &BTreeMap<String, u64>) -> Vec<String> {
    if seeds < SEEDS {
        return Vec::new();
    }
    let lacks = |of: &'static [&'static str], shown: &BTreeMap<String, u64>| {
        let shown = shown.clone();
        of.iter().filter(move |kind| shown.get(**kind).is_none_or(|times| *times == 0))
    };
    let faults = lacks(FAULTS, faults).map(|kind| format!("no fault `{kind}` in {seeds} seeds"));
    let seen = lacks(SIGHTS, seen).map(|sight| format!("`{sight}` was not seen in {seeds} seeds"));
    faults.chain(seen).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn many_seeds_that_never_paused_a_process_fail_and_few_may() {
        let all = |kinds: &[&str]| kinds.iter().map(|kind| ((*kind).to_owned(), 1)).collect::<BTreeMap<_, _>>();
        let (mut faults, seen) = (all(FAULTS), all(SIGHTS));
        assert_eq!(missing(SEEDS, &faults, &seen), Vec::<String>::new());
        faults.insert("pause".to_owned(), 0);
        assert_eq!(missing(SEEDS, &faults, &seen), ["no fault `pause` in 50 seeds"]);
        assert_eq!(missing(SEEDS - 1, &faults, &BTreeMap::new()), Vec::<String>::new());
        assert_eq!(missing(SEEDS, &all(FAULTS), &BTreeMap::new()).len(), SIGHTS.len());
    }
}
