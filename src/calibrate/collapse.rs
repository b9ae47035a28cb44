//! Where a policy collapses on a ladder of rates, and how far two policies are apart beyond it.
use super::order::Ordered;
use serde::Serialize;

/// p90 TTFT above which a policy may have collapsed, seconds: it collapses at the first rate where it is above this,
/// and above [`TIMES_BELOW`] times its value one rate below.
const ABOVE_S: f64 = 5.0;
/// How many times its p90 TTFT one rate below a policy's must be where it collapses.
const TIMES_BELOW: f64 = 5.0;
/// Simulated and measured rate may be so many rungs of the ladder apart.
const RUNGS: usize = 1;
/// A simulated ratio of two policies may be off by this factor.
const RATIO_WITHIN: f64 = 2.0;

/// Where a policy collapses.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Collapse {
    /// The policy.
    pub policy: String,
    /// Rate in reality, requests a second; `None` if it never does.
    pub measured: Option<f64>,
    /// Rate by the model.
    pub simulated: Option<f64>,
    /// Whether they agree within one rung of the ladder; a rung above the last one stands for never.
    pub agree: bool,
}

/// The rung at which values on a ladder collapse.
fn rung(ttft_p90_s: &[f64]) -> Option<usize> {
    (1..ttft_p90_s.len()).find(|&i| ttft_p90_s[i] > ABOVE_S && ttft_p90_s[i] > TIMES_BELOW * ttft_p90_s[i - 1])
}

/// Judges a policy by its p90 TTFT at each rate, in the order of `rates`.
pub fn collapse(policy: &str, rates: &[f64], simulated: &[f64], measured: &[f64]) -> Collapse {
    let (s, m) = (rung(simulated), rung(measured));
    let at = |rung: Option<usize>| rung.unwrap_or(rates.len());
    Collapse {
        policy: policy.to_owned(),
        measured: m.map(|i| rates[i]),
        simulated: s.map(|i| rates[i]),
        agree: at(s).abs_diff(at(m)) <= RUNGS,
    }
}

/// Ratio of two policies' p90 TTFT.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Ratio {
    /// The place that was measured, and the two policies whose ratio it is.
    pub name: String,
    /// The measured ratio.
    pub measured: f64,
    /// The simulated ratio.
    pub simulated: f64,
    /// Whether they agree within a factor of 2.
    pub agree: bool,
}

/// Judges the ratio of `over` to `under`.
pub fn ratio(place: &str, over: &Ordered, under: &Ordered) -> Ratio {
    let (measured, simulated) = (over.measured / under.measured, over.predicted / under.predicted);
    let off = simulated / measured;
    let name = format!("{place}{} : {}", over.policy, under.policy);
    Ratio { name, measured, simulated, agree: (1.0 / RATIO_WITHIN..=RATIO_WITHIN).contains(&off) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_collapse_is_a_jump_over_five_seconds_within_a_rung() {
        let rates = [3.0, 4.0, 5.0, 6.0];
        let measured = [1.5, 23.0, 41.0, 62.0];
        let c = collapse("random", &rates, &[1.0, 4.9, 28.0, 40.0], &measured);
        assert_eq!((c.measured, c.simulated, c.agree), (Some(4.0), Some(5.0), true));
        let c = collapse("random", &rates, &[1.0, 1.0, 1.0, 40.0], &measured);
        assert_eq!((c.simulated, c.agree), (Some(6.0), false), "two rungs are too many");
        let c = collapse("precise", &rates, &[0.2, 0.2, 4.0, 19.0], &[0.2; 4]);
        assert_eq!((c.measured, c.simulated, c.agree), (None, None, true), "no jump, no collapse");
        let c = collapse("precise", &rates, &[0.2, 0.2, 0.2, 43.0], &[0.2; 4]);
        assert_eq!((c.simulated, c.agree), (Some(6.0), true), "the last rung is next to never");
    }

    #[test]
    fn a_ratio_may_be_off_by_a_factor_of_two() {
        let of = |predicted, measured| Ordered { policy: String::new(), predicted, measured };
        let r = ratio("8/s ", &of(1.0, 1.0), &of(199.0, 100.0));
        assert!((r.measured - 0.01).abs() < 1e-12 && r.agree, "{r:?}");
        assert!(!ratio("8/s ", &of(1.0, 1.0), &of(201.0, 100.0)).agree);
    }
}
