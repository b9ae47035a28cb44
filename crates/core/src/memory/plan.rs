//! The account of one GPU of a replica.
//!
//! Imports `catalog`. Must keep true: total = weights + activations + graphs + other + KV pool + unused, in bytes.
use super::layout::{KvLayout, kv_bytes_per_token};
use super::profile::overheads;
use super::weights::weights;
use super::{PlanOptions, WeightsDtype};
use crate::catalog::{Gpu, Model};
use crate::types::Fault;
use crate::types::numbers::{decimals, in_gib};
use serde::Serialize;

/// What a CUDA context takes of a GPU before the engine looks, GiB. Assumption; only a warning depends on it.
const CONTEXT_GIB: f64 = 0.6;

/// Bytes in GiB, as people read them. Nothing is ever shown in GB.
pub fn gib(bytes: u64) -> f64 {
    bytes as f64 / (1u64 << 30) as f64
}

/// Where one GPU's memory goes. Bytes unless the name says otherwise.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct MemoryPlan {
    /// What the runtime reports.
    pub per_gpu_total_bytes: u64,
    /// What the engine may use.
    pub budget_bytes: u64,
    /// Weights that one GPU holds.
    pub weights_bytes: u64,
    /// Weights that one GPU holds and that stay BF16 under quantisation; part of `weights_bytes`.
    pub weights_kept_bf16_bytes: u64,
    /// Peak activations (estimate).
    pub activations_bytes: u64,
    /// CUDA graphs (estimate).
    pub cuda_graphs_bytes: u64,
    /// NCCL, workspaces, slack (estimate).
    pub other_bytes: u64,
    /// What is left for KV blocks.
    pub kv_pool_bytes: u64,
    /// What the engine may not use; the CUDA context lies here.
    pub unused_bytes: u64,
    /// KV of one token on this GPU, in all layers that cache tokens.
    pub kv_bytes_per_token: u64,
    /// Tokens in a block.
    pub block_size: u32,
    /// Bytes of a block: the layers of one group.
    pub block_bytes: u64,
    /// Groups of layers: blocks that one position takes before any window is full.
    pub groups: u32,
    /// Blocks, the null block included.
    pub num_blocks: u64,
    /// Blocks, the null block included, for an engine that knows no groups: each holds a position in all layers. As
    /// many as `num_blocks` where there is one group; else too few for sequences that are longer than a window.
    pub uniform_blocks: u64,
    /// Longest sequence, tokens.
    pub max_model_len: u32,
    /// Tokens of context that the usable blocks hold: with groups, in sequences of the greatest length, as vLLM counts.
    pub kv_tokens: u64,
    /// Sequences of 8,192 tokens that fit at once.
    pub sequences_of_8k: u64,
    /// Tokens that one would expect if weights were all that memory is for.
    pub weights_only_kv_tokens: u64,
    /// Sequences in a step.
    pub max_num_seqs: u32,
    /// Tokens in a step.
    pub max_num_batched_tokens: u32,
    #[serde(skip)]
    layout: KvLayout,
}

impl MemoryPlan {
    /// Blocks that are not the null block.
    pub fn usable_blocks(&self) -> u64 {
        self.num_blocks.saturating_sub(1)
    }
    /// Sequences of `len` tokens that fit at once while they decode.
    pub fn sequences_of(&self, len: u32) -> u64 {
        self.usable_blocks() / self.layout.blocks_decoding(len.into()).max(1)
    }
    /// Blocks that `sequences` of `len` tokens hold while they decode.
    pub fn blocks_of(&self, sequences: u64, len: u32) -> u64 {
        self.layout.blocks_decoding(len.into()).saturating_mul(sequences)
    }
    /// The least number of sequences of `len` tokens at which one is preempted; `None` where the engine's sequence
    /// limit keeps so many from running.
    pub fn preempts_at(&self, len: u32) -> Option<u64> {
        let first = self.sequences_of(len) + 1;
        (first <= u64::from(self.max_num_seqs)).then_some(first)
    }
    /// Tokens of context in sequences of `len` tokens that decode: more than in full layers where windows let go of some.
    pub fn tokens_decoding(&self, len: u32) -> u64 {
        let of_one = u128::from(self.layout.blocks_decoding(len.into()).max(1));
        u64::try_from(u128::from(self.usable_blocks()) * u128::from(len) / of_one).unwrap_or(u64::MAX)
    }
    /// Tokens that an engine without groups may hold.
    pub fn uniform_tokens(&self) -> u64 {
        self.uniform_blocks.saturating_sub(1) * u64::from(self.block_size)
    }
    /// This plan with a number of blocks that somebody gives to an engine without groups.
    #[must_use]
    pub fn with_uniform_blocks(self, blocks: u64) -> MemoryPlan {
        let groups = u64::from(self.groups.max(1));
        self.with_blocks(blocks.saturating_sub(1).saturating_mul(groups) + 1)
    }
    /// This plan with a number of blocks that somebody gives.
    #[must_use]
    pub fn with_blocks(mut self, blocks: u64) -> MemoryPlan {
        self.num_blocks = blocks;
        self.uniform_blocks = blocks.saturating_sub(1) / u64::from(self.groups.max(1)) + 1;
        self.kv_tokens = kv_tokens(&self.layout, blocks, self.max_model_len);
        self.sequences_of_8k = self.sequences_of(8_192);
        self
    }
}

/// Why there is no plan.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum MemoryError {
    /// The options make no sense for this model or GPU.
    #[error("{0}")]
    Options(Fault),
    /// Weights and one longest sequence do not fit.
    #[error("{0}")]
    DoesNotFit(Box<DoesNotFit>),
}

/// By how much a model does not fit.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[error(
    "{model} does not fit {gpu} with tensor_parallel = {tensor_parallel}: {} GiB a GPU short{what}",
    in_gib(*short_bytes)
)]
pub struct DoesNotFit {
    /// Id of the model.
    pub model: String,
    /// Id of the GPU.
    pub gpu: String,
    /// GPUs a replica.
    pub tensor_parallel: u32,
    /// Missing on each GPU.
    pub short_bytes: u64,
    /// The longest sequence that would fit, if any would.
    pub longest: Option<u32>,
    /// For what it is short.
    pub what: String,
}

/// Whole blocks of `block_bytes` in `pool_bytes`, the null block included (spec 1.9).
pub fn blocks_in(pool_bytes: u64, block_bytes: u64) -> u64 {
    pool_bytes.checked_div(block_bytes).unwrap_or(0)
}

/// Tokens of context in `blocks`, of which one is the null block.
fn kv_tokens(layout: &KvLayout, blocks: u64, max_model_len: u32) -> u64 {
    let usable = blocks.saturating_sub(1);
    if layout.groups() == 1 {
        return usable * u64::from(layout.block_size);
    }
    let of_one = u128::from(layout.blocks_at_most(max_model_len.into()).max(1));
    (u128::from(usable) * u128::from(max_model_len) / of_one) as u64
}

/// Plans one GPU of a replica of `model` on `gpu`.
///
/// # Errors
/// Options out of range, heads that do not divide by `tensor_parallel`, or a model that does not fit.
pub fn plan(model: &Model, gpu: &Gpu, options: &PlanOptions) -> Result<MemoryPlan, MemoryError> {
    let plan = account(model, gpu, options).map_err(MemoryError::Options)?;
    let used = plan.weights_bytes + plan.activations_bytes + plan.cuda_graphs_bytes + plan.other_bytes;
    // vLLM's rule at its start: one sequence of the greatest length must fit, the null block not looked at.
    let needed = plan.layout.blocks_at_most(plan.max_model_len.into()) * plan.block_bytes;
    let short_bytes = (used + needed).saturating_sub(plan.budget_bytes);
    if short_bytes == 0 {
        return Ok(plan);
    }
    let longest = plan.layout.longest(plan.num_blocks, plan.max_model_len);
    let what = if used >= plan.budget_bytes {
        format!(
            " for {} GiB of weights, {} of activations, graphs and other, and {} of KV cache for one sequence \
             of {} tokens, in {} GiB",
            in_gib(plan.weights_bytes),
            in_gib(used - plan.weights_bytes),
            in_gib(needed),
            plan.max_model_len,
            in_gib(plan.budget_bytes)
        )
    } else {
        format!(
            " for one sequence of max_model_len = {} tokens, which takes {} GiB of KV cache where {} are left{}",
            plan.max_model_len,
            in_gib(needed),
            in_gib(plan.budget_bytes - used),
            longest.map_or_else(String::new, |len| format!("; max_model_len = {len} would fit"))
        )
    };
    Err(MemoryError::DoesNotFit(Box::new(DoesNotFit {
        model: model.id.clone(),
        gpu: gpu.id.clone(),
        tensor_parallel: options.tensor_parallel,
        short_bytes,
        longest,
        what,
    })))
}

/// The account, whether or not it works out.
///
/// # Errors
/// Options out of range, heads that do not divide by `tensor_parallel`.
pub fn account(model: &Model, gpu: &Gpu, o: &PlanOptions) -> Result<MemoryPlan, Fault> {
    o.check(model, gpu)?;
    let total = gpu.memory_total_bytes();
    let budget = ((total as f64 * o.utilization).ceil() as u64).min(total);
    let limits = o.limits(model, gpu);
    let weights = weights(model, o.tensor_parallel, o.weights_dtype);
    let overheads = overheads(model, gpu, o);
    let pool = budget.saturating_sub(weights.total + overheads.activations + overheads.graphs + overheads.other);
    let layout = KvLayout::of(model, o, limits.max_num_batched_tokens);
    let per_token = kv_bytes_per_token(model, o.tensor_parallel, o.kv_dtype.bytes());
    let blank = MemoryPlan {
        per_gpu_total_bytes: total,
        budget_bytes: budget,
        weights_bytes: weights.total,
        weights_kept_bf16_bytes: weights.kept,
        activations_bytes: overheads.activations,
        cuda_graphs_bytes: overheads.graphs,
        other_bytes: overheads.other,
        kv_pool_bytes: pool,
        unused_bytes: total - budget,
        kv_bytes_per_token: per_token,
        block_size: layout.block_size,
        block_bytes: layout.block_bytes,
        groups: layout.groups(),
        num_blocks: 0,
        uniform_blocks: 0,
        max_model_len: o.longest(model),
        kv_tokens: 0,
        sequences_of_8k: 0,
        weights_only_kv_tokens: blocks_in(total.saturating_sub(weights.total), per_token),
        max_num_seqs: limits.max_num_seqs,
        max_num_batched_tokens: limits.max_num_batched_tokens,
        layout,
    };
    let blocks = blocks_in(pool, blank.block_bytes);
    Ok(blank.with_blocks(blocks))
}

/// What a plan takes for granted, in sentences.
pub fn assumptions(model: &Model, gpu: &Gpu, options: &PlanOptions) -> Vec<String> {
    let mut out = vec![
        "activations, CUDA graphs, NCCL and other are estimates of what vLLM measures at its start; the CUDA context \
         lies in the unused share"
            .to_owned(),
    ];
    if options.weights_dtype != WeightsDtype::Bf16 {
        out.push(format!(
            "{} weights: embeddings, output head, norms, biases and routers stay BF16, as in vLLM",
            options.weights_dtype.name().to_uppercase()
        ));
    }
    if options.weights_dtype.eight_bit() && gpu.fp8_tflops_dense.is_none() {
        out.push(format!("{} has no FP8 units: FP8 saves memory, and computes in BF16", gpu.id));
    }
    if model.moe_layers > 0 && options.tensor_parallel > 1 {
        out.push("experts are cut over the GPUs; expert parallelism holds as many bytes".to_owned());
    }
    if model.window > 0 {
        out.push(format!(
            "{} of {} layers keep at most {} tokens and what is in flight",
            model.window_layers, model.layers, model.window
        ));
    } else if model.window_layers > 0 {
        out.push(format!(
            "{} of {} layers keep one state a sequence, and a block is as large as that state",
            model.window_layers, model.layers
        ));
    }
    let unused_gib = gpu.memory_total_gib * (1.0 - options.utilization);
    if unused_gib < CONTEXT_GIB {
        out.push(format!(
            "{} GiB unused may be too little for the CUDA context; vLLM starts only where the share it is given is free",
            decimals(unused_gib, 2)
        ));
    }
    if gpu.memory_total_estimated {
        out.push(format!("the memory of {} is estimated: {}", gpu.id, gpu.memory_total_source));
    }
    out
}

#[cfg(test)]
#[path = "plan_tests.rs"]
mod tests;
