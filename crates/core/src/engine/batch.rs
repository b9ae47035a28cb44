//! What a schedule decides and what its update makes of it.
use crate::types::{AttemptId, BatchShape, Femtos, PrefillChunk};

/// One request's part of a batch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Row {
    /// Slot in the scheduler, and its generation: a slot may serve somebody else when the batch returns.
    pub slot: u32,
    /// See `slot`.
    pub generation: u32,
    /// The attempt that the row computes.
    pub attempt: AttemptId,
    /// Tokens computed in this step.
    pub tokens: u32,
    /// Tokens in the KV cache before it.
    pub computed: u32,
    /// Whether the row reaches the end of its known tokens and so samples one.
    pub samples: bool,
}

/// One step of an engine. Buffers are kept from step to step.
#[derive(Debug, Clone, Default)]
pub struct Batch {
    /// Steady decode rows: one token each, scheduled before `rows`. The scheduler alone knows who they are.
    pub steady: u32,
    /// Rows that are not steady, in the order in which they were scheduled.
    pub rows: Vec<Row>,
    /// What is not a plain decode row, for pricing.
    pub prefill: Vec<PrefillChunk>,
    /// Rows that compute one token and sample one.
    pub decode_rows: u32,
    /// Context tokens of the decode rows together.
    pub decode_ctx_sum: u64,
    /// Requests that entered running, with their prefix-cache hit in tokens.
    pub admitted: Vec<(AttemptId, u32)>,
    /// Requests that were preempted, in that order.
    pub preempted: Vec<AttemptId>,
    /// Number of the batch in its scheduler, from 1, counting those that compute something.
    pub tick: u32,
    /// When the step ends: set by who owns the clock, before the update.
    pub ends_at: Femtos,
}

impl Batch {
    /// Empties it, keeping its memory.
    pub fn clear(&mut self) {
        self.steady = 0;
        self.rows.clear();
        self.prefill.clear();
        self.decode_rows = 0;
        self.decode_ctx_sum = 0;
        self.admitted.clear();
        self.preempted.clear();
        self.tick = 0;
        self.ends_at = Femtos(0);
    }
    /// Whether the batch computes nothing.
    pub fn is_empty(&self) -> bool {
        self.decode_rows == 0 && self.prefill.is_empty()
    }
    /// Makes of a batch of a stride the one `cycles` cycles later.
    pub fn advance(&mut self, cycles: u32) {
        debug_assert!(self.rows.is_empty() && self.prefill.is_empty(), "stride-pure: only steady rows repeat");
        self.tick += cycles;
        self.decode_ctx_sum += u64::from(cycles) * u64::from(self.decode_rows);
    }
    /// What a step time needs to know of the batch.
    pub fn shape(&self) -> BatchShape<'_> {
        BatchShape { prefill: &self.prefill, decode_rows: self.decode_rows, decode_ctx_sum: self.decode_ctx_sum }
    }
    /// Adds what a row computes to the shape.
    pub(super) fn price(&mut self, computed: u32, tokens: u32, samples: bool) {
        if tokens == 1 && samples {
            self.decode_rows += 1;
            self.decode_ctx_sum += u64::from(computed);
        } else {
            self.prefill.push(PrefillChunk { context: computed, tokens });
        }
    }
}

/// A request that sampled its last token.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Finished {
    /// The attempt that ended.
    pub attempt: AttemptId,
    /// Prefix-cache hit, in tokens, when it was admitted first.
    pub cached_tokens: u32,
    /// Times it was preempted.
    pub preemptions: u32,
}

/// Tokens of one step whose previous token left at one instant.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Gap {
    /// When the previous token left.
    pub since: Femtos,
    /// Tokens whose gap this is.
    pub tokens: u32,
}

/// What an update made of a batch. Buffers are kept from step to step.
#[derive(Debug, Clone, Default)]
pub struct StepResult {
    /// Requests whose first token left with this step.
    pub first_tokens: Vec<AttemptId>,
    /// Requests whose last token left with this step.
    pub finished: Vec<Finished>,
    /// Gaps between tokens that this step closed.
    pub gaps: Vec<Gap>,
}

impl StepResult {
    /// Empties it, keeping its memory.
    pub fn clear(&mut self) {
        self.first_tokens.clear();
        self.finished.clear();
        self.gaps.clear();
    }
    /// Counts `tokens` tokens whose previous token left at `since`.
    pub(super) fn gap(&mut self, since: Femtos, tokens: u32) {
        match self.gaps.iter_mut().find(|g| g.since == since) {
            Some(gap) => gap.tokens += tokens,
            None => self.gaps.push(Gap { since, tokens }),
        }
    }
}
