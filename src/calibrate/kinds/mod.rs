//! The kinds of measurements: one file each, with its source, its reader, its protocol and its scoring.
pub mod bench_serve;
pub mod engine_steps;
pub mod fleet;
pub mod inferencex;
pub mod llmservingsim;
pub mod ml_energy;
pub mod requests;
pub mod routing;
pub mod rows;
pub mod static_batch;
pub mod vllm_requests;
pub mod vllm_stages;

use baseload_core::catalog::FrontendRow;
use baseload_core::types::TraceFault;
use indexmap::IndexMap;

/// Says what lies before the engine in predictions.
pub fn frontend_note(row: &FrontendRow) -> String {
    format!(
        "before the engine: {:.1} ms and {:.1} us a prompt token ({}; held out, {}: {:.1} %)",
        (row.arrival_s + row.token_s) * 1e3,
        row.arrival_s_per_1000_prompt_tokens * 1e3,
        row.fitted,
        row.error_of,
        row.error * 100.0
    )
}

/// Says once what people should know of a replica.
pub fn warn(notes: &mut Vec<String>, replica: &baseload_core::fleet::ReplicaType) {
    for warning in &replica.warnings {
        let note = format!("{}: {warning}", replica.title);
        if !notes.contains(&note) {
            notes.push(note);
        }
    }
}

/// Rows that are left out, counted by why.
#[derive(Debug, Default)]
pub struct LeftOut(IndexMap<String, u64>);

impl LeftOut {
    /// One more row that `why` keeps out.
    pub fn add(&mut self, why: &TraceFault) {
        *self.0.entry(why.to_string()).or_default() += 1;
    }

    /// A sentence for each reason, in the order in which they were met.
    pub fn notes(self) -> impl Iterator<Item = String> {
        self.0.into_iter().map(|(why, n)| format!("{n} {} left out: {why}", if n == 1 { "row" } else { "rows" }))
    }
}
