//! The least time that a request takes of a replica, whatever it is batched with.
//!
//! May import: types. Must keep true: over any batches that serve a set of requests, the requests' least times add up to
//! no more than the batches' durations; all is rounded down.
//!
//! A step's shared part `S(n)` (weights read once for the n tokens of a batch) is split linearly: with at most R rows
//! and N tokens a batch, for any `b <= min S(n) / n` and `a = b + min (S(n) - b n) / min(n, R)`, both over n up to N,
//! `S(rows + prefill) >= a rows + b prefill`. Small `b` puts the weights on decode rows (a full batch of them shares a
//! step best), large `b` on prompts; each choice is a valid bound, so whoever wants the best takes several.
use crate::types::{StepFloor, StepTime};

/// Numbers of tokens looked at one by one; above, a step of 1/256 at a time.
const ONE_BY_ONE: u64 = 1_024;

/// The ranges of tokens that [`WorkFloor`] and others look at: `(first, last)`, dense, up to `most`.
pub fn token_ranges(most: u64) -> impl Iterator<Item = (u64, u64)> {
    let step = |n: u64| if n <= ONE_BY_ONE { 1 } else { n / 256 };
    let firsts = std::iter::successors(Some(1), move |n| Some(n + step(*n)));
    firsts.take_while(move |n| *n <= most).map(move |n| (n, (n + step(n) - 1).min(most)))
}

/// The least replica time of requests, femtoseconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct WorkFloor {
    /// A row's and a prefill token's shares of what all tokens of a step share.
    row_fs: u64,
    prefill_fs: u64,
    parts: StepFloor,
}

impl WorkFloor {
    /// For an engine with at most so many rows and tokens a step. `prompt_milli`: how much of the most that prefill
    /// tokens can bear of the shared part they do, in thousandths.
    pub fn new(step: &dyn StepTime, most_rows: u32, most_tokens: u64, prompt_milli: u64) -> WorkFloor {
        let (rows, tokens) = (u64::from(most_rows.max(1)), most_tokens.max(1));
        let least = token_ranges(tokens).map(|(first, last)| step.floor_of_tokens(first) / last).min().unwrap_or(0);
        let prefill_fs = (u128::from(least) * u128::from(prompt_milli.min(1_000)) / 1_000) as u64;
        let rest = |(first, last): (u64, u64)| {
            step.floor_of_tokens(first).saturating_sub(prefill_fs.saturating_mul(last)) / rows.min(last)
        };
        let row_fs = prefill_fs + token_ranges(tokens).map(rest).min().unwrap_or(0);
        WorkFloor { row_fs, prefill_fs, parts: step.floor(most_rows) }
    }

    /// Least time of a request of `prompt` tokens, `cached` of which cost nothing, that decodes in `rows` steps: one for
    /// each output token but the first (and but those that came with the recomputation after a preemption). Its last
    /// prompt token may run as a row and counts no more than its share; the others are prefill. Contexts grow by a
    /// token a row.
    pub fn of(&self, prompt: u32, cached: u32, rows: u32) -> u128 {
        let (context, cached) = (u128::from(prompt), u128::from(cached.min(prompt.saturating_sub(1))));
        let fresh = (context - cached).max(1);
        let (chunked, rows) = (fresh - 1, u128::from(rows));
        let p = &self.parts;
        let pairs = cached * chunked + chunked * chunked.saturating_sub(1) / 2;
        let contexts = rows * context + rows * rows.saturating_sub(1) / 2;
        u128::from(self.prefill_fs) * fresh
            + u128::from(p.per_prefill_token_fs) * chunked
            + u128::from(p.per_pair_fs) * pairs
            + (u128::from(self.row_fs) + u128::from(p.per_row_fs)) * rows
            + u128::from(p.per_ctx_fs) * contexts
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::types::{BatchShape, DecodeLaw, Femtos};

    /// Every step 1,000 fs, every token 10, a row 3, a token of context 1.
    struct Plain;

    impl StepTime for Plain {
        fn batch(&self, _: &BatchShape<'_>) -> Femtos {
            unreachable!("floors ask for no batch")
        }
        fn decode(&self, _: u32, _: u64) -> DecodeLaw {
            unreachable!("floors ask for no law")
        }
        fn floor(&self, _: u32) -> StepFloor {
            StepFloor { per_row_fs: 3, per_ctx_fs: 1, ..StepFloor::default() }
        }
        fn floor_of_tokens(&self, tokens: u64) -> u64 {
            1_000 + 10 * tokens
        }
    }

    #[test]
    fn the_shared_part_is_split_between_rows_and_prompts() {
        // At most 4 rows and 100 tokens: a token costs at least 20 in the fullest batch.
        let rows = WorkFloor::new(&Plain, 4, 100, 0);
        assert_eq!((rows.row_fs, rows.prefill_fs), (1_040 / 4, 0));
        let prompts = WorkFloor::new(&Plain, 4, 100, 1_000);
        assert_eq!((prompts.row_fs, prompts.prefill_fs), (20, 20));
        let half = WorkFloor::new(&Plain, 4, 100, 500);
        assert_eq!((half.row_fs, half.prefill_fs), (10 + 1_000 / 4, 10));
        // 10 prompt tokens, 4 of them cached; 3 output tokens: two rows on contexts of 10 and 11.
        assert_eq!(half.of(10, 4, 2), 10 * 6 + 2 * (260 + 3) + 21);
        assert_eq!(half.of(10, 99, 0), 10, "one token is always computed");
    }

    proptest::proptest! {
        /// For any batch, the shares of its rows and prefill tokens are no more than the shared part.
        #[test]
        fn shares_never_add_up_to_more_than_the_step(
            most_rows in 1u32..40, spare in 0u64..3_000, milli in 0u64..=1_000, rows in 0u64..40, prefill in 0u64..3_000,
        ) {
            let most_tokens = u64::from(most_rows) + spare;
            let w = WorkFloor::new(&Plain, most_rows, most_tokens, milli);
            let rows = rows.min(most_rows.into());
            let prefill = prefill.min(most_tokens - rows);
            if rows + prefill > 0 {
                proptest::prop_assert!(w.row_fs * rows + w.prefill_fs * prefill <= Plain.floor_of_tokens(rows + prefill));
            }
        }

        #[test]
        fn ranges_are_dense(most in 1u64..20_000) {
            let mut next = 1;
            for (first, last) in token_ranges(most) {
                proptest::prop_assert_eq!(first, next);
                proptest::prop_assert!(last >= first && (last - first) * 250 <= first);
                next = last + 1;
            }
            proptest::prop_assert_eq!(next, most + 1);
        }
    }
}
