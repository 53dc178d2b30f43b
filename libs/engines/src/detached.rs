//! A process that outlives whoever started it. What is left of it is its id, and the moment it began, which
//! tells it from another that is given the same id later.

use std::{fs, time::Duration};

use anyhow::{Context, Result};
use posthorn_clock::{Instant, sleep};
use rustix::{
    io::Errno,
    process::{Pid, Signal, kill_process},
};
use serde::{Deserialize, Serialize};

const POLL: Duration = Duration::from_millis(20);
/// Of what `/proc/PID/stat` says behind the name: `state` is its field 3, `starttime` its field 22 (proc(5)).
const BEGAN: usize = 22 - 3;

/// Kept in a file, it is found again by another process.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Detached {
    pid: u32,
    /// In clock ticks since the machine started.
    began: u64,
}

impl Detached {
    /// The process that has this id now.
    ///
    /// # Errors
    /// There is none.
    pub fn of(pid: u32) -> Result<Self> {
        let (_, began) = look(pid).with_context(|| format!("there is no process {pid}"))?;
        Ok(Self { pid, began })
    }

    #[must_use]
    pub const fn pid(self) -> u32 {
        self.pid
    }

    /// False once it has ended, also where nobody has asked for its status yet.
    #[must_use]
    pub fn running(self) -> bool {
        look(self.pid).is_some_and(|(state, began)| began == self.began && !matches!(state, 'Z' | 'X'))
    }

    /// Nothing happens where it has ended.
    ///
    /// # Errors
    /// The system refuses.
    pub fn signal(self, signal: Signal) -> Result<()> {
        if !self.running() {
            return Ok(());
        }
        let pid = i32::try_from(self.pid).ok().and_then(Pid::from_raw).context("no pid")?;
        match kill_process(pid, signal) {
            Ok(()) | Err(Errno::SRCH) => Ok(()),
            Err(error) => Err(error).with_context(|| format!("cannot signal process {}", self.pid)),
        }
    }

    /// SIGTERM, which also one that is paused gets to see. True if it ended within `budget`.
    ///
    /// # Errors
    /// The system refuses.
    pub async fn terminate(self, budget: Duration) -> Result<bool> {
        self.signal(Signal::TERM)?;
        self.signal(Signal::CONT)?;
        Ok(self.ended(budget).await)
    }

    /// `kill -9`. True once it is gone.
    ///
    /// # Errors
    /// The system refuses.
    pub async fn kill(self, budget: Duration) -> Result<bool> {
        self.signal(Signal::KILL)?;
        Ok(self.ended(budget).await)
    }

    /// Waits for its end. False if it runs after `budget`.
    pub async fn ended(self, budget: Duration) -> bool {
        let begun = Instant::now();
        while self.running() {
            if begun.elapsed() > budget {
                return false;
            }
            sleep(POLL).await;
        }
        true
    }
}

/// Its state and when it began.
fn look(pid: u32) -> Option<(char, u64)> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    // The name is in parentheses and may hold some itself.
    let (_, rest) = stat.rsplit_once(')')?;
    let mut fields = rest.split_ascii_whitespace();
    let state = fields.next()?.chars().next()?;
    Some((state, fields.nth(BEGAN - 1)?.parse().ok()?))
}

#[cfg(test)]
mod tests {
    use std::process::{Child, Command};

    use super::*;

    const LIMIT: Duration = Duration::from_secs(10);

    fn sleeper(script: &str) -> (Child, Detached) {
        let child = Command::new("sh").args(["-c", script]).spawn().expect("starts");
        let process = Detached::of(child.id()).expect("is there");
        (child, process)
    }

    #[tokio::test]
    async fn one_that_ended_is_not_running_although_nobody_waited_for_it() {
        let (mut child, process) = sleeper("exec sleep 600");
        assert!(process.running());
        assert!(process.kill(LIMIT).await.expect("kills"));
        assert!(Detached::of(process.pid()).is_ok(), "its parent has not looked");
        child.wait().expect("waits");
        assert!(Detached::of(process.pid()).is_err());
        process.signal(Signal::TERM).expect("nothing to do");
    }

    #[tokio::test]
    async fn another_process_with_its_id_is_not_touched() {
        let (mut child, process) = sleeper("exec sleep 600");
        let earlier = Detached { began: process.began - 1, ..process };
        assert!(!earlier.running());
        assert!(earlier.kill(LIMIT).await.expect("nothing to do"));
        assert!(process.running());
        child.kill().expect("kills");
        child.wait().expect("waits");
    }

    #[tokio::test]
    async fn a_paused_one_is_terminated_too() {
        let (mut child, process) = sleeper("exec sleep 600");
        process.signal(Signal::STOP).expect("stops");
        assert!(process.terminate(LIMIT).await.expect("ends"));
        child.wait().expect("waits");
    }

    #[tokio::test]
    async fn one_that_does_not_listen_is_still_there_after_the_budget() {
        let (mut child, process) = sleeper("trap '' TERM; echo; while :; do sleep 0.05; done");
        // The trap stands once the shell has begun to sleep.
        while !fs::read_to_string(format!("/proc/{0}/task/{0}/children", process.pid())).is_ok_and(|c| !c.is_empty()) {
            sleep(POLL).await;
        }
        assert!(!process.terminate(Duration::from_millis(200)).await.expect("signals"));
        assert!(process.kill(LIMIT).await.expect("kills"));
        child.wait().expect("waits");
    }
}
