//! What the per-request kinds share: a run of which each request's timings are known.
//!
//! Protocol: the requests are sent as they were (recorded instants, or a closed loop), the engine and what lies before
//! it are simulated, and quantiles over requests are compared.
use super::super::score::Group;
use super::super::trial::{Lags, Loop, Sent, Trial, play};
use baseload_core::catalog::MeasuredEngine;
use baseload_core::fleet::ReplicaType;
use baseload_core::types::TraceFault;
use std::sync::Arc;

/// A run, request by request.
#[derive(Debug, Clone)]
pub struct RequestRun {
    /// Name of the run.
    pub name: String,
    /// The model, as the data name it; empty where they do not.
    pub model: String,
    /// What the data say of the engine.
    pub engine: MeasuredEngine,
    /// GPUs that share each layer, where the data say it.
    pub tensor_parallel: Option<u32>,
    /// Requests in the order in which they were sent.
    pub requests: Vec<Sent>,
    /// How the requests were sent.
    pub sending: Loop,
    /// Send to first token, send to last token, seconds, by request.
    pub measured: Vec<(f64, f64)>,
    /// Hash of the whole file.
    pub hash: String,
}

/// Quantiles that are compared, of each metric.
const QUANTILES: [(&str, f64); 3] = [("p50", 0.5), ("p90", 0.9), ("p99", 0.99)];
const TTFT: [&str; 3] = ["ttft_p50_s", "ttft_p90_s", "ttft_p99_s"];
const TPOT: [&str; 3] = ["tpot_p50_s", "tpot_p90_s", "tpot_p99_s"];
const E2E: [&str; 3] = ["e2e_p50_s", "e2e_p90_s", "e2e_p99_s"];

fn named(names: [&'static str; 3]) -> [(&'static str, f64); 3] {
    std::array::from_fn(|i| (names[i], QUANTILES[i].1))
}

impl RequestRun {
    /// The run as a trial.
    pub fn trial(&self, lags: Lags) -> Trial {
        Trial { requests: self.requests.clone(), sending: self.sending, lags }
    }

    /// Scores a replica.
    ///
    /// # Errors
    /// The simulation's.
    pub fn score(&self, replica: &Arc<ReplicaType>, lags: Lags) -> Result<Group, TraceFault> {
        let played = play(&self.trial(lags), replica).map_err(|fault| fault.in_file(&self.name))?;
        let predicted: Vec<(f64, f64)> = played.timings.iter().map(|t| (t.ttft_s(), t.e2e_s())).collect();
        Ok(self.compare(&predicted, 0))
    }

    /// Compares predictions with what was measured, from request `from` on.
    pub fn compare(&self, predicted: &[(f64, f64)], from: usize) -> Group {
        let (p, m) = (&predicted[from..], &self.measured[from..]);
        let mut group = Group { name: self.name.clone(), n: m.len() as u64, ..Group::default() };
        let first = |v: &[(f64, f64)]| v.iter().map(|x| x.0).collect::<Vec<f64>>();
        let whole = |v: &[(f64, f64)]| v.iter().map(|x| x.1).collect::<Vec<f64>>();
        let gap = |v: &[(f64, f64)]| {
            let outputs = self.requests[from..].iter().map(|r| r.output);
            v.iter()
                .zip(outputs)
                .filter(|(_, o)| *o > 1)
                .map(|(x, o)| (x.1 - x.0) / f64::from(o - 1))
                .collect::<Vec<f64>>()
        };
        group.add_quantiles(&named(TTFT), &first(p), &first(m));
        group.add_quantiles(&named(TPOT), &gap(p), &gap(m));
        group.add_quantiles(&named(E2E), &whole(p), &whole(m));
        group
    }

    /// Tokens a second that the run asks for: how near two loads are.
    pub fn load(&self) -> f64 {
        let tokens: u64 = self.requests.iter().map(|r| u64::from(r.prompt + r.output)).sum();
        match self.sending {
            Loop::Closed(users) => f64::from(users),
            Loop::Open => {
                let span = self.requests.iter().map(|r| r.at.as_secs_f64()).fold(0.0, f64::max);
                tokens as f64 / span.max(1e-9)
            }
        }
    }
}
