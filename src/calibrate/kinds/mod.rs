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

use super::machine;
use baseload_core::catalog::{FrontendRow, MeasuredEngine};
use baseload_core::engine::VllmConfig;

/// The settings of `engine` over those of `base`. Where `base` would schedule asynchronously, the version says whether
/// that was the default.
pub fn config(engine: &MeasuredEngine, base: VllmConfig) -> VllmConfig {
    VllmConfig {
        block_size: engine.block_size.unwrap_or(base.block_size),
        num_blocks: engine.num_gpu_blocks.unwrap_or(base.num_blocks),
        max_num_seqs: engine.max_num_seqs.unwrap_or(base.max_num_seqs),
        max_num_batched_tokens: engine.max_num_batched_tokens.unwrap_or(base.max_num_batched_tokens),
        max_model_len: engine.max_model_len.unwrap_or(base.max_model_len),
        prefix_caching: engine.enable_prefix_caching.unwrap_or(base.prefix_caching),
        async_scheduling: engine
            .async_scheduling
            .unwrap_or(base.async_scheduling && machine::asynchronous(&engine.version)),
        ..base
    }
}

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

/// Says once why rows are left out, and how many.
pub fn note(notes: &mut Vec<String>, why: &str) {
    let end = format!(" left out: {why}");
    match notes.iter_mut().find(|n| n.ends_with(&end)) {
        Some(note) => {
            let count = note.split(' ').next().and_then(|n| n.parse::<u32>().ok()).unwrap_or(1);
            *note = format!("{} rows{end}", count + 1);
        }
        None => notes.push(format!("1 row{end}")),
    }
}
