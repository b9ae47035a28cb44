//! Jobs and step times for the tests of this room.
use crate::types::{AttemptId, BatchShape, Content, ContentId, DecodeLaw, Femtos, Job, Run, StepTime};

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
    }
}

/// A job whose prompt is made of (name, tokens from its start).
pub fn named(id: u64, runs: &[(u64, u32)], output: u32) -> Job {
    let content: Vec<Run> = runs.iter().map(|&(n, len)| Run { id: ContentId::Named(n), start: 0, len }).collect();
    let prompt = runs.iter().map(|r| r.1).sum();
    Job { content: Content::from(content), ..job(id, prompt, output) }
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

/// Pure decode steps of three affine pieces, the later ones steeper; a prefill token costs as much as a decode row.
pub struct Pieces {
    /// Fixed part of a step.
    pub base_fs: u64,
}
impl StepTime for Pieces {
    fn batch(&self, shape: &BatchShape<'_>) -> Femtos {
        let law = self.decode(shape.decode_rows, shape.decode_ctx_sum);
        let prefill: u64 = shape.prefill.iter().map(|c| u64::from(c.tokens)).sum();
        let fs = law.base_fs + law.per_ctx_fs * shape.decode_ctx_sum + prefill * self.base_fs / 100;
        Femtos(fs.into())
    }
    fn decode(&self, rows: u32, ctx_sum: u64) -> DecodeLaw {
        let (edge, base) = (u64::from(rows) * 30, self.base_fs + u64::from(rows) * (self.base_fs / 100));
        match ctx_sum {
            s if s < edge => DecodeLaw { base_fs: base, per_ctx_fs: 7, until_ctx_sum: edge },
            s if s < 2 * edge => DecodeLaw { base_fs: base + 5, per_ctx_fs: 11, until_ctx_sum: 2 * edge },
            _ => DecodeLaw { base_fs: base, per_ctx_fs: 101, until_ctx_sum: u64::MAX },
        }
    }
}
