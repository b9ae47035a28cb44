//! Replays a recorded schedule of the real vLLM by call index and names the first difference.
//!
//! Reads no files: who calls it hands over a case. The form of a case: `tests/golden` and its README.
use super::batch::{Batch, StepResult};
use super::scheduler::Scheduler;
use super::vllm::{QueuePolicy, VllmConfig, VllmScheduler};
use crate::kv::{BlockPool, KvPool, SpanPool};
use crate::types::{AttemptId, Content, ContentId, Femtos, Job, Run, SimTime};
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, VecDeque};

/// One line of a golden file.
#[derive(Debug, Clone, Deserialize)]
pub struct Case {
    /// Its name.
    pub case: String,
    /// The engine's knobs.
    pub config: CaseConfig,
    /// What arrives.
    pub requests: Vec<CaseRequest>,
    /// What was decided, one for each call in which something happened.
    pub steps: Vec<CaseStep>,
}

/// vLLM's knobs under vLLM's names.
#[derive(Debug, Clone, Deserialize)]
pub struct CaseConfig {
    /// Tokens a block.
    pub block_size: u32,
    /// Blocks, the null block included.
    pub num_gpu_blocks: u32,
    /// Sequence limit.
    pub max_num_seqs: u32,
    /// Token budget of a step.
    pub max_num_batched_tokens: u32,
    /// Context limit.
    pub max_model_len: u32,
    /// Prefix cache on or off.
    pub enable_prefix_caching: bool,
    /// `fcfs` or `priority`.
    pub policy: String,
    /// Cap of a long prompt's chunk.
    pub long_prefill_token_threshold: u32,
    /// Share of blocks that an admission leaves free.
    pub watermark: f64,
    /// Full-sequence gate.
    pub reserve_full_isl: bool,
    /// Two batches in flight.
    pub async_scheduling: bool,
}

/// One request of a case.
#[derive(Debug, Clone, Deserialize)]
pub struct CaseRequest {
    /// Its name.
    pub id: String,
    /// Call before which it is added.
    pub arrival_step: u64,
    /// Lower is more urgent.
    pub priority: i32,
    /// Prompt tokens.
    pub prompt_len: u32,
    /// Output tokens.
    pub output_len: u32,
    /// Identity of each full block of prompt and output.
    pub block_ids: Vec<u64>,
}

/// One recorded call.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
pub struct CaseStep {
    /// Index of the call.
    pub step: u64,
    /// Who computes how many tokens, in order.
    pub scheduled: Vec<(String, u32)>,
    /// Prefix-cache hit of who entered running.
    pub admitted_with_cached: BTreeMap<String, u32>,
    /// Who was preempted, sorted.
    pub preempted: Vec<String>,
    /// Who finished in the update after the call, sorted.
    pub finished: Vec<String>,
    /// Free blocks after that update.
    pub free_blocks: u32,
    /// Running requests after it.
    pub running: u32,
    /// Waiting requests after it.
    pub waiting: u32,
}

/// The first difference between a case and its replay.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Mismatch {
    /// The case.
    pub case: String,
    /// The call.
    pub step: u64,
    /// Which field differs.
    pub field: &'static str,
    /// As recorded.
    pub expected: String,
    /// As replayed.
    pub got: String,
}

impl Case {
    /// Whether the case can be replayed at all.
    ///
    /// # Errors
    /// The field that no engine can have, and what would be right.
    pub fn check(&self) -> Result<(), String> {
        let c = &self.config;
        let wrong = |what: String| Err(format!("case {}: {what}", self.case));
        let least = [
            ("block_size", c.block_size, 1),
            ("num_gpu_blocks", c.num_gpu_blocks, 2),
            ("max_num_seqs", c.max_num_seqs, 1),
            ("max_num_batched_tokens", c.max_num_batched_tokens, 1),
        ];
        if let Some((key, got, least)) = least.into_iter().find(|(_, got, least)| got < least) {
            return wrong(format!("config.{key} is {got}; it must be at least {least}"));
        }
        if !["fcfs", "priority"].contains(&c.policy.as_str()) {
            return wrong(format!("config.policy is `{}`; it must be fcfs or priority", c.policy));
        }
        if !(0.0..=1.0).contains(&c.watermark) {
            return wrong(format!("config.watermark is {}; it must be a share, 0 to 1", c.watermark));
        }
        for r in &self.requests {
            let total = u64::from(r.prompt_len) + u64::from(r.output_len);
            if r.prompt_len == 0 || r.output_len == 0 || total > u64::from(u32::MAX) {
                let (prompt, output) = (r.prompt_len, r.output_len);
                return wrong(format!(
                    "request {}: prompt_len {prompt} and output_len {output}; each is at least 1",
                    r.id
                ));
            }
            if r.block_ids.len() as u64 * u64::from(c.block_size) > total {
                return wrong(format!(
                    "request {}: {} block_ids are more than its {total} tokens fill",
                    r.id,
                    r.block_ids.len()
                ));
            }
        }
        Ok(())
    }

    /// The scheduler's knobs.
    pub fn vllm_config(&self) -> VllmConfig {
        let c = &self.config;
        VllmConfig {
            block_size: c.block_size,
            num_blocks: c.num_gpu_blocks,
            max_num_seqs: c.max_num_seqs,
            max_num_batched_tokens: c.max_num_batched_tokens,
            max_model_len: c.max_model_len,
            prefix_caching: c.enable_prefix_caching,
            policy: if c.policy == "priority" { QueuePolicy::Priority } else { QueuePolicy::Fcfs },
            chunked_prefill: true,
            long_prefill_token_threshold: c.long_prefill_token_threshold,
            watermark: c.watermark,
            reserve_full_isl: c.reserve_full_isl,
            async_scheduling: c.async_scheduling,
            max_num_queued_reqs: None,
        }
    }

    /// The job of request `index`, and the content of what it generates.
    fn job(&self, index: usize) -> (Job, Box<[Run]>) {
        let r = &self.requests[index];
        let size = self.config.block_size;
        let total = r.prompt_len + r.output_len;
        let mut all: Vec<Run> = Vec::with_capacity(r.block_ids.len() + 1);
        all.extend(r.block_ids.iter().map(|&id| Run { id: ContentId::Named(id), start: 0, len: size }));
        let named = r.block_ids.len() as u32 * size;
        all.push(Run { id: ContentId::Private(index as u64), start: 0, len: total.saturating_sub(named) });
        let (mut prompt, mut output, mut at) = (Vec::new(), Vec::new(), 0);
        for run in all {
            let first = run.len.min(r.prompt_len.saturating_sub(at));
            prompt.push(Run { len: first, ..run });
            output.push(Run { start: run.start + first, len: run.len - first, ..run });
            at += run.len;
        }
        prompt.retain(|run| run.len > 0);
        output.retain(|run| run.len > 0);
        let job = Job {
            attempt: AttemptId(index as u64),
            request: index as u64,
            try_number: 0,
            prompt_tokens: r.prompt_len,
            output_tokens: r.output_len,
            max_output_tokens: r.output_len,
            priority: r.priority,
            content: Content::from(prompt),
            external_kv: None,
            hold_kv_until: None,
        };
        (job, output.into_boxed_slice())
    }

    /// Replays the case: through the scheduler that simulations use, and once more with strides under the horizon "calls
    /// until the next arrival", each stride expanded call by call before comparing.
    ///
    /// # Errors
    /// The first field that differs from the recording.
    pub fn replay(&self, strides: bool) -> Result<(), Box<Mismatch>> {
        self.replay_on(VllmScheduler::<SpanPool>::on_pool(self.vllm_config(), strides))
    }

    /// Replays the case on the reference pool.
    ///
    /// # Errors
    /// As [`Case::replay`].
    pub fn replay_on_reference(&self) -> Result<(), Box<Mismatch>> {
        self.replay_on(VllmScheduler::<BlockPool>::on_pool(self.vllm_config(), false))
    }

    fn replay_on<P: KvPool>(&self, mut scheduler: VllmScheduler<P>) -> Result<(), Box<Mismatch>> {
        let mut order: Vec<usize> = (0..self.requests.len()).collect();
        order.sort_by_key(|&i| (self.requests[i].arrival_step, &self.requests[i].id));
        let mut arrivals = order.into_iter().peekable();
        let depth = if self.config.async_scheduling { 2 } else { 1 };
        let mut flight: VecDeque<Batch> = VecDeque::new();
        let (mut spare, mut result) = (Vec::new(), StepResult::default());
        let mut recorded = self.steps.iter();
        let mut check = |got: &CaseStep| {
            if got.scheduled.is_empty() && got.preempted.is_empty() && got.finished.is_empty() {
                return Ok(());
            }
            match recorded.next() {
                Some(want) => self.compare(want, got),
                None => Err(self.differs(got.step, "step", &"no further step", got)),
            }
        };
        let mut call = 0;
        loop {
            if scheduler.unfinished() == 0 && flight.is_empty() {
                match arrivals.peek() {
                    Some(&next) => call = call.max(self.requests[next].arrival_step),
                    None => break,
                }
            }
            while let Some(next) = arrivals.next_if(|&i| self.requests[i].arrival_step <= call) {
                let (job, output) = self.job(next);
                scheduler
                    .enqueue_with_output(job, Some(output))
                    .map_err(|cause| self.differs(call, "enqueue", &"accepted", &cause))?;
            }
            let mut batch: Batch = spare.pop().unwrap_or_default();
            scheduler.schedule(SimTime(call), &mut batch);
            let mut got = self.describe(call, &batch, scheduler.scheduled(&batch));
            let empty = batch.is_empty();
            if empty {
                spare.push(batch);
            } else {
                flight.push_back(batch);
            }
            if flight.len() == depth && flight.iter().all(|b| b.rows.is_empty()) {
                let quiet = arrivals.peek().map_or(u64::MAX, |&i| self.requests[i].arrival_step - call - 1);
                let stride = scheduler.stride().filter(|s| flight.iter().all(|b| b.decode_rows == s.rows));
                let cycles = stride.map_or(0, |s| u64::from(s.cycles).min(quiet) as u32);
                // A call's record holds its schedule and the update after it; a cycle is that update and the next schedule.
                for cycle in 0..cycles {
                    self.look(&scheduler, cycle, &mut got);
                    check(&got)?;
                    got.step += 1;
                }
                if cycles > 0 {
                    scheduler.apply(cycles, Femtos(0));
                    flight.iter_mut().for_each(|batch| batch.advance(cycles));
                    call += u64::from(cycles);
                }
            }
            if (flight.len() == depth || empty)
                && let Some(oldest) = flight.pop_front()
            {
                scheduler.update(&oldest, &mut result);
                got.finished = result.finished.iter().map(|f| self.name(f.attempt)).collect();
                got.finished.sort_unstable();
                spare.push(oldest);
            }
            self.look(&scheduler, 0, &mut got);
            check(&got)?;
            call += 1;
        }
        match recorded.next() {
            Some(want) => Err(self.differs(want.step, "step", want, &"the end")),
            None => Ok(()),
        }
    }

    /// Notes what stands after an update, `cycles` cycles from now.
    fn look<P: KvPool>(&self, scheduler: &VllmScheduler<P>, cycles: u32, got: &mut CaseStep) {
        let load = scheduler.load();
        got.free_blocks = load.kv_total_blocks - load.kv_used_blocks - scheduler.blocks_after(cycles);
        (got.running, got.waiting) = (load.running, load.waiting);
    }

    fn name(&self, attempt: AttemptId) -> String {
        self.requests[attempt.0 as usize].id.clone()
    }

    fn describe(&self, call: u64, batch: &Batch, rows: impl Iterator<Item = (AttemptId, u32)>) -> CaseStep {
        let mut preempted: Vec<String> = batch.preempted.iter().map(|&a| self.name(a)).collect();
        preempted.sort_unstable();
        CaseStep {
            step: call,
            scheduled: rows.map(|(attempt, tokens)| (self.name(attempt), tokens)).collect(),
            admitted_with_cached: batch.admitted.iter().map(|&(a, hit)| (self.name(a), hit)).collect(),
            preempted,
            ..CaseStep::default()
        }
    }

    fn differs(
        &self,
        step: u64,
        field: &'static str,
        expected: &dyn std::fmt::Debug,
        got: &dyn std::fmt::Debug,
    ) -> Box<Mismatch> {
        let (expected, got) = (format!("{expected:?}"), format!("{got:?}"));
        Box::new(Mismatch { case: self.case.clone(), step, field, expected, got })
    }

    fn compare(&self, want: &CaseStep, got: &CaseStep) -> Result<(), Box<Mismatch>> {
        macro_rules! same {
            ($($field:ident),*) => {$(
                if want.$field != got.$field {
                    return Err(self.differs(want.step, stringify!($field), &want.$field, &got.$field));
                }
            )*};
        }
        same!(step, scheduled, admitted_with_cached, preempted, finished, free_blocks, running, waiting);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Read;

    /// Replays a file of this project's recordings; the tests may read files.
    fn exact(file: &str, cases: usize) {
        let path = format!("{}/../../tests/golden/{file}", env!("CARGO_MANIFEST_DIR"));
        let mut text = String::new();
        let packed = std::fs::File::open(&path).expect("golden file");
        flate2::read::GzDecoder::new(packed).read_to_string(&mut text).expect("golden file unpacks");
        let all: Vec<Case> = text.lines().map(|l| serde_json::from_str(l).expect("golden case")).collect();
        type Replay = fn(&Case) -> Result<(), Box<Mismatch>>;
        let ways: [(&str, Replay); 3] = [
            ("one by one", |c| c.replay(false)),
            ("with strides", |c| c.replay(true)),
            ("on the reference pool", Case::replay_on_reference),
        ];
        for (way, replay) in ways {
            let wrong: Vec<Mismatch> = all.iter().filter_map(|c| replay(c).err()).map(|m| *m).collect();
            assert!(
                wrong.is_empty(),
                "vllm-exact: {} of {} cases differ {way}: {:#?}",
                wrong.len(),
                all.len(),
                &wrong[..wrong.len().min(5)]
            );
        }
        assert_eq!(all.len(), cases);
    }

    #[test]
    fn synchronous_schedules_equal_the_real_vllm() {
        exact("vllm-0.32-sync.jsonl.gz", 90);
    }
    #[test]
    fn azure_schedules_equal_the_real_vllm() {
        exact("vllm-0.32-azure-sync.jsonl.gz", 2);
    }
    #[test]
    fn asynchronous_schedules_equal_the_real_vllm() {
        exact("vllm-0.32-async.jsonl.gz", 90);
    }
    #[test]
    fn asynchronous_azure_schedules_equal_the_real_vllm() {
        exact("vllm-0.32-azure-async.jsonl.gz", 1);
    }
}
