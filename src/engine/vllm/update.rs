//! One call of `update_from_output()` (spec/vllm.md 1.4): tokens leave, finished requests go.
use super::VllmScheduler;
use super::slots::State;
use crate::engine::batch::{Batch, Finished, StepResult};

impl VllmScheduler {
    pub(super) fn apply(&mut self, batch: &Batch, result: &mut StepResult) {
        result.clear();
        for row in &batch.rows {
            if !self.slots.alive(row.slot, row.generation) {
                continue; // aborted while in flight: its token is discarded
            }
            let r = &mut self.slots[row.slot];
            r.in_flight -= row.tokens;
            if !row.samples {
                continue;
            }
            r.emitted += 1;
            if r.emitted == 1 {
                result.first_tokens.push(r.attempt);
            } else {
                result.gap(r.last_token, 1);
            }
            r.last_token = batch.ends_at;
            let done = r.emitted >= r.output;
            if self.config.async_scheduling {
                r.placeholders -= 1;
                if r.state == State::Running {
                    let verified = r.computed - r.placeholders;
                    self.cache_blocks(row.slot, verified);
                }
            }
            if done {
                let r = &self.slots[row.slot];
                result.finished.push(Finished {
                    attempt: r.attempt,
                    cached_tokens: r.cached_tokens.unwrap_or(0),
                    preemptions: r.preemptions,
                });
                self.retire(row.slot);
            }
        }
    }
}
