//! Jobs and step times for the tests of this room.
use crate::types::{AttemptId, BatchShape, Content, ContentId, DecodeLaw, Femtos, Job, Run, StepTime};
use std::sync::Arc;

/// A job with unnamed text.
pub fn job(id: u64, prompt: u32, output: u32) -> Job {
    Job {
        attempt: AttemptId(id),
        request: id,
        try_number: 0,
        prompt_tokens: prompt,
        output_tokens: output,
        max_output_tokens: output,
        priority: 0,
        content: Content::private(id, prompt),
        external_kv: None,
        hold_kv_until: None,
    }
}

/// A job whose prompt is made of (name, tokens from its start).
pub fn named(id: u64, runs: &[(u64, u32)], output: u32) -> Job {
    let content: Vec<Run> = runs.iter().map(|&(n, len)| Run { id: ContentId::Named(n), start: 0, len }).collect();
    let prompt = runs.iter().map(|r| r.1).sum();
    Job { content: Content(Arc::from(content)), ..job(id, prompt, output) }
}

/// A millisecond and a femtosecond a step, a microsecond a token, a femtosecond a context token.
pub struct Toy;
impl StepTime for Toy {
    fn batch(&self, shape: &BatchShape<'_>) -> Femtos {
        let prefill: u128 = shape.prefill.iter().map(|c| u128::from(c.tokens)).sum();
        let rows = u128::from(shape.decode_rows);
        let base = 1_000_000_000_001 + 1_000_000_000 * (prefill + rows) + u128::from(shape.decode_ctx_sum);
        Femtos(base)
    }
    fn decode(&self, rows: u32, _ctx_sum: u64) -> DecodeLaw {
        DecodeLaw {
            base_fs: 1_000_000_000_001 + 1_000_000_000 * u64::from(rows),
            per_ctx_fs: 1,
            until_ctx_sum: u64::MAX,
        }
    }
}
