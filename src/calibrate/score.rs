//! Predictions beside measurements: errors by group and over all, as shares of what was measured.
//!
//! Must keep true: quantiles interpolate linearly between order statistics, as NumPy's do, on both sides; metric names
//! end in their unit.
use super::collapse::{Collapse, Ratio};
use super::order::Order;
use baseload_core::numeric::{mean, quantile};
use indexmap::IndexMap;
use serde::Serialize;

/// One prediction and what was measured.
#[derive(Debug, Clone, PartialEq)]
pub struct Pair {
    /// What, such as `ttft_p50_s`.
    pub metric: &'static str,
    /// Value by the model.
    pub predicted: f64,
    /// Value as measured.
    pub measured: f64,
}

/// Predictions that belong together: a run, or rows of one model and load.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Group {
    /// Name of the group.
    pub name: String,
    /// Rows or requests in it.
    pub n: u64,
    /// Predictions.
    pub pairs: Vec<Pair>,
    /// Predictions of shares, which are compared by their difference.
    pub shares: Vec<Pair>,
}

impl Group {
    /// Adds a pair, where both are known and something was measured.
    pub fn add(&mut self, metric: &'static str, predicted: f64, measured: f64) {
        if predicted.is_finite() && measured.is_finite() && measured > 0.0 {
            self.pairs.push(Pair { metric, predicted, measured });
        }
    }
    /// Adds a share, where both are known.
    pub fn add_share(&mut self, metric: &'static str, predicted: f64, measured: f64) {
        if predicted.is_finite() && measured.is_finite() {
            self.shares.push(Pair { metric, predicted, measured });
        }
    }
    /// Adds quantiles over requests of both sides.
    pub fn add_quantiles(&mut self, names: &[(&'static str, f64)], predicted: &[f64], measured: &[f64]) {
        for (name, q) in names {
            if let (Some(p), Some(m)) = (quantile(predicted, *q), quantile(measured, *q)) {
                self.add(name, p, m);
            }
        }
    }
}

/// Errors of one metric, shares.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Errors {
    /// Median of the absolute error over what was measured.
    pub median_ape: f64,
    /// 90th percentile of the absolute error, as a share of what was measured.
    pub p90_ape: f64,
    /// Mean of the signed error over what was measured; above 0 is predicted too slow.
    pub bias: f64,
    /// Pairs it is over.
    #[serde(skip)]
    pub n: u64,
}

/// Errors by metric, in the order of first mention.
pub type Metrics = IndexMap<&'static str, Errors>;

/// Differences of shares of one metric, in percentage points.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Points {
    /// Median of its size.
    pub median: f64,
    /// 90th percentile of its size.
    pub p90: f64,
    /// Mean with its sign; above 0 is predicted too large.
    pub bias: f64,
    /// Pairs it is over.
    #[serde(skip)]
    pub n: u64,
}

/// Differences of shares, by metric.
pub fn points<'a>(shares: impl Iterator<Item = &'a Pair>) -> IndexMap<&'static str, Points> {
    let mut signed: IndexMap<&'static str, Vec<f64>> = IndexMap::new();
    for p in shares {
        signed.entry(p.metric).or_default().push((p.predicted - p.measured) * 100.0);
    }
    let of = |(metric, signed): (&'static str, Vec<f64>)| {
        let sizes: Vec<f64> = signed.iter().map(|e| e.abs()).collect();
        let at = |q| quantile(&sizes, q).unwrap_or(f64::NAN);
        let bias = mean(&signed).unwrap_or(f64::NAN);
        (metric, Points { median: at(0.5), p90: at(0.9), bias, n: signed.len() as u64 })
    };
    signed.into_iter().map(of).collect()
}

/// Errors of pairs, by metric.
pub fn errors<'a>(pairs: impl Iterator<Item = &'a Pair>) -> Metrics {
    let mut signed: IndexMap<&'static str, Vec<f64>> = IndexMap::new();
    for p in pairs {
        signed.entry(p.metric).or_default().push(p.predicted / p.measured - 1.0);
    }
    let of = |(metric, signed): (&'static str, Vec<f64>)| {
        let absolute: Vec<f64> = signed.iter().map(|e| e.abs()).collect();
        let at = |q| quantile(&absolute, q).unwrap_or(f64::NAN);
        let bias = mean(&signed).unwrap_or(f64::NAN);
        (metric, Errors { median_ape: at(0.5), p90_ape: at(0.9), bias, n: signed.len() as u64 })
    };
    signed.into_iter().map(of).collect()
}

/// What `validate` found.
#[derive(Debug, Clone, Default)]
pub struct Scores {
    /// Kind of the data.
    pub kind: &'static str,
    /// Groups that are judged.
    pub groups: Vec<Group>,
    /// Groups that are printed, not judged, and why.
    pub apart: Vec<(Group, &'static str)>,
    /// What the trivial baseline says of the same groups; empty where there is no other group to scale from.
    pub trivial: Vec<Group>,
    /// What people should know: models used, factors, rows left out.
    pub notes: Vec<String>,
    /// Each metric of a group is one figure, which people want to see.
    pub figures: bool,
    /// Whether policies stand in the measured order.
    pub order: Option<Order>,
    /// Pairs of policies and where each collapses.
    pub collapse: Vec<Collapse>,
    /// Ratios of policies that are judged by a factor.
    pub ratios: Vec<Ratio>,
}

impl Scores {
    /// Errors over all judged groups.
    pub fn overall(&self) -> (u64, Metrics) {
        whole(&self.groups)
    }
}

/// Rows and errors over groups.
pub fn whole(groups: &[Group]) -> (u64, Metrics) {
    (groups.iter().map(|g| g.n).sum(), errors(groups.iter().flat_map(|g| &g.pairs)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn errors_are_shares_of_what_was_measured() {
        let mut g = Group { name: "a".into(), n: 3, ..Group::default() };
        for (p, m) in [(1.1, 1.0), (0.8, 1.0), (2.0, 2.0), (1.0, 0.0), (f64::NAN, 1.0)] {
            g.add("ttft_s", p, m);
        }
        let e = errors(g.pairs.iter())["ttft_s"];
        assert!((e.median_ape - 0.1).abs() < 1e-12 && (e.p90_ape - 0.18).abs() < 1e-12, "{e:?}");
        assert!((e.bias + 0.1 / 3.0).abs() < 1e-12 && e.n == 3, "what has no measurement is left out: {e:?}");
    }

    #[test]
    fn the_json_has_the_shape_of_the_issue() {
        let mut g = Group { name: "a".into(), n: 2, ..Group::default() };
        g.add("tpot_s", 3.0, 2.0);
        let json = serde_json::to_value(Scores { kind: "inferencex", groups: vec![g], ..Scores::default() }).unwrap();
        let want = serde_json::json!({"median_ape": 0.5, "p90_ape": 0.5, "bias": 0.5});
        assert_eq!(json["groups"][0], serde_json::json!({"group": "a", "n": 2, "metrics": {"tpot_s": want}}));
        assert_eq!(json["overall"], serde_json::json!({"n": 2, "metrics": {"tpot_s": want}}));
        assert_eq!(json["kind"], "inferencex");
    }
}
