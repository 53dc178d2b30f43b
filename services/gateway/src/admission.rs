//! How many clients a second may come in. Resumes have a budget of their own, so that a storm of new
//! logins does not keep out those who were here.

use parking_lot::Mutex;
use posthorn_core::rate::TokenBucket;
use posthorn_errors::{Code, Failure};

use crate::GatewayConfig;

pub(crate) struct Admission {
    handshakes: Mutex<TokenBucket>,
    resumes: Mutex<TokenBucket>,
}

impl Admission {
    pub fn new(config: &GatewayConfig) -> Self {
        Self {
            handshakes: Mutex::new(TokenBucket::new(config.handshakes_per_s, config.handshake_burst)),
            resumes: Mutex::new(TokenBucket::new(config.resumes_per_s, config.resume_burst)),
        }
    }

    /// Admits a `connect`, or refuses it with a delay.
    pub fn admit(&self, resume: bool, now_ms: u64) -> Result<(), Failure> {
        let (bucket, limit) =
            if resume { (&self.resumes, "edge.resumes_per_s") } else { (&self.handshakes, "edge.handshakes_per_s") };
        let taken = bucket.lock().take(now_ms);
        // The delay at which one token comes is no help to a storm: nobody is asked back within a second.
        taken.map_err(|wait| Failure::plain(Code::Admission).retry_after_ms(wait.max(1_000)).limit(limit))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_storm_of_logins_leaves_the_resumes_their_budget() {
        let config = GatewayConfig {
            handshakes_per_s: 1,
            handshake_burst: 2,
            resumes_per_s: 1,
            resume_burst: 1,
            ..GatewayConfig::default()
        };
        let admission = Admission::new(&config);
        let logins: Vec<_> = (0..5).map(|_| admission.admit(false, 0).is_ok()).collect();
        assert_eq!(logins, [true, true, false, false, false]);
        assert_eq!(admission.admit(true, 0), Ok(()));
        let refused = admission.admit(true, 0).unwrap_err();
        assert_eq!((refused.code, refused.limit.as_str()), (Code::Admission, "edge.resumes_per_s"));
        assert!(refused.retry_after_ms >= 1_000);
    }
}
