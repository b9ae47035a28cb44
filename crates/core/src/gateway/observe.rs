//! What a gateway can know: its own counts (exact), scraped engine signals (as old as the scrape), and what it measured.
use crate::types::{Load, SimTime};
use std::collections::VecDeque;

/// Engine signals as a scraper sees them: samples at fixed instants, visible `delay` later, taken lazily. A sample comes
/// last at its instant, and is seen strictly after its delay.
#[derive(Debug, Clone)]
pub struct ScrapedLoad {
    interval: SimTime,
    delay: SimTime,
    /// Samples that may still be seen, oldest first.
    samples: VecDeque<(SimTime, Load)>,
    /// The first instant that has not been sampled.
    next: SimTime,
}

impl ScrapedLoad {
    /// Samples every `interval`, seen `delay` later; empty until the first instant passed.
    pub fn new(interval: SimTime, delay: SimTime) -> ScrapedLoad {
        assert!(interval > SimTime::ZERO, "scrape-interval: must be longer than zero");
        ScrapedLoad { interval, delay, samples: VecDeque::from([(SimTime::ZERO, Load::default())]), next: interval }
    }
    /// The last sampling instant strictly before `t`.
    fn last_instant(&self, t: SimTime) -> SimTime {
        SimTime(t.0.saturating_sub(1) / self.interval.0 * self.interval.0)
    }
    /// The sampling instant that is seen at `now`: a load that was seen stays the same for as long as this does.
    pub fn visible(&self, now: SimTime) -> SimTime {
        self.last_instant(SimTime(now.0.saturating_sub(self.delay.0)))
    }
    /// Must be called before a backend changes at `now`; `load_at` tells its state at the end of any instant since its last
    /// change. Instants that nobody can see any more are not sampled.
    pub fn before_change(&mut self, now: SimTime, load_at: impl Fn(SimTime) -> Load) {
        if now <= self.next {
            return; // no instant has passed since: most changes
        }
        let (visible, last) = (self.visible(now), self.last_instant(now));
        while self.samples.len() > 1 && self.samples[1].0 <= visible {
            self.samples.pop_front();
        }
        let mut at = self.next.max(visible);
        while at <= last {
            if at == visible {
                self.samples.clear();
            }
            self.samples.push_back((at, load_at(at)));
            at += self.interval;
        }
        self.next = at;
    }
    /// What a gateway sees at `now`; `load_at` as for `before_change`. A pure read.
    pub fn seen(&self, now: SimTime, load_at: impl Fn(SimTime) -> Load) -> Load {
        let visible = self.visible(now);
        if visible >= self.next {
            return load_at(visible);
        }
        let known = self.samples.iter().rev().find(|(at, _)| *at <= visible);
        known.map_or_else(Load::default, |(_, load)| *load)
    }
}

/// Prompt tokens a second that a gateway assumes of a replica before it has measured any, where nobody says. Assumption: an
/// 8B model on one H100, 16 GFLOP a token at a third of 989 TFLOP/s.
pub const ASSUMED_PREFILL_TOKENS_PER_S: u64 = 20_000;

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
    stale: bool,
}

impl RollingTtft {
    /// Answers remembered.
    const WINDOW: usize = 128;
    /// Answers needed before the measurement replaces the assumption.
    const ENOUGH: usize = 16;

    /// Starts from an assumption.
    pub fn new(assumed: SimTime) -> RollingTtft {
        RollingTtft { window: VecDeque::with_capacity(Self::WINDOW), p90: assumed, stale: false }
    }
    /// One measured TTFT.
    pub fn learn(&mut self, ttft: SimTime) {
        if self.window.len() == Self::WINDOW {
            self.window.pop_front();
        }
        self.window.push_back(ttft);
        self.stale = self.window.len() >= Self::ENOUGH;
    }
    /// The p90.
    pub fn p90(&mut self) -> SimTime {
        if self.stale {
            let mut sorted: [SimTime; Self::WINDOW] = [SimTime::ZERO; Self::WINDOW];
            let n = self.window.len();
            for (slot, value) in sorted.iter_mut().zip(&self.window) {
                *slot = *value;
            }
            let (_, p90, _) = sorted[..n].select_nth_unstable((n * 9).div_ceil(10) - 1);
            (self.p90, self.stale) = (*p90, false);
        }
        self.p90
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_scrape_is_as_old_as_its_interval_and_delay() {
        let s = SimTime::from_secs;
        let load = |waiting| Load { waiting, ..Load::default() };
        let mut scraped = ScrapedLoad::new(s(10), s(5));
        let held = |waiting| move |_| load(waiting);
        scraped.before_change(s(12), held(1)); // held at 10
        assert_eq!(scraped.seen(s(14), held(2)).waiting, 0, "the sample of 10 is seen from 15 on");
        assert_eq!(scraped.seen(s(16), held(2)).waiting, 1);
        scraped.before_change(s(31), held(3)); // held at 20 and 30
        assert_eq!(scraped.seen(s(36), held(9)).waiting, 3);
    }

    proptest::proptest! {
        #[test]
        fn lazy_samples_are_those_of_an_eager_scraper(
            interval in 1u64..20,
            delay in 0u64..70,
            gaps in proptest::collection::vec(0u64..30, 1..40),
        ) {
            // What the backend shows changes with every change, and by itself with time.
            let load = |change: usize, at: SimTime| {
                Load { waiting: change as u32, kv_used_blocks: (at.0 / 3) as u32, ..Load::default() }
            };
            let mut scraped = ScrapedLoad::new(SimTime(interval), SimTime(delay));
            let mut eager = vec![(0, Load::default())];
            let (mut now, mut sampled) = (0, 0);
            for (i, &gap) in gaps.iter().enumerate() {
                now += gap;
                while (sampled + 1) * interval < now {
                    sampled += 1;
                    eager.push((sampled * interval, load(i, SimTime(sampled * interval))));
                }
                let seen = eager.iter().rev().find(|(at, _)| at + delay < now).map_or(Load::default(), |e| e.1);
                proptest::prop_assert_eq!(scraped.seen(SimTime(now), |at| load(i, at)), seen);
                scraped.before_change(SimTime(now), |at| load(i, at));
            }
        }
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
