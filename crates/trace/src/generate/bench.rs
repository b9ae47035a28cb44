//! Arrivals of `vllm bench serve` (vLLM 0.32, benchmarks/serve.py; ../shared/spec/vllm.md, "Arrivals").
use super::gaps::Draws;
use crate::{Bench, RampShape};
use baseload_core::random::dist;

/// Draws them. Without a ramp all gaps are summed first, and then drawn again: nothing is held.
pub(super) struct BenchTimes {
    bench: Bench,
    requests: u64,
    draws: Draws,
    made: u64,
    sum_s: f64,
    stretch: f64,
}

impl BenchTimes {
    pub fn new(bench: Bench, draws: Draws) -> BenchTimes {
        let requests = bench.requests.unwrap_or(0);
        let mut this = BenchTimes { bench, requests, draws, made: 0, sum_s: 0.0, stretch: 1.0 };
        if let (None, Some(rate)) = (bench.ramp, bench.rate)
            && rate.is_finite()
        {
            let all: f64 = (0..requests).map(|i| this.gap_s(i)).sum();
            this.stretch = if all > 0.0 { requests as f64 / rate / all } else { 1.0 };
        }
        this
    }

    /// Requests a second at request `i`.
    fn rate(&self, i: u64) -> f64 {
        let Some(ramp) = self.bench.ramp else { return self.bench.rate.unwrap_or(f64::INFINITY) };
        let progress = i as f64 / (self.requests.max(2) - 1) as f64;
        match ramp.shape {
            RampShape::Linear => ramp.from + (ramp.to - ramp.from) * progress,
            RampShape::Exponential => ramp.from * libm::pow(ramp.to / ramp.from, progress),
        }
    }

    /// The gap before request `i`, s.
    fn gap_s(&self, i: u64) -> f64 {
        let rate = self.rate(i);
        if rate.is_infinite() {
            0.0
        } else if self.bench.burstiness.is_infinite() {
            1.0 / rate
        } else {
            let shape = self.bench.burstiness;
            dist::gamma(&mut self.draws.gap(i), shape, 1.0 / (rate * shape))
        }
    }

    pub fn next_s(&mut self) -> Option<f64> {
        if self.made >= self.requests {
            return None;
        }
        self.sum_s += self.gap_s(self.made);
        self.made += 1;
        Some(self.sum_s * self.stretch)
    }
}
