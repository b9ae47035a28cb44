//! A cascade: ask a small model, judge its answer, ask the next (FrugalGPT, spec/routers.md 3.11). Costs accumulate and
//! latencies add; the last answer is always accepted.
//!
//! A real cascade scores an answer's text. Here the reliability `g` of stage `i`'s answer is drawn once a request from a
//! stated sample; the answer is accepted if `g > 1 - tau_i`.
use super::need::Sample;
use super::pipeline::Place;
use super::view::Draws;

/// A stage.
#[derive(Debug, Clone, PartialEq)]
pub struct Stage {
    /// Who is asked.
    pub to: Place,
    /// The higher, the sooner its answer is accepted; the last stage's says nothing.
    pub tau: f64,
    /// Reliabilities of its answers.
    pub reliability: Sample,
}

/// Stages in the order in which they are asked.
#[derive(Debug, Clone, PartialEq)]
pub struct Cascade {
    /// At least one.
    pub stages: Vec<Stage>,
}

impl Cascade {
    /// Whether the answer of a stage is accepted; the same under every policy that draws from the same sample.
    pub fn accepts(&self, stage: u32, draws: &Draws) -> bool {
        match self.stages.get(stage as usize) {
            Some(s) if (stage as usize) + 1 < self.stages.len() => {
                s.reliability.quantile(draws.of_request("policy.judge", stage)) > 1.0 - s.tau
            }
            _ => true,
        }
    }
}
