//! Token buckets: so many a second, and how many at once.

/// Counts in thousandths of a token, so that no time is lost between two calls of one millisecond.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TokenBucket {
    per_s: u64,
    burst_milli: u64,
    level_milli: u64,
    /// `None`: nothing was taken yet, the bucket is full.
    at_ms: Option<u64>,
}

impl TokenBucket {
    /// Full. `per_s` 0 never fills again; a `burst` of 0 counts as 1.
    #[must_use]
    pub const fn new(per_s: u32, burst: u32) -> Self {
        let burst_milli = if burst == 0 { 1_000 } else { burst as u64 * 1_000 };
        Self { per_s: per_s as u64, burst_milli, level_milli: burst_milli, at_ms: None }
    }

    /// Takes a token, or says in how many ms there will be one. A clock that goes back fills nothing.
    pub fn take(&mut self, now_ms: u64) -> Result<(), u64> {
        let since = now_ms.saturating_sub(self.at_ms.unwrap_or(now_ms));
        self.at_ms = Some(now_ms);
        self.level_milli = self.burst_milli.min(self.level_milli.saturating_add(since.saturating_mul(self.per_s)));
        if self.level_milli >= 1_000 {
            self.level_milli -= 1_000;
            return Ok(());
        }
        // One token a second is one thousandth a millisecond.
        Err(if self.per_s == 0 { u64::MAX } else { (1_000 - self.level_milli).div_ceil(self.per_s) })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bucket_gives_its_burst_and_then_its_rate() {
        let mut bucket = TokenBucket::new(10, 3);
        assert_eq!([bucket.take(0), bucket.take(0), bucket.take(0)], [Ok(()); 3]);
        assert_eq!(bucket.take(0), Err(100));
        assert_eq!(bucket.take(60), Err(40));
        assert_eq!(bucket.take(100), Ok(()));
        assert_eq!(bucket.take(100), Err(100));
        assert_eq!([bucket.take(9_000), bucket.take(9_000), bucket.take(9_000)], [Ok(()); 3]);
        assert_eq!(bucket.take(9_000), Err(100));
    }

    #[test]
    fn a_clock_that_goes_back_fills_nothing() {
        let mut bucket = TokenBucket::new(1, 1);
        assert_eq!(bucket.take(5_000), Ok(()));
        assert_eq!(bucket.take(1_000), Err(1_000));
        assert_eq!(bucket.take(2_000), Ok(()));
    }

    #[test]
    fn the_wait_it_tells_is_long_enough() {
        for (per_s, burst) in [(1, 1), (3, 2), (7, 1), (999, 5), (4_000_000, 1)] {
            let mut bucket = TokenBucket::new(per_s, burst);
            let mut now = 0;
            for _ in 0..50 {
                if let Err(wait) = bucket.take(now) {
                    now += wait;
                    assert_eq!(bucket.take(now), Ok(()), "{per_s} a second");
                }
            }
        }
    }
}
