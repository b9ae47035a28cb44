//! Uniform numbers that cover their range evenly: every stretch of `n` numbers has one in each n-th part.
//!
//! Must hold: number i depends on (key, n, i) alone; different keys give independent orders. The order within a stretch is a
//! keyed permutation (eight Feistel rounds of `mix`, walked until they fall inside), the place within a part a hash.
use super::StreamFamily;
use super::stream::mix;
use rand::Rng;

/// A sequence of stratified uniform numbers.
#[derive(Debug, Clone)]
pub struct Even {
    family: StreamFamily,
    n: u64,
    /// Bits of half a Feistel word.
    half: u32,
    /// The stretch last used and its key.
    last: (u64, u64),
}

impl Even {
    /// Stretches of `n` numbers (at least 1), keyed by `family`.
    pub fn new(family: StreamFamily, n: u64) -> Even {
        let n = n.max(1);
        let bits = 64 - (n - 1).leading_zeros();
        let key = family.at(0, 0).next_u64();
        Even { family, n, half: bits.div_ceil(2).max(1), last: (0, key) }
    }

    /// Number `index`, in (0, 1).
    pub fn at(&mut self, index: u64) -> f64 {
        let (stretch, place) = (index / self.n, index % self.n);
        if self.last.0 != stretch {
            self.last = (stretch, self.family.at(stretch, 0).next_u64());
        }
        let key = self.last.1;
        let mut part = self.round(place, key);
        while part >= self.n {
            part = self.round(part, key);
        }
        let within = ((mix(key ^ mix(place)) >> 11) as f64 + 0.5) / 9_007_199_254_740_992.0;
        ((part as f64 + within) / self.n as f64).min(1.0 - f64::EPSILON / 2.0)
    }

    /// A permutation of the numbers under 4^half.
    fn round(&self, x: u64, key: u64) -> u64 {
        let mask = (1u64 << self.half) - 1;
        let (mut left, mut right) = (x >> self.half, x & mask);
        for round in 0..8u64 {
            (left, right) = (right, left ^ (mix(key ^ (right << 8 | round)) >> 32 & mask));
        }
        left << self.half | right
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::random::StreamKey;

    #[test]
    fn every_stretch_has_one_in_each_part_and_keys_give_other_orders() {
        for n in [1u64, 2, 3, 7, 64, 402, 1000] {
            let family = |name| StreamKey { seed: 1, replicate: 0, name }.family();
            let (mut even, mut other) = (Even::new(family("a"), n), Even::new(family("b"), n));
            for stretch in 0..3 {
                let numbers: Vec<f64> = (0..n).map(|i| even.at(stretch * n + i)).collect();
                let mut parts: Vec<u64> = numbers.iter().map(|u| (u * n as f64) as u64).collect();
                parts.sort_unstable();
                assert_eq!(parts, (0..n).collect::<Vec<_>>(), "{n}");
                assert!(numbers.iter().all(|&u| u > 0.0 && u < 1.0));
                let others: Vec<f64> = (0..n).map(|i| other.at(stretch * n + i)).collect();
                assert_ne!(numbers, others);
            }
        }
    }

    #[test]
    fn neighbours_do_not_depend_on_each_other() {
        let family = StreamKey { seed: 1, replicate: 0, name: "x" }.family();
        let mut even = Even::new(family, 4096);
        let numbers: Vec<f64> = (0..40_960).map(|i| even.at(i)).collect();
        let mean = |x: &dyn Fn(usize) -> f64| (0..40_000).map(x).sum::<f64>() / 40_000.0;
        for lag in [1, 2, 64] {
            let product = mean(&|i| (numbers[i] - 0.5) * (numbers[i + lag] - 0.5));
            // 4.5 standard errors of a product of independent uniforms: 1/12 / sqrt(40,000).
            assert!(product.abs() < 4.5 / 12.0 / 200.0, "{lag}: {product}");
        }
    }
}
