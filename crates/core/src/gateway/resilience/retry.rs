//! Retries: how often, after which failures, how long to wait. The presets are those of spec/routers.md 3.1, 3.6 to 3.8 and
//! 3.10, read there; what Envoy's jitter is (the whole wait is drawn) is its source's, `JitteredExponentialBackOffStrategy`.
use crate::types::{FailureCause, SimTime};

/// Failures that are retried.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Causes {
    /// The try ran out of its own time (HTTP 408).
    pub timeout: bool,
    /// HTTP 429, but for an exhausted quota.
    pub rate_limited: bool,
    /// HTTP 500 and its like.
    pub server_error: bool,
    /// HTTP 529 or 503: the provider is overloaded.
    pub overloaded: bool,
    /// HTTP 503: the engine's queue is full.
    pub queue_full: bool,
    /// The connection broke: the replica died.
    pub replica_lost: bool,
}

impl Causes {
    /// All causes.
    pub const ALL: Causes = Causes {
        timeout: true,
        rate_limited: true,
        server_error: true,
        overloaded: true,
        queue_full: true,
        replica_lost: true,
    };
    /// No cause.
    pub const NONE: Causes = Causes {
        timeout: false,
        rate_limited: false,
        server_error: false,
        overloaded: false,
        queue_full: false,
        replica_lost: false,
    };

    fn has(&self, cause: FailureCause) -> bool {
        match cause {
            FailureCause::RateLimited { .. } | FailureCause::SlowDown { .. } => self.rate_limited,
            FailureCause::ServerError => self.server_error,
            FailureCause::Overloaded => self.overloaded,
            FailureCause::QueueFull => self.queue_full,
            FailureCause::ReplicaLost => self.replica_lost,
            FailureCause::TryTimeout | FailureCause::Expired => self.timeout,
            // The same request would be refused again.
            FailureCause::TooLong | FailureCause::QuotaExhausted => false,
        }
    }
}

/// How a wait is blurred, by a number uniform in [0, 1).
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Jitter {
    /// Shorter by up to this share.
    Less(f64),
    /// Shorter or longer by up to this share.
    Around(f64),
    /// Longer by up to this; also where a Retry-After is honoured.
    Plus(SimTime),
}

/// Waits that grow: `base * factor^n`, at most `max`.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Backoff {
    /// Before the first retry.
    pub base: SimTime,
    /// From one to the next.
    pub factor: f64,
    /// Longest wait, before it is blurred.
    pub max: SimTime,
    /// How far a wait is drawn from its nominal length.
    pub jitter: Jitter,
}

impl Backoff {
    /// Wait before retry `n`, from 1.
    fn wait(&self, n: u32, jitter: f64) -> SimTime {
        let mut ns = self.base.0 as f64;
        let max = self.max.0 as f64;
        for _ in 1..n {
            if ns >= max || self.factor <= 1.0 {
                break;
            }
            ns *= self.factor;
        }
        let ns = ns.min(max);
        SimTime(match self.jitter {
            Jitter::Less(share) => (ns * (1.0 - share * jitter)) as u64,
            Jitter::Around(share) => (ns * (1.0 + share * (2.0 * jitter - 1.0))) as u64,
            Jitter::Plus(span) => ns as u64 + (span.0 as f64 * jitter) as u64,
        })
    }
}

/// What a Retry-After of a 429 does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RetryAfter {
    /// Nothing: the backoff holds.
    Ignored,
    /// A Retry-After up to this long is waited for; a longer one ends the tries.
    UpTo(SimTime),
    /// A Retry-After up to this long is waited for; for a longer one the backoff holds.
    UpToElseBackoff(SimTime),
    /// All of a request's together are waited for up to this long; what goes beyond ends the tries.
    UpToInAll(SimTime),
}

/// Retries as a share of requests: a bucket that each request fills a little and each retry empties by one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Budget {
    /// What a request adds, millionths of a retry.
    pub share_ppm: u64,
    /// Retries that the bucket holds; it starts full.
    pub burst: u64,
}

/// What is left of a budget.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BudgetLevel {
    budget: Option<Budget>,
    ppm: u64,
}

const WHOLE: u64 = 1_000_000;

impl BudgetLevel {
    /// A full one; without a budget there is always something left.
    pub fn new(budget: Option<Budget>) -> BudgetLevel {
        BudgetLevel { budget, ppm: budget.map_or(0, |b| b.burst * WHOLE) }
    }
    /// A request arrived.
    pub fn request(&mut self) {
        if let Some(b) = self.budget {
            self.ppm = (self.ppm + b.share_ppm).min(b.burst * WHOLE);
        }
    }
    /// Takes a retry out, if there is one.
    pub fn take(&mut self) -> bool {
        if self.budget.is_some() {
            if self.ppm < WHOLE {
                return false;
            }
            self.ppm -= WHOLE;
        }
        true
    }
}

/// See the module head. The default is the OpenAI SDK's.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Retry {
    /// Tries after the first, at one place.
    pub retries: u32,
    /// After which failures.
    pub on: Causes,
    /// How long to wait.
    pub backoff: Backoff,
    /// What a Retry-After does.
    pub retry_after: RetryAfter,
    /// No wait at all where another backend is ready.
    pub at_once_elsewhere: bool,
    /// Share of requests that may be retried; no limit if `None`.
    pub budget: Option<Budget>,
}

impl Default for Retry {
    fn default() -> Retry {
        let jitter = Jitter::Less(0.25);
        Retry {
            retries: 2,
            on: Causes::ALL,
            backoff: Backoff { base: SimTime::from_millis(500), factor: 2.0, max: SimTime::from_secs(8), jitter },
            retry_after: RetryAfter::UpTo(SimTime::from_secs(120)),
            at_once_elsewhere: false,
            budget: None,
        }
    }
}

impl Retry {
    /// Names of the presets.
    pub const PRESETS: [&str; 6] = ["openai-sdk", "anthropic-sdk", "litellm", "sglang", "envoy", "portkey"];

    /// The rules of a client or gateway, by name.
    pub fn preset(name: &str) -> Option<Retry> {
        let ms = SimTime::from_millis;
        let backoff = |base, factor, max, jitter| Backoff { base: ms(base), factor, max: ms(max), jitter };
        let plain = Retry::default();
        Some(match name {
            // The two have the same constants (3.10).
            "openai-sdk" | "anthropic-sdk" => plain,
            "litellm" => Retry {
                backoff: backoff(500, 2.0, 8_000, Jitter::Plus(ms(750))),
                retry_after: RetryAfter::UpToElseBackoff(SimTime::from_secs(60)),
                at_once_elsewhere: true,
                ..plain
            },
            // Five attempts in all; it does not read Retry-After.
            "sglang" => Retry {
                retries: 4,
                backoff: backoff(50, 1.5, 30_000, Jitter::Around(0.2)),
                retry_after: RetryAfter::Ignored,
                ..plain
            },
            // The example configuration: on connect-failure and 500 alone.
            "envoy" => Retry {
                retries: 5,
                on: Causes { server_error: true, replica_lost: true, ..Causes::NONE },
                backoff: backoff(100, 2.0, 10_000, Jitter::Less(1.0)),
                retry_after: RetryAfter::Ignored,
                ..plain
            },
            // A timeout is 408, which it does not retry.
            "portkey" => Retry {
                retries: 5,
                on: Causes { timeout: false, ..Causes::ALL },
                backoff: backoff(1_000, 2.0, 3_600_000, Jitter::Less(0.0)),
                retry_after: RetryAfter::UpToInAll(SimTime::from_secs(60)),
                ..plain
            },
            _ => return None,
        })
    }

    /// Wait before retry `n` (from 1) at a place, or `None` if there is none. `jitter` is uniform in [0, 1); `waited` is what
    /// the request has waited for Retry-Afters already; `elsewhere` says whether another backend is ready.
    pub fn wait(&self, cause: FailureCause, n: u32, jitter: f64, waited: SimTime, elsewhere: bool) -> Option<SimTime> {
        if n > self.retries || !self.on.has(cause) {
            return None;
        }
        if self.at_once_elsewhere && elsewhere {
            return Some(SimTime::ZERO);
        }
        let backoff = self.backoff.wait(n, jitter);
        let Some(retry_after) = cause.retry_after() else { return Some(backoff) };
        let blur = match self.backoff.jitter {
            Jitter::Plus(span) => SimTime((span.0 as f64 * jitter) as u64),
            _ => SimTime::ZERO,
        };
        match self.retry_after {
            RetryAfter::Ignored => Some(backoff),
            _ if retry_after == SimTime::ZERO => Some(backoff),
            RetryAfter::UpTo(most) => (retry_after <= most).then_some(retry_after + blur),
            RetryAfter::UpToElseBackoff(most) if retry_after <= most => Some(retry_after + blur),
            RetryAfter::UpToElseBackoff(_) => Some(backoff),
            RetryAfter::UpToInAll(most) => (waited + retry_after <= most).then_some(retry_after + blur),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NONE: SimTime = SimTime::ZERO;

    fn limited(s: u64) -> FailureCause {
        FailureCause::RateLimited { retry_after: SimTime::from_secs(s) }
    }
    fn waits(preset: &str, jitter: f64) -> Vec<u64> {
        let retry = Retry::preset(preset).unwrap();
        let wait = |n| retry.wait(FailureCause::ServerError, n, jitter, NONE, false);
        (1..).map_while(wait).map(|t| t.0 / 1_000_000).collect()
    }

    #[test]
    fn backoff_doubles_to_eight_seconds_and_honours_retry_after() {
        let r = Retry { retries: 9, ..Retry::default() };
        let wait = |cause, n, jitter| r.wait(cause, n, jitter, NONE, true);
        assert_eq!(wait(FailureCause::ServerError, 1, 0.0), Some(SimTime::from_millis(500)));
        assert_eq!(wait(FailureCause::ServerError, 9, 0.0), Some(SimTime::from_secs(8)));
        assert_eq!(wait(FailureCause::ServerError, 2, 0.5), Some(SimTime::from_millis(875)));
        assert_eq!(wait(FailureCause::TryTimeout, 2, 0.5), Some(SimTime::from_millis(875)));
        assert_eq!(wait(limited(7), 1, 0.0), Some(SimTime::from_secs(7)));
        assert_eq!(wait(limited(120), 1, 0.0), Some(SimTime::from_secs(120)));
        assert_eq!(wait(limited(121), 1, 0.0), None);
        assert_eq!(wait(FailureCause::TooLong, 1, 0.0), None);
        assert_eq!(wait(FailureCause::ServerError, 10, 0.0), None);
    }

    #[test]
    fn presets_wait_as_their_originals_do() {
        assert_eq!(waits("openai-sdk", 0.0), [500, 1_000]);
        assert_eq!(waits("anthropic-sdk", 0.5), [437, 875]);
        assert_eq!(waits("litellm", 0.0), [500, 1_000]);
        assert_eq!(waits("litellm", 0.5), [875, 1_375]);
        assert_eq!(waits("sglang", 0.5), [50, 75, 112, 168]);
        assert_eq!(waits("sglang", 0.0), [40, 60, 90, 135]);
        assert_eq!(waits("envoy", 0.0), [100, 200, 400, 800, 1_600]);
        assert_eq!(waits("envoy", 0.5), [50, 100, 200, 400, 800]);
        assert_eq!(waits("portkey", 0.9), [1_000, 2_000, 4_000, 8_000, 16_000]);
        assert!(Retry::PRESETS.iter().all(|p| Retry::preset(p).is_some()));
        assert_eq!(Retry::preset("nginx"), None);
        // Capped.
        let sglang = Retry { retries: 99, ..Retry::preset("sglang").unwrap() };
        assert_eq!(sglang.wait(FailureCause::QueueFull, 99, 0.5, NONE, false), Some(SimTime::from_secs(30)));
        let envoy = Retry { retries: 99, ..Retry::preset("envoy").unwrap() };
        assert_eq!(envoy.wait(FailureCause::ServerError, 99, 0.0, NONE, false), Some(SimTime::from_secs(10)));
    }

    #[test]
    fn presets_read_retry_after_as_their_originals_do() {
        let wait = |preset: &str, asked, jitter, waited, elsewhere| {
            let retry = Retry::preset(preset).unwrap();
            retry.wait(limited(asked), 1, jitter, SimTime::from_secs(waited), elsewhere).map(|t| t.0 / 1_000_000)
        };
        assert_eq!(wait("litellm", 60, 0.0, 0, false), Some(60_000));
        assert_eq!(wait("litellm", 60, 0.5, 0, false), Some(60_375), "Retry-After and its jitter");
        assert_eq!(wait("litellm", 61, 0.0, 0, false), Some(500), "too long: the backoff");
        assert_eq!(wait("litellm", 61, 0.9, 0, true), Some(0), "another deployment is healthy");
        assert_eq!(wait("portkey", 60, 0.0, 0, false), Some(60_000));
        assert_eq!(wait("portkey", 30, 0.0, 31, false), None, "61 s in all");
        assert_eq!(wait("sglang", 30, 0.5, 0, false), Some(50));
        assert_eq!(wait("envoy", 3, 0.0, 0, false), None, "429 is not among its causes");
    }

    #[test]
    fn overload_is_tried_again_by_all_but_envoy_and_an_exhausted_quota_by_nobody() {
        for preset in Retry::PRESETS {
            let retry = Retry::preset(preset).unwrap();
            let wait = |cause| retry.wait(cause, 1, 0.0, NONE, false);
            assert_eq!(wait(FailureCause::QuotaExhausted), None, "{preset}");
            assert_eq!(wait(FailureCause::Overloaded).is_some(), preset != "envoy", "{preset}");
            let asked = FailureCause::SlowDown { retry_after: SimTime::from_secs(3) };
            assert_eq!(wait(asked), wait(limited(3)), "{preset}: slow_down is a 429");
        }
    }

    #[test]
    fn a_budget_is_a_share_of_requests() {
        let mut level = BudgetLevel::new(Some(Budget { share_ppm: 200_000, burst: 2 }));
        assert_eq!([level.take(), level.take(), level.take()], [true, true, false]);
        (0..4).for_each(|_| level.request());
        assert!(!level.take(), "four requests are 0.8 retries");
        level.request();
        assert_eq!([level.take(), level.take()], [true, false]);
        (0..1_000).for_each(|_| level.request());
        assert_eq!([level.take(), level.take(), level.take()], [true, true, false], "it holds two");
        assert!(BudgetLevel::new(None).take());
    }
}
