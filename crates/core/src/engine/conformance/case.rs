//! The form of a recorded case: a line of a golden file, under vLLM's names.
//!
//! Unknown fields are refused, so that nothing that a recording says is passed over in silence.
use crate::engine::vllm::{QueuePolicy, VllmConfig};
use crate::types::{TraceFault, wrong};
use serde::Deserialize;
use serde::de::IgnoredAny;
use std::collections::BTreeMap;

/// Engine and version whose schedule a line records; every recording has these fields, whatever the engine.
#[derive(Debug, Clone, Deserialize)]
pub struct Label {
    /// The case's name.
    pub case: String,
    /// The engine that was recorded, in lower case.
    pub engine: String,
    /// The engine's version.
    pub version: String,
}

/// One line of a golden file of vLLM. `S` is `IgnoredAny` for somebody who asks what the case needs before its steps are read.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Case<S = CaseStep> {
    /// Name of the case.
    pub case: String,
    /// `vllm`.
    pub engine: String,
    /// vLLM's version.
    pub version: String,
    /// The engine's knobs.
    pub config: CaseConfig,
    /// What arrives.
    pub requests: Vec<CaseRequest>,
    /// What was decided, one for each call in which something happened.
    pub steps: Vec<S>,
}

/// vLLM's knobs under vLLM's names. What is absent is zero or off.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
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
    /// Whether that cap grows to an equal share of the budget.
    #[serde(default)]
    pub long_prefill_adaptive: bool,
    /// Share of blocks that an admission leaves free.
    pub watermark: f64,
    /// Full-sequence gate.
    pub reserve_full_isl: bool,
    /// Two batches in flight.
    pub async_scheduling: bool,
    /// Batches that may be in flight; by `async_scheduling` if absent.
    pub batch_queue: Option<u32>,
    /// Requests that may run, in place of `max_num_seqs`.
    pub max_num_active_seqs: Option<u32>,
    /// Tokens that a step may schedule, if fewer than its budget.
    pub max_num_scheduled_tokens: Option<u32>,
    /// Whether a prompt may be cut; it may if absent.
    pub chunked_prefill: Option<bool>,
    /// Drafts a step.
    #[serde(default)]
    pub num_speculative_tokens: u32,
    /// KV slots taken beyond the scheduled tokens.
    #[serde(default)]
    pub num_lookahead_tokens: u32,
    /// Input rows of the drafter, a request.
    #[serde(default)]
    pub draft_slots: u32,
    /// Who drafts.
    pub spec_method: Option<IgnoredAny>,
    /// Layers with KV of their own; one full group of `block_size` if empty.
    #[serde(default)]
    pub kv_groups: Vec<KvGroup>,
    /// Which blocks of a window stay cached.
    pub retention_interval: Option<IgnoredAny>,
    /// Tokens that a hash names, where groups differ.
    pub hash_block_size: Option<IgnoredAny>,
    /// Tokens that all groups' blocks divide.
    pub scheduler_block_size: Option<IgnoredAny>,
    /// The tier in host memory.
    pub offload: Option<IgnoredAny>,
    /// LoRA adapters that a step may have.
    pub max_loras: Option<usize>,
    /// Pipeline stages.
    pub pp_size: Option<u32>,
    /// Which runner a pipeline has; without a pipeline it decides nothing.
    pub v2_runner: Option<IgnoredAny>,
}

/// Layers that share a block table.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct KvGroup {
    /// How far its layers look back.
    #[serde(rename = "type")]
    pub kind: GroupKind,
    /// Tokens a block.
    pub block_size: u32,
    /// Tokens of its window, if it has one.
    pub window: Option<u32>,
}

/// How far the layers of a group look back.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum GroupKind {
    /// To the first token.
    Full,
    /// Layers that see a window of the context.
    Sliding,
}

/// One request of a case.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CaseRequest {
    /// Name of the request.
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
    /// When its client leaves: the call, and where in it.
    pub abort: Option<(u64, When)>,
    /// LoRA adapter of the request, from 1; 0 is none. Part of `block_ids`.
    #[serde(default)]
    pub lora: u32,
    /// Cache salt of the request. Part of `block_ids`.
    pub salt: Option<IgnoredAny>,
    /// Drafts that the model accepts.
    pub accept: Option<IgnoredAny>,
    /// Drafts that are offered.
    pub drafts: Option<IgnoredAny>,
}

/// Where in a call of the engine's loop something happens.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum When {
    /// Before its schedule, after its arrivals.
    Schedule,
    /// After its schedule, before its update.
    Update,
}

/// One recorded call.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CaseStep {
    /// Index of the call.
    pub step: u64,
    /// Who computes how many tokens, in order.
    pub scheduled: Vec<(String, u32)>,
    /// Prefix-cache hit of who entered running.
    pub admitted_with_cached: BTreeMap<String, u32>,
    /// Who was preempted, sorted.
    pub preempted: Vec<String>,
    /// Who was aborted, sorted: before the schedule and after it.
    #[serde(default)]
    pub aborted: [Vec<String>; 2],
    /// Who finished in the update after the call, sorted.
    pub finished: Vec<String>,
    /// Free blocks after that update.
    pub free_blocks: u32,
    /// Running requests after it.
    pub running: u32,
    /// Waiting requests after it.
    pub waiting: u32,
    /// Blocks that the scheduled requests hold after it, by group of layers; not all recordings say so.
    pub held: Option<BTreeMap<String, [u32; 1]>>,
}

impl CaseStep {
    /// Whether nothing happened in the call, so that it is not recorded.
    pub fn is_quiet(&self) -> bool {
        let CaseStep { scheduled, preempted, aborted, finished, .. } = self;
        scheduled.is_empty() && preempted.is_empty() && finished.is_empty() && aborted.iter().all(Vec::is_empty)
    }
}

impl<S> Case<S> {
    /// Whether the case can be replayed at all.
    ///
    /// # Errors
    /// The field that no engine can have, and what would be right.
    pub fn check(&self) -> Result<(), TraceFault> {
        self.sound().map_err(|fault| fault.of_part(format!("case {}", self.case)))
    }

    fn sound(&self) -> Result<(), TraceFault> {
        let c = &self.config;
        let least = [
            ("block_size", c.block_size, 1),
            ("num_gpu_blocks", c.num_gpu_blocks, 2),
            ("max_num_seqs", c.max_num_seqs, 1),
            ("max_num_active_seqs", c.max_num_active_seqs.unwrap_or(1), 1),
            ("max_num_batched_tokens", c.max_num_batched_tokens, 1),
            ("max_num_scheduled_tokens", c.max_num_scheduled_tokens.unwrap_or(1), 1),
        ];
        if let Some((key, got, least)) = least.into_iter().find(|(_, got, least)| got < least) {
            return Err(wrong!("config.{key} is {got}").hint(format!("it must be at least {least}")));
        }
        if !["fcfs", "priority"].contains(&c.policy.as_str()) {
            return Err(wrong!("config.policy is `{}`", c.policy).hint("it must be fcfs or priority"));
        }
        if !(0.0..=1.0).contains(&c.watermark) {
            return Err(wrong!("config.watermark is {}", c.watermark).hint("it must be a share, 0 to 1"));
        }
        self.requests.iter().try_for_each(|r| r.check(c.block_size).map_err(|f| f.of_part(format!("request {}", r.id))))
    }

    /// The scheduler's knobs.
    pub fn vllm_config(&self) -> VllmConfig {
        let c = &self.config;
        let scheduled = c.max_num_scheduled_tokens.unwrap_or(u32::MAX);
        VllmConfig {
            block_size: c.block_size,
            num_blocks: c.num_gpu_blocks,
            // Both are asked for at an admission alone; and without drafts a step's two budgets shrink alike.
            max_num_seqs: c.max_num_active_seqs.unwrap_or(c.max_num_seqs),
            max_num_batched_tokens: c.max_num_batched_tokens.min(scheduled),
            max_model_len: c.max_model_len,
            prefix_caching: c.enable_prefix_caching,
            policy: if c.policy == "priority" { QueuePolicy::Priority } else { QueuePolicy::Fcfs },
            chunked_prefill: c.chunked_prefill.unwrap_or(true),
            long_prefill_token_threshold: c.long_prefill_token_threshold,
            watermark: c.watermark,
            reserve_full_isl: c.reserve_full_isl,
            async_scheduling: c.async_scheduling,
            max_num_queued_reqs: None,
        }
    }
}

impl CaseRequest {
    fn check(&self, block_size: u32) -> Result<(), TraceFault> {
        let (prompt, output, blocks) = (self.prompt_len, self.output_len, self.block_ids.len());
        let total = u64::from(prompt) + u64::from(output);
        if prompt == 0 || output == 0 || total > u64::from(u32::MAX) {
            let fault = wrong!("prompt_len is {prompt} and output_len {output}");
            return Err(fault.hint("each must be at least 1, and the two together at most 4294967295"));
        }
        if blocks as u64 * u64::from(block_size) > total {
            let fault = wrong!("{blocks} block_ids are more than its {total} tokens fill");
            return Err(fault.hint("give one for each full block"));
        }
        Ok(())
    }
}
