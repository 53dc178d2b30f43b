//! What is broken in a run, and when, as its seed says.

use std::{fmt, time::Duration};

use posthorn_clock::Clock;

use crate::{
    alone,
    fleet::{GATES, HOSTS},
    storm::Engine,
};

/// The first fault comes after so long, and between the beginnings of two so long passes, ms.
const FIRST_MS: u64 = 300;
const BETWEEN_MS: u64 = 1_500;
/// A process is down, or a way broken, for so long, ms.
const DOWN_MS: u64 = 3_000;
/// A process is paused for so long at least and at most, ms: its leases have ended by then, or nobody has noticed.
const PAUSED_MS: (u64, u64) = (1_000, 20_000);
/// An engine answers nobody for so long at least and at most, ms.
const AWAY_MS: (u64, u64) = (1_000, 5_000);
/// A gateway reaches no session process for so long at least and at most, ms: its lease ends meanwhile.
const LEASELESS_MS: (u64, u64) = (3_500, 9_000);
/// How far a clock is set.
const JUMP_MS: u64 = 3_600_000;

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
    /// Nothing reaches the process or comes from it; what was under way arrives when it goes on.
    Pause(&'static str),
    Resume(&'static str),
    /// The engine answers nobody.
    Away(Engine),
    Return(Engine),
    /// The clock of the running process is set by so much.
    Jump(&'static str, i64),
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
        !matches!(self, Self::Back(_) | Self::Mend(..) | Self::Release(..) | Self::Resume(_) | Self::Return(_))
    }

    /// Of a way.
    pub const fn ends(&self) -> Option<(&String, &String)> {
        match self {
            Self::Cut(a, b) | Self::CutOneWay(a, b) | Self::Hold(a, b) => Some((a, b)),
            _ => None,
        }
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
            Self::Pause(_) => "pause",
            Self::Resume(_) => "resume",
            Self::Away(Engine::Bus) => "bus-away",
            Self::Away(Engine::Presence) => "presence-away",
            Self::Away(_) => "store-away",
            Self::Return(_) => "return",
            Self::Jump(..) => "clock-jump",
        }
    }

    pub const fn host(&self) -> Option<&'static str> {
        match self {
            Self::Crash(host)
            | Self::Stop(host)
            | Self::Back(host)
            | Self::Pause(host)
            | Self::Resume(host)
            | Self::Jump(host, _) => Some(host),
            _ => None,
        }
    }
}

impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.kind())?;
        match self {
            Self::Crash(host) | Self::Stop(host) | Self::Back(host) | Self::Pause(host) | Self::Resume(host) => {
                write!(f, " {host}")
            }
            Self::Cut(a, b) | Self::CutOneWay(a, b) | Self::Mend(a, b) | Self::Hold(a, b) | Self::Release(a, b) => {
                write!(f, " {a} {b}")
            }
            Self::Away(engine) | Self::Return(engine) => write!(f, " {}", engine.as_str()),
            Self::Jump(host, ms) => write!(f, " {host} {ms}"),
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

/// As those of a fleet, with one before them, or more among them, of those that only some seeds have. `first`: which.
pub fn of_a_troubled_fleet(draw: &Clock, users: &[String], first: u64) -> Vec<Timed> {
    let between = |(least, most): (u64, u64)| ms(least + draw.below(most - least));
    let mut steps = of_a_fleet(draw, users);
    let known = steps.iter().map(|timed| timed.fault + 1).max().unwrap_or(0);
    let mut at = ms(200 + draw.below(600));
    for fault in known..=known + usize::try_from(draw.below(3)).unwrap_or(0) {
        let kind = if fault == known { first % 5 } else { draw.below(5) };
        let host = HOSTS[usize::try_from(draw.below(HOSTS.len() as u64)).unwrap_or(0)].0;
        let (begin, end) = match kind {
            0 => (Step::Pause(host), Some((Step::Resume(host), between(PAUSED_MS)))),
            1..=3 => {
                let engine = [Engine::Store, Engine::Bus, Engine::Presence][usize::try_from(kind - 1).unwrap_or(0)];
                (Step::Away(engine), Some((Step::Return(engine), between(AWAY_MS))))
            }
            _ => (Step::Jump(host, jump(draw, host)), None),
        };
        steps.push(Timed { fault, at, step: begin });
        if let Some((step, after)) = end {
            steps.push(Timed { fault, at: at + after, step });
        }
        at += ms(50 + draw.below(BETWEEN_MS));
    }
    if first % 3 == 2 {
        let fault = steps.iter().map(|timed| timed.fault + 1).max().unwrap_or(0);
        let (gate, at) = (GATES[usize::from(draw.below(2) == 0)], ms(200 + draw.below(BETWEEN_MS)));
        let until = at + between(LEASELESS_MS);
        for front in HOSTS.iter().map(|(name, _)| *name).filter(|name| name.starts_with("front")) {
            let way = || (gate.to_owned(), front.to_owned());
            steps.push(Timed { fault, at, step: Step::Cut(way().0, way().1) });
            steps.push(Timed { fault, at: until, step: Step::Mend(way().0, way().1) });
        }
    }
    steps.sort_by_key(|timed| timed.at);
    steps
}

/// Whoever says whether tokens hold is not set back: a token that another made would be of the future, and refused.
fn jump(draw: &Clock, host: &str) -> i64 {
    let ms = i64::try_from(1 + draw.below(JUMP_MS)).unwrap_or(1);
    if host.starts_with("front") || draw.below(2) == 0 { ms } else { -ms }
}
