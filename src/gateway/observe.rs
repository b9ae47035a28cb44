//! What a gateway can know: its own counts (exact), scraped engine signals (as old as the scrape), and what it measured.
use crate::types::{Load, SimTime};
use std::collections::VecDeque;

/// Engine signals as a scraper sees them: samples at fixed instants, visible `delay` later, taken lazily.
#[derive(Debug, Clone)]
pub struct ScrapedLoad {
    interval: SimTime,
    delay: SimTime,
    samples: VecDeque<(SimTime, Load)>,
}

impl ScrapedLoad {
    /// Samples every `interval`, seen `delay` later; empty until the first instant passed.
    pub fn new(interval: SimTime, delay: SimTime) -> ScrapedLoad {
        assert!(interval > SimTime::ZERO, "scrape-interval: must be longer than zero");
        ScrapedLoad { interval, delay, samples: VecDeque::from([(SimTime::ZERO, Load::default())]) }
    }
    /// The last sampling instant strictly before `t` (samples come last at an instant).
    fn last_instant(&self, t: SimTime) -> SimTime {
        SimTime(t.0.saturating_sub(1) / self.interval.0 * self.interval.0)
    }
    /// Must be called with the state that holds just before a change at `now`.
    pub fn before_change(&mut self, now: SimTime, current: Load) {
        let instant = self.last_instant(now);
        if self.samples.back().is_none_or(|(at, _)| *at < instant) {
            self.samples.push_back((instant, current));
        }
        let visible = self.last_instant(SimTime(now.0.saturating_sub(self.delay.0)));
        while self.samples.len() > 1 && self.samples[1].0 <= visible {
            self.samples.pop_front();
        }
    }
    /// What a gateway sees at `now`, if the engine's present state is `current`. A pure read.
    pub fn seen(&self, now: SimTime, current: Load) -> Load {
        let visible = self.last_instant(SimTime(now.0.saturating_sub(self.delay.0)));
        if self.samples.back().is_none_or(|(at, _)| *at < self.last_instant(now)) && visible == self.last_instant(now) {
            return current;
        }
        let known = self.samples.iter().rev().find(|(at, _)| *at <= visible);
        known.map_or_else(Load::default, |(_, load)| *load)
    }
}

/// A pool's prefill rate as a gateway measures it: tokens ahead of an answer over the time it took.
#[derive(Debug, Clone, Copy)]
pub struct PrefillRate {
    tokens_per_s: u64,
}

impl PrefillRate {
    /// Starts from an assumption in tokens a second.
    pub fn new(assumed_tokens_per_s: u64) -> PrefillRate {
        PrefillRate { tokens_per_s: assumed_tokens_per_s.max(1) }
    }
    /// One answer: `tokens` were assigned and unanswered (its own included) when it was sent `took` ago.
    /// Exponentially weighted, one eighth a sample.
    pub fn learn(&mut self, tokens: u64, took: SimTime) {
        let sample = u128::from(tokens) * 1_000_000_000 / u128::from(took.0.max(1));
        let mixed = (u128::from(self.tokens_per_s) * 7 + sample) / 8;
        self.tokens_per_s = (mixed as u64).max(1);
    }
    /// Predicted TTFT behind `tokens`.
    pub fn predict(&self, tokens: u64) -> SimTime {
        SimTime((u128::from(tokens) * 1_000_000_000 / u128::from(self.tokens_per_s)) as u64)
    }
}

/// Rolling p90 of an endpoint's measured TTFT.
#[derive(Debug, Clone)]
pub struct RollingTtft {
    window: VecDeque<SimTime>,
    p90: SimTime,
}

impl RollingTtft {
    /// Answers remembered.
    const WINDOW: usize = 128;
    /// Answers needed before the measurement replaces the assumption.
    const ENOUGH: usize = 16;

    /// Starts from an assumption.
    pub fn new(assumed: SimTime) -> RollingTtft {
        RollingTtft { window: VecDeque::with_capacity(Self::WINDOW), p90: assumed }
    }
    /// One measured TTFT.
    pub fn learn(&mut self, ttft: SimTime) {
        if self.window.len() == Self::WINDOW {
            self.window.pop_front();
        }
        self.window.push_back(ttft);
        if self.window.len() >= Self::ENOUGH {
            let mut sorted: [SimTime; Self::WINDOW] = [SimTime::ZERO; Self::WINDOW];
            let n = self.window.len();
            for (slot, value) in sorted.iter_mut().zip(&self.window) {
                *slot = *value;
            }
            let (_, p90, _) = sorted[..n].select_nth_unstable((n * 9).div_ceil(10) - 1);
            self.p90 = *p90;
        }
    }
    /// The p90.
    pub fn p90(&self) -> SimTime {
        self.p90
    }
}

/// An own replica as a policy sees it.
#[derive(Debug, Clone, Copy)]
pub struct GatewayView {
    /// Its index in the world.
    pub replica: u32,
    /// Its pool.
    pub pool: u32,
    /// Requests the gateway sent there that have not ended (exact).
    pub outstanding: u32,
    /// Prompt tokens sent there and not answered yet (exact).
    pub unanswered_prompt_tokens: u64,
    /// Scraped, as old as the scrape.
    pub load: Load,
    /// Predicted TTFT of the request at hand.
    pub predicted_ttft: SimTime,
}

/// An endpoint as a policy sees it.
#[derive(Debug, Clone, Copy)]
pub struct EndpointView {
    /// Its index in the world.
    pub endpoint: u32,
    /// Rolling p90 TTFT.
    pub ttft_p90: SimTime,
    /// Expected bill of the request at hand, pico-dollars: its prompt, and the mean output seen so far.
    pub expected_cost_pico: i128,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_scrape_is_as_old_as_its_interval_and_delay() {
        let s = SimTime::from_secs;
        let load = |waiting| Load { waiting, ..Load::default() };
        let mut scraped = ScrapedLoad::new(s(10), s(5));
        scraped.before_change(s(12), load(1)); // held at 10
        assert_eq!(scraped.seen(s(14), load(2)).waiting, 0, "the sample of 10 is seen from 15 on");
        assert_eq!(scraped.seen(s(16), load(2)).waiting, 1);
        scraped.before_change(s(31), load(3)); // held at 20 and 30
        assert_eq!(scraped.seen(s(36), load(9)).waiting, 3);
    }

    #[test]
    fn prediction_follows_measured_rates() {
        let mut rate = PrefillRate::new(1_000);
        assert_eq!(rate.predict(2_000), SimTime::from_secs(2));
        (0..200).for_each(|_| rate.learn(4_000, SimTime::from_secs(1)));
        assert!(rate.predict(4_000) < SimTime::from_millis(1_010));
        let mut ttft = RollingTtft::new(SimTime::from_secs(9));
        (1..=20).for_each(|i| ttft.learn(SimTime::from_secs(i)));
        assert_eq!(ttft.p90(), SimTime::from_secs(18));
    }
}
