use super::*;
use crate::explore::{check, check_broken, full};

const HEIR: Append =
    Append { instances: 2, claims: 2, messages: 2, appends: 2, batch: 1, timeouts: 0, watch_late: false, broken: None };
const ALONE: Append = Append { instances: 1, claims: 1, ..HEIR };
const THREE: Append = Append { instances: 3, claims: 3, messages: 1, appends: 1, ..HEIR };

#[test]
fn an_heir() {
    check("append, an heir", Append { watch_late: true, ..HEIR }, 110_000);
}

#[test]
fn an_heir_and_a_write_in_doubt() {
    check("append, an heir and a write in doubt", Append { timeouts: 1, ..HEIR }, 1_850_000);
}

#[test]
fn an_heir_and_batches() {
    check("append, an heir and batches", Append { batch: 2, messages: 3, ..HEIR }, 810_000);
}

#[test]
fn a_shard_that_comes_back() {
    check("append, a shard that comes back", Append { claims: 3, ..HEIR }, 2_810_000);
}

#[test]
fn writes_in_doubt() {
    check("append, writes in doubt", Append { timeouts: 2, batch: 2, ..ALONE }, 469_000);
}

#[test]
fn heirs_of_heirs() {
    check("append, heirs of heirs", THREE, 147_000);
}

#[test]
fn heirs_of_heirs_and_a_write_in_doubt() {
    check("append, heirs of heirs and a write in doubt", Append { timeouts: 1, ..THREE }, 1_500_000);
}

/// See the crate's page.
#[test]
fn full_configurations() {
    if !full() {
        return;
    }
    check("append, heirs of heirs and two appends", Append { messages: 2, appends: 2, ..THREE }, 12_800_000);
    check("append, an heir, batches and a write in doubt", Append { timeouts: 1, batch: 2, ..HEIR }, 6_570_000);
}

#[test]
fn each_step_that_is_left_out_breaks_something() {
    for (broken, within, property) in [
        (Broken::NoFence, HEIR, LOG_CHANGED),
        (Broken::OneReplica, HEIR, LOG_CHANGED),
        (Broken::NoCheck, HEIR, LOG_CHANGED),
        (Broken::CheckFirst, HEIR, LOG_CHANGED),
        (Broken::NoRewrite, HEIR, READ_HOLE),
        (Broken::NoChain, Append { batch: 2, timeouts: 2, appends: 3, ..ALONE }, TWICE),
        (Broken::NoLoad, Append { timeouts: 1, ..ALONE }, READ_OTHER),
        (Broken::NoNote, HEIR, LOG_CHANGED),
        (Broken::LateNote, HEIR, LOG_CHANGED),
        (Broken::SettleSoon, HEIR, LOG_CHANGED),
        (Broken::NoInherit, Append { messages: 2, appends: 2, ..THREE }, LOG_CHANGED),
        (Broken::ForgetCarried, Append { timeouts: 1, ..HEIR }, LOG_CHANGED),
        (Broken::HeadsOnly, HEIR, LOG_CHANGED),
        (Broken::FedGuess, THREE, FEED_ALL),
        (Broken::KeepDups, HEIR, FEED_ONCE),
        (Broken::EarlyRelease, HEIR, LOG_CHANGED),
    ] {
        check_broken(&format!("append, {broken:?}"), Append { broken: Some(broken), ..within }, property);
    }
}

/// The two highest values say it all: the same reads, and the same arrivals.
#[test]
fn a_cell_is_as_good_as_three_replicas() {
    let sorted = |mut replicas: [u8; 3]| {
        replicas.sort_unstable();
        replicas
    };
    let cell = |replicas: [u8; 3]| store::Cell { sure: sorted(replicas)[1], best: sorted(replicas)[2] };
    for at in 0..64_u8 {
        let replicas = sorted([at & 3, at >> 2 & 3, at >> 4]);
        let pairs = [[0, 1], [0, 2], [1, 2]].map(|pair| pair.map(|replica: usize| replicas[replica]));
        let mut reads: Vec<u8> = pairs.iter().map(|pair| pair[0].max(pair[1])).collect();
        reads.dedup();
        assert_eq!(cell(replicas).reads(), reads, "{replicas:?}");
        for value in 0..4 {
            let arrival = |replica: usize| {
                let mut after = replicas;
                after[replica] = after[replica].max(value);
                cell(after)
            };
            let mut arrivals: Vec<_> = (0..3).map(arrival).filter(|after| *after != cell(replicas)).collect();
            arrivals.dedup();
            assert_eq!(cell(replicas).arrivals(value), arrivals, "{replicas:?} and {value}");
        }
    }
}
