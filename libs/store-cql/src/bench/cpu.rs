//! Who took how much of the machine's time, from what the kernel counts.

use std::fs;

/// Ticks since the machine, or a process, began.
#[derive(Clone, Copy, Default)]
pub(super) struct Ticks {
    machine: u64,
    engine: u64,
    own: u64,
}

/// Parts of all cores' time between two looks. `None` where it cannot be told.
#[derive(Clone, Copy, Debug, Default, PartialEq, serde::Serialize)]
pub struct CpuShares {
    pub engine: Option<f64>,
    pub driver: Option<f64>,
}

impl Ticks {
    /// `engine`: the processes of the database, if they are here.
    pub fn now(engine: &[u32]) -> Self {
        let of = |pid: &u32| process(&format!("/proc/{pid}/stat"));
        Self {
            machine: machine().unwrap_or(0),
            engine: engine.iter().filter_map(of).sum(),
            own: process("/proc/self/stat").unwrap_or(0),
        }
    }

    pub fn since(self, before: Self) -> Self {
        Self {
            machine: self.machine.saturating_sub(before.machine),
            engine: self.engine.saturating_sub(before.engine),
            own: self.own.saturating_sub(before.own),
        }
    }

    pub fn plus(self, other: Self) -> Self {
        Self { machine: self.machine + other.machine, engine: self.engine + other.engine, own: self.own + other.own }
    }

    pub fn shares(self) -> CpuShares {
        #[allow(clippy::cast_precision_loss, reason = "a share")]
        let share = |part: u64| (part > 0 && self.machine > 0).then(|| part as f64 / self.machine as f64);
        CpuShares { engine: share(self.engine), driver: share(self.own) }
    }
}

/// All cores, idle or not; not what guests took, which is counted as user time already.
fn machine() -> Option<u64> {
    const COUNTED: usize = 8;
    let text = fs::read_to_string("/proc/stat").ok()?;
    let numbers = text.lines().next()?.split_whitespace().skip(1).take(COUNTED);
    numbers.map(|number| number.parse::<u64>().ok()).sum()
}

/// User and system time of one process.
fn process(path: &str) -> Option<u64> {
    let text = fs::read_to_string(path).ok()?;
    // The name may hold anything; after it come the state and numbers, of which these are the 12th and 13th.
    let (_, rest) = text.rsplit_once(')')?;
    rest.split_whitespace().skip(12 - 1).take(2).map(|number| number.parse::<u64>().ok()).sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shares_are_parts_of_what_passed_and_unknown_where_nothing_was_seen() {
        let before = Ticks { machine: 1_000, engine: 10, own: 40 };
        let after = Ticks { machine: 1_200, engine: 110, own: 90 };
        let shares = after.since(before).shares();
        assert_eq!((shares.engine, shares.driver), (Some(0.5), Some(0.25)));
        assert_eq!(Ticks { engine: 0, ..after }.shares().engine, None);
    }

    #[test]
    fn this_process_and_machine_have_taken_time() {
        let mut spent = Ticks::default();
        while spent.own == 0 || spent.engine == 0 {
            spent = Ticks::now(&[std::process::id()]);
        }
        assert!(spent.machine >= spent.own, "{} of {}", spent.own, spent.machine);
    }
}
