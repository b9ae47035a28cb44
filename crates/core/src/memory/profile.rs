//! What the engine's start finds taken besides weights: the profile run's peak, CUDA graphs, collectives, the rest.
//!
//! Imports `catalog`. Must keep true: one model for all GPUs and models, sizes from dimensions, constants with sources.
//!
//! vLLM measures these (spec/vllm.md 1.9); we estimate them. What lies outside the budget is not here: the CUDA context
//! and what NCCL takes at its start come before vLLM's first look at free memory (0.23.0 and 0.32.0, `gpu_worker.py`
//! `init_device`), so they live in the share that `utilization` leaves alone.
use super::{GraphSizes, PlanOptions, StepLimits};
use crate::catalog::{Gpu, Model};

const GIB: f64 = (1u64 << 30) as f64;
/// Bytes of an activation, and of a logit while it is profiled: BF16.
const ACTIVATION_BYTES: f64 = 2.0;
/// CUDA graphs of 32 layers captured at 51 sizes, GiB: the worked example of spec 1.9, which is Llama-3.1-8B on an
/// 80 GB GPU. A graph holds the launches of every layer, so others are scaled by sizes and by layers. Assumption.
const GRAPHS_GIB: f64 = 0.6;
/// Graphs and layers of that example.
const GRAPHS_LAYERS: f64 = 51.0 * 32.0;
/// Workspaces of matrix products and attention, the engine's input buffers, and what the allocator cannot use, GiB.
/// Assumption.
const OTHER_GIB: f64 = 0.5;
/// NCCL's buffers with tensor parallelism, GiB. Assumption: two communicators (torch's and vLLM's own) of 32 channels,
/// each with a buffer to send and one to receive, of about 8 MiB (4 for the simple protocol by NCCL's default, the
/// rest for the low-latency ones); connected at first use, within the profile run.
const COLLECTIVES_GIB: f64 = (2 * 32 * 2 * 8) as f64 / 1_024.0;
/// Tokens whose latents MLA unpacks at most at once (`mla_attention.py` `determine_chunked_prefill_workspace_size`).
const MLA_WORKSPACE_TOKENS: u64 = 65_536;

/// Bytes on one GPU.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Overheads {
    /// Peak activations of the profile run.
    pub activations: u64,
    /// CUDA graphs.
    pub graphs: u64,
    /// Collectives, workspaces, slack.
    pub other: u64,
}

/// What a GPU's memory holds beside weights and KV cache.
pub(super) fn overheads(model: &Model, gpu: &Gpu, options: &PlanOptions) -> Overheads {
    let limits = options.limits(model, gpu);
    let sizes = GraphSizes::new(limits.max_num_seqs, limits.max_num_batched_tokens, gpu.is_datacenter_blackwell());
    let captured = sizes.sizes().len() as f64 * f64::from(model.layers);
    let collectives = if options.tensor_parallel > 1 { COLLECTIVES_GIB } else { 0.0 };
    Overheads {
        activations: activations(model, options, limits).ceil() as u64,
        graphs: if options.graphs { (GRAPHS_GIB * GIB * (captured / GRAPHS_LAYERS)) as u64 } else { 0 },
        other: ((OTHER_GIB + collectives) * GIB) as u64,
    }
}

/// The peak of the profile run, which takes B tokens through the layers and then S rows through head and sampler: the
/// largest of what is alive at once in an attention, an FFN, the experts, MLA's unpacking, and the sampler.
///
/// Sources, vLLM 0.32.0: `fused_moe/experts/triton_moe.py` `workspace_shapes` for the experts; `mla_attention.py`
/// `forward_impl` for the unpacked context that a profile run sets aside; `gpu/model_runner.py` `_dummy_sampler_run`
/// and `gpu/sample/sampler.py`, where profiled requests have no parameters and their logits stay BF16. Read 2026-11-24.
fn activations(m: &Model, options: &PlanOptions, limits: StepLimits) -> f64 {
    let tp = f64::from(options.tensor_parallel);
    let hidden = f64::from(m.hidden);
    let tokens = f64::from(limits.max_num_batched_tokens);
    // The residual, and the layer's input or output beside it.
    let streams = 2.0 * hidden;
    let [heads, head_dim] = [m.heads, m.head_dim].map(f64::from);
    let attention = if m.is_mla() {
        let [nope, rope, v] = [m.qk_nope_head_dim, m.qk_rope_head_dim, m.v_head_dim].map(f64::from);
        heads / tp * (2.0 * nope + 2.0 * rope + 2.0 * v)
    } else {
        head_dim * (2.0 * heads / tp + 2.0 * f64::from(super::matrices::kv_heads_on_gpu(m, options.tensor_parallel)))
    };
    // Gate and up, and their product.
    let gated = |inner: u32| 3.0 * f64::from(inner) / tp;
    let dense = if m.dense_layers > 0 { gated(m.ffn) } else { 0.0 };
    let experts = if m.moe_layers > 0 {
        let inner = f64::from(m.moe_ffn) / tp;
        let rows = f64::from(m.experts_per_token) * (inner.max(hidden) + (2.0 * inner).max(hidden));
        rows + gated(m.shared_ffn)
    } else {
        0.0
    };
    let layer = tokens * (streams + attention.max(dense).max(experts));
    let unpacked = if m.is_mla() {
        let wanted =
            (8 * u64::from(options.longest(m))).max(4 * u64::from(limits.max_num_seqs) * u64::from(options.block_size));
        let width = heads / tp * f64::from(m.qk_nope_head_dim + m.v_head_dim);
        tokens * streams + wanted.min(MLA_WORKSPACE_TOKENS) as f64 * width
    } else {
        0.0
    };
    let rows = f64::from(limits.max_num_seqs.min(limits.max_num_batched_tokens));
    // With several GPUs each one's logits, and all of them gathered.
    let gathered = if options.tensor_parallel > 1 { 1.0 + 1.0 / tp } else { 1.0 };
    let sampler = tokens * hidden + rows * f64::from(m.vocab) * gathered;
    layer.max(unpacked).max(sampler) * ACTIVATION_BYTES
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::catalog::Catalog;

    fn of(model: &str, gpu: &str, options: &PlanOptions) -> Overheads {
        let c = Catalog::embedded();
        overheads(c.model(model).unwrap(), c.gpu(gpu).unwrap(), options)
    }

    #[test]
    fn parts_follow_dimensions_and_limits() {
        let plain = PlanOptions::default();
        let base = of("qwen3-14b", "h100-sxm", &plain);
        assert_eq!(base.activations, 8_192 * 2 * (2 * 5_120 + 3 * 17_408), "two streams, gate, up and product");
        let half = of("qwen3-14b", "h100-sxm", &PlanOptions { max_num_batched_tokens: Some(4_096), ..plain.clone() });
        assert_eq!(half.activations, base.activations / 2);
        assert_eq!(of("llama-3.1-8b", "h100-sxm", &plain).graphs, (0.6 * GIB) as u64, "the example of spec 1.9");
        assert!(of("llama-3.1-70b", "h200-sxm", &plain).graphs > 2 * of("llama-3.1-8b", "h200-sxm", &plain).graphs);
        let few = of("qwen3-14b", "h100-sxm", &PlanOptions { max_num_seqs: Some(8), ..plain.clone() });
        assert!(few.graphs < base.graphs / 5, "few sequences, few graphs");
        let four = of("qwen3-14b", "h100-sxm", &PlanOptions { tensor_parallel: 4, ..plain.clone() });
        assert_eq!(four.other - base.other, 1 << 30, "collectives");
        assert!(four.activations < base.activations);
    }

    #[test]
    fn experts_and_latents_have_workspaces() {
        let eight = PlanOptions { tensor_parallel: 8, ..PlanOptions::default() };
        // 8 experts a token: 7,168 wide in and out of them; 256 of each expert's width on each GPU.
        let experts = 8_192 * 2 * (2 * 7_168 + 8 * (7_168 + 7_168) + 3 * 256);
        assert_eq!(of("deepseek-v3", "h200-sxm", &eight).activations, experts);
        // V2-Lite at a small step: 65,536 tokens unpacked to 16 heads of 256 are the peak.
        let small = PlanOptions { max_num_batched_tokens: Some(256), ..PlanOptions::default() };
        assert_eq!(of("deepseek-v2-lite", "h100-sxm", &small).activations, 2 * (256 * 2 * 2_048 + 65_536 * 16 * 256));
    }
}
