//! FrugalGPT's cascade (spec/routers.md 3.11, `llmcascade.py`): models in order; after each answer a reliability score g; the
//! answer is accepted if g > 1 - tau of its stage, else the next model is paid for as well. The last is always accepted.
//!
//! How good an answer is nobody can simulate from token counts. The score is uniform in [0, 1), drawn for each request and
//! stage, so that tau is the share of answers that a stage keeps.
use crate::types::Place;

/// See the module head.
#[derive(Debug, Clone, PartialEq)]
pub struct Cascade {
    /// Pools and endpoints, in order.
    pub stages: Vec<Place>,
    /// Tau of each stage but the last.
    pub accept: Vec<f64>,
}

impl Cascade {
    /// Whether the answer of stage `i` is kept, with this score.
    pub fn accepts(&self, i: usize, score: f64) -> bool {
        self.accept.get(i).is_none_or(|tau| score > 1.0 - tau)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::types::{EndpointId, PoolId};

    #[test]
    fn an_answer_is_kept_above_one_minus_tau_and_the_last_always() {
        let c = Cascade { stages: vec![PoolId(0).into(), EndpointId(0).into()], accept: vec![0.7] };
        assert!(c.accepts(0, 0.31) && !c.accepts(0, 0.29) && c.accepts(1, 0.0));
        let never = Cascade { accept: vec![0.0], ..c };
        assert!(!never.accepts(0, 0.999_999));
    }
}
