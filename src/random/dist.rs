//! Distributions on `libm` (crates.md: rand_distr's last bits change when a crate enables `num-traits/std`).
use rand::Rng;

/// Uniform in [0, 1) with 53 bits.
pub fn uniform01(rng: &mut impl Rng) -> f64 {
    (rng.next_u64() >> 11) as f64 / (1u64 << 53) as f64
}

/// Uniform in (0, 1], for logarithms.
fn open01(rng: &mut impl Rng) -> f64 {
    1.0 - uniform01(rng)
}

/// Exponential with `rate` events a unit; mean `1 / rate`.
pub fn exponential(rng: &mut impl Rng, rate: f64) -> f64 {
    -libm::log(open01(rng)) / rate
}

/// Standard normal (Box-Muller, one value a call).
pub fn normal(rng: &mut impl Rng) -> f64 {
    let radius = libm::sqrt(-2.0 * libm::log(open01(rng)));
    radius * libm::cos(std::f64::consts::TAU * uniform01(rng))
}

/// Log-normal by its median and the sigma of its logarithm.
pub fn log_normal(rng: &mut impl Rng, median: f64, sigma: f64) -> f64 {
    median * libm::exp(sigma * normal(rng))
}

/// Gamma by shape and scale; mean `shape * scale` (Marsaglia and Tsang 2000; boosted below shape 1).
pub fn gamma(rng: &mut impl Rng, shape: f64, scale: f64) -> f64 {
    if shape < 1.0 {
        let boost = libm::pow(open01(rng), 1.0 / shape);
        return boost * gamma(rng, shape + 1.0, scale);
    }
    let d = shape - 1.0 / 3.0;
    let c = 1.0 / libm::sqrt(9.0 * d);
    loop {
        let x = normal(rng);
        let cubed = 1.0 + c * x;
        if cubed <= 0.0 {
            continue;
        }
        let v = cubed * cubed * cubed;
        if libm::log(open01(rng)) < 0.5 * x * x + d - d * v + d * libm::log(v) {
            return d * v * scale;
        }
    }
}

/// Weibull by shape and scale.
pub fn weibull(rng: &mut impl Rng, shape: f64, scale: f64) -> f64 {
    scale * libm::pow(-libm::log(open01(rng)), 1.0 / shape)
}

/// Pareto with minimum `min` and tail index `alpha`.
pub fn pareto(rng: &mut impl Rng, min: f64, alpha: f64) -> f64 {
    min / libm::pow(open01(rng), 1.0 / alpha)
}

/// Zipf over ranks `0..n` with exponent `s`: rank k has weight `1 / (k + 1)^s` (inverse CDF, O(n)).
pub fn zipf(rng: &mut impl Rng, n: u32, s: f64) -> u32 {
    let weight = |k: u32| 1.0 / libm::pow(f64::from(k) + 1.0, s);
    let total: f64 = (0..n).map(weight).sum();
    let mut left = uniform01(rng) * total;
    for k in 0..n {
        left -= weight(k);
        if left < 0.0 {
            return k;
        }
    }
    n.saturating_sub(1)
}

#[cfg(test)]
mod tests {
    use super::super::stream;
    use super::*;

    fn mean(draw: impl Fn(&mut super::super::Generator) -> f64) -> f64 {
        let mut rng = stream(7, 0, "mean", 0, 0);
        (0..100_000).map(|_| draw(&mut rng)).sum::<f64>() / 1e5
    }

    #[test]
    fn means_are_those_of_the_distributions() {
        let near = |got: f64, want: f64| assert!((got / want - 1.0).abs() < 0.02, "got {got}, want {want}");
        near(mean(|r| exponential(r, 4.0)), 0.25);
        near(mean(|r| gamma(r, 0.25, 4.0)), 1.0);
        near(mean(|r| gamma(r, 3.0, 2.0)), 6.0);
        near(mean(|r| log_normal(r, 100.0, 0.5)), 100.0 * libm::exp(0.125));
        near(mean(|r| weibull(r, 2.0, 1.0)), 0.886_227);
        near(mean(|r| pareto(r, 1.0, 3.0)), 1.5);
        near(mean(|r| f64::from(zipf(r, 2, 1.0))), 1.0 / 3.0);
    }

    fn digest(mut draw: impl FnMut(&mut super::super::Generator) -> f64) -> u64 {
        let mut rng = stream(1, 0, "golden", 0, 0);
        (0..100_000).fold(0xcbf2_9ce4_8422_2325, |h, _| (h ^ draw(&mut rng).to_bits()).wrapping_mul(0x0100_0000_01b3))
    }

    /// 100,000 draws of each distribution, bit for bit, with and without the `frames` feature.
    #[test]
    fn draws_are_pinned() {
        let got = [
            digest(uniform01),
            digest(|r| exponential(r, 1.0)),
            digest(normal),
            digest(|r| log_normal(r, 1.0, 1.0)),
            digest(|r| gamma(r, 0.5, 1.0)),
            digest(|r| weibull(r, 1.5, 1.0)),
            digest(|r| pareto(r, 1.0, 2.0)),
            digest(|r| f64::from(zipf(r, 10, 1.1))),
        ];
        assert_eq!(got.map(|d| format!("{d:016x}")), PINNED);
    }
    const PINNED: [&str; 8] = [
        "86c27c83222fc1ff",
        "4e21dd2d851e5b0f",
        "b813f4a0856bb098",
        "cb31b0f0a3534ca9",
        "ff3d9e13b87448c5",
        "d14849a05caf8e5b",
        "c07c4ab4844dddc4",
        "67a94018df3e37a5",
    ];
}
