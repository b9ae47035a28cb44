//! What a recording uses that is not built here. It is asked of each case, so that a file may hold both kinds.
use super::case::{Case, GroupKind, KvGroup, Label};
use crate::types::{TraceFault, wrong};
use std::collections::BTreeSet;

/// Something that a recorded case may use and that is not built.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Feature {
    /// SGLang's scheduler.
    Sglang,
    /// Pipeline parallelism: more batches in flight than one, or two with asynchronous scheduling.
    PipelineParallel,
    /// KV blocks in host memory.
    KvOffload,
    /// Sliding windows, and several groups of layers in one pool of blocks.
    KvGroups,
    /// Drafts and their verification.
    SpeculativeDecoding,
    /// A step that may not have all LoRA adapters at once.
    MaxLoras,
    /// A long-prefill cap that grows to an equal share of the budget.
    LongPrefillAdaptive,
}

impl Feature {
    /// Name of the feature in reports.
    pub fn name(self) -> &'static str {
        match self {
            Feature::Sglang => "sglang",
            Feature::PipelineParallel => "pipeline_parallel",
            Feature::KvOffload => "kv_offload",
            Feature::KvGroups => "kv_groups",
            Feature::SpeculativeDecoding => "speculative_decoding",
            Feature::MaxLoras => "max_loras",
            Feature::LongPrefillAdaptive => "long_prefill_adaptive",
        }
    }
}

impl Label {
    /// What the recorded engine is that is not built, if it is one that is known.
    ///
    /// # Errors
    /// Which engine it is, and which are read.
    pub fn need(&self) -> Result<Option<Feature>, TraceFault> {
        let release = self.version.split('.').take(2).collect::<Vec<_>>();
        match (self.engine.as_str(), release.as_slice()) {
            ("vllm", ["0", "32"]) => Ok(None),
            ("sglang", _) => Ok(Some(Feature::Sglang)),
            (engine, _) => {
                let fault = wrong!("case {}: engine {engine}, version {}", self.case, self.version);
                Err(fault.hint("recordings of vllm 0.32 are replayed, those of sglang are told"))
            }
        }
    }
}

impl<S> Case<S> {
    /// The feature that the case uses and that is not built; of several the first in the order of [`Feature`], so that
    /// every case counts once.
    pub fn need(&self) -> Option<Feature> {
        let c = &self.config;
        let in_flight = if c.async_scheduling { 2 } else { 1 };
        let pipeline = c.pp_size.is_some_and(|stages| stages > 1) || c.batch_queue.is_some_and(|n| n != in_flight);
        let plain = |g: &KvGroup| g.kind == GroupKind::Full && g.block_size == c.block_size;
        let groups = c.kv_groups.len() > 1 || !c.kv_groups.iter().all(plain);
        let drafts = [c.num_speculative_tokens, c.num_lookahead_tokens, c.draft_slots].iter().any(|&n| n > 0);
        // An adapter that always has room is no more than part of a prompt's identity, and so is a salt.
        let adapters: BTreeSet<u32> = self.requests.iter().map(|r| r.lora).filter(|&lora| lora > 0).collect();
        let loras = c.max_loras.is_some_and(|most| adapters.len() > most);
        let used = [
            (pipeline, Feature::PipelineParallel),
            (c.offload.is_some(), Feature::KvOffload),
            (groups, Feature::KvGroups),
            (drafts, Feature::SpeculativeDecoding),
            (loras, Feature::MaxLoras),
            (c.long_prefill_adaptive && c.long_prefill_token_threshold > 0, Feature::LongPrefillAdaptive),
        ];
        used.into_iter().find_map(|(uses, feature)| uses.then_some(feature))
    }
}
