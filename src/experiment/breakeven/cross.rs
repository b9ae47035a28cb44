//! Crossings: volumes at which the cheaper one of two lines changes, found by bisection between volumes of the grid.
//!
//! May import: the search. Must keep true: on both sides of a crossing other lines are the cheaper one, and the sides are no
//! further apart than the tolerance. Costs of own fleets are stairs, so there may be several crossings of a pair; those between
//! two volumes of the grid at which the same line is cheaper stay unseen.
use super::super::run::RunError;
use super::{Crossing, Kind, LinePoint, Options, Search};
use rayon::prelude::*;
use std::cmp::Ordering;
use std::sync::Arc;

/// Two lines at a volume.
type Both = [Arc<LinePoint>; 2];

fn sign([a, b]: &Both) -> Ordering {
    match (a.costs_less_than(b), b.costs_less_than(a)) {
        (true, _) => Ordering::Less,
        (_, true) => Ordering::Greater,
        _ => Ordering::Equal,
    }
}

/// The nearest volume to the geometric mean with five digits.
fn middle(low: f64, high: f64) -> f64 {
    baseload_core::types::numbers::rounded(libm::sqrt(low * high), 5)
}

impl Search<'_> {
    /// All crossings that the grid shows, by pair and volume.
    pub(super) fn crossings(&self, options: &Options<'_>) -> Result<Vec<Crossing>, RunError> {
        let kinds: Vec<Kind> = self.lines.iter().map(|l| l.kind).collect();
        let pairs = kinds.iter().enumerate().flat_map(|(i, a)| kinds[i + 1..].iter().map(move |b| [*a, *b]));
        let mut changes = Vec::new();
        for pair in pairs {
            let mut last_apart: Option<(f64, Ordering)> = None;
            for volume in options.volumes {
                let sign = sign(&self.both(pair, *volume, None)?);
                if sign == Ordering::Equal {
                    continue;
                }
                if let Some((low, _)) = last_apart.filter(|(_, was)| *was != sign) {
                    changes.push((pair, low, *volume));
                }
                last_apart = Some((*volume, sign));
            }
        }
        let found = changes
            .par_iter()
            .with_max_len(1)
            .map(|(pair, low, high)| self.bisect(*pair, *low, *high, options.tolerance));
        found.collect::<Vec<Result<Crossing, RunError>>>().into_iter().collect()
    }

    fn both(&self, pair: [Kind; 2], volume: f64, between: Option<(f64, f64)>) -> Result<Both, RunError> {
        let of = |kind: Kind| {
            let near = between.and_then(|(low, high)| {
                let n = |v: f64| self.known(kind, v).map(|p| p.largest());
                Some((n(low)?, n(high)?))
            });
            self.point(kind, volume, near)
        };
        let (a, b) = rayon::join(|| of(pair[0]), || of(pair[1]));
        Ok([a?, b?])
    }

    fn bisect(&self, pair: [Kind; 2], low: f64, high: f64, tolerance: f64) -> Result<Crossing, RunError> {
        // Hints are of the grid's volumes, so that a point is the same for whoever asks first.
        let grid = (low, high);
        let (mut low, mut high) = grid;
        let was = sign(&self.both(pair, low, None)?);
        while high / low > 1.0 + tolerance {
            let at = middle(low, high);
            if at <= low || at >= high {
                break;
            }
            // Equal counts as changed: from there on the other one costs no more.
            if sign(&self.both(pair, at, Some(grid))?) == was {
                low = at;
            } else {
                high = at;
            }
        }
        let first = usize::from(was == Ordering::Greater);
        let (under, over) = (self.both(pair, low, Some(grid))?, self.both(pair, high, Some(grid))?);
        let usd = |both: &Both| [both[first].usd_per_month, both[1 - first].usd_per_month];
        Ok(Crossing {
            below: pair[first],
            above: pair[1 - first],
            volume: high,
            volume_below: low,
            requests_per_s: self.bench.at_one.requests_per_s() * high,
            usd_per_month_below: usd(&under),
            usd_per_month: usd(&over),
            both_meet_slo: over.iter().all(|p| p.meets_slo),
        })
    }
}
