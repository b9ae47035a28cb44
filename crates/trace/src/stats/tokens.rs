//! Token counts of a trace: exact quantiles from how often each value occurs.
use baseload_core::numeric::rank;
use serde::Serialize;
use std::collections::BTreeMap;

/// Values below this are counted in a vector that grows to the largest, the others in a map.
const DENSE: usize = 1 << 20;
/// Bars of a histogram a factor of ten.
const BARS: i32 = 10;

/// Exact quantiles (nearest rank) of token counts.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Quantiles {
    /// Mean.
    pub mean: f64,
    /// Median.
    pub p50: u32,
    /// 90th percentile.
    pub p90: u32,
    /// 99th percentile.
    pub p99: u32,
    /// Largest.
    pub max: u32,
    /// Values from one on: (first value, first value of the next bar, how many), ten bars a factor of ten; empty bars
    /// are left out.
    pub histogram: Vec<(u32, u32, u64)>,
}

/// How often each value occurs.
#[derive(Debug, Default)]
pub struct Counts {
    dense: Vec<u64>,
    sparse: BTreeMap<u32, u64>,
    count: u64,
}

impl Counts {
    /// One more.
    pub fn add(&mut self, value: u32) {
        self.add_many(value, 1);
    }

    /// `n` more of one value.
    pub fn add_many(&mut self, value: u32, n: u64) {
        let at = value as usize;
        self.count += n;
        if at >= DENSE {
            *self.sparse.entry(value).or_insert(0) += n;
            return;
        }
        if at >= self.dense.len() {
            self.dense.resize((at + 1).next_power_of_two(), 0);
        }
        self.dense[at] += n;
    }

    /// Values that occur and how often, smallest first.
    pub fn iter(&self) -> impl Iterator<Item = (u32, u64)> {
        let dense = self.dense.iter().enumerate().filter(|(_, n)| **n > 0).map(|(v, n)| (v as u32, *n));
        dense.chain(self.sparse.iter().map(|(v, n)| (*v, *n)))
    }

    /// The quantiles; zeros where nothing was added.
    pub fn quantiles(&self) -> Quantiles {
        let sum: u128 = self.iter().map(|(v, n)| u128::from(v) * u128::from(n)).sum();
        let ranks = [500_000, 900_000, 990_000, 1_000_000].map(|ppm| rank(self.count, ppm));
        let (mut found, mut below) = ([0; 4], 0);
        for (value, n) in self.iter() {
            let before = below;
            below += n;
            ranks
                .iter()
                .zip(&mut found)
                .filter(|(r, _)| (before + 1..=below).contains(*r))
                .for_each(|(_, f)| *f = value);
        }
        Quantiles {
            mean: sum as f64 / self.count.max(1) as f64,
            p50: found[0],
            p90: found[1],
            p99: found[2],
            max: found[3],
            histogram: self.histogram(),
        }
    }

    fn histogram(&self) -> Vec<(u32, u32, u64)> {
        let mut bars: Vec<(u32, u32, u64)> = Vec::new();
        for (value, n) in self.iter().filter(|(v, _)| *v > 0) {
            match bars.last_mut() {
                Some(last) if value < last.1 => last.2 += n,
                _ => {
                    let (from, to) = bar_of(value);
                    bars.push((from, to, n));
                }
            }
        }
        bars
    }
}

/// First value of the bar that `value` is in, and of the next.
fn bar_of(value: u32) -> (u32, u32) {
    let edge = |k: i32| libm::ceil(libm::pow(10.0, f64::from(k) / f64::from(BARS))).min(f64::from(u32::MAX)) as u32;
    let mut k = (libm::log10(f64::from(value)) * f64::from(BARS)).floor() as i32;
    // Near an edge the logarithm may be a hair off.
    while edge(k) > value {
        k -= 1;
    }
    while edge(k + 1) <= value && edge(k + 1) < u32::MAX {
        k += 1;
    }
    (edge(k), edge(k + 1))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn quantiles_are_those_of_the_sorted_values(mut values in prop::collection::vec(
            prop_oneof![0u32..50, 0u32..100_000, 1_048_000u32..1_050_000, any::<u32>()], 1..200)) {
            let mut counts = Counts::default();
            values.iter().for_each(|v| counts.add(*v));
            values.sort_unstable();
            let q = counts.quantiles();
            let at = |percent: usize| values[((values.len() * percent).div_ceil(100)).max(1) - 1];
            prop_assert_eq!([q.p50, q.p90, q.p99, q.max], [at(50), at(90), at(99), at(100)]);
            let sum: u64 = values.iter().map(|v| u64::from(*v)).sum();
            prop_assert_eq!(q.mean, sum as f64 / values.len() as f64);
            let in_bars: u64 = q.histogram.iter().map(|b| b.2).sum();
            prop_assert_eq!(in_bars as usize, values.iter().filter(|v| **v > 0).count());
            prop_assert!(q.histogram.windows(2).all(|w| w[0].1 <= w[1].0));
        }
    }

    #[test]
    fn bars_are_ten_a_factor_of_ten() {
        assert_eq!(bar_of(1), (1, 2));
        assert_eq!(bar_of(100), (100, 126));
        assert_eq!(bar_of(125), (100, 126));
        assert_eq!(bar_of(126), (126, 159));
        assert_eq!(bar_of(1000).0, 1000);
    }
}
