use super::*;
use crate::explore::{check, check_broken};

const CRASHES: FeedConsumer =
    FeedConsumer { entries: 3, copies: 2, losses: 0, crashes: 2, batch: 2, attempts: 2, broken: None };
const LOSSES: FeedConsumer = FeedConsumer { losses: 2, crashes: 0, entries: 4, ..CRASHES };

#[test]
fn crashes_and_copies() {
    check("feed consumer, crashes and copies", CRASHES, 93_000);
}

#[test]
fn losses_and_copies() {
    check("feed consumer, losses and copies", LOSSES, 155_000);
}

#[test]
fn each_wrong_consumer_is_seen() {
    for (broken, within, property) in [
        (Broken::CommitFirst, CRASHES, LOST),
        (Broken::KeepCopies, CRASHES, ONCE),
        (Broken::PassHoles, LOSSES, ORDER),
        (Broken::PassFailed, CRASHES, ORDER),
        (Broken::DropDead, CRASHES, LOST),
        (Broken::ParkLate, CRASHES, LOST),
        (Broken::RememberRead, CRASHES, LOST),
        (Broken::RememberLast, CRASHES, ONCE),
    ] {
        check_broken(&format!("feed consumer, {broken:?}"), FeedConsumer { broken: Some(broken), ..within }, property);
    }
}

/// A known limit: a hole whose lower edge nobody remembers is not seen.
#[test]
fn a_hole_that_meets_a_restart_is_not_seen() {
    let both = FeedConsumer { losses: 1, crashes: 1, copies: 0, entries: 2, ..CRASHES };
    check_broken("feed consumer, a hole after a restart", both, LOST);
}
