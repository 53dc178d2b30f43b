//! How often one API key may ask. Counted once the key is known to be good, so that nobody can use up a
//! key that they do not hold.

use std::collections::HashMap;

use parking_lot::Mutex;
use posthorn_core::rate::TokenBucket;
use posthorn_errors::{Code, Failure};

use super::HttpConfig;

/// The buckets of the keys that asked lately, by key id, with when each asked last.
#[derive(Default)]
pub(crate) struct KeyLimits(Mutex<HashMap<String, (TokenBucket, u64)>>);

impl KeyLimits {
    /// Counts a request of the key, or refuses it with the time to wait.
    pub fn take(&self, config: &HttpConfig, key_id: &str, now_ms: u64) -> Result<(), Failure> {
        if config.requests_per_s == 0 {
            return Ok(());
        }
        let mut buckets = self.0.lock();
        if !buckets.contains_key(key_id) && buckets.len() >= config.max_limited_keys.max(1) {
            make_room(&mut buckets, config, now_ms);
        }
        let fresh = || (TokenBucket::new(config.requests_per_s, config.request_burst), now_ms);
        let (bucket, asked_ms) = buckets.entry(key_id.to_owned()).or_insert_with(fresh);
        *asked_ms = now_ms;
        bucket
            .take(now_ms)
            .map_err(|wait| Failure::plain(Code::RateLimited).retry_after_ms(wait).limit("edge.http.requests_per_s"))
    }
}

/// Full buckets are forgotten without a loss; where there is none, the one that was away longest.
fn make_room(buckets: &mut HashMap<String, (TokenBucket, u64)>, config: &HttpConfig, now_ms: u64) {
    let refill_ms = u64::from(config.request_burst) * 1_000 / u64::from(config.requests_per_s) + 1;
    buckets.retain(|_, (_, asked_ms)| now_ms < asked_ms.saturating_add(refill_ms));
    if buckets.len() >= config.max_limited_keys.max(1) {
        let oldest = buckets.iter().min_by_key(|(key, (_, asked_ms))| (*asked_ms, *key)).map(|(key, _)| key.clone());
        if let Some(key) = oldest {
            buckets.remove(&key);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn config(requests_per_s: u32) -> HttpConfig {
        HttpConfig { requests_per_s, request_burst: 2, max_limited_keys: 2, ..HttpConfig::default() }
    }

    #[test]
    fn a_key_has_its_burst_and_then_its_rate_and_others_have_theirs() {
        let (limits, config) = (KeyLimits::default(), config(10));
        assert_eq!(["a", "a", "b"].map(|key| limits.take(&config, key, 0)), [Ok(()), Ok(()), Ok(())]);
        let refused = limits.take(&config, "a", 40).unwrap_err();
        assert_eq!((refused.code, refused.retry_after_ms), (Code::RateLimited, 60));
        assert_eq!(refused.limit, "edge.http.requests_per_s");
        assert_eq!((limits.take(&config, "b", 40), limits.take(&config, "a", 100)), (Ok(()), Ok(())));
    }

    #[test]
    fn the_keys_that_are_counted_are_bounded_and_the_busy_ones_stay() {
        let (limits, config) = (KeyLimits::default(), config(10));
        for (key, now_ms) in [("a", 0), ("a", 0), ("b", 1), ("c", 2), ("d", 3)] {
            limits.take(&config, key, now_ms).unwrap();
            assert!(limits.0.lock().len() <= 2);
        }
        // What has filled up again goes first, whoever asked before.
        limits.take(&config, "c", 205).unwrap();
        limits.take(&config, "e", 206).unwrap();
        let mut counted: Vec<_> = limits.0.lock().keys().cloned().collect();
        counted.sort();
        assert_eq!(counted, ["c", "e"]);
    }

    #[test]
    fn without_a_rate_nothing_is_counted() {
        let (limits, config) = (KeyLimits::default(), config(0));
        assert!((0..1_000).all(|_| limits.take(&config, "a", 0).is_ok()) && limits.0.lock().is_empty());
    }
}
