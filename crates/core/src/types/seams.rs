//! The traits that rooms meet at.
use super::{AttemptRecord, Femtos, GapRun, Outcome, Request, RequestRecord, SeriesRow, SimTime, TraceFault};

/// Yields requests in time order and is told of outcomes.
pub trait Source: Send {
    /// Arrival of the next request, `None` when the source is dry or waits for an outcome.
    ///
    /// # Errors
    /// The reader's fault, with file and line.
    fn peek(&mut self) -> Result<Option<SimTime>, TraceFault>;
    /// Takes the next request, after `peek` said there is one.
    fn next(&mut self) -> Request;
    /// A request of `session` ended. Trace files ignore it; closed-loop users live on it.
    fn finished(&mut self, session: u64, at: SimTime, outcome: Outcome);
    /// Whether what becomes of a request changes what comes after it, as with users who wait for answers. A source that
    /// says no yields the same requests to every simulation, so that one reading can serve them all.
    fn heeds_outcomes(&self) -> bool {
        true
    }
    /// Requests it will yield in all, where known (progress bars only).
    fn total(&self) -> Option<u64>;
    /// What people should know of how the requests so far were made: assumptions, estimates, counts. A sentence each.
    fn notes(&self) -> Vec<String> {
        Vec::new()
    }
}

/// A prefill chunk of a batch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PrefillChunk {
    /// Tokens already in the KV cache before this step.
    pub context: u32,
    /// Tokens computed in this step.
    pub tokens: u32,
}

/// What a step computes: enough to price it.
#[derive(Debug, Clone, Copy)]
pub struct BatchShape<'a> {
    /// Chunks of more than one token, or that do not end at a sampled token.
    pub prefill: &'a [PrefillChunk],
    /// Rows that compute exactly one token on top of their context.
    pub decode_rows: u32,
    /// Sum over decode rows of the tokens already in their KV cache.
    pub decode_ctx_sum: u64,
}

/// Duration of a pure decode step: exactly `base_fs + per_ctx_fs * ctx_sum` while `ctx_sum < until_ctx_sum`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DecodeLaw {
    /// Fixed part, fs.
    pub base_fs: u64,
    /// For each token of context, fs.
    pub per_ctx_fs: u64,
    /// End of this affine piece (exclusive); `u64::MAX` when there is none.
    pub until_ctx_sum: u64,
}

/// What pieces of work add to a step at the least, femtoseconds each; see [`StepTime::floor`]. All zero says nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct StepFloor {
    /// A decode row.
    pub per_row_fs: u64,
    /// A token of a prefill chunk.
    pub per_prefill_token_fs: u64,
    /// A token of the decode rows' contexts.
    pub per_ctx_fs: u64,
    /// A pair of a prefill token and an earlier token: a chunk of t tokens on a context of c has `c t + t (t - 1) / 2`.
    pub per_pair_fs: u64,
}

/// How long an engine step takes. Deterministic: step time is never random per step.
pub trait StepTime: Send + Sync {
    /// Duration of any batch. On pure decode it equals the law to the femtosecond.
    fn batch(&self, shape: &BatchShape<'_>) -> Femtos;
    /// The law for a pure decode batch of `rows` rows whose contexts add up to `ctx_sum`.
    fn decode(&self, rows: u32, ctx_sum: u64) -> DecodeLaw;
    /// A floor that is linear in the work: a batch of at most `most_rows` sequences never takes less than
    /// `floor_of_tokens(decode rows + prefill tokens) + per_row x decode rows + per_prefill_token x prefill tokens +
    /// per_ctx x sum of contexts + per_pair x pairs`. Bounds of what a fleet can do rest on it; the default claims nothing.
    fn floor(&self, most_rows: u32) -> StepFloor {
        let _ = most_rows;
        StepFloor::default()
    }
    /// The part of the floor that all tokens of a step share, femtoseconds; it never falls with more tokens.
    fn floor_of_tokens(&self, tokens: u64) -> u64 {
        let _ = tokens;
        0
    }
}

/// Takes records as they become final, in completion order.
pub trait RecordSink {
    /// An attempt ended.
    fn attempt(&mut self, record: &AttemptRecord);
    /// A request ended.
    fn request(&mut self, record: &RequestRecord);
    /// Gaps between tokens closed, of requests that may yet fail; in the order of each backend's clock only.
    fn gaps(&mut self, run: &GapRun);
    /// Whether it keeps rows of the series; if not, none are made.
    fn wants_series(&self) -> bool {
        true
    }
    /// A row of the series. When 5,000 have come, the sink drops every second of them, and the rows that follow are twice as
    /// far apart as those before.
    fn series(&mut self, row: &SeriesRow);
}
