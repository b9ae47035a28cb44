//! What a generator file says of when requests come.
use super::length::check_quantiles;
use super::{Fault, duration, fail, some_duration};
use baseload_core::types::{SimTime, TraceFault};
use schemars::JsonSchema;
use serde::Deserialize;

/// When requests come. Exactly one of `rate`, `states`, `windows` and `bench` is needed.
#[derive(Debug, Clone, PartialEq, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Arrivals {
    /// How irregular arrivals are at a constant rate: a renewal process of unit rate, stretched by `rate`.
    #[serde(default)]
    pub process: Process,
    /// Corners of the rate, in order of time, straight lines between them, constant before the first and after the last.
    #[serde(default)]
    pub rate: Vec<RatePoint>,
    /// The rate keeps a corner's value until the next corner, instead of going there in a straight line.
    #[serde(default)]
    pub steps: bool,
    /// The rate repeats after this time (`24h`: a day). Corners lie before it; from the last one the rate goes to the first.
    #[serde(default, deserialize_with = "some_duration")]
    #[schemars(with = "Option<String>")]
    pub period: Option<SimTime>,
    /// Multiplies the rate in one period after the other, then from the first again (seven numbers: a week of days).
    #[serde(default)]
    pub days: Vec<f64>,
    /// Spans in which the rate is multiplied; overlapping ones multiply each other.
    #[serde(default)]
    pub bursts: Vec<Burst>,
    /// A Markov-modulated Poisson process: one state at a time, the next one any other with equal chance. Starts in the first.
    #[serde(default)]
    pub states: Vec<State>,
    /// Measured windows.
    pub windows: Option<Box<Windows>>,
    /// What `vllm bench serve` sends.
    pub bench: Option<Box<Bench>>,
    /// Arrivals are rounded down to multiples of this, as in traces whose clock ticks slowly.
    #[serde(default, deserialize_with = "some_duration")]
    #[schemars(with = "Option<String>")]
    pub resolution: Option<SimTime>,
}

/// How irregular arrivals are.
#[derive(Debug, Clone, Copy, PartialEq, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub enum Process {
    /// Exponential gaps.
    #[default]
    Poisson,
    /// Equal gaps; the first request comes after one.
    Constant,
    /// Gamma gaps.
    Gamma {
        /// Coefficient of variation of the gaps; 1 is Poisson, above is burstier.
        cv: f64,
    },
    /// Weibull gaps.
    Weibull {
        /// Coefficient of variation of the gaps; 1 is Poisson, above is burstier.
        cv: f64,
    },
}

/// A corner of the rate.
#[derive(Debug, Clone, Copy, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RatePoint {
    /// Time from the start.
    #[serde(deserialize_with = "duration")]
    #[schemars(with = "String")]
    pub at: SimTime,
    /// Requests a second.
    pub per_s: f64,
}

/// A span in which the rate is multiplied.
#[derive(Debug, Clone, Copy, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Burst {
    /// Start of the burst.
    #[serde(deserialize_with = "duration")]
    #[schemars(with = "String")]
    pub at: SimTime,
    /// Length.
    #[serde(deserialize_with = "duration")]
    #[schemars(with = "String")]
    pub duration: SimTime,
    /// Multiplier of the rate.
    pub times: f64,
}

/// A state of a Markov-modulated Poisson process.
#[derive(Debug, Clone, Copy, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct State {
    /// Requests a second while it lasts.
    pub per_s: f64,
    /// How long it lasts on average; exponential.
    #[serde(deserialize_with = "duration")]
    #[schemars(with = "String")]
    pub stay: SimTime,
}

/// The law of gaps in measured windows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Family {
    /// Gamma.
    #[default]
    Gamma,
    /// Weibull.
    Weibull,
}

/// Windows of equal width, in each so many requests or a rate, and how irregular their gaps are. Nothing comes after the last.
///
/// With `requests`, each window has exactly its number: its gaps are drawn and stretched to fill it, the first of all
/// arrivals is at 0 and the last at the end of the last window. With `per_s`, gaps are drawn one after the other.
#[derive(Debug, Clone, PartialEq, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Windows {
    /// Width of a window.
    #[serde(deserialize_with = "duration")]
    #[schemars(with = "String")]
    pub width: SimTime,
    /// Requests in each window. This or `per_s`.
    #[serde(default)]
    pub requests: Vec<u64>,
    /// Requests a second in each window. This or `requests`.
    #[serde(default)]
    pub per_s: Vec<f64>,
    /// Coefficient of variation of the gaps in each window; 1 (Poisson) where absent.
    #[serde(default)]
    pub cv: Vec<f64>,
    /// Law of the gaps.
    #[serde(default)]
    pub family: Family,
    /// With `requests`, instead of `cv` and `family`: gaps by the mean gap of their window as measured, quantiles `[share, gap]`,
    /// drawn evenly.
    #[serde(default)]
    pub gaps: Vec<(f64, f64)>,
}

/// Arrivals of `vllm bench serve`: gaps are Gamma with shape `burstiness` and mean 1/rate, the first request also comes
/// after a gap, and without a ramp all times are stretched so that the last is at requests/rate exactly.
#[derive(Debug, Clone, Copy, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Bench {
    /// `--num-prompts`; the file's `requests` where absent.
    pub requests: Option<u64>,
    /// `--request-rate`, requests a second; `inf` sends all at once. This or `ramp`.
    pub rate: Option<f64>,
    /// `--burstiness`: 1 is Poisson, CV = 1/sqrt(burstiness); `inf` makes equal gaps.
    #[serde(default = "one")]
    pub burstiness: f64,
    /// `--ramp-up-strategy` with its rates. This or `rate`.
    pub ramp: Option<Ramp>,
}

/// A rate that changes from the first request to the last.
#[derive(Debug, Clone, Copy, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Ramp {
    /// How it changes, in the number of the request.
    pub shape: RampShape,
    /// Requests a second at the first request.
    pub from: f64,
    /// Requests a second at the last request.
    pub to: f64,
}

/// How a ramp goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum RampShape {
    /// In a straight line.
    Linear,
    /// By equal factors.
    Exponential,
}

fn one() -> f64 {
    1.0
}

fn within(x: f64, least: f64, most: f64) -> bool {
    x.is_finite() && (least..=most).contains(&x)
}

impl Arrivals {
    /// A renewal process at a constant rate.
    pub fn constant_rate(process: Process, per_s: f64) -> Arrivals {
        Arrivals { process, rate: vec![RatePoint { at: SimTime::ZERO, per_s }], ..Arrivals::default() }
    }

    /// Refuses what cannot be followed; the key at fault comes first.
    pub(crate) fn check(&self) -> Result<(), Fault> {
        if let Process::Gamma { cv } | Process::Weibull { cv } = self.process
            && !within(cv, 0.01, 100.0)
        {
            return fail("cv", "`cv` must be from 0.01 to 100");
        }
        let forms = [!self.states.is_empty(), self.windows.is_some(), self.bench.is_some()];
        match forms.iter().filter(|f| **f).count() {
            0 => return self.check_rate(),
            1 if self.rate.is_empty() && self.bursts.is_empty() && self.period.is_none() && self.days.is_empty() => {}
            _ => return fail("arrivals", "`arrivals` needs exactly one of rate, states, windows and bench"),
        }
        if self.process != Process::Poisson {
            return fail(
                "process",
                TraceFault::new("`process` goes with `rate` alone").hint("states, windows and bench say it themselves"),
            );
        }
        let bad = |s: &State| !within(s.per_s, 0.0, 1e9) || s.stay.0 == 0;
        if !self.states.is_empty() && (self.states.iter().any(bad) || self.states.iter().all(|s| s.per_s == 0.0)) {
            return fail("states", "a state needs `per_s` of 0 or more and `stay` above 0, and some rate above 0");
        }
        if let Some(windows) = &self.windows {
            windows.check()?;
        }
        self.bench.as_deref().map_or(Ok(()), Bench::check)
    }

    fn check_rate(&self) -> Result<(), Fault> {
        let rate = &self.rate;
        if rate.is_empty() || rate.iter().any(|p| !(p.per_s.is_finite() && p.per_s >= 0.0)) {
            return fail("rate", "`rate` needs at least one point, and each `per_s` must be 0 or more");
        }
        if rate.windows(2).any(|w| w[0].at >= w[1].at) {
            return fail("rate", "`rate` points must be in order of time, each later than the one before");
        }
        if rate.iter().all(|p| p.per_s == 0.0) {
            return fail("rate", TraceFault::new("`rate` is 0 throughout").hint("some point must be above 0"));
        }
        if self.bursts.iter().any(|b| !(b.times.is_finite() && b.times >= 0.0) || b.duration.0 == 0) {
            return fail("bursts", "a burst needs `times` of 0 or more and a `duration` above 0");
        }
        let Some(period) = self.period else {
            return if self.days.is_empty() { Ok(()) } else { fail("days", "`days` needs a `period`, such as 24h") };
        };
        if rate.last().is_some_and(|p| p.at >= period) {
            return fail("period", "`period` must be later than the last corner of `rate`");
        }
        let days = &self.days;
        if days.iter().any(|d| !(d.is_finite() && *d >= 0.0)) || !days.is_empty() && days.iter().all(|d| *d == 0.0) {
            return fail("days", "`days` must be 0 or more, and some above 0");
        }
        Ok(())
    }
}

impl Windows {
    /// How many windows there are.
    pub fn count(&self) -> usize {
        self.requests.len().max(self.per_s.len())
    }

    fn check(&self) -> Result<(), Fault> {
        if self.width.0 == 0 {
            return fail("width", "`width` must be above 0");
        }
        if self.requests.is_empty() == self.per_s.is_empty() {
            return fail("windows", "`windows` needs one of `requests` and `per_s`");
        }
        if self.requests.iter().all(|n| *n == 0) && self.per_s.iter().all(|r| *r == 0.0) {
            return fail(
                "windows",
                TraceFault::new("`windows` has no requests at all").hint("some window must have one"),
            );
        }
        if self.requests.iter().any(|n| *n > 100_000_000) || self.per_s.iter().any(|r| !within(*r, 0.0, 1e9)) {
            return fail("windows", "a window takes up to 100,000,000 requests, or a rate from 0 to 1e9 a second");
        }
        if !self.gaps.is_empty() {
            check_quantiles("gaps", self.gaps.iter().copied())?;
            if !self.cv.is_empty() || self.requests.is_empty() || self.gaps.iter().any(|g| !within(g.1, 0.0, 1e9)) {
                return fail("gaps", "`gaps` goes with `requests` and without `cv`, and none is below 0");
            }
        }
        if !self.cv.is_empty() && self.cv.len() != self.count() || self.cv.iter().any(|cv| !within(*cv, 0.0, 1000.0)) {
            return fail("cv", "`cv` needs a number from 0 to 1000 for each window, or none at all");
        }
        Ok(())
    }
}

impl Bench {
    fn check(&self) -> Result<(), Fault> {
        if self.requests.is_none_or(|n| n == 0) {
            return fail("bench", "`bench` needs `requests` of at least 1, in its table or at the top of the file");
        }
        if self.burstiness.is_nan() || self.burstiness <= 0.0 {
            return fail("burstiness", "`burstiness` must be above 0");
        }
        match (self.rate, self.ramp) {
            (Some(rate), None) if rate > 0.0 => Ok(()),
            (None, Some(r)) if within(r.from, 1e-9, 1e9) && within(r.to, 1e-9, 1e9) => Ok(()),
            _ => fail("bench", "`bench` needs one of `rate` and `ramp`, each rate above 0"),
        }
    }
}
