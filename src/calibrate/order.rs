//! Whether policies stand in the measured order: only those that a measurement tells apart are asked about.
use serde::Serialize;

/// A policy's figure.
#[derive(Debug, Clone, PartialEq)]
pub struct Ordered {
    /// Name of the policy.
    pub policy: String,
    /// Figure by the model.
    pub predicted: f64,
    /// Figure as measured.
    pub measured: f64,
}

/// Pairs of policies whose figures were told apart, and how many of them are predicted in the same order.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize)]
pub struct Order {
    /// Pairs told apart.
    pub pairs: u64,
    /// Pairs told apart that are predicted in the measured order.
    pub agree: u64,
    /// What was too close to be told apart.
    #[serde(skip)]
    pub ties: Vec<String>,
    /// What stands the other way round.
    #[serde(skip)]
    pub wrong: Vec<String>,
}

impl Order {
    /// Judges all pairs at one load. Two figures are told apart where the larger is more than `factor` times the smaller
    /// (at least, for a factor of 2 or more).
    pub fn judge(&mut self, place: &str, metric: &str, figures: &[Ordered], factor: f64) {
        for (i, a) in figures.iter().enumerate() {
            for b in &figures[i + 1..] {
                let (low, high) = if a.measured <= b.measured { (a, b) } else { (b, a) };
                let ratio = high.measured / low.measured;
                let apart = if factor >= 2.0 { ratio >= factor } else { ratio > factor };
                let pair = format!(
                    "{place}: {metric} of {} and {}: measured {:.3} and {:.3}, simulated {:.3} and {:.3}",
                    low.policy, high.policy, low.measured, high.measured, low.predicted, high.predicted
                );
                if !apart {
                    self.ties.push(pair);
                    continue;
                }
                self.pairs += 1;
                if low.predicted < high.predicted {
                    self.agree += 1;
                } else {
                    self.wrong.push(pair);
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_figures_that_are_apart_are_judged() {
        let of = |policy: &str, predicted, measured| Ordered { policy: policy.into(), predicted, measured };
        let figures = [of("a", 1.0, 1.0), of("b", 0.9, 1.2), of("c", 0.8, 3.0), of("d", 9.0, 4.0)];
        let mut order = Order::default();
        order.judge("2/s", "ttft_mean_s", &figures, 1.3);
        // Apart: a-c (wrong), a-d, b-c (wrong), b-d, c-d; a-b is a tie.
        assert_eq!((order.pairs, order.agree, order.ties.len()), (5, 3, 1));
        assert!(order.wrong[0].starts_with("2/s: ttft_mean_s of a and c: measured 1.000 and 3.000"), "{order:?}");
        let mut order = Order::default();
        order.judge("", "m", &[of("a", 1.0, 1.0), of("b", 1.0, 2.0)], 2.0);
        assert_eq!((order.pairs, order.agree), (1, 0), "a factor of 2 is enough, and equal is not in order");
    }
}
