//! How long a run goes on without getting anywhere.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
    time::Duration,
};

use posthorn_clock::{Instant, sleep};

/// Over when nothing succeeded for so long. Cheap to clone.
#[derive(Clone)]
pub struct Patience {
    limit: Duration,
    started: Instant,
    last_ms: Arc<AtomicU64>,
}

impl Patience {
    pub fn new(limit: Duration) -> Self {
        Self { limit, started: Instant::now(), last_ms: Arc::default() }
    }

    /// Something succeeded.
    pub fn progress(&self) {
        self.last_ms.store(self.now_ms(), Relaxed);
    }

    pub fn over(&self) -> bool {
        self.left().is_zero()
    }

    fn now_ms(&self) -> u64 {
        u64::try_from(self.started.elapsed().as_millis()).unwrap_or(u64::MAX)
    }

    fn left(&self) -> Duration {
        let idle = self.now_ms().saturating_sub(self.last_ms.load(Relaxed));
        self.limit.saturating_sub(Duration::from_millis(idle))
    }

    /// The outcome, or `None` when patience is over before; an outcome counts as success.
    pub async fn until<T>(&self, work: impl Future<Output = T>) -> Option<T> {
        tokio::pin!(work);
        loop {
            tokio::select! {
                biased;
                done = &mut work => {
                    self.progress();
                    return Some(done);
                }
                () = sleep(self.left().max(Duration::from_millis(1))) => {
                    if self.over() {
                        return None;
                    }
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn patience_ends_with_the_last_success_and_not_with_the_first() {
        let patience = Patience::new(Duration::from_secs(10));
        let other = patience.clone();
        let worker = async {
            for _ in 0..3 {
                sleep(Duration::from_secs(8)).await;
                other.progress();
            }
            std::future::pending::<()>().await;
        };
        let begun = Instant::now();
        let (never, ended) = tokio::join!(patience.until(std::future::pending::<()>()), async {
            tokio::select! { () = worker => {}, () = sleep(Duration::from_secs(60)) => {} }
        });
        assert_eq!((never, ended), (None, ()));
        assert_eq!(patience.until(async { 7 }).await, Some(7));
        assert!(begun.elapsed() >= Duration::from_secs(34));
    }
}
