//! Room in memory: who leaves it where a bound is reached, and what is answered where nobody can.

use std::{
    sync::atomic::{AtomicU64, Ordering},
    time::Duration,
};

use posthorn_errors::{Code, Failure};

/// Of so many, one leaves at once: looking at all of them then serves more than one.
const PART: usize = 64;

/// How long one may wait for another to leave the memory.
pub const ROOM_WAIT: Duration = Duration::from_secs(1);
/// Between two looks for some that could leave.
pub const LOOK_AGAIN: Duration = Duration::from_millis(50);

/// When something was used, as an order: no two uses are equal, so that who leaves is never left to the
/// order of a map.
#[derive(Default)]
pub struct Uses(AtomicU64);

impl Uses {
    pub fn next(&self) -> u64 {
        self.0.fetch_add(1, Ordering::Relaxed)
    }
}

/// Those that were not used for longest, out of `all` in memory: one in [`PART`], and at least one.
pub fn least_recent<T>(mut idle: Vec<(u64, T)>, all: usize) -> impl Iterator<Item = T> {
    let wanted = (all / PART).max(1);
    if idle.len() > wanted {
        idle.select_nth_unstable_by_key(wanted - 1, |(used, _)| *used);
        idle.truncate(wanted);
    }
    idle.sort_unstable_by_key(|(used, _)| *used);
    idle.into_iter().map(|(_, item)| item)
}

/// Everything in memory is at work. Nothing was done.
pub fn no_room(limit: &'static str) -> Failure {
    Failure::plain(Code::Overloaded).limit(limit).retry_after_ms(200)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_least_recently_used_go_first_and_never_all() {
        let gone = |used: &[u64], all| -> Vec<u64> {
            least_recent(used.iter().map(|used| (*used, *used)).collect(), all).collect()
        };
        assert_eq!(gone(&[5, 3, 9], 3), [3]);
        assert_eq!(gone(&[5, 4, 9, 3], 128), [3, 4]);
        assert_eq!(gone(&[5], 6_400), [5]);
        assert_eq!(gone(&[], 6_400), [0; 0]);
    }
}
