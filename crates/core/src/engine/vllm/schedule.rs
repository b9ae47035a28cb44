//! One call of `schedule()`: the normative algorithm of spec/vllm.md 1.3, step by step.
use super::slots::State;
use super::{QueuePolicy, VllmScheduler};
use crate::engine::batch::{Batch, Row};
use crate::kv::KvPool;

impl<P: KvPool> VllmScheduler<P> {
    pub(super) fn next_batch(&mut self, batch: &mut Batch) {
        batch.clear();
        self.blocked = None;
        let eligible = self.running.len() + self.waiting.len();
        let cap = if eligible > 1 { self.config.long_prefill_token_threshold } else { 0 };
        let mut budget = self.config.max_num_batched_tokens;
        self.schedule_steady(cap, &mut budget, batch);
        self.schedule_running(cap, &mut budget, batch);
        if batch.preempted.is_empty() {
            self.schedule_waiting(cap, &mut budget, batch);
        }
        self.advance_rows(batch);
    }

    /// The running requests behind the steady ones, in order.
    fn schedule_running(&mut self, cap: u32, budget: &mut u32, batch: &mut Batch) {
        let mut at = self.steady.len();
        while at < self.running.len() && *budget > 0 {
            let slot = self.running[at];
            let n = self.wants(slot, cap, *budget);
            if n == 0 {
                at += 1;
                continue;
            }
            let mut gone = false;
            while !gone && !self.grow(slot, n, batch) {
                gone = self.preempt_for(slot, &mut at, budget, batch);
            }
            if gone {
                break; // whatever the policy, and although its blocks are free now
            }
            self.assign(slot, n, budget, batch);
            at += 1;
        }
    }

    /// Tokens that a running request would compute now.
    pub(super) fn wants(&self, slot: u32, cap: u32, budget: u32) -> u32 {
        let r = &self.slots[slot];
        let certain = r.placeholders > 0 && r.computed + 2 - r.placeholders >= r.prompt + r.output;
        if certain {
            return 0;
        }
        let n = capped(r.tokens() + r.placeholders - r.computed, cap).min(budget);
        n.min((self.config.max_model_len - r.computed).saturating_sub(1))
    }

    /// Preempts one victim so that `slot`, which stands at `at`, may grow; true if the victim is `slot` itself.
    fn preempt_for(&mut self, slot: u32, at: &mut usize, budget: &mut u32, batch: &mut Batch) -> bool {
        self.unfold(Some(batch));
        let place = match self.config.policy {
            QueuePolicy::Fcfs => self.running.len() - 1,
            QueuePolicy::Priority => (0..self.running.len())
                .max_by_key(|&i| self.slots[self.running[i]].urgency())
                .expect("running-not-empty: a request grows, so it runs"),
        };
        let victim = self.running.remove(place);
        if let Some(row) = batch.rows.iter().position(|row| row.slot == victim) {
            *budget += batch.rows.remove(row).tokens;
        }
        if place < *at {
            *at -= 1;
        }
        batch.preempted.push(self.slots[victim].attempt);
        self.preempt(victim);
        victim == slot
    }

    fn schedule_waiting(&mut self, cap: u32, budget: &mut u32, batch: &mut Batch) {
        let mut at = 0;
        while *budget > 0 && at < self.waiting.len() && self.running.len() < self.config.max_num_seqs as usize {
            let slot = self.waiting[at];
            if self.slots[slot].in_flight > 0 {
                at += 1; // its last tokens before the preemption are still on their way; others may pass
                continue;
            }
            let hits = self.look_up(slot, batch);
            let hit = hits.blocks * self.config.block_size;
            let n = capped(self.slots[slot].tokens() - hit, cap);
            if !self.config.chunked_prefill && n > *budget {
                break;
            }
            let n = n.min(*budget);
            if !self.admit_blocks(slot, hits, n, batch) {
                self.blocked = (at == 0).then_some(slot);
                break;
            }
            self.waiting.remove(at);
            self.running.push(slot);
            let request = &mut self.slots[slot];
            request.state = State::Running;
            request.computed = hit;
            request.cached_tokens.get_or_insert(hit);
            batch.admitted.push((request.attempt, hit));
            self.assign(slot, n, budget, batch);
        }
    }

    fn assign(&mut self, slot: u32, n: u32, budget: &mut u32, batch: &mut Batch) {
        let r = &self.slots[slot];
        let (generation, attempt, computed) = (r.generation, r.attempt, r.computed);
        batch.rows.push(Row { slot, generation, attempt, tokens: n, computed, samples: false });
        *budget -= n;
    }

    /// What is scheduled counts as computed at once.
    fn advance_rows(&mut self, batch: &mut Batch) {
        batch.tick = self.steady.next_tick(batch);
        for i in 0..batch.rows.len() {
            let row = &mut batch.rows[i];
            let r = &mut self.slots[row.slot];
            r.computed += row.tokens;
            r.in_flight += 1;
            row.samples = r.computed >= r.tokens() + r.placeholders;
            if row.samples {
                r.last_sample = batch.tick;
                r.placeholders += u32::from(self.config.async_scheduling);
            }
            let (computed, tokens, samples) = (row.computed, row.tokens, row.samples);
            batch.price(computed, tokens, samples);
        }
    }
}

fn capped(n: u32, cap: u32) -> u32 {
    if cap > 0 { n.min(cap) } else { n }
}
