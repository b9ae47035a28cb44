//! What a generator file says of numbers of tokens (or milliseconds): one number, a law, or what was measured.
use super::{Fault, fail};
use baseload_core::random::dist;
use baseload_core::types::{TraceFault, wrong};
use rand::Rng;
use schemars::JsonSchema;
use serde::Deserialize;
use std::sync::Arc;

/// A number of tokens. Exactly one of: `constant`; log-normal by `median` and one of `p95` and `sigma`; `uniform`;
/// `zipf_s`; `pareto_shape`; measured `quantiles`; a `table` of values.
#[derive(Debug, Clone, PartialEq, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct LengthSpec {
    /// Always so many tokens.
    pub constant: Option<u32>,
    /// Median of a log-normal, tokens.
    pub median: Option<f64>,
    /// 95th percentile, tokens.
    pub p95: Option<f64>,
    /// Standard deviation of the logarithm.
    pub sigma: Option<f64>,
    /// From the first to the second, each number as likely.
    pub uniform: Option<[u32; 2]>,
    /// Zipf: `min` + k has weight (k + 1)^-s, up to `max`.
    pub zipf_s: Option<f64>,
    /// Pareto with this tail exponent from `min`, cut at `max`.
    pub pareto_shape: Option<f64>,
    /// Points of the quantile function, `[share, tokens]`, straight lines between; shares from 0 to 1, neither falls. Two
    /// points of one share are a jump.
    #[serde(default)]
    pub quantiles: Vec<(f64, u32)>,
    /// `[tokens, weight]`, in order of tokens.
    #[serde(default)]
    pub table: Vec<(u32, f64)>,
    /// Least, tokens; 1 where absent.
    pub min: Option<u32>,
    /// Most, tokens.
    pub max: Option<u32>,
    /// Draws in a row that cover the law evenly (one in each part of equal weight) instead of independently: what is
    /// drawn then has the law's quantiles almost exactly.
    pub even: Option<u64>,
}

/// A checked `LengthSpec`, ready to be drawn from.
#[derive(Debug, Clone, PartialEq)]
pub enum Length {
    /// Always the same; takes nothing from a stream.
    Constant(u32),
    /// Log-normal, rounded and cut.
    LogNormal {
        /// Median, tokens.
        median: f64,
        /// Standard deviation of the logarithm.
        sigma: f64,
        /// Least, tokens.
        min: u32,
        /// Most, tokens.
        max: u32,
    },
    /// Each number from `min` to `max` alike.
    Uniform {
        /// Least, tokens.
        min: u32,
        /// Most, tokens.
        max: u32,
    },
    /// Pareto, rounded and cut.
    Pareto {
        /// Tail exponent.
        shape: f64,
        /// Least, tokens.
        min: u32,
        /// Most, tokens.
        max: u32,
    },
    /// Straight lines between measured quantiles.
    Quantiles(Arc<[(f64, u32)]>),
    /// Values and the sum of the weights up to and with each.
    Table(Arc<[(u32, f64)]>),
}

/// What is wrong with the lengths of the table `key`.
fn refuse<T>(key: &'static str, fault: TraceFault) -> Result<T, Fault> {
    Err((key, TraceFault { what: format!("`{key}` {}", fault.what), ..fault }))
}

/// Values that a Zipf law may have.
const ZIPF_MOST: u32 = 4_000_000;

impl LengthSpec {
    /// Whether nothing is said.
    pub fn is_empty(&self) -> bool {
        *self == LengthSpec::default()
    }

    /// What it says, or what is wrong with it; `key` is its table.
    pub(crate) fn length(&self, key: &'static str) -> Result<Length, Fault> {
        if self.even == Some(0) {
            return refuse(key, TraceFault::new("has `even` of 0").hint("it must be at least 1"));
        }
        if let Some(tokens) = self.constant {
            let alone = LengthSpec { constant: Some(tokens), ..LengthSpec::default() };
            return match tokens {
                _ if *self != alone => refuse(
                    key,
                    TraceFault::new("has a constant and more")
                        .hint("a constant stands alone, without median and its kin"),
                ),
                0 => refuse(key, TraceFault::new("has a constant of 0").hint("it must be at least 1")),
                _ => Ok(Length::Constant(tokens)),
            };
        }
        let log_normal = self.median.is_some() || self.p95.is_some() || self.sigma.is_some();
        let others = [
            self.uniform.is_some(),
            self.zipf_s.is_some(),
            self.pareto_shape.is_some(),
            !self.quantiles.is_empty(),
            !self.table.is_empty(),
        ];
        match others.iter().filter(|o| **o).count() {
            0 => self.log_normal(key),
            1 if !log_normal => self.other(key),
            _ => refuse(
                key,
                TraceFault::new("says two laws")
                    .hint("it needs one of constant, median, uniform, zipf_s, pareto_shape, quantiles and table"),
            ),
        }
    }

    fn log_normal(&self, key: &'static str) -> Result<Length, Fault> {
        let fail = |what: &str| refuse::<Length>(key, TraceFault::new(what));
        let (Some(median), Some(max)) = (self.median, self.max) else {
            return fail("needs a constant, or median and max with one of p95 and sigma");
        };
        if !(median.is_finite() && median > 0.0) {
            return fail("has a median that is not above 0");
        }
        let sigma = match (self.p95, self.sigma) {
            (Some(p95), None) if p95.is_finite() && p95 >= median => dist::sigma_of_p95(p95 / median),
            (Some(_), None) => return fail("has a p95 below its median"),
            (None, Some(sigma)) if sigma.is_finite() && sigma >= 0.0 => sigma,
            (None, Some(_)) => return fail("has a sigma below 0"),
            _ => return fail("needs exactly one of p95 and sigma"),
        };
        let min = self.min.unwrap_or(1);
        if min == 0 || min > max {
            return fail("needs 1 <= min <= max");
        }
        Ok(Length::LogNormal { median, sigma, min, max })
    }

    fn other(&self, key: &'static str) -> Result<Length, Fault> {
        let fail = |what: &str| refuse::<Length>(key, TraceFault::new(what));
        let cut = self.min.is_some() || self.max.is_some();
        if let Some([min, max]) = self.uniform {
            return if cut || min > max {
                fail("needs `uniform = [least, most]`, in this order and without min and max")
            } else {
                Ok(Length::Uniform { min, max })
            };
        }
        if !self.quantiles.is_empty() {
            return if cut {
                refuse(key, TraceFault::new("has quantiles and min or max").hint("quantiles say these themselves"))
            } else {
                check_quantiles(key, self.quantiles.iter().map(|q| (q.0, f64::from(q.1))))?;
                Ok(Length::Quantiles(self.quantiles.as_slice().into()))
            };
        }
        if !self.table.is_empty() {
            let falls = self.table.windows(2).any(|w| w[0].0 >= w[1].0);
            let mut sum = 0.0;
            let sums: Arc<[(u32, f64)]> = self.table.iter().map(|&(v, w)| (v, (sum += w, sum).1)).collect();
            let weights = self.table.iter().all(|t| t.1.is_finite() && t.1 >= 0.0);
            return if cut || falls || !weights || sum <= 0.0 {
                fail(
                    "needs `table = [[tokens, weight], ...]` in order of tokens, weights of 0 or more, without min and max",
                )
            } else {
                Ok(Length::Table(sums))
            };
        }
        let (min, Some(max)) = (self.min.unwrap_or(1), self.max) else { return fail("needs `max`") };
        if min == 0 || min > max {
            return fail("needs 1 <= min <= max");
        }
        if let Some(shape) = self.pareto_shape {
            return if shape.is_finite() && shape > 0.0 {
                Ok(Length::Pareto { shape, min, max })
            } else {
                fail("has a pareto_shape that is not above 0")
            };
        }
        let s = self.zipf_s.unwrap_or(0.0);
        if !(s.is_finite() && s >= 0.0) || max - min >= ZIPF_MOST {
            return fail("needs a zipf_s of 0 or more and at most 4,000,000 values from min to max");
        }
        let mut sum = 0.0;
        let weight = |k: u32| libm::pow(f64::from(k) + 1.0, -s);
        Ok(Length::Table((0..=max - min).map(|k| (min + k, (sum += weight(k), sum).1)).collect()))
    }
}

/// Refuses points that are no quantile function.
pub(super) fn check_quantiles(
    key: &'static str,
    points: impl Iterator<Item = (f64, f64)> + Clone,
) -> Result<(), Fault> {
    let ordered = points.clone().zip(points.clone().skip(1)).all(|(a, b)| a.0 <= b.0 && a.1 <= b.1);
    let (first, last) = (points.clone().next(), points.last());
    if !ordered || first.is_none_or(|p| p.0 != 0.0) || last.is_none_or(|p| p.0 != 1.0) {
        return fail(key, wrong!("`{key}` needs quantiles [[0, ...], ..., [1, ...]] of which neither number falls"));
    }
    Ok(())
}

/// The value at share `u` of points `(share, value)`, straight lines between.
pub(crate) fn at_share<V: Copy + Into<f64>>(points: &[(f64, V)], u: f64) -> f64 {
    let after = points.partition_point(|p| p.0 <= u).clamp(1, points.len().max(2) - 1);
    let (a, b) = (points[after - 1], points[after.min(points.len() - 1)]);
    let (x, y): (f64, f64) = (a.1.into(), b.1.into());
    let width = b.0 - a.0;
    if width > 0.0 { x + (y - x) * ((u - a.0) / width) } else { x }
}

impl Length {
    /// A number of tokens, rounded at once. A stream is made only where something is drawn from it.
    pub fn draw<R: Rng>(&self, stream: impl FnOnce() -> R) -> u32 {
        match *self {
            Length::Constant(tokens) => tokens,
            Length::LogNormal { median, sigma, min, max } => {
                let tokens = dist::log_normal_whole(&mut stream(), median, sigma);
                tokens.clamp(f64::from(min), f64::from(max)) as u32
            }
            _ => self.at(dist::uniform01(&mut stream())),
        }
    }

    /// The quantile at `u`, from 0 to 1 without 1.
    pub fn at(&self, u: f64) -> u32 {
        let cut = |tokens: f64, min: u32, max: u32| tokens.round().clamp(f64::from(min), f64::from(max)) as u32;
        match self {
            Length::Constant(tokens) => *tokens,
            &Length::LogNormal { median, sigma, min, max } => {
                cut(median * libm::exp(sigma * dist::normal_quantile(u)), min, max)
            }
            &Length::Uniform { min, max } => {
                let values = f64::from(max) - f64::from(min) + 1.0;
                (f64::from(min) + (u * values).floor()).min(f64::from(max)) as u32
            }
            &Length::Pareto { shape, min, max } => cut(dist::pareto_quantile(u, min.into(), shape), min, max),
            Length::Quantiles(points) => at_share(points, u).round() as u32,
            Length::Table(sums) => {
                let last = sums.len() - 1;
                let place = u * sums[last].1;
                sums[sums.partition_point(|s| s.1 <= place).min(last)].0
            }
        }
    }
}
