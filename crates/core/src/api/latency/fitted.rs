//! A profile as a law: the time of a whole call, and how much of it passes before the first token.
//!
//! A draw u gives the whole time: the typical time of the call's tokens, times the factor at u. A draw v, which is u itself
//! in a share of the calls, gives the time to first token likewise; it takes at most a share of the whole. The rest is
//! spread over the other tokens. So the quantiles of both times are known in closed form, and those are what
//! `baseload validate --kind api` scores.
//! Must keep true: with the same luck neither time falls when fewer tokens are cached (checked when a profile loads);
//! nothing is allocated after construction.
use super::{Call, DrawKey, Least, Pace, Streams};
use crate::catalog::{ApiProfile, ApiTime};
use crate::random;
use crate::types::SimTime;

/// Nanoseconds in an hour.
const HOUR_NS: u64 = 3_600_000_000_000;

/// The law of one duration.
#[derive(Debug, Clone, PartialEq)]
struct Law {
    base_s: f64,
    prompt_s: f64,
    uncached_s: f64,
    output_s: f64,
    levels: Box<[f64]>,
    /// Logarithms of the knots' typical times.
    knots: Box<[f64]>,
    /// Logarithms of factors, knot by knot.
    factors: Box<[f64]>,
}

impl Law {
    fn new(t: &ApiTime) -> Law {
        Law {
            base_s: t.base_s,
            prompt_s: t.s_per_1000_prompt_tokens / 1e3,
            uncached_s: t.s_per_1000_uncached_tokens / 1e3,
            output_s: t.s_per_1000_output_tokens / 1e3,
            levels: t.levels.as_slice().into(),
            knots: t.knot.iter().map(|k| libm::log(k.typical_s)).collect(),
            factors: t.knot.iter().flat_map(|k| &k.factors).map(|f| libm::log(*f)).collect(),
        }
    }
    /// Seconds that a call of these tokens typically takes.
    fn typical_s(&self, call: &Call) -> f64 {
        let uncached = call.prompt.saturating_sub(call.cached);
        let s = self.base_s
            + self.prompt_s * f64::from(call.prompt)
            + self.uncached_s * f64::from(uncached)
            + self.output_s * f64::from(call.output);
        s.max(1e-3)
    }
    /// The knot at or below a typical time, and how far it is to the next.
    fn knot(&self, log_s: f64) -> (usize, f64) {
        let last = self.knots.len() - 1;
        if log_s <= self.knots[0] {
            return (0, 0.0);
        }
        if log_s >= self.knots[last] {
            return (last, 0.0);
        }
        let i = self.knots.partition_point(|k| *k <= log_s) - 1;
        (i, (log_s - self.knots[i]) / (self.knots[i + 1] - self.knots[i]))
    }
    /// Logarithm of the factor at level `j`.
    fn factor(&self, (knot, on): (usize, f64), j: usize) -> f64 {
        let n = self.levels.len();
        let own = self.factors[knot * n + j];
        if on > 0.0 { own + on * (self.factors[(knot + 1) * n + j] - own) } else { own }
    }
    /// Seconds at the share `u` of the calls like `call`.
    fn quantile(&self, call: &Call, u: f64) -> f64 {
        let typical = self.typical_s(call);
        let knot = if self.knots.len() == 1 { (0, 0.0) } else { self.knot(libm::log(typical)) };
        let j = (self.levels.partition_point(|l| *l <= u).max(1) - 1).min(self.levels.len() - 2);
        let on = (u - self.levels[j]) / (self.levels[j + 1] - self.levels[j]);
        let low = self.factor(knot, j);
        typical * libm::exp(low + on * (self.factor(knot, j + 1) - low))
    }
    /// The share of the calls like `call` that take at most `seconds`.
    fn share(&self, call: &Call, seconds: f64) -> f64 {
        let typical = self.typical_s(call);
        let knot = self.knot(libm::log(typical));
        let x = libm::log(seconds.max(1e-12) / typical);
        let n = self.levels.len();
        if x >= self.factor(knot, n - 1) {
            return 1.0;
        }
        if x < self.factor(knot, 0) {
            return 0.0;
        }
        let (mut low, mut high) = (0, n - 1);
        while high - low > 1 {
            let middle = (low + high) / 2;
            if self.factor(knot, middle) <= x { low = middle } else { high = middle }
        }
        let (a, b) = (self.factor(knot, low), self.factor(knot, low + 1));
        let on = if b > a { (x - a) / (b - a) } else { 0.0 };
        self.levels[low] + on * (self.levels[low + 1] - self.levels[low])
    }
}

/// The law that a profile describes.
#[derive(Debug, Clone, PartialEq)]
pub struct ProfileLaw {
    whole: Law,
    first: Law,
    together: f64,
    most_share: f64,
    hours: Option<[f64; 24]>,
    fastest_hour: f64,
    offset: SimTime,
    typical: Call,
}

impl ProfileLaw {
    /// The law of a profile; `offset` is what the clock of the day shows when the simulation starts.
    pub fn new(p: &ApiProfile, offset: SimTime) -> ProfileLaw {
        let hours: Option<[f64; 24]> = p.hours.as_ref().and_then(|h| h.as_slice().try_into().ok());
        ProfileLaw {
            whole: Law::new(&p.e2e),
            first: Law::new(&p.ttft),
            together: p.together,
            most_share: p.most_ttft_share,
            fastest_hour: hours.map_or(1.0, |h| h.into_iter().fold(f64::INFINITY, f64::min)),
            hours,
            offset,
            typical: Call {
                prompt: p.data.prompt_tokens,
                cached: p.data.cached_tokens,
                output: p.data.output_tokens,
                at: SimTime::ZERO,
            },
        }
    }

    fn hour(&self, at: SimTime) -> f64 {
        let Some(hours) = &self.hours else { return 1.0 };
        hours[(at.0.wrapping_add(self.offset.0) / HOUR_NS % 24) as usize]
    }

    /// Seconds of the whole call and until its first token, for the luck `u` and `v`.
    fn times(&self, call: &Call, hour: f64, u: f64, v: f64) -> (f64, f64) {
        let whole = self.whole.quantile(call, u) * hour;
        if call.output <= 1 {
            return (whole, whole);
        }
        (whole, (self.first.quantile(call, v) * hour).min(whole * self.most_share))
    }

    fn draws(&self, streams: &Streams, luck: DrawKey) -> (f64, f64) {
        let u = Streams::uniform(&streams.speed, luck);
        let mut rng = random::stream(luck.seed, luck.replicate, &streams.ttft, luck.request, luck.try_number);
        let v = random::dist::uniform01(&mut rng);
        let one = random::dist::uniform01(&mut rng) < self.together;
        (u, if one { u } else { v })
    }

    pub(super) fn pace(&self, streams: &Streams, luck: DrawKey, call: &Call) -> Pace {
        let (u, v) = self.draws(streams, luck);
        self.paced(call, self.hour(call.at), u, v)
    }

    fn paced(&self, call: &Call, hour: f64, u: f64, v: f64) -> Pace {
        let (whole, first) = self.times(call, hour, u, v);
        let gaps = f64::from(call.output.saturating_sub(1).max(1));
        Pace {
            first: SimTime::from_secs_f64(first).max(SimTime(1)),
            gap: SimTime::from_secs_f64((whole - first) / gaps),
        }
    }

    pub(super) fn least(&self, streams: &Streams, luck: DrawKey, call: &Call) -> Least {
        let (u, v) = self.draws(streams, luck);
        let (whole, first) = self.times(call, self.fastest_hour, u, v);
        // Rounding of the first token, and of each gap, may take up to a nanosecond from a call.
        let (whole, first) = (SimTime::from_secs_f64(whole).0, SimTime::from_secs_f64(first).0);
        Least {
            first: SimTime(first.saturating_sub(1).max(1)),
            whole: SimTime(whole.saturating_sub(2 + u64::from(call.output)).max(1)),
        }
    }

    /// Seconds that a share `p` of the calls like `call` take at most.
    pub fn e2e_quantile(&self, call: &Call, p: f64) -> f64 {
        self.whole.quantile(call, p) * self.hour(call.at)
    }

    /// Share of the calls like `call` that take at most `seconds`.
    pub fn e2e_share(&self, call: &Call, seconds: f64) -> f64 {
        self.whole.share(call, seconds / self.hour(call.at))
    }

    /// Share of the calls like `call` whose first token comes within `seconds`, before the whole time bounds it.
    pub fn unbounded_ttft_share(&self, call: &Call, seconds: f64) -> f64 {
        self.first.share(call, seconds / self.hour(call.at))
    }

    /// Share of the calls like `call` whose first token comes within `seconds`.
    pub fn ttft_share(&self, call: &Call, seconds: f64) -> f64 {
        if call.output <= 1 {
            return self.e2e_share(call, seconds);
        }
        let first = self.unbounded_ttft_share(call, seconds);
        let whole = self.e2e_share(call, seconds / self.most_share.max(1e-9));
        // The earlier of two times: independent, or both by one draw.
        let apart = 1.0 - (1.0 - first) * (1.0 - whole);
        self.together * first.max(whole) + (1.0 - self.together) * apart
    }

    /// Seconds in which a share `p` of the calls like `call` have their first token.
    pub fn ttft_quantile(&self, call: &Call, p: f64) -> f64 {
        let most = self.first.quantile(call, 1.0) * self.hour(call.at);
        let (mut low, mut high) = (0.0, most.max(self.e2e_quantile(call, 1.0)));
        // 60 halvings: below a part in 1e18 of the range.
        for _ in 0..60 {
            let middle = 0.5 * (low + high);
            if self.ttft_share(call, middle) < p { low = middle } else { high = middle }
        }
        high
    }

    pub(super) fn ttft_p90(&self) -> SimTime {
        SimTime::from_secs_f64(self.ttft_quantile(&Call { output: self.typical.output.max(2), ..self.typical }, 0.9))
    }
}
