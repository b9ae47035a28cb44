//! How long a call takes, when it will succeed: from sending to the first token, and from one token to the next.
//!
//! Must keep true: a pace depends on the law, the call and the luck of (seed, request, try) alone; it is rounded to whole
//! nanoseconds at once; [`Latency::least`] is at most what any call of that request may get.
mod fitted;

use crate::random;
use crate::types::SimTime;
use std::sync::Arc;

pub use fitted::ProfileLaw;

/// What keys the draws of one try.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DrawKey {
    /// The experiment's seed.
    pub seed: u64,
    /// The simulation's replicate.
    pub replicate: u32,
    /// Index in the trace.
    pub request: u64,
    /// Try from 0.
    pub try_number: u32,
}

/// What the time of a call may depend on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Call {
    /// Prompt tokens.
    pub prompt: u32,
    /// Prompt tokens of the call that are read from the provider's cache; part of `prompt`.
    pub cached: u32,
    /// Output tokens, hidden ones included.
    pub output: u32,
    /// When the call is sent.
    pub at: SimTime,
}

/// The time a call takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Pace {
    /// From sending to the first token; at least a nanosecond.
    pub first: SimTime,
    /// From one token to the next.
    pub gap: SimTime,
}

/// The least that a call may take.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Least {
    /// Until its first token.
    pub first: SimTime,
    /// Until its last.
    pub whole: SimTime,
}

/// An endpoint's law of latency.
#[derive(Debug, Clone, PartialEq)]
pub enum Latency {
    /// Two log-normals.
    LogNormal(LogNormal),
    /// A profile that was fitted to measured calls.
    Profile(Arc<ProfileLaw>),
}

/// TTFT and output speed are log-normal and know nothing of the call (spec/apis.md 4.5: published medians, p95/p50 of 2
/// to 4).
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct LogNormal {
    /// Median time to first token, seconds.
    pub ttft_p50_s: f64,
    /// Median output speed, tokens a second.
    pub output_tokens_per_s: f64,
    /// p95 over p50 of both.
    pub p95_over_p50: f64,
}

impl LogNormal {
    fn sigma(&self) -> f64 {
        random::dist::sigma_of_p95(self.p95_over_p50)
    }
}

/// The names of an endpoint's random streams.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Streams {
    /// Time to first token.
    pub ttft: String,
    /// Output speed.
    pub speed: String,
    /// Whether the call fails.
    pub error: String,
}

impl Streams {
    /// The streams of the endpoint with this name.
    pub fn of(name: &str) -> Streams {
        let named = |what: &str| format!("endpoint/{name}/{what}");
        Streams { ttft: named("ttft"), speed: named("speed"), error: named("error") }
    }
    /// A uniform draw from 0 to 1 of the stream `name`.
    pub fn uniform(name: &str, luck: DrawKey) -> f64 {
        random::dist::uniform01(&mut random::stream(luck.seed, luck.replicate, name, luck.request, luck.try_number))
    }
}

impl LogNormal {
    fn pace(&self, streams: &Streams, luck: DrawKey) -> Pace {
        let draw = |stream: &str| random::stream(luck.seed, luck.replicate, stream, luck.request, luck.try_number);
        let sigma = self.sigma();
        let first = random::dist::log_normal(&mut draw(&streams.ttft), self.ttft_p50_s, sigma);
        let speed = random::dist::log_normal(&mut draw(&streams.speed), self.output_tokens_per_s, sigma);
        Pace { first: SimTime::from_secs_f64(first).max(SimTime(1)), gap: SimTime::from_secs_f64(1.0 / speed) }
    }
}

impl Latency {
    /// What a call takes.
    pub fn pace(&self, streams: &Streams, luck: DrawKey, call: &Call) -> Pace {
        match self {
            Latency::LogNormal(law) => law.pace(streams, luck),
            Latency::Profile(law) => law.pace(streams, luck, call),
        }
    }
    /// The least that a call with this luck may take, whatever was cached (up to `call.cached` tokens) and whenever it was
    /// sent, of whose output the first `hidden` tokens are not shown: until the first that is shown, and until the last.
    pub fn least(&self, streams: &Streams, luck: DrawKey, call: &Call, hidden: u32) -> Least {
        match self {
            Latency::LogNormal(law) => {
                let Pace { first, gap } = law.pace(streams, luck);
                let after = |tokens: u32| SimTime(first.0.saturating_add(gap.0.saturating_mul(u64::from(tokens))));
                Least { first: after(hidden), whole: after(call.output.saturating_sub(1)) }
            }
            // Its gap has no bound of its own: the first that is shown may follow the first of all at once.
            Latency::Profile(law) => law.least(streams, luck, call),
        }
    }
    /// p90 of the TTFT of a typical call, what a gateway assumes before it has measured.
    pub fn ttft_p90(&self) -> SimTime {
        match self {
            Latency::LogNormal(law) => {
                SimTime::from_secs_f64(law.ttft_p50_s * libm::exp(random::dist::Z90 * law.sigma()))
            }
            Latency::Profile(law) => law.ttft_p90(),
        }
    }
}

#[cfg(test)]
#[path = "latency/tests.rs"]
mod tests;
