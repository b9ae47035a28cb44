//! A step time of three constants, for tests and examples.
//!
//! Imports `types`. Must keep true: it is affine everywhere.
use crate::types::{BatchShape, DecodeLaw, Femtos, StepFloor, StepTime};

/// Base + per decode row + per token of decode context + per prefill token, all in femtoseconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Constant {
    /// Every step.
    pub base_fs: u64,
    /// Each decode row.
    pub per_row_fs: u64,
    /// Each token of the decode rows' contexts.
    pub per_ctx_fs: u64,
    /// Each prefill token.
    pub per_prefill_token_fs: u64,
}

impl StepTime for Constant {
    fn batch(&self, shape: &BatchShape<'_>) -> Femtos {
        let law = self.decode(shape.decode_rows, shape.decode_ctx_sum);
        let tokens: u128 = shape.prefill.iter().map(|c| u128::from(c.tokens)).sum();
        let decode = u128::from(law.base_fs) + u128::from(law.per_ctx_fs) * u128::from(shape.decode_ctx_sum);
        Femtos(decode + tokens * u128::from(self.per_prefill_token_fs))
    }
    fn decode(&self, rows: u32, _ctx_sum: u64) -> DecodeLaw {
        let base_fs = self.base_fs + u64::from(rows) * self.per_row_fs;
        DecodeLaw { base_fs, per_ctx_fs: self.per_ctx_fs, until_ctx_sum: u64::MAX }
    }
    fn floor(&self, _most_rows: u32) -> StepFloor {
        let Constant { per_row_fs, per_ctx_fs, per_prefill_token_fs, .. } = *self;
        StepFloor { per_row_fs, per_prefill_token_fs, per_ctx_fs, per_pair_fs: 0 }
    }
    fn floor_of_tokens(&self, _tokens: u64) -> u64 {
        self.base_fs
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::types::PrefillChunk;

    #[test]
    fn adds_its_parts() {
        let c = Constant { base_fs: 1_000, per_row_fs: 100, per_ctx_fs: 10, per_prefill_token_fs: 1 };
        let prefill = [PrefillChunk { context: 9, tokens: 5 }];
        let shape = BatchShape { prefill: &prefill, decode_rows: 2, decode_ctx_sum: 7 };
        assert_eq!(c.batch(&shape), Femtos(1_275));
        assert_eq!(c.decode(2, 7), DecodeLaw { base_fs: 1_200, per_ctx_fs: 10, until_ctx_sum: u64::MAX });
    }
}
