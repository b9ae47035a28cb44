//! `[pool.X.engine.vllm]`: vLLM's options under vLLM's names, and the engine that they make.
use super::{QueuePolicy, VllmConfig};
use crate::catalog::Gpu;
use crate::engine::registry::{Demand, EngineLimits, EngineRow, EngineSection, KvCapacity, Machine};
use crate::engine::{EngineMode, Scheduler};
use crate::memory::{BLOCK_SIZE, StepLimits};
use crate::types::{Fault, check};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use toml::Table;

/// vLLM in the registry.
pub const ROW: EngineRow = EngineRow::of::<VllmSection>("vllm", "vLLM V1's scheduler.").with_defaults_of(defaults_of);

/// Which vLLM the engine follows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
pub enum Profile {
    /// vLLM 0.32.
    #[default]
    #[serde(rename = "vllm-0.32")]
    Vllm032,
}

/// vLLM's scheduler options, under vLLM's names.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct VllmSection {
    /// Which vLLM it follows (default and only one today: `vllm-0.32`).
    pub profile: Profile,
    /// Sequences in the running list. vLLM's default for the GPU unless given: 1024 from 70 GiB of memory (A100 and
    /// GB10 excepted), else 256; at most max_num_batched_tokens.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0, max = 1_000_000))]
    pub max_num_seqs: Option<u32>,
    /// Tokens of one step. vLLM's API-server default for the GPU unless given: 16384 from 160 GiB of memory, 8192 from
    /// 70 GiB (A100 and GB10 excepted), else 2048; at most max_num_seqs times the longest sequence.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0, max = 100_000_000))]
    pub max_num_batched_tokens: Option<u32>,
    /// Schedule a step while the one before runs (default: true): a step then takes the longer of the host's and the
    /// GPU's time, not both, and a finished request is noticed one step late.
    pub async_scheduling: bool,
    /// Who goes first: `fcfs` (default) or `priority`, by the trace's `priority` plus the class's.
    pub scheduling_policy: QueuePolicy,
    /// Tokens of a KV block (default: 16).
    #[schemars(range(min = 0, max = 1_000_000))]
    pub block_size: u32,
    /// Reuse KV of equal prefixes (default: true).
    pub enable_prefix_caching: bool,
    /// Compute a long prompt over several steps (default: true). Without, max_num_batched_tokens must be at least the
    /// longest sequence.
    pub enable_chunked_prefill: bool,
    /// Cap of a prefill chunk while others wait or run; 0 = none (default).
    #[schemars(range(min = 0, max = 100_000_000))]
    pub long_prefill_token_threshold: u32,
    /// Share of blocks kept free when admitting (default: 0).
    #[schemars(range(min = 0.0, max = 1.0))]
    pub watermark: f64,
    /// Admit only what fits with its whole prompt (default: true).
    pub scheduler_reserve_full_isl: bool,
    /// Queue limit, more are refused with 503; no limit unless given.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0, max = 10_000_000))]
    pub max_num_queued_reqs: Option<u32>,
    /// Launch every kernel by itself, compile nothing and capture no CUDA graphs (default: false).
    pub enforce_eager: bool,
}

impl Default for VllmSection {
    fn default() -> Self {
        let config = VllmConfig::default();
        VllmSection {
            profile: Profile::default(),
            max_num_seqs: None,
            max_num_batched_tokens: None,
            async_scheduling: config.async_scheduling,
            scheduling_policy: config.policy,
            block_size: BLOCK_SIZE,
            enable_prefix_caching: config.prefix_caching,
            enable_chunked_prefill: config.chunked_prefill,
            long_prefill_token_threshold: config.long_prefill_token_threshold,
            watermark: config.watermark,
            scheduler_reserve_full_isl: config.reserve_full_isl,
            max_num_queued_reqs: config.max_num_queued_reqs,
            enforce_eager: false,
        }
    }
}

/// Tokens and sequences of a step on a CPU, the machine that the catalogue has no rows of: an API server's (spec 1.11).
const ON_CPU: StepLimits = StepLimits { max_num_batched_tokens: 2_048, max_num_seqs: 128 };
/// The version from which on the next step is scheduled while one runs: `async_scheduling` in `config/scheduler.py` is
/// `False` up to 0.13.0 and decided at start, in favour, from 0.14.0 on (read 2026-11-24).
const ASYNCHRONOUS_FROM: (u32, u32) = (0, 14);

/// A version that is not said is taken for today's. CPUs have no asynchronous mode.
fn defaults_of(version: &str, gpu: Option<&Gpu>) -> Table {
    let mut table = Table::new();
    let mut numbers = version.trim_start_matches('v').split('.').map_while(|n| n.parse::<u32>().ok());
    let of_today = match (numbers.next(), numbers.next()) {
        (Some(major), Some(minor)) => (major, minor) >= ASYNCHRONOUS_FROM,
        _ => true,
    };
    if !of_today || gpu.is_none() {
        table.insert("async_scheduling".to_owned(), false.into());
    }
    table
}

impl VllmSection {
    /// The limits of a step, from what is given and the GPU.
    fn step_limits(&self, on: &Machine<'_>) -> Result<StepLimits, Fault> {
        let given = |key: &str, value: Option<u32>| value.map(|n| check::at_least_1(key, n)).transpose();
        let tokens = given("max_num_batched_tokens", self.max_num_batched_tokens)?;
        let seqs = given("max_num_seqs", self.max_num_seqs)?;
        let mut limits = match on.gpu {
            Some(gpu) => StepLimits::for_gpu(gpu, on.max_model_len, tokens, seqs),
            None => ON_CPU.cut(on.max_model_len, tokens, seqs),
        };
        if !self.enable_chunked_prefill && limits.max_num_batched_tokens < on.max_model_len {
            if tokens.is_some() {
                let (is, longest) = (limits.max_num_batched_tokens, on.max_model_len);
                return Err(Fault::at("enable_chunked_prefill", "it is false").hint(format!(
                    "max_num_batched_tokens must then be at least the longest sequence, {longest}; it is {is}"
                )));
            }
            limits.max_num_batched_tokens = on.max_model_len;
        }
        Ok(limits)
    }

    fn config(&self, kv: &KvCapacity) -> VllmConfig {
        let limits = self.demand().limits;
        VllmConfig {
            block_size: kv.block_size,
            num_blocks: kv.num_blocks,
            max_num_seqs: limits.max_num_seqs,
            max_num_batched_tokens: limits.max_num_batched_tokens,
            max_model_len: kv.max_model_len,
            prefix_caching: self.enable_prefix_caching,
            policy: self.scheduling_policy,
            chunked_prefill: self.enable_chunked_prefill,
            long_prefill_token_threshold: self.long_prefill_token_threshold,
            watermark: self.watermark,
            reserve_full_isl: self.scheduler_reserve_full_isl,
            async_scheduling: self.async_scheduling,
            max_num_queued_reqs: self.max_num_queued_reqs,
        }
    }
}

impl EngineSection for VllmSection {
    fn resolve(&mut self, on: &Machine<'_>) -> Result<Vec<String>, Fault> {
        let limits = self.step_limits(on)?;
        check::at_least_1("block_size", self.block_size)?;
        check::share("watermark", self.watermark)?;
        let StepLimits { max_num_batched_tokens: tokens, max_num_seqs: seqs } = limits;
        (self.max_num_seqs, self.max_num_batched_tokens) = (Some(seqs), Some(tokens));
        let too_few = (tokens < seqs).then(|| {
            format!("max_num_batched_tokens = {tokens} is less than max_num_seqs = {seqs}; a real vLLM refuses to start with that")
        });
        Ok(too_few.into_iter().collect())
    }

    fn demand(&self) -> Demand {
        let of_config = VllmConfig::default();
        Demand {
            limits: StepLimits {
                max_num_batched_tokens: self.max_num_batched_tokens.unwrap_or(of_config.max_num_batched_tokens),
                max_num_seqs: self.max_num_seqs.unwrap_or(of_config.max_num_seqs),
            },
            block_size: self.block_size,
            concurrent_batches: 1 + u32::from(self.async_scheduling),
            graphs: !self.enforce_eager,
            graph_memory: !self.enforce_eager,
        }
    }

    fn limits(&self, kv: &KvCapacity) -> EngineLimits {
        let limits = self.demand().limits;
        EngineLimits {
            max_rows: limits.max_num_seqs,
            // Every sequence holds a block of its own.
            most_rows: limits.max_num_seqs.min(kv.num_blocks),
            most_tokens: limits.max_num_batched_tokens.into(),
            cached_block: self.enable_prefix_caching.then_some(kv.block_size),
            by_priority: self.scheduling_policy == QueuePolicy::Priority,
        }
    }

    fn build(&self, kv: &KvCapacity, mode: EngineMode) -> Box<dyn Scheduler> {
        self.config(kv).scheduler(mode)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::catalog::Catalog;

    fn resolved(section: VllmSection, gpu: Option<&str>) -> Result<(VllmSection, Vec<String>), Fault> {
        let gpu = gpu.map(|id| Catalog::embedded().gpu(id).unwrap());
        let mut section = section;
        let notes = section.resolve(&Machine { gpu, max_model_len: 8_192 })?;
        Ok((section, notes))
    }

    #[test]
    fn a_version_before_0_14_schedules_synchronously_and_so_do_cpus() {
        let gpu = Catalog::embedded().gpu("h100-sxm").unwrap();
        let sync = |version: &str, gpu| defaults_of(version, gpu).contains_key("async_scheduling");
        for (version, yes) in
            [("0.11.2", true), ("v0.13.0", true), ("0.14.0", false), ("1.0", false), ("", false), ("0.12.0rc1", true)]
        {
            assert_eq!(sync(version, Some(gpu)), yes, "{version}");
        }
        assert!(sync("0.32.0", None), "no GPU");
        let (cpu, _) = resolved(VllmSection::default(), None).unwrap();
        assert_eq!((cpu.max_num_batched_tokens, cpu.max_num_seqs), (Some(2_048), Some(128)));
        assert!(defaults_of("", Some(gpu)).is_empty());
    }

    #[test]
    fn what_no_vllm_would_take_is_refused_or_warned_of() {
        let plain = VllmSection::default();
        let says = |section| resolved(section, Some("h100-sxm")).unwrap_err().to_string();
        let zero = VllmSection { max_num_seqs: Some(0), ..plain.clone() };
        assert_eq!(says(zero), "max_num_seqs: it is 0; it must be at least 1");
        assert!(says(VllmSection { watermark: 1.5, ..plain.clone() }).starts_with("watermark: it is 1.5; it must lie"));
        let whole = VllmSection { enable_chunked_prefill: false, max_num_batched_tokens: Some(100), ..plain.clone() };
        let e = says(whole);
        assert!(e.starts_with("enable_chunked_prefill: it is false; max_num_batched_tokens must then"), "{e}");
        let (made_room, _) =
            resolved(VllmSection { enable_chunked_prefill: false, ..plain.clone() }, Some("l4")).unwrap();
        assert_eq!(made_room.max_num_batched_tokens, Some(8_192), "as long as the longest sequence");
        let few = VllmSection { max_num_seqs: Some(64), max_num_batched_tokens: Some(32), ..plain };
        let (_, notes) = resolved(few, Some("l4")).unwrap();
        assert!(notes[0].contains("refuses to start"), "{notes:?}");
    }
}
