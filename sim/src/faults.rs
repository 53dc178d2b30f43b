//! What is broken in a run, and when, as its seed says.

use std::{fmt, time::Duration};

use posthorn_clock::Clock;

use crate::{alone, fleet::HOSTS};

/// The first fault comes after so long, and between the beginnings of two so long passes, ms.
const FIRST_MS: u64 = 300;
const BETWEEN_MS: u64 = 1_500;
/// A process is down, or a way broken, for so long, ms.
const DOWN_MS: u64 = 3_000;

/// One thing that is done to the simulation.
#[derive(Clone, Debug)]
pub enum Step {
    /// `kill -9`; of one process alone: the power.
    Crash(&'static str),
    /// SIGTERM.
    Stop(&'static str),
    Back(&'static str),
    /// What is sent is lost, and connections hang.
    Cut(String, String),
    CutOneWay(String, String),
    Mend(String, String),
    /// What is sent arrives later: as if the one had slept.
    Hold(String, String),
    Release(String, String),
}

pub struct Timed {
    /// The how manieth fault it begins or ends, from 0.
    pub fault: usize,
    pub at: Duration,
    pub step: Step,
}

impl Step {
    /// Not the end of another.
    pub const fn begins(&self) -> bool {
        !matches!(self, Self::Back(_) | Self::Mend(..) | Self::Release(..))
    }

    pub const fn kind(&self) -> &'static str {
        match self {
            Self::Crash(_) => "crash",
            Self::Stop(_) => "stop",
            Self::Back(_) => "back",
            Self::Cut(..) => "partition",
            Self::CutOneWay(..) => "partition-one-way",
            Self::Mend(..) => "mend",
            Self::Hold(..) => "hold",
            Self::Release(..) => "release",
        }
    }

    pub const fn host(&self) -> Option<&'static str> {
        match self {
            Self::Crash(host) | Self::Stop(host) | Self::Back(host) => Some(host),
            _ => None,
        }
    }
}

impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Crash(host) | Self::Stop(host) | Self::Back(host) => write!(f, "{} {host}", self.kind()),
            Self::Cut(a, b) | Self::CutOneWay(a, b) | Self::Mend(a, b) | Self::Hold(a, b) | Self::Release(a, b) => {
                write!(f, "{} {a} {b}", self.kind())
            }
        }
    }
}

fn ms(ms: u64) -> Duration {
    Duration::from_millis(ms)
}

pub fn power_cuts(draw: &Clock) -> Vec<Timed> {
    let mut at = Duration::ZERO;
    let mut steps = Vec::new();
    for fault in 0..usize::try_from(1 + draw.below(3)).unwrap_or(1) {
        at += ms(200 + draw.below(1_500));
        steps.push(Timed { fault, at, step: Step::Crash(alone::HOST) });
        at += ms(50 + draw.below(1_000));
        steps.push(Timed { fault, at, step: Step::Back(alone::HOST) });
    }
    steps
}

pub fn of_a_fleet(draw: &Clock, users: &[String]) -> Vec<Timed> {
    let one = |of: usize| usize::try_from(draw.below(of as u64)).unwrap_or(0);
    let mut ends: Vec<String> = HOSTS.iter().map(|(name, _)| (*name).to_owned()).collect();
    ends.extend(users.iter().cloned());
    let mut at = ms(FIRST_MS + draw.below(BETWEEN_MS));
    let mut steps = Vec::new();
    for fault in 0..usize::try_from(1 + draw.below(5)).unwrap_or(1) {
        let until = at + ms(50 + draw.below(DOWN_MS));
        let host = HOSTS[one(HOSTS.len())].0;
        let (a, b) = (one(HOSTS.len()), one(ends.len()));
        let ways = || (ends[a].clone(), ends[b].clone());
        let (begin, end) = match draw.below(6) {
            0 | 1 => (Step::Crash(host), Step::Back(host)),
            2 => (Step::Stop(host), Step::Back(host)),
            _ if a == b => (Step::Crash(host), Step::Back(host)),
            3 => (Step::Cut(ways().0, ways().1), Step::Mend(ways().0, ways().1)),
            4 => (Step::CutOneWay(ways().0, ways().1), Step::Mend(ways().0, ways().1)),
            _ => (Step::Hold(ways().0, ways().1), Step::Release(ways().0, ways().1)),
        };
        steps.push(Timed { fault, at, step: begin });
        steps.push(Timed { fault, at: until, step: end });
        at += ms(50 + draw.below(BETWEEN_MS));
    }
    steps.sort_by_key(|timed| timed.at);
    steps
}
