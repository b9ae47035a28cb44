//! The fitted step time: non-negative coefficients on physical features of a step, from somebody's own measurements.
//!
//! Imports `catalog`, `types`. Must keep true: each coefficient is rounded to femtoseconds once, when it is read; from
//! then on all is integer, so pure decode is affine in the sum of contexts for each number of rows and `batch` equals
//! the law exactly.
//!
//! A step costs a fixed part, a part for each decoding sequence (the first [`FIRST_ROWS`] cost more, where small
//! batches leave the machine waiting), for each token of their contexts, for each prefill chunk, each of its tokens,
//! and each pair of a prefill token and a token that it attends to. `calibrate` fits them; it counts by [`Features`],
//! so what is fitted is what is priced.
use crate::catalog::StepCoefficients;
use crate::types::{BatchShape, DecodeLaw, Femtos, StepFloor, StepTime};

/// Decoding sequences that count as the first ones.
pub const FIRST_ROWS: u32 = 8;

/// What a step does, in the units of [`StepCoefficients`] but single: rows, tokens, pairs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Features {
    /// Decoding sequences.
    pub rows: u32,
    /// Context of the decoding sequences together, tokens.
    pub context: u64,
    /// Prefill chunks.
    pub chunks: u32,
    /// Tokens of the prefill chunks together.
    pub tokens: u64,
    /// Pairs of a prefill token and a token it attends to: all of its context, and of the chunk itself two thirds of
    /// the square, because kernels compute whole tiles along the diagonal of what the mask leaves (half of it).
    pub pairs: u64,
}

impl Features {
    /// Counts a batch.
    pub fn of(shape: &BatchShape<'_>) -> Features {
        let mut f = Features { rows: shape.decode_rows, context: shape.decode_ctx_sum, ..Features::default() };
        shape.prefill.iter().for_each(|chunk| f.prefill(chunk.context, chunk.tokens));
        f
    }
    /// Adds a decoding sequence.
    pub fn decode(&mut self, context: u32) {
        self.rows += 1;
        self.context += u64::from(context);
    }
    /// Adds a prefill chunk.
    pub fn prefill(&mut self, context: u32, tokens: u32) {
        let (context, tokens) = (u64::from(context), u64::from(tokens));
        self.chunks += 1;
        self.tokens += tokens;
        self.pairs += context * tokens + 2 * tokens * tokens / 3;
    }
}

/// Step times from coefficients.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Fitted {
    step_fs: u64,
    first_rows_fs: u64,
    row_fs: u64,
    context_fs: u64,
    chunk_fs: u64,
    token_fs: u64,
    pair_fs: u64,
}

impl Fitted {
    /// Rounds the coefficients, each multiplied by `speed` (above 1 is slower), to femtoseconds.
    pub fn new(c: &StepCoefficients, speed: f64) -> Fitted {
        let fs = |seconds: f64| (seconds * speed * 1e15).round() as u64;
        Fitted {
            step_fs: fs(c.step_s),
            first_rows_fs: fs(c.first_sequences_s),
            row_fs: fs(c.sequence_s),
            context_fs: fs(c.context_s_per_1000 / 1e3),
            chunk_fs: fs(c.prefill_s),
            token_fs: fs(c.prefill_token_s),
            pair_fs: fs(c.prefill_pair_s_per_million / 1e6),
        }
    }

    fn rows_fs(&self, rows: u32) -> u64 {
        self.step_fs + u64::from(rows.min(FIRST_ROWS)) * self.first_rows_fs + u64::from(rows) * self.row_fs
    }

    /// Duration of a step with these features.
    pub fn price(&self, f: &Features) -> Femtos {
        let parts = [
            (self.context_fs, f.context),
            (self.chunk_fs, f.chunks.into()),
            (self.token_fs, f.tokens),
            (self.pair_fs, f.pairs),
        ];
        let sum: u128 = parts.iter().map(|(each, count)| u128::from(*each) * u128::from(*count)).sum();
        Femtos(u128::from(self.rows_fs(f.rows)) + sum)
    }
}

impl StepTime for Fitted {
    fn batch(&self, shape: &BatchShape<'_>) -> Femtos {
        self.price(&Features::of(shape))
    }
    fn decode(&self, rows: u32, _ctx_sum: u64) -> DecodeLaw {
        DecodeLaw { base_fs: self.rows_fs(rows), per_ctx_fs: self.context_fs, until_ctx_sum: u64::MAX }
    }
    /// The first rows' surcharge counts as if every batch were full; chunks count nothing by themselves.
    fn floor(&self, most_rows: u32) -> StepFloor {
        let first = u64::from(FIRST_ROWS.min(most_rows)) * self.first_rows_fs / u64::from(most_rows.max(1));
        StepFloor {
            per_row_fs: self.row_fs + first,
            per_prefill_token_fs: self.token_fs,
            per_ctx_fs: self.context_fs,
            per_pair_fs: self.pair_fs,
        }
    }
    fn floor_of_tokens(&self, _tokens: u64) -> u64 {
        self.step_fs
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::types::PrefillChunk;

    const C: StepCoefficients = StepCoefficients {
        step_s: 0.012,
        first_sequences_s: 0.000_2,
        sequence_s: 0.000_5,
        context_s_per_1000: 0.001_3,
        prefill_s: 0.001,
        prefill_token_s: 0.000_35,
        prefill_pair_s_per_million: 0.14,
    };

    #[test]
    fn a_step_is_the_sum_of_its_parts() {
        let prefill = [PrefillChunk { context: 100, tokens: 10 }, PrefillChunk { context: 0, tokens: 4 }];
        let shape = BatchShape { prefill: &prefill, decode_rows: 10, decode_ctx_sum: 3_000 };
        let want = Features { rows: 10, context: 3_000, chunks: 2, tokens: 14, pairs: 1_066 + 10 };
        assert_eq!(Features::of(&shape), want);
        let fs = 12_000_000_000_000
            + 8 * 200_000_000_000
            + 10 * 500_000_000_000
            + 3_000 * 1_300_000_000
            + 2 * 1_000_000_000_000
            + 14 * 350_000_000_000
            + 1_076 * 140_000_000u128;
        assert_eq!(Fitted::new(&C, 1.0).batch(&shape), Femtos(fs));
        assert_eq!(Fitted::new(&C, 2.0).batch(&shape), Femtos(2 * fs));
    }

    #[test]
    fn batch_equals_the_decode_law_to_the_femtosecond() {
        let fitted = Fitted::new(&C, 1.037);
        for rows in [1, 7, 8, 9, 300] {
            for ctx in [0, 1, 999, 1_000_000_007] {
                let law = fitted.decode(rows, ctx);
                let want = u128::from(law.base_fs) + u128::from(law.per_ctx_fs) * u128::from(ctx);
                let shape = BatchShape { prefill: &[], decode_rows: rows, decode_ctx_sum: ctx };
                assert_eq!(fitted.batch(&shape), Femtos(want), "step-time-law: {rows} rows, {ctx} tokens");
            }
        }
    }
}
