//! Timeouts and retries around a policy's decision.
use crate::types::{FailureCause, SimTime};

/// How patient the gateway is. Backoff constants are the OpenAI SDK's (spec/routers.md 3.10).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Resilience {
    /// From arrival until the gateway gives up.
    pub timeout: SimTime,
    /// Tries after the first.
    pub retries: u32,
}

impl Resilience {
    /// Longest Retry-After that is honoured; beyond it the request fails.
    const LONGEST_RETRY_AFTER: SimTime = SimTime::from_secs(120);

    /// Wait before try `next_try` (1 = the first retry), or `None` if there is none. `jitter` is uniform in [0, 1).
    pub fn backoff(&self, cause: FailureCause, next_try: u32, jitter: f64) -> Option<SimTime> {
        if next_try > self.retries {
            return None;
        }
        match cause {
            FailureCause::TooLong => None,
            FailureCause::RateLimited { retry_after } if retry_after > Self::LONGEST_RETRY_AFTER => None,
            FailureCause::RateLimited { retry_after } => Some(retry_after),
            FailureCause::ServerError | FailureCause::QueueFull | FailureCause::ReplicaLost => {
                let doubled = 500u64.saturating_mul(1 << (next_try - 1).min(10)).min(8_000);
                let ns = doubled as f64 * 1e6 * (1.0 - 0.25 * jitter);
                Some(SimTime(ns as u64))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn backoff_doubles_to_eight_seconds_and_honours_retry_after() {
        let r = Resilience { timeout: SimTime::from_secs(600), retries: 9 };
        assert_eq!(r.backoff(FailureCause::ServerError, 1, 0.0), Some(SimTime::from_millis(500)));
        assert_eq!(r.backoff(FailureCause::ServerError, 9, 0.0), Some(SimTime::from_secs(8)));
        assert_eq!(r.backoff(FailureCause::ServerError, 2, 0.5), Some(SimTime::from_millis(875)));
        let limited = |s| FailureCause::RateLimited { retry_after: SimTime::from_secs(s) };
        assert_eq!(r.backoff(limited(7), 1, 0.0), Some(SimTime::from_secs(7)));
        assert_eq!(r.backoff(limited(121), 1, 0.0), None);
        assert_eq!(r.backoff(FailureCause::TooLong, 1, 0.0), None);
        assert_eq!(r.backoff(FailureCause::ServerError, 10, 0.0), None);
    }
}
