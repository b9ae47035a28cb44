//! vLLM's V1 scheduler: continuous batching, chunked prefill, paged KV, prefix cache, recompute preemption.
//!
//! `schedule.rs` decides a step, `update.rs` applies it, `memory.rs` is what both do to blocks, `slots.rs` holds
//! requests, `steady.rs` takes equal decode steps together. Rules and their numbers: spec/vllm.md 1.3 to 1.8; equality with the real one: `conformance`.
mod blocks;
mod schedule;
mod section;
mod slots;
mod steady;
#[cfg(test)]
mod traces;
mod update;

use super::batch::{Batch, StepResult};
use super::replica::EngineMode;
use super::scheduler::{Scheduler, Stride};
use crate::kv::{BlockPool, KvPool, SpanPool, Tokens};
use crate::memory::BLOCK_SIZE;
use crate::types::{AttemptId, FailureCause, Femtos, Job, Load, Run, SimTime};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use slots::{Slots, State};
use std::collections::VecDeque;
use steady::Steady;

pub use section::ROW;

/// Who goes first, and who is preempted first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum QueuePolicy {
    /// By arrival; the last admitted is preempted.
    #[default]
    Fcfs,
    /// By (priority, arrival); the largest of these is preempted.
    Priority,
}

/// The knobs of vLLM that decide schedules.
#[derive(Debug, Clone, PartialEq)]
pub struct VllmConfig {
    /// Tokens a KV block.
    pub block_size: u32,
    /// KV blocks, the null block included.
    pub num_blocks: u32,
    /// Requests that may run at once.
    pub max_num_seqs: u32,
    /// Tokens a step.
    pub max_num_batched_tokens: u32,
    /// Prompt and output tokens of a request together.
    pub max_model_len: u32,
    /// Whether full blocks are shared.
    pub prefix_caching: bool,
    /// Order of the queue.
    pub policy: QueuePolicy,
    /// Whether a prompt may be computed over several steps. Without, a request waits for a step with room for all of it.
    pub chunked_prefill: bool,
    /// Most prefill tokens of one request a step while others are there; 0 = no such cap.
    pub long_prefill_token_threshold: u32,
    /// Share of blocks that an admission leaves free while something runs.
    pub watermark: f64,
    /// Whether an admission needs room for all of a request's tokens, not only for its first chunk.
    pub reserve_full_isl: bool,
    /// Whether the next step is scheduled while one runs.
    pub async_scheduling: bool,
    /// Requests that may wait; more are refused.
    pub max_num_queued_reqs: Option<u32>,
}

impl Default for VllmConfig {
    fn default() -> VllmConfig {
        VllmConfig {
            block_size: BLOCK_SIZE,
            num_blocks: 4096,
            max_num_seqs: 256,
            max_num_batched_tokens: 8192,
            max_model_len: 8192,
            prefix_caching: true,
            policy: QueuePolicy::Fcfs,
            chunked_prefill: true,
            long_prefill_token_threshold: 0,
            watermark: 0.0,
            reserve_full_isl: true,
            async_scheduling: true,
            max_num_queued_reqs: None,
        }
    }
}

impl VllmConfig {
    /// An empty engine with these settings.
    pub fn scheduler(self, mode: EngineMode) -> Box<dyn Scheduler> {
        if mode.reference_pool {
            Box::new(VllmScheduler::<BlockPool>::on_pool(self, mode.strides))
        } else {
            Box::new(VllmScheduler::<SpanPool>::on_pool(self, mode.strides))
        }
    }
}

/// The scheduler. See the module head.
#[derive(Debug)]
pub struct VllmScheduler<P: KvPool = SpanPool> {
    config: VllmConfig,
    watermark_blocks: u32,
    pool: P,
    slots: Slots<P::Table>,
    /// Slots in admission order.
    running: Vec<u32>,
    /// Slots in the order in which they are tried.
    waiting: VecDeque<u32>,
    arrivals: u64,
    /// The first of the running requests, as far as they decode steadily.
    steady: Steady,
    /// Whether there may be steady rows. Without, every step is the reference step.
    strides: bool,
    /// The head of the waiting queue, if the last schedule had no room for it.
    blocked: Option<u32>,
}

impl VllmScheduler {
    /// An empty engine on the fast pool, with strides.
    pub fn new(config: VllmConfig) -> VllmScheduler {
        VllmScheduler::on_pool(config, true)
    }
}

impl<P: KvPool> VllmScheduler<P> {
    /// An empty engine on a pool of kind `P`; without `strides` every step is the reference step.
    pub fn on_pool(config: VllmConfig, strides: bool) -> VllmScheduler<P> {
        assert!(
            config.block_size > 0 && config.max_num_seqs > 0 && config.max_num_batched_tokens > 0,
            "vllm-config: block size, sequence limit and token budget are at least 1"
        );
        VllmScheduler {
            watermark_blocks: (config.watermark * f64::from(config.num_blocks)) as u32,
            pool: P::new(config.num_blocks, config.block_size),
            slots: Slots::new(),
            running: Vec::new(),
            waiting: VecDeque::new(),
            arrivals: 0,
            steady: Steady::new(config.block_size),
            strides,
            blocked: None,
            config,
        }
    }

    /// Knobs of the engine.
    pub fn config(&self) -> &VllmConfig {
        &self.config
    }

    /// KV blocks of the engine, to look at.
    pub fn pool(&self) -> &P {
        &self.pool
    }

    /// What a request holds, if it is here.
    pub fn table_of(&self, attempt: AttemptId) -> Option<&P::Table> {
        let mut present = self.running.iter().chain(&self.waiting).map(|&slot| &self.slots[slot]);
        present.find(|r| r.attempt == attempt).map(|r| &r.table)
    }

    /// Enqueues a job whose generated tokens have the content `output` instead of the request's own.
    ///
    /// # Errors
    /// As `enqueue`.
    pub fn enqueue_with_output(&mut self, job: Job, output: Option<Box<[Run]>>) -> Result<(), FailureCause> {
        assert!(job.prompt_tokens > 0 && job.output_tokens > 0, "job-not-empty: {:?}", job.attempt);
        debug_assert_eq!(job.content.tokens(), u64::from(job.prompt_tokens), "content-covers-prompt");
        let total = u64::from(job.prompt_tokens) + u64::from(job.output_tokens);
        let most_blocks = (total - 1).div_ceil(u64::from(self.config.block_size));
        if total > u64::from(self.config.max_model_len) || most_blocks > u64::from(self.pool.usable()) {
            return Err(FailureCause::TooLong);
        }
        if self.config.max_num_queued_reqs.is_some_and(|most| self.waiting.len() >= most as usize) {
            return Err(FailureCause::QueueFull);
        }
        self.arrivals += 1;
        let slot = self.slots.insert(job, output, self.arrivals);
        self.queue(slot, false);
        Ok(())
    }

    /// Puts a request into the waiting queue where its policy wants it; `front` is for the preempted.
    fn queue(&mut self, slot: u32, front: bool) {
        match self.config.policy {
            QueuePolicy::Fcfs if front => self.waiting.push_front(slot),
            QueuePolicy::Fcfs => self.waiting.push_back(slot),
            QueuePolicy::Priority => {
                let urgency = self.slots[slot].urgency();
                let at = self.waiting.partition_point(|&other| self.slots[other].urgency() < urgency);
                self.waiting.insert(at, slot);
            }
        }
    }

    /// Takes a request out of the list it is in, frees its blocks and its slot.
    fn retire(&mut self, slot: u32) {
        match self.slots[slot].state {
            State::Running => {
                let at = self.running.iter().position(|&s| s == slot).expect("state-matches-list: running");
                self.running.remove(at);
            }
            State::Waiting => {
                let at = self.waiting.iter().position(|&s| s == slot).expect("state-matches-list: waiting");
                self.waiting.remove(at);
            }
        }
        self.forget(slot);
    }

    /// Frees the blocks and the slot of a request that is in no list.
    fn forget(&mut self, slot: u32) {
        let table = &mut self.slots[slot].table;
        self.pool.release(table);
        self.pool.retire(table);
        self.slots.remove(slot);
    }
}

impl<P: KvPool> VllmScheduler<P> {
    /// Tokens of a prompt's whole blocks that `look` finds cached.
    fn tokens_found(&self, prompt: &[Run], look: impl Fn(Tokens<'_>, u32) -> u32) -> u64 {
        if !self.config.prefix_caching {
            return 0;
        }
        let tokens: u64 = prompt.iter().map(|r| u64::from(r.len)).sum();
        let block = u64::from(self.config.block_size);
        u64::from(look(Tokens { prompt, output: &[] }, (tokens / block) as u32)) * block
    }
}

impl<P: KvPool> Scheduler for VllmScheduler<P> {
    fn enqueue(&mut self, job: Job, _now: SimTime) -> Result<(), FailureCause> {
        self.enqueue_with_output(job, None)
    }
    fn abort(&mut self, attempt: AttemptId) -> Option<u32> {
        let slot = self.slots.find(attempt, self.running.iter().chain(&self.waiting).copied())?;
        if self.slots[slot].steady {
            self.unfold(None);
        }
        let emitted = self.slots[slot].emitted;
        self.retire(slot);
        Some(emitted)
    }
    fn schedule(&mut self, _now: SimTime, batch: &mut Batch) {
        self.next_batch(batch);
    }
    fn update(&mut self, batch: &Batch, result: &mut StepResult) {
        self.end_batch(batch, result);
    }
    fn load(&self) -> Load {
        Load {
            waiting: self.waiting.len() as u32,
            running: self.running.len() as u32,
            kv_used_blocks: self.pool.usable() - self.pool.free_count(),
            kv_total_blocks: self.pool.usable(),
        }
    }
    fn cached_tokens(&self, prompt: &[Run]) -> u64 {
        self.tokens_found(prompt, |tokens, blocks| self.pool.cached(tokens, blocks))
    }
    fn cached_tokens_at(&self, prompt: &[Run], at: SimTime) -> u64 {
        self.tokens_found(prompt, |tokens, blocks| self.pool.cached_at(tokens, blocks, at))
    }
    fn keep_kv_events(&mut self, keep: SimTime) {
        self.pool.keep_log(keep);
    }
    fn stamp(&mut self, now: SimTime) {
        self.pool.stamp(now);
    }
    fn concurrent_batches(&self) -> usize {
        1 + usize::from(self.config.async_scheduling)
    }
    fn unfinished(&self) -> usize {
        self.running.len() + self.waiting.len()
    }
    fn kill_all(&mut self, lost: &mut Vec<(AttemptId, u32)>) {
        let from = lost.len();
        self.unfold(None);
        self.steady.forget_flight();
        while let Some(slot) = self.running.pop().or_else(|| self.waiting.pop_back()) {
            lost.push((self.slots[slot].attempt, self.slots[slot].emitted));
            self.forget(slot);
        }
        lost[from..].sort_unstable();
        // GPU memory is gone, and the prefix cache with it.
        let kept = self.pool.log_kept();
        self.pool = P::new(self.config.num_blocks, self.config.block_size);
        if let Some(keep) = kept {
            self.pool.keep_log(keep);
        }
    }
    fn stride(&self) -> Option<Stride> {
        self.repeats()
    }
    fn blocks_after(&self, cycles: u32) -> u32 {
        self.blocks_of_cycles(cycles)
    }
    fn apply(&mut self, cycles: u32, last_update: Femtos) {
        self.repeat(cycles, last_update);
    }
}
