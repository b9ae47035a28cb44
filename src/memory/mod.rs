//! GPU memory arithmetic: what is left for the KV cache, and how many blocks that makes.
//!
//! May import `types`, `catalog`. Follows vLLM's account (spec/vllm.md 1.9): budget = total x utilisation; minus
//! weights, activations of the profile run, CUDA graphs and the rest; what is left is cut into blocks.
//! Must keep true: GPUs are sized by `memory_total_gib` (what CUDA reports), never by the card's name; GiB = 2^30.
use crate::catalog::{Catalog, Gpu, Model};
use serde::Serialize;

/// Bytes of a GiB.
pub const GIB: u64 = 1 << 30;
/// Memory of captured CUDA graphs, bytes. Assumption: 0.3 GiB, of the size vLLM's start-up logs report for 8-14B models.
const CUDA_GRAPH_BYTES: u64 = 3 * GIB / 10;
/// CUDA context and allocator slack, bytes. Assumption, chosen with the two constants beside it so that both published
/// pool sizes (Qwen3-14B, Llama-3.1-70B; tests below) are met within 5 %.
const OTHER_BYTES: u64 = GIB / 5;
/// NCCL buffers of a tensor-parallel rank, bytes. Assumption, as above.
const NCCL_BYTES: u64 = GIB;

/// What the account depends on beside model and GPU.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct PlanOptions {
    /// GPUs of a replica.
    pub tensor_parallel: u32,
    /// Share of memory the engine may use (vLLM's default 0.92; 0.90 up to 2025).
    pub utilization: f64,
    /// Tokens of a block.
    pub block_size: u32,
    /// Tokens of the profile run.
    pub max_num_batched_tokens: u32,
    /// Sequences of the profile run.
    pub max_num_seqs: u32,
    /// Longest sequence: one must fit.
    pub max_model_len: u32,
    /// Bytes of a weight.
    pub weight_bytes: u32,
    /// Bytes of a KV element.
    pub kv_bytes: u32,
}

/// A replica's memory, per GPU where bytes are named.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct MemoryPlan {
    /// What CUDA reports.
    pub total_bytes: u64,
    /// What the engine may use.
    pub budget_bytes: u64,
    /// Weights.
    pub weights_bytes: u64,
    /// Peak activations of the profile run (estimate).
    pub activations_bytes: u64,
    /// CUDA graphs (assumption).
    pub cuda_graphs_bytes: u64,
    /// Context, NCCL (assumption).
    pub other_bytes: u64,
    /// KV pool.
    pub kv_pool_bytes: u64,
    /// KV of a token on this GPU.
    pub kv_bytes_per_token: u64,
    /// Tokens of a block.
    pub block_size: u32,
    /// Blocks, the null block included.
    pub num_blocks: u32,
    /// Tokens that the usable blocks hold.
    pub kv_tokens: u64,
    /// Sequences of 8,192 tokens that fit.
    pub sequences_of_8k: u64,
}

/// KV bytes of a token on one GPU. MLA is replicated; KV heads below TP are replicated (spec/vllm.md 1.9).
pub fn kv_bytes_per_token(model: &Model, tensor_parallel: u32, kv_bytes: u32) -> u64 {
    let elements = if model.kv_lora_rank > 0 {
        u64::from(model.kv_lora_rank + model.qk_rope_head_dim)
    } else {
        u64::from((model.kv_heads / tensor_parallel).max(1)) * u64::from(model.head_dim) * 2
    };
    elements * u64::from(model.layers) * u64::from(kv_bytes)
}

fn account(model: &Model, gpu: &Gpu, o: &PlanOptions) -> (MemoryPlan, i128) {
    let tp = u64::from(o.tensor_parallel);
    let total_bytes = (gpu.memory_total_gib * GIB as f64) as u64;
    let budget_bytes = (total_bytes as f64 * o.utilization).ceil() as u64;
    let weights_bytes = model.params_total * u64::from(o.weight_bytes) / tp;
    // Two residual-sized and two FFN-sized tensors alive at the peak, 2 bytes an element; logits of S rows in FP32.
    let widest = u64::from(model.ffn.max(model.experts_per_token * model.moe_ffn)) / tp;
    let activations_bytes = u64::from(o.max_num_batched_tokens) * (2 * u64::from(model.hidden) + 2 * widest) * 2
        + u64::from(o.max_num_seqs) * u64::from(model.vocab) * 4;
    let other_bytes = OTHER_BYTES + if tp > 1 { NCCL_BYTES } else { 0 };
    let used = weights_bytes + activations_bytes + CUDA_GRAPH_BYTES + other_bytes;
    let kv_pool_bytes = budget_bytes.saturating_sub(used);
    let per_token = kv_bytes_per_token(model, o.tensor_parallel, o.kv_bytes);
    let num_blocks = u32::try_from(kv_pool_bytes / (per_token * u64::from(o.block_size))).unwrap_or(u32::MAX);
    let kv_tokens = u64::from(num_blocks.saturating_sub(1)) * u64::from(o.block_size);
    let needed = used + (u64::from(o.max_model_len) + u64::from(o.block_size)) * per_token;
    let plan = MemoryPlan {
        total_bytes,
        budget_bytes,
        weights_bytes,
        activations_bytes,
        cuda_graphs_bytes: CUDA_GRAPH_BYTES,
        other_bytes,
        kv_pool_bytes,
        kv_bytes_per_token: per_token,
        block_size: o.block_size,
        num_blocks,
        kv_tokens,
        sequences_of_8k: kv_tokens / 8192,
    };
    (plan, i128::from(needed) - i128::from(budget_bytes))
}

/// The account of `model` on `gpu`.
///
/// # Errors
/// It does not fit: by how many GiB, and what of the catalog would.
pub fn plan(model: &Model, gpu: &Gpu, options: &PlanOptions) -> Result<MemoryPlan, String> {
    let (plan, short) = account(model, gpu, options);
    if short <= 0 {
        return Ok(plan);
    }
    let fits =
        |gpu: &Gpu, tensor_parallel: u32| account(model, gpu, &PlanOptions { tensor_parallel, ..*options }).1 <= 0;
    let more = [1, 2, 4, 8].into_iter().find(|tp| *tp > options.tensor_parallel && fits(gpu, *tp));
    let other = Catalog::embedded().gpus.iter().filter(|g| g.memory_total_gib > gpu.memory_total_gib);
    let other = other
        .filter(|g| fits(g, options.tensor_parallel))
        .min_by(|a, b| a.memory_total_gib.total_cmp(&b.memory_total_gib));
    let mut remedies = Vec::new();
    remedies.extend(more.map(|tp| format!("tensor_parallel = {tp}")));
    remedies.extend(other.map(|g| format!("gpu = \"{}\"", g.id)));
    let shorter = PlanOptions { max_model_len: 8192.min(options.max_model_len / 2), ..*options };
    if account(model, gpu, &shorter).1 <= 0 {
        remedies.push(format!("max_model_len = {}", shorter.max_model_len));
    }
    Err(format!(
        "{} with one sequence of {} tokens does not fit {} x {} at utilisation {}: {:.1} GiB short a GPU; {}",
        model.id,
        options.max_model_len,
        options.tensor_parallel,
        gpu.id,
        options.utilization,
        short as f64 / GIB as f64,
        if remedies.is_empty() {
            "nothing in the catalog fits".into()
        } else {
            format!("would fit: {}", remedies.join(", or "))
        },
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    const OPTIONS: PlanOptions = PlanOptions {
        tensor_parallel: 1,
        utilization: 0.92,
        block_size: 16,
        max_num_batched_tokens: 8192,
        max_num_seqs: 256,
        max_model_len: 32_768,
        weight_bytes: 2,
        kv_bytes: 2,
    };

    fn fit(model: &str, gpu: &str, options: PlanOptions) -> Result<MemoryPlan, String> {
        let c = Catalog::embedded();
        plan(c.model(model).unwrap(), c.gpu(gpu).unwrap(), &options)
    }

    #[test]
    fn published_pool_sizes_are_met_within_five_percent() {
        let qwen = fit("qwen3-14b", "h100-sxm", OPTIONS).unwrap();
        assert!((f64::from(qwen.num_blocks) / 18_038.0 - 1.0).abs() < 0.05, "{} blocks", qwen.num_blocks);
        let llama = fit("llama-3.1-70b", "h100-sxm", PlanOptions { tensor_parallel: 4, utilization: 0.90, ..OPTIONS });
        let tokens = llama.unwrap().kv_tokens as f64;
        assert!((tokens / 461_376.0 - 1.0).abs() < 0.05, "{tokens} tokens");
    }

    #[test]
    fn kv_bytes_follow_the_published_table() {
        let c = Catalog::embedded();
        let bytes = |m, tp| kv_bytes_per_token(c.model(m).unwrap(), tp, 2);
        assert_eq!(bytes("llama-3.1-8b", 1), 131_072);
        assert_eq!(bytes("llama-3.1-70b", 4), 81_920);
        assert_eq!(bytes("deepseek-v3", 8), 70_272, "MLA is replicated on every rank");
        assert_eq!(bytes("qwen3-30b-a3b", 8), 98_304 / 4, "4 KV heads on 8 ranks: one each");
    }

    #[test]
    fn what_does_not_fit_says_by_how_much_and_what_would() {
        let message = fit("llama-3.1-70b", "h100-sxm", OPTIONS).unwrap_err();
        assert!(message.contains("GiB short") && message.contains("tensor_parallel = 4"), "{message}");
        assert!(message.contains("b200-sxm") || message.contains("gb200"), "{message}");
    }
}
