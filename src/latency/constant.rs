//! A step time of three constants, for tests and teaching.
use crate::types::{BatchShape, DecodeLaw, Femtos, StepTime};

/// `base + per_token x computed tokens + per_ctx x decode context`, in femtoseconds.
#[derive(Debug, Clone, Copy)]
pub struct Constant {
    /// A step.
    pub base_fs: u64,
    /// A computed token.
    pub per_token_fs: u64,
    /// A token of decode context.
    pub per_ctx_fs: u64,
}

impl StepTime for Constant {
    fn batch(&self, shape: &BatchShape<'_>) -> Femtos {
        let prefill: u64 = shape.prefill.iter().map(|c| u64::from(c.tokens)).sum();
        let law = self.decode(shape.decode_rows, shape.decode_ctx_sum);
        let fs = u128::from(law.base_fs) + u128::from(law.per_ctx_fs) * u128::from(shape.decode_ctx_sum);
        Femtos(fs + u128::from(self.per_token_fs) * u128::from(prefill))
    }
    fn decode(&self, rows: u32, _ctx_sum: u64) -> DecodeLaw {
        let base_fs = self.base_fs + self.per_token_fs * u64::from(rows);
        DecodeLaw { base_fs, per_ctx_fs: self.per_ctx_fs, until_ctx_sum: u64::MAX }
    }
}
