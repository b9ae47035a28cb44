//! Pickers: who is taken of scored candidates.
use super::view::Draws;

/// How ties of `min_cost` are broken.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Ties {
    /// The first candidate.
    #[default]
    Lowest,
    /// By chance.
    Random,
    /// The first from a place that moves on with every decision.
    Rotate,
}

/// How one candidate is taken.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub enum Picker {
    /// The highest score, the first among equals.
    #[default]
    Max,
    /// The highest score, by chance among equals (llm-d's max-score picker).
    MaxRandom,
    /// By chance, in proportion to the score: the largest `u^(1/score)` (llm-d's weighted random picker). All are equal if all
    /// scores are 0.
    WeightedRandom,
    /// The better of two different candidates taken by chance; the first of them among equals.
    PowerOfTwo,
    /// In turn.
    RoundRobin,
    /// By chance.
    Random,
    /// The lowest cost; with a temperature above 0 by chance, `p ~ exp(-(cost - min) / ((max - min) * temperature))`
    /// (Dynamo, spec/routers.md 3.4).
    MinCost {
        /// 0: the lowest.
        temperature: f64,
        /// Among equals, at temperature 0.
        ties: Ties,
    },
}

impl Picker {
    /// Whether it takes costs as they are.
    pub fn by_cost(self) -> bool {
        matches!(self, Picker::MinCost { .. })
    }
    /// Whether it looks at scores at all.
    pub fn by_score(self) -> bool {
        !matches!(self, Picker::RoundRobin | Picker::Random)
    }
    /// The position of the one that is taken; there is at least one. `turn` counts decisions.
    pub fn pick(self, scores: &[f64], turn: &mut u64, draws: &mut Draws) -> usize {
        let n = scores.len();
        match self {
            Picker::Max => best(scores, |a, b| a > b),
            Picker::MaxRandom => {
                let at = best(scores, |a, b| a > b);
                among_equals(scores, at, draws)
            }
            Picker::WeightedRandom => {
                let even = scores.iter().all(|s| *s <= 0.0);
                let (mut taken, mut most) = (0, f64::NEG_INFINITY);
                for (i, &score) in scores.iter().enumerate() {
                    // One draw a candidate, used or not, so that a weight of one moves no luck of another.
                    let u = draws.uniform01();
                    let weight = if even { 1.0 } else { score };
                    // In logarithms u^(1/w) keeps its order and cannot underflow.
                    let key = libm::log(u) / weight;
                    if weight > 0.0 && key > most {
                        (taken, most) = (i, key);
                    }
                }
                taken
            }
            Picker::PowerOfTwo => {
                if n == 1 {
                    return 0;
                }
                let a = draws.below(n);
                let b = draws.below(n - 1);
                let b = if b >= a { b + 1 } else { b };
                if scores[b] > scores[a] { b } else { a }
            }
            Picker::RoundRobin => {
                let at = (*turn % n as u64) as usize;
                *turn += 1;
                at
            }
            Picker::Random => {
                if n == 1 {
                    return 0;
                }
                draws.below(n)
            }
            Picker::MinCost { temperature, ties } if temperature <= 0.0 => match ties {
                Ties::Lowest => best(scores, |a, b| a < b),
                Ties::Random => {
                    let at = best(scores, |a, b| a < b);
                    among_equals(scores, at, draws)
                }
                Ties::Rotate => {
                    let start = (*turn % n as u64) as usize;
                    *turn += 1;
                    let mut at = start;
                    for i in (start + 1..n).chain(0..start) {
                        if scores[i] < scores[at] {
                            at = i;
                        }
                    }
                    at
                }
            },
            Picker::MinCost { temperature, .. } => softmin(scores, temperature, draws.uniform01()),
        }
    }
}

fn best(scores: &[f64], better: impl Fn(f64, f64) -> bool) -> usize {
    let mut at = 0;
    for i in 1..scores.len() {
        if better(scores[i], scores[at]) {
            at = i;
        }
    }
    at
}

fn among_equals(scores: &[f64], best: usize, draws: &mut Draws) -> usize {
    let equal = scores.iter().filter(|s| **s == scores[best]).count();
    if equal == 1 {
        return best;
    }
    let nth = draws.below(equal);
    let mut equals = scores.iter().enumerate().filter(|(_, s)| **s == scores[best]);
    equals.nth(nth).map_or(best, |(i, _)| i)
}

/// The candidate at `u` of the softmin's distribution.
fn softmin(costs: &[f64], temperature: f64, u: f64) -> usize {
    let (mut min, mut max) = (f64::INFINITY, f64::NEG_INFINITY);
    for &x in costs {
        (min, max) = (min.min(x), max.max(x));
    }
    let weight = |x: f64| if max > min { libm::exp(-(x - min) / ((max - min) * temperature)) } else { 1.0 };
    let mut left = u * costs.iter().map(|&x| weight(x)).sum::<f64>();
    for (i, &x) in costs.iter().enumerate() {
        left -= weight(x);
        if left < 0.0 {
            return i;
        }
    }
    costs.len() - 1
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shares(picker: Picker, scores: &[f64]) -> Vec<f64> {
        let (mut counts, mut turn) = (vec![0.0; scores.len()], 0);
        for i in 0..20_000 {
            counts[picker.pick(scores, &mut turn, &mut Draws::new(1, 0, i, 0))] += 1.0 / 20_000.0;
        }
        counts
    }
    fn near(a: &[f64], b: &[f64]) {
        assert!(a.iter().zip(b).all(|(x, y)| (x - y).abs() < 0.015), "{a:?} is not {b:?}");
    }

    #[test]
    fn each_picker_gives_its_shares() {
        near(&shares(Picker::Max, &[0.5, 0.9, 0.9]), &[0.0, 1.0, 0.0]);
        near(&shares(Picker::MaxRandom, &[0.5, 0.9, 0.9]), &[0.0, 0.5, 0.5]);
        near(&shares(Picker::WeightedRandom, &[1.0, 3.0, 0.0]), &[0.25, 0.75, 0.0]);
        near(&shares(Picker::WeightedRandom, &[0.0, 0.0]), &[0.5, 0.5]);
        near(&shares(Picker::Random, &[0.0, 0.0, 9.0, 0.0]), &[0.25, 0.25, 0.25, 0.25]);
        near(&shares(Picker::RoundRobin, &[0.0, 0.0]), &[0.5, 0.5]);
        near(&shares(Picker::PowerOfTwo, &[1.0, 2.0, 3.0]), &[0.0, 1.0 / 3.0, 2.0 / 3.0]);
    }

    #[test]
    fn dynamos_temperature_vector() {
        let soft = Picker::MinCost { temperature: 0.5, ties: Ties::Random };
        near(&shares(soft, &[100.0, 120.0]), &[0.8808, 0.1192]);
        near(&shares(soft, &[7.0, 7.0]), &[0.5, 0.5]);
        assert_eq!(softmin(&[100.0, 120.0], 0.5, 0.8807), 0);
        assert_eq!(softmin(&[100.0, 120.0], 0.5, 0.8809), 1);
    }

    #[test]
    fn ties_of_the_lowest_cost() {
        let rotate = Picker::MinCost { temperature: 0.0, ties: Ties::Rotate };
        let mut turn = 0;
        let mut at = |costs: &[f64]| rotate.pick(costs, &mut turn, &mut Draws::new(0, 0, 0, 0));
        assert_eq!([at(&[2.0, 2.0, 2.0]), at(&[2.0, 2.0, 2.0]), at(&[1.0, 2.0, 2.0])], [0, 1, 0]);
    }
}
