//! Rate limits as continuously refilled token buckets, in exact integers (spec/apis.md 4.1).
use super::CacheUse;
use crate::types::{FailureCause, Job, SimTime};

/// Nanoseconds in a minute: the unit a level is counted in is 1/60e9 of a token.
const MINUTE_NS: i128 = 60_000_000_000;

/// Capacity `per_minute`, refilled at `per_minute / 60` a second; may be driven below zero by late charges.
#[derive(Debug, Clone)]
pub struct TokenBucket {
    per_minute: i128,
    level: i128,
    at: SimTime,
}

impl TokenBucket {
    /// A full bucket at time zero.
    pub fn new(per_minute: u64) -> TokenBucket {
        assert!(per_minute > 0, "limits-positive: a limit of zero never admits anything");
        let per_minute = i128::from(per_minute);
        TokenBucket { per_minute, level: per_minute * MINUTE_NS, at: SimTime::ZERO }
    }
    fn refill(&mut self, now: SimTime) {
        let gained = self.per_minute * i128::from(now.since(self.at).0);
        self.level = (self.level + gained).min(self.per_minute * MINUTE_NS);
        self.at = self.at.max(now);
    }
    /// Time until `cost` units would be admitted: zero if they are now. A cost above the capacity counts as
    /// the capacity, so that an over-long request waits for a full bucket and not for ever.
    pub fn wait(&mut self, cost: u64, now: SimTime) -> SimTime {
        self.refill(now);
        let need = i128::from(cost).min(self.per_minute) * MINUTE_NS;
        if self.level >= need {
            return SimTime::ZERO;
        }
        let short = need - self.level;
        SimTime(((short + self.per_minute - 1) / self.per_minute) as u64)
    }
    /// Takes `cost` units, whether or not they are there.
    pub fn charge(&mut self, cost: u64, now: SimTime) {
        self.refill(now);
        self.level -= i128::from(cost) * MINUTE_NS;
    }
}

/// An endpoint's limits; `None` = unlimited.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Limits {
    /// Requests a minute.
    pub requests_per_minute: Option<u64>,
    /// Uncached input tokens a minute.
    pub input_tokens_per_minute: Option<u64>,
    /// Output tokens a minute, charged by actual output when it is known.
    pub output_tokens_per_minute: Option<u64>,
}

/// What an account has left of its limits. Every endpoint that names the account draws on it.
#[derive(Debug)]
pub struct Limiter {
    requests: Option<TokenBucket>,
    input: Option<TokenBucket>,
    output: Option<TokenBucket>,
}

impl Limiter {
    /// With all of its limits left.
    pub fn new(limits: &Limits) -> Limiter {
        let bucket = |limit: Option<u64>| limit.map(TokenBucket::new);
        Limiter {
            requests: bucket(limits.requests_per_minute),
            input: bucket(limits.input_tokens_per_minute),
            output: bucket(limits.output_tokens_per_minute),
        }
    }
    /// Whether a call may start now. It counts as a request either way: failed requests count (spec/apis.md 4.1).
    ///
    /// # Errors
    /// The refusal, with the time after which it would be let in if nobody else came.
    pub fn admit(&mut self, job: &Job, now: SimTime) -> Result<(), FailureCause> {
        let waits = [(&mut self.requests, 1), (&mut self.input, u64::from(job.prompt_tokens)), (&mut self.output, 1)];
        let retry_after = waits.into_iter().filter_map(|(b, c)| b.as_mut().map(|b| b.wait(c, now))).max();
        if let Some(bucket) = &mut self.requests {
            bucket.charge(1, now);
        }
        match retry_after.filter(|w| *w > SimTime::ZERO) {
            Some(retry_after) => Err(FailureCause::RateLimited { retry_after }),
            None => Ok(()),
        }
    }
    /// A call that was let in has been looked up in the prompt cache.
    pub fn started(&mut self, job: &Job, cache: CacheUse, now: SimTime) {
        if let Some(bucket) = &mut self.input {
            bucket.charge(u64::from(job.prompt_tokens - cache.read), now);
        }
    }
    /// A call ended, or was hung up on, after `emitted` output tokens.
    pub fn settle(&mut self, emitted: u32, now: SimTime) {
        if let Some(bucket) = &mut self.output {
            bucket.charge(u64::from(emitted), now);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_empty_bucket_of_30k_makes_5k_wait_ten_seconds() {
        let mut bucket = TokenBucket::new(30_000);
        bucket.charge(30_000, SimTime::ZERO);
        assert_eq!(bucket.wait(5_000, SimTime::ZERO), SimTime::from_secs(10));
        assert_eq!(bucket.wait(5_000, SimTime::from_secs(9)), SimTime::from_secs(1));
        assert_eq!(bucket.wait(5_000, SimTime::from_secs(10)), SimTime::ZERO);
    }

    #[test]
    fn a_request_above_the_capacity_waits_for_a_full_bucket() {
        let mut bucket = TokenBucket::new(60);
        assert_eq!(bucket.wait(1_000, SimTime::ZERO), SimTime::ZERO);
        bucket.charge(60, SimTime::ZERO);
        assert_eq!(bucket.wait(1_000, SimTime::ZERO), SimTime::from_secs(60));
    }
}
