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

/// Says once why rows are left out, and how many.
pub fn note(notes: &mut Vec<String>, why: &TraceFault) {
    let end = format!(" left out: {why}");
    match notes.iter_mut().find(|n| n.ends_with(&end)) {
        Some(note) => {
            let count = note.split(' ').next().and_then(|n| n.parse::<u32>().ok()).unwrap_or(1);
            *note = format!("{} rows{end}", count + 1);
        }
        None => notes.push(format!("1 row{end}")),
    }
}
