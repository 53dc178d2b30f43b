//! Who may ask how often: a bucket per connection, one per user, and one that counts refusals, so
//! that a client that does not listen is cut off.

use parking_lot::Mutex;
use posthorn_core::rate::TokenBucket;
use posthorn_errors::{Code, Failure};

use crate::{GatewayConfig, config::LimitClass, metrics::EdgeMetrics};

/// What the connections of one user share. Made by the first, forgotten with the last.
#[derive(Default)]
pub(crate) struct UserLimit(Mutex<Option<(LimitClass, TokenBucket)>>);

/// The limits of one connection.
pub(crate) struct Limits {
    /// `None`: the class has no limit.
    connection: Option<TokenBucket>,
    class: LimitClass,
    user_factor: u32,
    /// Runs empty when far too much was refused.
    refusals: TokenBucket,
}

/// What to do with a request beyond the limits.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Excess {
    Refuse(Failure),
    /// It goes on and on: end the connection.
    Flood(Failure),
}

impl Limits {
    pub fn new(config: &GatewayConfig, class: &str) -> Self {
        let class = class_of(config, class);
        let refusals =
            TokenBucket::new(config.requests_per_s, config.request_burst.saturating_mul(config.flood_factor).max(1));
        let connection =
            (class.requests_per_s > 0).then(|| TokenBucket::new(class.requests_per_s, class.request_burst));
        Self { connection, class, user_factor: config.user_factor.max(1), refusals }
    }

    /// Counts a request.
    pub fn take(&mut self, user: &UserLimit, now_ms: u64, metrics: &EdgeMetrics) -> Result<(), Excess> {
        let Some(connection) = &mut self.connection else { return Ok(()) };
        let taken = connection.take(now_ms).map_err(|wait| (wait, "requests_per_connection")).and_then(|()| {
            user.take(&self.class, self.user_factor, now_ms).map_err(|wait| (wait, "requests_per_user"))
        });
        taken.map_err(|(wait, limit)| {
            metrics.rate_limited.inc();
            self.refuse(Failure::plain(Code::RateLimited).retry_after_ms(wait).limit(limit), now_ms)
        })
    }

    /// Counts a refusal. A class without a limit is trusted not to mean harm by it.
    pub fn refuse(&mut self, failure: Failure, now_ms: u64) -> Excess {
        if self.connection.is_none() {
            return Excess::Refuse(failure);
        }
        match self.refusals.take(now_ms) {
            Ok(()) => Excess::Refuse(failure),
            Err(wait) => {
                Excess::Flood(Failure::plain(Code::Flood).retry_after_ms(wait.max(1_000)).limit(failure.limit))
            }
        }
    }
}

impl UserLimit {
    fn take(&self, class: &LimitClass, factor: u32, now_ms: u64) -> Result<(), u64> {
        let fresh = || {
            let bucket = TokenBucket::new(
                class.requests_per_s.saturating_mul(factor),
                class.request_burst.saturating_mul(factor),
            );
            (class.clone(), bucket)
        };
        let mut shared = self.0.lock();
        // A token of another class brings its own rate.
        if shared.as_ref().is_some_and(|(of, _)| of != class) {
            *shared = None;
        }
        shared.get_or_insert_with(fresh).1.take(now_ms)
    }
}

fn class_of(config: &GatewayConfig, name: &str) -> LimitClass {
    let default = LimitClass { requests_per_s: config.requests_per_s, request_burst: config.request_burst };
    config.classes.get(name).cloned().unwrap_or(default)
}

#[cfg(test)]
mod tests {
    use posthorn_telemetry::Metrics;

    use super::*;

    fn config() -> GatewayConfig {
        GatewayConfig {
            requests_per_s: 10,
            request_burst: 5,
            user_factor: 2,
            flood_factor: 3,
            ..GatewayConfig::default()
        }
    }

    #[test]
    fn beyond_the_burst_a_request_is_refused_with_the_wait_and_the_limits_name() {
        let (metrics, user) = (EdgeMetrics::new(&Metrics::default()), UserLimit::default());
        let mut limits = Limits::new(&config(), "");
        for _ in 0..5 {
            assert_eq!(limits.take(&user, 0, &metrics), Ok(()));
        }
        let Err(Excess::Refuse(failure)) = limits.take(&user, 0, &metrics) else { panic!("not refused") };
        assert_eq!((failure.code, failure.retry_after_ms), (Code::RateLimited, 100));
        assert_eq!(failure.limit, "requests_per_connection");
        assert_eq!(limits.take(&user, 100, &metrics), Ok(()));
    }

    #[test]
    fn the_connections_of_a_user_share_a_limit() {
        let (metrics, user) = (EdgeMetrics::new(&Metrics::default()), UserLimit::default());
        let mut of_three: Vec<_> = (0..3).map(|_| Limits::new(&config(), "")).collect();
        let refused: Vec<_> = of_three
            .iter_mut()
            .flat_map(|limits| (0..5).map(|_| limits.take(&user, 0, &metrics)).collect::<Vec<_>>())
            .filter_map(Result::err)
            .collect();
        assert_eq!(refused.len(), 5);
        let Excess::Refuse(failure) = &refused[0] else { panic!("a flood") };
        assert_eq!(failure.limit, "requests_per_user");
    }

    #[test]
    fn who_goes_far_beyond_is_cut_off() {
        let (metrics, user) = (EdgeMetrics::new(&Metrics::default()), UserLimit::default());
        let mut limits = Limits::new(&config(), "no such class");
        let flood = (0..100).find(|_| matches!(limits.take(&user, 0, &metrics), Err(Excess::Flood(_))));
        assert_eq!(flood, Some(5 + 15));
    }

    #[test]
    fn the_class_for_tools_has_no_limit() {
        let (metrics, user) = (EdgeMetrics::new(&Metrics::default()), UserLimit::default());
        let mut limits = Limits::new(&config(), "unlimited");
        assert!((0..10_000).all(|_| limits.take(&user, 0, &metrics).is_ok()));
    }
}
