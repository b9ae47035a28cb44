//! One call of `update_from_output()` (spec/vllm.md 1.4): tokens leave, finished requests go.
use super::VllmScheduler;
use super::slots::State;
use crate::engine::batch::{Batch, Finished, Row, StepResult};
use crate::kv::KvPool;
use crate::types::Femtos;

impl<P: KvPool> VllmScheduler<P> {
    pub(super) fn end_batch(&mut self, batch: &Batch, result: &mut StepResult) {
        result.clear();
        self.end_steady(batch, result);
        for row in &batch.rows {
            self.end_row(row, batch.ends_at, result);
        }
        self.steady.batch_ended();
    }

    pub(super) fn end_row(&mut self, row: &Row, at: Femtos, result: &mut StepResult) {
        if !self.slots.alive(row.slot, row.generation) {
            return; // aborted while in flight: its token is discarded
        }
        let r = &mut self.slots[row.slot];
        if !r.steady {
            r.in_flight -= 1;
        }
        if !row.samples {
            return;
        }
        // A row that has become steady since counts as it did when it joined, this last sample of its own excepted.
        if r.emitted == 0 {
            result.first_tokens.push(r.attempt);
        } else {
            result.gap(r.last_token, 1);
        }
        r.last_token = at;
        r.emitted += 1;
        let done = r.emitted >= r.output;
        if self.config.async_scheduling {
            r.placeholders -= 1;
            if r.state == State::Running && !r.steady {
                let verified = r.computed - r.placeholders;
                self.cache_blocks(row.slot, verified, None);
            }
        }
        if done {
            self.finish(row.slot, result);
            self.retire(row.slot);
        }
    }

    pub(super) fn finish(&mut self, slot: u32, result: &mut StepResult) {
        let r = &self.slots[slot];
        result.finished.push(Finished {
            attempt: r.attempt,
            cached_tokens: r.cached_tokens.unwrap_or(0),
            preemptions: r.preemptions,
        });
    }
}
