//! What a service tier and a model that thinks do to a call, beyond price and pace: refusals of a tier that has no room,
//! answers of a batch that come whenever they come, tokens that nobody sees.
//!
//! Must keep true: each draw has a stream of its own and is keyed by request and try, hidden tokens by the request alone.
use super::DrawKey;
use crate::catalog::Tier;
use crate::random::{self, dist};
use crate::types::SimTime;

/// How an endpoint serves.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Service {
    /// The tier that its price is of.
    pub tier: Tier,
    /// Share of calls that are refused for want of room, with a 429 that is not billed; 0 to 1.
    pub unavailable_share: f64,
    /// How long a job of the batch tier takes; `None` = calls are answered as they come.
    pub turnaround: Option<Turnaround>,
    /// Hidden tokens; `None` = all output is shown.
    pub reasoning: Option<Reasoning>,
}

/// Time from handing a job in to its whole answer: log-normal, and given up after the window.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Turnaround {
    /// Median, seconds.
    pub p50_s: f64,
    /// 95th percentile over median.
    pub p95_over_p50: f64,
    /// What is not done by then expires.
    pub window: SimTime,
}

impl Turnaround {
    /// The window of OpenAI's, Anthropic's and Google's batch interfaces (spec/apis.md 4.3).
    pub const DAY: SimTime = SimTime::from_secs(24 * 3_600);

    fn sigma(&self) -> f64 {
        dist::sigma_of_p95(self.p95_over_p50)
    }
    /// Turnaround of the call that `luck` keys, at least a nanosecond; a call whose turnaround is beyond the window
    /// expires.
    pub fn draw(&self, names: &ServiceStreams, luck: DrawKey) -> SimTime {
        let mut draws = random::stream(luck.seed, luck.replicate, &names.turnaround, luck.request, luck.try_number);
        SimTime::from_secs_f64(dist::log_normal(&mut draws, self.p50_s, self.sigma())).max(SimTime(1))
    }
    /// 90th percentile of the turnaround.
    pub fn p90(&self) -> SimTime {
        SimTime::from_secs_f64(self.p50_s * libm::exp(dist::Z90 * self.sigma())).min(self.window)
    }
}

/// Hidden tokens of an answer: log-normal.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Reasoning {
    /// Median of the hidden tokens of a request.
    pub median_tokens: u32,
    /// Standard deviation of the logarithm.
    pub sigma: f64,
}

impl Reasoning {
    /// Hidden tokens that the model thinks with for a request, the same at every try. `most` is what the client's limit
    /// leaves beside what is shown.
    pub fn draw(&self, names: &ServiceStreams, luck: DrawKey, most: u32) -> u32 {
        let mut draws = random::stream(luck.seed, luck.replicate, &names.reasoning, luck.request, 0);
        let tokens = dist::log_normal(&mut draws, f64::from(self.median_tokens), self.sigma);
        (libm::round(tokens).min(f64::from(u32::MAX)) as u32).min(most)
    }
    /// Mean of the distribution, whole tokens: what a gateway expects.
    pub fn mean_tokens(&self) -> u64 {
        libm::round(f64::from(self.median_tokens) * libm::exp(self.sigma * self.sigma / 2.0)) as u64
    }
}

/// The names of the random streams of an endpoint's service.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ServiceStreams {
    unavailable: String,
    turnaround: String,
    reasoning: String,
}

impl ServiceStreams {
    /// The streams of the endpoint with this name.
    pub fn of(name: &str) -> ServiceStreams {
        let named = |what: &str| format!("endpoint/{name}/{what}");
        ServiceStreams {
            unavailable: named("unavailable"),
            turnaround: named("turnaround"),
            reasoning: named("reasoning"),
        }
    }
}

impl Service {
    /// Whether the tier has no room for this call.
    pub fn refuses(&self, names: &ServiceStreams, luck: DrawKey) -> bool {
        self.unavailable_share > 0.0
            && dist::uniform01(&mut random::stream(
                luck.seed,
                luck.replicate,
                &names.unavailable,
                luck.request,
                luck.try_number,
            )) < self.unavailable_share
    }
    /// Hidden tokens of an answer of `output` tokens whose client asked for at most `max_output`.
    pub fn hidden(&self, names: &ServiceStreams, luck: DrawKey, output: u32, max_output: u32) -> u32 {
        self.reasoning.map_or(0, |r| r.draw(names, luck, max_output.saturating_sub(output)))
    }
}

#[cfg(test)]
#[path = "service_tests.rs"]
mod endpoint_tests;

#[cfg(test)]
mod tests {
    use super::*;

    fn luck(request: u64, try_number: u32) -> DrawKey {
        DrawKey { seed: 1, replicate: 0, request, try_number }
    }

    #[test]
    fn medians_are_as_given_and_draws_repeat() {
        let names = ServiceStreams::of("a");
        let r = Reasoning { median_tokens: 400, sigma: 0.8 };
        let t = Turnaround { p50_s: 3_600.0, p95_over_p50: 4.0, window: Turnaround::DAY };
        let below = (0..4_000).filter(|i| r.draw(&names, luck(*i, 0), u32::MAX) < 400).count();
        assert!((1_900..2_100).contains(&below), "{below}");
        let within = (0..4_000).filter(|i| t.draw(&names, luck(*i, 0)) < t.p90()).count();
        assert!((3_550..3_650).contains(&within), "{within}");
        assert_eq!(r.draw(&names, luck(7, 0), u32::MAX), r.draw(&names, luck(7, 3), u32::MAX), "by request");
        assert_ne!(t.draw(&names, luck(7, 0)), t.draw(&names, luck(7, 3)), "by try");
        assert_eq!((r.draw(&names, luck(7, 0), 5), r.mean_tokens()), (5, 551));
        let flex = Service { unavailable_share: 0.25, ..Service::default() };
        let refused = (0..4_000).filter(|i| flex.refuses(&names, luck(*i, 0))).count();
        assert!((900..1_100).contains(&refused), "{refused}");
        assert!(!Service::default().refuses(&names, luck(0, 0)));
    }
}
