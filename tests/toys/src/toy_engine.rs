//! An engine: one request after the other, each alone: a step for its prompt, then one for each further token.
use baseload::engine::{
    Batch, Demand, EngineLimits, EngineMode, EngineRow, EngineSection, Finished, Gap, KvCapacity, Machine, Scheduler,
    StepResult,
};
use baseload::memory::StepLimits;
use baseload::types::{AttemptId, FailureCause, Fault, Femtos, Job, Load, PrefillChunk, SimTime};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::collections::VecDeque;

/// Its row of the registry.
pub const ROW: EngineRow = EngineRow::of::<ToySection>("toy", "One request after the other, each alone.");

/// `[pool.NAME.engine.toy]`.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
struct ToySection {
    /// Requests that may wait; more are refused.
    queue: u32,
}

impl Default for ToySection {
    fn default() -> ToySection {
        ToySection { queue: 100 }
    }
}

impl EngineSection for ToySection {
    fn resolve(&mut self, _on: &Machine<'_>) -> Result<Vec<String>, Fault> {
        if self.queue == 0 { Err(Fault::at("queue", "it is 0").hint("it must be at least 1")) } else { Ok(Vec::new()) }
    }
    fn demand(&self) -> Demand {
        let limits = StepLimits { max_num_batched_tokens: 8_192, max_num_seqs: 1 };
        Demand { limits, block_size: 16, concurrent_batches: 1, graphs: false, graph_memory: false }
    }
    fn limits(&self, kv: &KvCapacity) -> EngineLimits {
        let most_tokens = u64::from(kv.max_model_len);
        EngineLimits { max_rows: 1, most_rows: 1, most_tokens, cached_block: None, by_priority: false }
    }
    fn build(&self, kv: &KvCapacity, _mode: EngineMode) -> Box<dyn Scheduler> {
        Box::new(Toy { kv: *kv, queue: self.queue as usize, waiting: VecDeque::new(), served: None })
    }
}

/// The scheduler.
struct Toy {
    kv: KvCapacity,
    queue: usize,
    /// Who waits, with prompt and output tokens.
    waiting: VecDeque<(AttemptId, u32, u32)>,
    served: Option<Served>,
}

/// The request whose turn it is. Aborted, it ends with the step under way.
struct Served {
    attempt: AttemptId,
    prompt: u32,
    output: u32,
    scheduled: u32,
    emitted: u32,
    /// When its last token left.
    since: Femtos,
    aborted: bool,
}

impl Served {
    fn blocks(&self, block_size: u32) -> u32 {
        (self.prompt + self.output).div_ceil(block_size)
    }
}

impl Scheduler for Toy {
    fn enqueue(&mut self, job: Job, _now: SimTime) -> Result<(), FailureCause> {
        let tokens = u64::from(job.prompt_tokens) + u64::from(job.output_tokens);
        if tokens > u64::from(self.kv.max_model_len) || tokens > self.kv.tokens() {
            return Err(FailureCause::TooLong);
        }
        if self.waiting.len() == self.queue {
            return Err(FailureCause::QueueFull);
        }
        self.waiting.push_back((job.attempt, job.prompt_tokens, job.output_tokens));
        Ok(())
    }

    fn abort(&mut self, attempt: AttemptId) -> Option<u32> {
        if let Some(at) = self.waiting.iter().position(|w| w.0 == attempt) {
            self.waiting.remove(at);
            return Some(0);
        }
        let served = self.served.as_mut().filter(|s| s.attempt == attempt && !s.aborted)?;
        served.aborted = true;
        let emitted = served.emitted;
        if served.scheduled == emitted {
            self.served = None;
        }
        Some(emitted)
    }

    fn schedule(&mut self, _now: SimTime, batch: &mut Batch) {
        batch.clear();
        if self.served.is_none()
            && let Some((attempt, prompt, output)) = self.waiting.pop_front()
        {
            batch.admitted.push((attempt, 0));
            let since = Femtos(0);
            self.served = Some(Served { attempt, prompt, output, scheduled: 0, emitted: 0, since, aborted: false });
        }
        let Some(s) = self.served.as_mut().filter(|s| s.scheduled == s.emitted) else { return };
        if s.scheduled == 0 {
            batch.prefill.push(PrefillChunk { context: 0, tokens: s.prompt });
        } else {
            batch.decode_rows = 1;
            batch.decode_ctx_sum = u64::from(s.prompt + s.scheduled - 1);
        }
        s.scheduled += 1;
    }

    fn update(&mut self, batch: &Batch, result: &mut StepResult) {
        result.clear();
        let Some(mut s) = self.served.take().filter(|s| !s.aborted) else { return };
        s.emitted += 1;
        if s.emitted == 1 {
            result.first_tokens.push(s.attempt);
        } else {
            result.gaps.push(Gap { since: s.since, tokens: 1 });
        }
        s.since = batch.ends_at;
        if s.emitted == s.output {
            result.finished.push(Finished { attempt: s.attempt, cached_tokens: 0, preemptions: 0 });
        } else {
            self.served = Some(s);
        }
    }

    fn load(&self) -> Load {
        Load {
            waiting: self.waiting.len() as u32,
            running: u32::from(self.served.is_some()),
            kv_used_blocks: self.served.as_ref().map_or(0, |s| s.blocks(self.kv.block_size)),
            kv_total_blocks: self.kv.num_blocks - 1,
        }
    }

    fn unfinished(&self) -> usize {
        self.waiting.len() + usize::from(self.served.as_ref().is_some_and(|s| !s.aborted))
    }

    fn kill_all(&mut self, lost: &mut Vec<(AttemptId, u32)>) {
        let from = lost.len();
        lost.extend(self.waiting.drain(..).map(|(attempt, _, _)| (attempt, 0)));
        lost.extend(self.served.take().filter(|s| !s.aborted).map(|s| (s.attempt, s.emitted)));
        lost[from..].sort_unstable();
    }
}
