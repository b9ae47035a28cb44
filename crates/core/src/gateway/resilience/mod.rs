//! What the gateway does around a policy's decision: patience, retries, fallbacks, hedges, circuit breakers, admission.
//!
//! Rules and their state only: the world keeps the clock and the requests. Each file names its source.
mod admission;
mod breaker;
mod cascade;
mod fallback;
mod hedge;
mod retry;

pub use admission::{Admission, Detector, Queue, Verdict, Waiting};
pub use breaker::{Breaker, Cooldown, Event as HealthEvent, Health};
pub use cascade::Cascade;
pub use fallback::{Fallbacks, Hop};
pub use hedge::{Hedge, LearnedTtft};
pub use retry::{Backoff, Budget, BudgetLevel, Causes, Jitter, Retry, RetryAfter};

use crate::types::{Place, SimTime};

/// Clients that leave when no token comes: each request with a chance, after a log-normal patience.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Impatience {
    /// Share of requests, 0 to 1.
    pub share: f64,
    /// Median patience.
    pub median: SimTime,
    /// Sigma of its logarithm.
    pub sigma: f64,
}

/// How the gateway treats what a policy decided. The default is patience for 600 s and the OpenAI SDK's two retries.
#[derive(Debug, Clone, PartialEq)]
pub struct Resilience {
    /// From arrival until the gateway gives up.
    pub timeout: SimTime,
    /// From sending an attempt until it is given up.
    pub try_timeout: Option<SimTime>,
    /// From sending an attempt until it is given up for want of a first token.
    pub first_token_timeout: Option<SimTime>,
    /// When a failed attempt is followed by another.
    pub retry: Retry,
    /// Where else a request goes when a place has failed it.
    pub fallbacks: Fallbacks,
    /// A second copy of what waits too long for its first token.
    pub hedge: Option<Hedge>,
    /// Backends that fail are left alone for a time.
    pub breaker: Option<Breaker>,
    /// Backends that fail are left alone for a time by LiteLLM's rules.
    pub cooldown: Option<Cooldown>,
    /// Who gets in while the fleet is full.
    pub admission: Option<Admission>,
    /// Requests that a pool or an endpoint may have under way.
    pub concurrency: Vec<(Place, u32)>,
    /// Clients that leave.
    pub impatience: Option<Impatience>,
    /// Small models first, larger ones where the answer does not do.
    pub cascade: Option<Cascade>,
}

impl Default for Resilience {
    fn default() -> Resilience {
        Resilience {
            timeout: SimTime::from_secs(600),
            try_timeout: None,
            first_token_timeout: None,
            retry: Retry::default(),
            fallbacks: Fallbacks::default(),
            hedge: None,
            breaker: None,
            cooldown: None,
            admission: None,
            concurrency: Vec::new(),
            impatience: None,
            cascade: None,
        }
    }
}

impl Resilience {
    /// No patience ends and nothing is tried twice.
    pub fn none() -> Resilience {
        let retry = Retry { retries: 0, ..Retry::default() };
        Resilience { timeout: SimTime::NEVER, retry, ..Resilience::default() }
    }
    /// Whether any rule narrows down the candidates of a request.
    pub fn narrows(&self) -> bool {
        self.breaker.is_some()
            || self.cooldown.is_some()
            || !self.concurrency.is_empty()
            || !self.fallbacks.is_empty()
            || self.hedge.is_some()
            || self.cascade.is_some()
    }
    /// Whether it reads scraped loads.
    pub fn reads_loads(&self) -> bool {
        self.admission.is_some_and(|a| matches!(a.detector, Some(Detector::Utilization { .. })))
    }
    /// Attempts that a request may have at one instant, as a bound for whoever looks for loops without progress.
    pub fn most_at_once(&self) -> u64 {
        (u64::from(self.retry.retries) + 2) * (u64::from(self.fallbacks.max_hops) + 2)
    }
}
