use super::*;
use crate::explore::{check, check_broken, full};

const ALONE: SyncCursor = SyncCursor { items: 2, changes: 3, doubts: 1, epochs: 1, broken: None };
const HEIR: SyncCursor = SyncCursor { changes: 2, doubts: 1, epochs: 2, ..ALONE };

#[test]
fn one_owner() {
    check("sync cursor, one owner", ALONE, 903_000);
}

#[test]
fn an_heir() {
    check("sync cursor, an heir", HEIR, 949_000);
}

/// See the crate's page.
#[test]
fn full_configurations() {
    if !full() {
        return;
    }
    check("sync cursor, an heir and three changes", SyncCursor { changes: 3, ..HEIR }, 19_400_000);
}

#[test]
fn each_wrong_cursor_skips_something() {
    for (broken, within) in [
        (Broken::HighestTaken, ALONE),
        (Broken::HighestShown, ALONE),
        (Broken::LookedUpLate, ALONE),
        (Broken::DoneBeforeShown, ALONE),
        (Broken::DoubtKeepsVersion, ALONE),
        (Broken::HeirKeepsVersion, HEIR),
        (Broken::ZombieHead, HEIR),
    ] {
        check_broken(&format!("sync cursor, {broken:?}"), SyncCursor { broken: Some(broken), ..within }, SKIPPED);
    }
}

/// Why an owner writes what was in doubt again under a new version, whatever the store says of it meanwhile. An heir, who
/// knows of no doubt, has this limit: no number of a load protects registers. Nobody was told that the change was made.
#[test]
fn a_register_write_that_lands_late_is_not_synced() {
    let late = SyncCursor { broken: Some(Broken::LandsLate), ..ALONE };
    check_broken("sync cursor, a write that lands late", late, SKIPPED);
}
