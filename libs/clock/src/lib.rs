//! The only wall clock and the only entropy. Everything that asks for the time of day, for a random
//! number or for a fresh id asks a [`Clock`], so that a simulation can answer instead. Durations are
//! measured with tokio's clock (re-exported here), which tests and simulations can pause.

use std::{
    sync::{
        Arc,
        atomic::{AtomicI64, Ordering::Relaxed},
    },
    time::{SystemTime, UNIX_EPOCH},
};

use parking_lot::Mutex;
use rand::{RngCore, SeedableRng, rngs::StdRng};
pub use tokio::time::{Instant, Interval, MissedTickBehavior, interval, sleep, sleep_until, timeout};
pub use uuid::Uuid;

/// Wall clock and entropy of one node. Cheap to clone.
#[derive(Clone)]
pub struct Clock(Arc<Inner>);

struct Inner {
    source: Source,
    entropy: Mutex<StdRng>,
}

enum Source {
    System,
    /// `start_ms` at the moment of creation, then as tokio's clock runs, and moved by so much since.
    Simulated {
        start_ms: u64,
        origin: Instant,
        moved_ms: AtomicI64,
    },
}

impl Clock {
    /// The machine's clock and entropy.
    #[must_use]
    pub fn system() -> Self {
        Self(Arc::new(Inner { source: Source::System, entropy: Mutex::new(StdRng::from_os_rng()) }))
    }

    /// A clock that begins at `start_ms` and follows tokio's time; the same seed gives the same draws.
    /// Call it within a runtime.
    #[must_use]
    pub fn simulated(seed: u64, start_ms: u64) -> Self {
        let source = Source::Simulated { start_ms, origin: Instant::now(), moved_ms: AtomicI64::new(0) };
        Self(Arc::new(Inner { source, entropy: Mutex::new(StdRng::seed_from_u64(seed)) }))
    }

    /// Milliseconds since 1970-01-01T00:00:00Z.
    #[must_use]
    #[allow(clippy::disallowed_methods, reason = "this is the one place")]
    pub fn now_ms(&self) -> u64 {
        match &self.0.source {
            Source::System => {
                let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
                u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
            }
            Source::Simulated { start_ms, origin, moved_ms } => {
                let since_ms = u64::try_from(origin.elapsed().as_millis()).unwrap_or(u64::MAX);
                (start_ms + since_ms).saturating_add_signed(moved_ms.load(Relaxed))
            }
        }
    }

    /// A simulated wall clock is set, forward or back; entropy and durations know nothing of it.
    pub fn jump(&self, ms: i64) {
        if let Source::Simulated { moved_ms, .. } = &self.0.source {
            moved_ms.fetch_add(ms, Relaxed);
        }
    }

    pub fn fill(&self, bytes: &mut [u8]) {
        self.0.entropy.lock().fill_bytes(bytes);
    }

    #[must_use]
    pub fn random(&self) -> u64 {
        self.0.entropy.lock().next_u64()
    }

    /// Uniform in `0..bound`; 0 where `bound` is 0.
    #[must_use]
    pub fn below(&self, bound: u64) -> u64 {
        if bound == 0 { 0 } else { self.random() % bound }
    }

    /// A UUIDv7 (RFC 9562 section 5.7) of now.
    #[must_use]
    pub fn uuid_v7(&self) -> Uuid {
        let mut bytes = [0; 10];
        self.fill(&mut bytes);
        uuid::Builder::from_unix_timestamp_millis(self.now_ms(), &bytes).into_uuid()
    }

    /// A random UUID (RFC 9562 section 5.4): for incarnations and secrets' ids.
    #[must_use]
    pub fn uuid_v4(&self) -> Uuid {
        let mut bytes = [0; 16];
        self.fill(&mut bytes);
        uuid::Builder::from_random_bytes(bytes).into_uuid()
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_simulated_clock_follows_virtual_time_and_its_seed() {
        let (a, b) = (Clock::simulated(7, 1_000), Clock::simulated(7, 1_000));
        sleep(Duration::from_millis(250)).await;
        assert_eq!(a.now_ms(), 1_250);
        assert_eq!(a.uuid_v7(), b.uuid_v7());
        assert_ne!(a.uuid_v7(), a.uuid_v7());
        a.jump(-500);
        assert_eq!((a.now_ms(), b.now_ms()), (750, 1_250));
    }
}
