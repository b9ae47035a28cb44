//! The account of one GPU of a replica.
//!
//! Imports `catalog`. Must keep true: budget = weights + activations + graphs + other + KV pool, in bytes.
use super::PlanOptions;
use crate::catalog::{Catalog, Gpu, Model};
use serde::Serialize;

const GIB: f64 = (1u64 << 30) as f64;
/// CUDA graphs, GiB. From the worked example of spec 1.9; grows with captured sizes, taken as constant here.
const CUDA_GRAPHS_GIB: f64 = 0.6;
/// CUDA context and allocator slack, GiB. Assumption.
const OTHER_GIB: f64 = 0.5;
/// NCCL and custom all-reduce buffers with tensor parallelism, GiB. Assumption, of the size that the one reference
/// with TP = 4 (Llama-3.1-70B on H100) suggests.
const COLLECTIVES_GIB: f64 = 1.0;
/// Bytes of an activation: BF16.
const ACTIVATION_BYTES: f64 = 2.0;
/// Bytes of a logit: the sampler works in FP32.
const LOGIT_BYTES: f64 = 4.0;

/// Where one GPU's memory goes. Bytes unless the name says otherwise.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct MemoryPlan {
    /// What the runtime reports.
    pub per_gpu_total_bytes: u64,
    /// What the engine may use.
    pub budget_bytes: u64,
    /// This GPU's share of the weights.
    pub weights_bytes: u64,
    /// Peak activations (estimate).
    pub activations_bytes: u64,
    /// CUDA graphs (estimate).
    pub cuda_graphs_bytes: u64,
    /// Context, NCCL (estimate).
    pub other_bytes: u64,
    /// What is left for KV blocks.
    pub kv_pool_bytes: u64,
    /// KV of one token on this GPU.
    pub kv_bytes_per_token: u64,
    /// Tokens in a block.
    pub block_size: u32,
    /// Blocks, the null block included.
    pub num_blocks: u64,
    /// Tokens that the usable blocks hold.
    pub kv_tokens: u64,
    /// Sequences of 8,192 tokens that fit at once.
    pub sequences_of_8k: u64,
}

/// Why there is no plan.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum MemoryError {
    /// The options make no sense for this model or GPU.
    #[error("{0}")]
    Options(String),
    /// Weights and one longest sequence do not fit.
    #[error(
        "{model} does not fit {gpu} with tensor_parallel = {tensor_parallel}: {short_gib:.1} GiB a GPU short for \
         weights, activations and one sequence of {max_model_len} tokens; {advice}"
    )]
    DoesNotFit {
        /// Id of the model.
        model: String,
        /// Id of the GPU.
        gpu: String,
        /// GPUs a replica.
        tensor_parallel: u32,
        /// Missing on each GPU, GiB.
        short_gib: f64,
        /// The sequence that has to fit.
        max_model_len: u32,
        /// What would fit, as the end of the sentence.
        advice: String,
    },
}

/// Bytes of KV that one token takes on each GPU. MLA latents are replicated on every GPU. Window layers count as if
/// they kept the whole context (an upper bound); linear-attention layers count nothing (a small lower bound).
pub fn kv_bytes_per_token(model: &Model, tensor_parallel: u32, kv_dtype_bytes: u32) -> u64 {
    let per_layer = if model.is_mla() {
        u64::from(model.kv_lora_rank + model.qk_rope_head_dim)
    } else {
        u64::from((model.kv_heads / tensor_parallel.max(1)).max(1)) * 2 * u64::from(model.head_dim)
    };
    per_layer * u64::from(model.kv_layers()) * u64::from(kv_dtype_bytes)
}

/// Whole blocks of `block_bytes` in `pool_bytes`, the null block included (spec 1.9).
pub fn blocks_in(pool_bytes: u64, block_bytes: u64) -> u64 {
    pool_bytes.checked_div(block_bytes).unwrap_or(0)
}

/// Plans one GPU of a replica of `model` on `gpu`.
///
/// # Errors
/// Options out of range, heads that do not divide by `tensor_parallel`, or a model that does not fit; the latter names
/// what of the embedded catalogue would fit.
pub fn plan(model: &Model, gpu: &Gpu, options: &PlanOptions) -> Result<MemoryPlan, MemoryError> {
    check(model, gpu, options)?;
    let (account, short_bytes) = account(model, gpu, options);
    if short_bytes <= 0.0 {
        return Ok(account);
    }
    Err(MemoryError::DoesNotFit {
        model: model.id.clone(),
        gpu: gpu.id.clone(),
        tensor_parallel: options.tensor_parallel,
        short_gib: short_bytes / GIB,
        max_model_len: options.max_model_len.unwrap_or(model.max_context),
        advice: advice(model, gpu, options),
    })
}

fn check(model: &Model, gpu: &Gpu, o: &PlanOptions) -> Result<(), MemoryError> {
    let refuse = |text: String| Err(MemoryError::Options(text));
    if o.tensor_parallel == 0 || !model.heads.is_multiple_of(o.tensor_parallel) {
        let (id, heads) = (&model.id, model.heads);
        return refuse(format!("tensor_parallel = {} does not divide the {heads} heads of {id}", o.tensor_parallel));
    }
    if gpu.scale_up_domain_gpus > 1 && o.tensor_parallel > gpu.scale_up_domain_gpus {
        let (id, most) = (&gpu.id, gpu.scale_up_domain_gpus);
        return refuse(format!("tensor_parallel = {} is more than the {most} GPUs {id} links", o.tensor_parallel));
    }
    if !(o.utilization > 0.0 && o.utilization <= 1.0) {
        return refuse(format!("utilization = {} is not a share above 0 and up to 1", o.utilization));
    }
    if o.block_size == 0 || o.max_num_batched_tokens == 0 || o.max_num_seqs == 0 || o.kv_dtype_bytes == 0 {
        return refuse(
            "block_size, max_num_batched_tokens, max_num_seqs and kv_dtype_bytes must be above 0".to_owned(),
        );
    }
    if !(o.weight_bytes_per_param > 0.0 && o.weight_bytes_per_param <= 8.0) {
        return refuse(format!("weight_bytes_per_param = {} is not above 0 and up to 8", o.weight_bytes_per_param));
    }
    match o.max_model_len {
        Some(len) if len == 0 || len > model.max_context => {
            refuse(format!("max_model_len = {len} is not between 1 and the {} of {}", model.max_context, model.id))
        }
        _ => Ok(()),
    }
}

/// The plan, and the bytes that are missing (positive) for it to work.
fn account(model: &Model, gpu: &Gpu, o: &PlanOptions) -> (MemoryPlan, f64) {
    let tp = f64::from(o.tensor_parallel);
    let total = gpu.memory_total_bytes();
    let budget = (total as f64 * o.utilization).ceil() as u64;
    let weights = (model.params_total as f64 * o.weight_bytes_per_param / tp).ceil() as u64;
    let activations = activations(model, o).ceil() as u64;
    let graphs = (CUDA_GRAPHS_GIB * GIB) as u64;
    let collectives = if o.tensor_parallel > 1 { COLLECTIVES_GIB } else { 0.0 };
    let other = ((OTHER_GIB + collectives) * GIB) as u64;
    let used = weights + activations + graphs + other;
    let pool = budget.saturating_sub(used);
    let per_token = kv_bytes_per_token(model, o.tensor_parallel, o.kv_dtype_bytes);
    let block_bytes = per_token * u64::from(o.block_size);
    let num_blocks = blocks_in(pool, block_bytes);
    let kv_tokens = num_blocks.saturating_sub(1) * u64::from(o.block_size);
    let longest = u64::from(o.max_model_len.unwrap_or(model.max_context));
    let needed = (longest.div_ceil(u64::from(o.block_size)) + 1) * block_bytes;
    let plan = MemoryPlan {
        per_gpu_total_bytes: total,
        budget_bytes: budget,
        weights_bytes: weights,
        activations_bytes: activations,
        cuda_graphs_bytes: graphs,
        other_bytes: other,
        kv_pool_bytes: pool,
        kv_bytes_per_token: per_token,
        block_size: o.block_size,
        num_blocks,
        kv_tokens,
        sequences_of_8k: kv_tokens / 8_192,
    };
    (plan, (used + needed) as f64 - budget as f64)
}

/// Peak activations, bytes: an estimate in place of vLLM's profile run. The larger of the widest layer over B tokens
/// (two residual streams, and gate, up and product of the FFN on this GPU; for MoE those of each token's experts) and
/// the FP32 logits of S sequences; the two do not live at once.
fn activations(model: &Model, o: &PlanOptions) -> f64 {
    let tp = f64::from(o.tensor_parallel);
    let moe = u64::from(model.moe_ffn) * u64::from(model.experts_per_token) + u64::from(model.shared_ffn);
    let dense = if model.dense_layers > 0 { u64::from(model.ffn) } else { 0 };
    let moe = if model.moe_layers > 0 { moe } else { 0 };
    let inner = dense.max(moe) as f64 / tp;
    let tokens = f64::from(o.max_num_batched_tokens);
    let layer = tokens * ACTIVATION_BYTES * (2.0 * f64::from(model.hidden) + 3.0 * inner);
    let rows = f64::from(o.max_num_seqs.min(o.max_num_batched_tokens));
    layer.max(rows * f64::from(model.vocab) * LOGIT_BYTES)
}

/// The smallest tensor parallelism that fits on this GPU, else up to three other choices with the fewest GPUs.
fn advice(model: &Model, gpu: &Gpu, o: &PlanOptions) -> String {
    let smallest = |g: &Gpu| {
        [1u32, 2, 4, 8].into_iter().find(|&tp| {
            let with = PlanOptions { tensor_parallel: tp, ..o.clone() };
            check(model, g, &with).is_ok() && account(model, g, &with).1 <= 0.0
        })
    };
    if let Some(tp) = smallest(gpu) {
        return format!("{} with tensor_parallel = {tp} would fit", gpu.id);
    }
    let mut fits: Vec<(u32, u64, &str)> = Catalog::embedded()
        .gpus
        .iter()
        .filter_map(|g| smallest(g).map(|tp| (tp, g.memory_total_bytes(), g.id.as_str())))
        .collect();
    fits.sort_unstable();
    if fits.is_empty() {
        return "no GPU of the catalogue fits it with up to 8; lower max_model_len or quantise".to_owned();
    }
    let names: Vec<String> =
        fits.iter().take(3).map(|(tp, _, id)| format!("{id} with tensor_parallel = {tp}")).collect();
    format!("would fit: {}", names.join(", "))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parts(model: &str, gpu: &str) -> (&'static Model, &'static Gpu, PlanOptions) {
        let c = Catalog::embedded();
        let gpu = c.gpu(gpu).unwrap();
        (c.model(model).unwrap(), gpu, PlanOptions::for_gpu(gpu))
    }

    #[test]
    fn kv_bytes_are_those_of_the_spec() {
        let c = Catalog::embedded();
        for (id, bytes) in [("llama-3.1-8b", 131_072), ("llama-3.1-405b", 516_096), ("deepseek-v3", 70_272)] {
            assert_eq!(kv_bytes_per_token(c.model(id).unwrap(), 1, 2), bytes);
        }
        assert_eq!(kv_bytes_per_token(c.model("llama-3.1-70b").unwrap(), 16, 2), 40_960);
        assert_eq!(kv_bytes_per_token(c.model("deepseek-v3").unwrap(), 8, 1), 35_136);
        for m in &c.models {
            let expected =
                if m.window > 0 { m.kv_bytes_per_token_bf16_all_layers } else { m.kv_bytes_per_token_bf16_full_layers };
            assert_eq!(kv_bytes_per_token(m, 1, 2), expected, "{}", m.id);
        }
        assert_eq!(blocks_in(56 << 30, 2 << 20), 28_672);
    }

    #[test]
    fn plans_come_within_five_percent_of_measured_pools() {
        let (m, g, o) = parts("qwen3-14b", "h100-sxm");
        let p = plan(m, g, &o).unwrap();
        let off = p.num_blocks as f64 / 18_038.0 - 1.0;
        assert!(off.abs() < 0.05, "{} blocks, {off:+.3}", p.num_blocks);
        let (m, g, o) = parts("llama-3.1-70b", "h100-sxm");
        let p = plan(m, g, &PlanOptions { tensor_parallel: 4, utilization: 0.90, ..o }).unwrap();
        let off = p.kv_tokens as f64 / 461_376.0 - 1.0;
        assert!(off.abs() < 0.05, "{} tokens, {off:+.3}", p.kv_tokens);
    }

    #[test]
    fn parts_add_up_to_the_budget() {
        for m in &Catalog::embedded().models {
            for g in &Catalog::embedded().gpus {
                if let Ok(p) = plan(m, g, &PlanOptions::for_gpu(g)) {
                    let used = p.weights_bytes + p.activations_bytes + p.cuda_graphs_bytes + p.other_bytes;
                    assert_eq!(used + p.kv_pool_bytes, p.budget_bytes);
                    assert!(p.num_blocks * p.kv_bytes_per_token * u64::from(p.block_size) <= p.kv_pool_bytes);
                }
            }
        }
    }

    #[test]
    fn what_does_not_fit_says_by_how_much_and_what_would() {
        let (m, g, o) = parts("llama-3.1-70b", "h100-sxm");
        let e = plan(m, g, &o).unwrap_err().to_string();
        assert!(e.contains("GiB a GPU short") && e.contains("h100-sxm with tensor_parallel = 4 would fit"), "{e}");
        let (m, g, o) = parts("llama-3.1-405b", "l4");
        let e = plan(m, g, &o).unwrap_err().to_string();
        assert!(e.contains("would fit: "), "{e}");
        let (m, g, o) = parts("llama-3.1-8b", "h100-sxm");
        assert!(plan(m, g, &PlanOptions { tensor_parallel: 3, ..o.clone() }).is_err());
        assert!(plan(m, g, &PlanOptions { utilization: 1.5, ..o }).is_err());
    }
}
