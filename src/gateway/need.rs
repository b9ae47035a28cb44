//! Whether a request needs the strong model, as a router predicts it (RouteLLM, spec/routers.md 3.11).
//!
//! A real router computes a win rate of the strong model from the prompt's text. Here it is drawn for each request, once,
//! from a stated sample of win rates, by class where classes differ. The calibration is RouteLLM's: the threshold for a
//! share `s` of strong calls is the sample's quantile `1 - s`.
use super::view::Draws;
use crate::types::RequestView;

/// A sample of numbers in 0..=1, in order; between them quantiles are linear (numpy's default).
#[derive(Debug, Clone, PartialEq)]
pub struct Sample(Vec<f64>);

impl Sample {
    /// Of at least one number.
    pub fn new(mut numbers: Vec<f64>) -> Sample {
        assert!(!numbers.is_empty(), "sample: it has no numbers");
        numbers.sort_by(f64::total_cmp);
        Sample(numbers)
    }
    /// The quantile `q`, 0..=1.
    pub fn quantile(&self, q: f64) -> f64 {
        let at = q * (self.0.len() - 1) as f64;
        let low = (at as usize).min(self.0.len() - 1);
        let high = (low + 1).min(self.0.len() - 1);
        self.0[low] + (self.0[high] - self.0[low]) * (at - low as f64)
    }
}

/// The rule: strong where the drawn win rate is at least the threshold.
#[derive(Debug, Clone, PartialEq)]
pub struct Need {
    /// The threshold.
    pub threshold: f64,
    /// Win rates of classes that have their own, by the class's name.
    pub classes: Vec<(String, Sample)>,
    /// Win rates of all others.
    pub win_rates: Sample,
}

impl Need {
    /// RouteLLM's threshold for a share of strong calls.
    pub fn calibrated(win_rates: &Sample, strong_share: f64) -> f64 {
        win_rates.quantile(1.0 - strong_share)
    }
    /// Whether this request goes to the strong model; the same at every try and under every policy with these numbers.
    pub fn strong(&self, request: &RequestView<'_>, draws: &Draws) -> bool {
        let own = self.classes.iter().find(|(name, _)| *name == request.class.name);
        let sample = own.map_or(&self.win_rates, |(_, sample)| sample);
        sample.quantile(draws.of_request("policy.need", 0)) >= self.threshold
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
}
