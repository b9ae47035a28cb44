//! Between measured kernels: straight lines through points, and products between the widths of a table.
//!
//! Must keep true: nothing falls with more tokens; a width that the table does not have is an error that names what it has.
use super::LatencyError;
use super::rows::ProductRow;
use std::collections::BTreeMap;

/// Points and the straight lines between them; flat before the first, the last slope after the last.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Line(pub(super) Vec<(f64, f64)>);

impl Line {
    /// From points in any order; a point below an earlier one is lifted, so that the line never falls.
    pub(super) fn rising(points: impl IntoIterator<Item = (f64, f64)>) -> Line {
        let mut points: Vec<(f64, f64)> = points.into_iter().collect();
        points.sort_by(|a, b| a.0.total_cmp(&b.0).then(a.1.total_cmp(&b.1)));
        points.dedup_by(|b, a| a.0 == b.0);
        let mut most = 0.0f64;
        for p in &mut points {
            most = most.max(p.1);
            p.1 = most;
        }
        Line(points)
    }

    pub(super) fn at(&self, x: f64) -> f64 {
        let p = &self.0;
        match p.partition_point(|q| q.0 <= x) {
            0 => p[0].1,
            1 if p.len() == 1 => p[0].1,
            i => {
                let (a, b) = if i < p.len() { (p[i - 1], p[i]) } else { (p[i - 2], p[i - 1]) };
                a.1 + (b.1 - a.1) * (x - a.0) / (b.0 - a.0)
            }
        }
    }
}

/// Products by outputs and inputs.
pub(super) struct Products {
    lines: BTreeMap<(u32, u32), Line>,
    outputs: Vec<u32>,
    inputs: Vec<u32>,
}

impl Products {
    pub(super) fn new(rows: &[ProductRow]) -> Result<Products, LatencyError> {
        let mut points: BTreeMap<(u32, u32), Vec<(f64, f64)>> = BTreeMap::new();
        for r in rows {
            points.entry((r.n, r.k)).or_default().push((r.m.into(), r.seconds));
        }
        let sides = |side: fn(&(u32, u32)) -> u32| {
            let mut all: Vec<u32> = points.keys().map(side).collect();
            all.sort_unstable();
            all.dedup();
            all
        };
        let (outputs, inputs) = (sides(|s| s.0), sides(|s| s.1));
        if outputs.is_empty() {
            return Err(missing("products: the table is empty"));
        }
        Ok(Products { lines: points.into_iter().map(|(s, p)| (s, Line::rising(p))).collect(), outputs, inputs })
    }

    /// Seconds by tokens of a product of `n` outputs and `k` inputs.
    pub(super) fn line(&self, n: f64, k: f64) -> Result<Line, LatencyError> {
        let widest = f64::from(self.outputs[self.outputs.len() - 1]);
        if n > widest {
            let pieces = libm::floor(n / widest);
            let rest = n - pieces * widest;
            let whole = self.line(widest, k)?;
            let rest = if rest >= self.outputs[0].into() { Some(self.line(rest, k)?) } else { None };
            let add = |m: f64| rest.as_ref().map_or(0.0, |r| r.at(m));
            return Ok(Line::rising(whole.0.iter().map(|&(m, s)| (m, pieces * s + add(m)))));
        }
        let ([n0, n1], [k0, k1]) = (between(&self.outputs, n, "outputs")?, between(&self.inputs, k, "inputs")?);
        let corner = |n: u32, k: u32| {
            self.lines
                .get(&(n, k))
                .ok_or_else(|| missing(format!("products: the table lacks {k} inputs to {n} outputs")))
        };
        let corners = [corner(n0, k0)?, corner(n1, k0)?, corner(n0, k1)?, corner(n1, k1)?];
        let (x, y) = (share(n0, n1, n), share(k0, k1, k));
        let weights = [(1.0 - x) * (1.0 - y), x * (1.0 - y), (1.0 - x) * y, x * y];
        let points = corners[0].0.iter().map(|&(m, _)| {
            let log: f64 = corners.iter().zip(weights).map(|(c, w)| w * libm::log(c.at(m))).sum();
            (m, libm::exp(log))
        });
        Ok(Line::rising(points))
    }
}

pub(super) fn missing(text: impl Into<String>) -> LatencyError {
    LatencyError::Options(text.into())
}

/// The neighbours of `x` in sorted `sides`.
fn between(sides: &[u32], x: f64, what: &str) -> Result<[u32; 2], LatencyError> {
    let (least, most) = (sides[0], sides[sides.len() - 1]);
    if x < f64::from(least) || x > f64::from(most) {
        return Err(missing(format!("products: a layer has {x} {what}, and the table has {least} to {most}")));
    }
    let above = sides.partition_point(|s| f64::from(*s) < x);
    let below = if f64::from(sides[above]) == x { above } else { above - 1 };
    Ok([sides[below], sides[above]])
}

/// How far `x` is from `low` to `high`, in logarithms.
fn share(low: u32, high: u32, x: f64) -> f64 {
    if low == high { 0.0 } else { libm::log(x / f64::from(low)) / libm::log(f64::from(high) / f64::from(low)) }
}
