//! What a connection waits for besides its client: one deadline, the earliest of a few.

use std::{pin::Pin, time::Duration};

use posthorn_clock::{Clock, Instant};
use tokio::time::Sleep;

use crate::GatewayConfig;

/// What is due.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Due {
    /// The kernel has not taken our bytes in time.
    Write,
    /// No sign of life since our ping.
    Pong,
    Ping,
    /// The token's end is near, or there.
    TokenExpiring,
    TokenExpired,
    /// It has had the time to sync.
    Follow,
    /// The connection is old enough to come back elsewhere.
    Age,
    /// The time to leave is over.
    Leave,
}

const KINDS: [Due; 8] =
    [Due::Write, Due::Pong, Due::TokenExpired, Due::Leave, Due::TokenExpiring, Due::Age, Due::Follow, Due::Ping];

pub(super) struct Timers {
    at: [Option<Instant>; KINDS.len()],
    sleep: Pin<Box<Sleep>>,
}

impl Timers {
    pub fn new(config: &GatewayConfig, clock: &Clock) -> Self {
        let now = Instant::now();
        let mut timers = Self { at: [None; KINDS.len()], sleep: Box::pin(posthorn_clock::sleep_until(now)) };
        // A quarter more or less, so that those who came together do not leave together.
        let age = config.max_connection_age_ms;
        timers.after(Due::Age, age - age / 4 + clock.below(age / 2 + 1));
        timers.after(Due::Ping, config.ping_interval_ms);
        timers.after(Due::Follow, config.follow_ms);
        timers
    }

    pub fn set(&mut self, due: Due, at: Option<Instant>) {
        self.at[Self::index(due)] = at;
    }

    pub fn after(&mut self, due: Due, ms: u64) {
        self.set(due, Some(Instant::now() + Duration::from_millis(ms)));
    }

    pub fn is_set(&self, due: Due) -> bool {
        self.at[Self::index(due)].is_some()
    }

    /// When the token ends on the wall clock, and how long before that its holder is told. 0: never.
    pub fn token(&mut self, expires_ms: u64, ahead_ms: u64, now_ms: u64) {
        if expires_ms == 0 {
            self.set(Due::TokenExpired, None);
            self.set(Due::TokenExpiring, None);
            return;
        }
        let left = expires_ms.saturating_sub(now_ms);
        self.after(Due::TokenExpired, left);
        // A token that lives shorter than the notice is told of at half its time.
        self.after(Due::TokenExpiring, left - ahead_ms.min(left / 2));
    }

    /// Takes the most pressing of what is due.
    pub fn take_due(&mut self) -> Option<Due> {
        let now = Instant::now();
        let at = self.at.iter().position(|at| at.is_some_and(|at| at <= now))?;
        self.at[at] = None;
        Some(KINDS[at])
    }

    /// Returns when something is due. Cancel-safe.
    pub async fn wait(&mut self) {
        match self.at.iter().flatten().min() {
            Some(&next) => {
                if self.sleep.deadline() != next {
                    self.sleep.as_mut().reset(next);
                }
                self.sleep.as_mut().await;
            }
            None => std::future::pending().await,
        }
    }

    fn index(due: Due) -> usize {
        KINDS.iter().position(|&kind| kind == due).unwrap_or(0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn timers(config: &GatewayConfig) -> Timers {
        Timers::new(config, &Clock::simulated(1, 1_000_000))
    }

    #[tokio::test(start_paused = true)]
    async fn what_is_due_first_comes_first() {
        let config = GatewayConfig {
            ping_interval_ms: 25_000,
            follow_ms: 5_000,
            max_connection_age_ms: 4_000_000,
            ..Default::default()
        };
        let mut timers = timers(&config);
        timers.token(1_000_000 + 200_000, 60_000, 1_000_000);
        let start = Instant::now();
        let mut seen = Vec::new();
        while seen.len() < 4 {
            timers.wait().await;
            let due = timers.take_due().unwrap();
            seen.push((due, start.elapsed().as_millis()));
        }
        assert_eq!(seen.remove(0), (Due::Follow, 5_000));
        assert_eq!(seen, [(Due::Ping, 25_000), (Due::TokenExpiring, 140_000), (Due::TokenExpired, 200_000)]);
    }

    #[tokio::test(start_paused = true)]
    async fn ages_differ_by_a_quarter_and_no_more() {
        let config = GatewayConfig { max_connection_age_ms: 100_000, ..GatewayConfig::default() };
        let clock = Clock::simulated(9, 0);
        let now = Instant::now();
        let ages: Vec<_> = (0..200)
            .map(|_| Timers::new(&config, &clock).at[Timers::index(Due::Age)].unwrap() - now)
            .map(|age| age.as_millis())
            .collect();
        assert!(ages.iter().all(|age| (75_000..=125_000).contains(age)));
        assert!(ages.iter().any(|&age| age < 85_000) && ages.iter().any(|&age| age > 115_000));
    }

    #[tokio::test(start_paused = true)]
    async fn a_short_token_is_told_of_at_half_its_time() {
        let mut timers = timers(&GatewayConfig { follow_ms: 60_000, ..GatewayConfig::default() });
        timers.token(1_000_000 + 8_000, 60_000, 1_000_000);
        timers.wait().await;
        assert_eq!(timers.take_due(), Some(Due::TokenExpiring));
        assert!(timers.is_set(Due::TokenExpired));
    }
}
