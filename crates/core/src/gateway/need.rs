//! Whether a request needs the strong model, as a router predicts it (RouteLLM, spec/routers.md 3.11).
//!
//! A real router computes a win rate of the strong model from the prompt's text. Here it is drawn for each request, once,
//! from a stated sample of win rates, by class where classes differ. The calibration is RouteLLM's: the threshold for a
//! share `s` of strong calls is the sample's quantile `1 - s`. Where it is known how good answers are, a synthetic predictor
//! of a stated quality stands in for a real one.
use super::answers::Pair;
use super::view::Draws;
use crate::numeric::sorted_quantile;
use crate::random::dist;
use crate::types::RequestView;

/// A sample of numbers in 0..=1, in order; between them quantiles are linear (numpy's default).
#[derive(Debug, Clone, PartialEq)]
pub struct Sample(Vec<f64>);

impl Sample {
    /// A sample of `numbers`, of which there is at least one.
    pub fn new(mut numbers: Vec<f64>) -> Sample {
        assert!(!numbers.is_empty(), "sample: it has no numbers");
        numbers.sort_by(f64::total_cmp);
        Sample(numbers)
    }
    /// The quantile `q`, 0..=1.
    pub fn quantile(&self, q: f64) -> f64 {
        sorted_quantile(&self.0, q).expect("sample: it has no numbers")
    }
}

/// The rule.
#[derive(Debug, Clone, PartialEq)]
pub enum Need {
    /// Strong where the drawn win rate is at least the threshold. It says nothing of how good an answer would be.
    Drawn {
        /// The threshold.
        threshold: f64,
        /// Win rates of classes that have their own, by the class's name.
        classes: Vec<(String, Sample)>,
        /// Win rates of all others.
        win_rates: Sample,
    },
    /// Strong where the score of a synthetic predictor is at least the threshold.
    Predicted {
        /// What it predicts.
        pair: Pair,
        /// How the predictor scores, and the threshold.
        predictor: Predictor,
    },
    /// Strong where only the strong model's answer is above the bar: nobody can know this.
    Oracle(Pair),
}

/// A predictor of stated quality (binormal model): its score is normal with a standard deviation of 1, around 0 for requests
/// that do not need the strong model and around `distance` for those that do.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Predictor {
    /// Distance between the mean scores of needy and other requests, at least 0, in standard deviations.
    pub distance: f64,
    /// The score from which on a request is strong.
    pub threshold: f64,
}

impl Predictor {
    /// A predictor with an area under the ROC curve of `auc` (0.5 to below 1), its threshold set so that `strong_share`
    /// of requests (0 to 1) are strong where `needy` (0 to 1) need it.
    pub fn calibrated(auc: f64, strong_share: f64, needy: f64) -> Predictor {
        let distance = std::f64::consts::SQRT_2 * dist::normal_quantile(auc).max(0.0);
        let share = |t: f64| needy * dist::normal_share(distance - t) + (1.0 - needy) * dist::normal_share(-t);
        // Scores come of `normal_quantile`, which is within these.
        let (mut low, mut high) = (-40.0, 40.0 + distance);
        for _ in 0..100 {
            let middle = 0.5 * (low + high);
            if share(middle) > strong_share { low = middle } else { high = middle }
        }
        let threshold = match strong_share {
            0.0 => f64::INFINITY,
            1.0 => f64::NEG_INFINITY,
            _ => 0.5 * (low + high),
        };
        Predictor { distance, threshold }
    }
}

impl Need {
    /// RouteLLM's threshold for a share of strong calls.
    pub fn calibrated(win_rates: &Sample, strong_share: f64) -> f64 {
        win_rates.quantile(1.0 - strong_share)
    }
    /// Whether this request goes to the strong model; the same at every try and under every policy with these numbers.
    pub fn strong(&self, request: &RequestView<'_>, draws: &Draws) -> bool {
        let luck = || draws.of_request("policy.need", 0);
        match self {
            Need::Drawn { threshold, classes, win_rates } => {
                let own = classes.iter().find(|(name, _)| *name == request.class.name);
                own.map_or(win_rates, |(_, sample)| sample).quantile(luck()) >= *threshold
            }
            Need::Predicted { pair, predictor } => {
                let mean = if pair.needs_strong(request.index, request.arrival) { predictor.distance } else { 0.0 };
                mean + dist::normal_quantile(luck()) >= predictor.threshold
            }
            Need::Oracle(pair) => pair.needs_strong(request.index, request.arrival),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_threshold_for_a_share_is_the_quantile_of_the_rest() {
        let w = Sample::new(vec![0.5, 0.4, 0.1, 0.2, 0.3]);
        let threshold = Need::calibrated(&w, 0.4);
        assert!((threshold - 0.34).abs() < 1e-12, "{threshold}");
        let strong: Vec<f64> = [0.1, 0.2, 0.3, 0.4, 0.5].into_iter().filter(|w| *w >= threshold).collect();
        assert_eq!(strong, [0.4, 0.5]);
    }

    #[test]
    fn a_predictor_has_its_auc_and_its_share() {
        use crate::random::stream;
        const N: u64 = 40_000;
        for (auc, share, needy) in
            [(0.5, 0.2, 0.17), (0.7, 0.5, 0.17), (0.9, 0.2, 0.17), (0.7, 0.8, 0.5), (0.8, 0.01, 0.9)]
        {
            let p = Predictor::calibrated(auc, share, needy);
            let score = |i| {
                let needs = dist::uniform01(&mut stream(1, 0, "t.needs", i, 0)) < needy;
                let luck = dist::normal_quantile(dist::uniform01(&mut stream(1, 0, "t.luck", i, 0)));
                (luck + if needs { p.distance } else { 0.0 }, needs)
            };
            let mut scores: Vec<(f64, bool)> = (0..N).map(score).collect();
            let strong = scores.iter().filter(|(s, _)| *s >= p.threshold).count() as f64 / N as f64;
            assert!((strong - share).abs() < 0.01, "{auc} {share} {needy}: {strong}");
            // Mann-Whitney: of a pair of one that needs it and one that does not, how often the first has the higher score.
            scores.sort_by(|a, b| a.0.total_cmp(&b.0));
            let (mut below, mut won) = (0u64, 0u64);
            for (_, needs) in &scores {
                if *needs { won += below } else { below += 1 }
            }
            let measured = won as f64 / (below * (N - below)) as f64;
            assert!((measured - auc).abs() < 0.01, "{auc} {share} {needy}: {measured}");
        }
        assert_eq!(Predictor::calibrated(0.7, 0.0, 0.2).threshold, f64::INFINITY);
        assert_eq!(Predictor::calibrated(0.7, 1.0, 0.2).threshold, f64::NEG_INFINITY);
    }
}
