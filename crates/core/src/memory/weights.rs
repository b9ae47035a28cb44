//! One GPU's share of a model's weights, tensor by tensor.
//!
//! Imports `catalog`. Must keep true: on one GPU in BF16 the tensors are the model's parameters, each counted once.
//!
//! **What is cut.** Tensor parallelism cuts attention by heads, FFNs and experts by their inner width, embedding and
//! head by vocabulary. Expert parallelism holds as many bytes, in whole experts. Whole on every GPU are routers, MLA's
//! down projections, norms and biases; and a KV head where there are fewer than GPUs.
//!
//! **What stays BF16.** vLLM quantises linear layers and experts and nothing else (0.32.0, `quantization/fp8.py`
//! `Fp8Config.get_quant_method`; AWQ and GPTQ likewise). The embedding and the head are `VocabParallelEmbedding`s,
//! routers are built with `quant_config=None` (`mixtral.py`, `gpt_oss.py`, `deepseek_v2.py`), norms are not linear.
//! Read 2026-11-24.
use super::{WeightsDtype, matrices};
use crate::catalog::Model;

/// Bytes of a parameter that is not quantised: BF16.
const KEPT_BYTES: f64 = 2.0;

/// Parameters of one GPU by what quantisation does to them.
#[derive(Debug, Clone, Copy, PartialEq)]
struct Params {
    /// Matrices of the layers.
    linear: f64,
    /// Embedding, head, routers.
    kept: f64,
}

/// Bytes of one GPU.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct WeightBytes {
    /// All weights.
    pub total: u64,
    /// Weights that stay BF16 under quantisation; part of `total`.
    pub kept: u64,
}

fn params(m: &Model, tensor_parallel: u32) -> Params {
    let tp = f64::from(tensor_parallel);
    let hidden = f64::from(m.hidden);
    let dense: f64 = matrices(m, tensor_parallel).iter().map(|x| x.n * x.k * x.layers).sum();
    let expert = 3.0 * hidden * f64::from(m.moe_ffn) / tp;
    let experts = f64::from(m.experts) * f64::from(m.moe_layers);
    let embeddings = if m.tied_embeddings { 1.0 } else { 2.0 };
    Params { linear: dense + expert * experts, kept: hidden * f64::from(m.vocab) * embeddings / tp + hidden * experts }
}

/// The weights of one GPU. What the dimensions do not name (norms, biases) is taken from the model's parameter count
/// and lies whole on every GPU. A quantised MLA model keeps its latent's up projections a second time in BF16, for
/// decoding on the latent (`mla_attention.py` `process_weights_after_loading`).
pub(super) fn weights(model: &Model, tensor_parallel: u32, dtype: WeightsDtype) -> WeightBytes {
    let whole = params(model, 1);
    let rest = (model.params_total as f64 - whole.linear - whole.kept).max(0.0);
    let own = params(model, tensor_parallel);
    let again = if model.is_mla() && dtype != WeightsDtype::Bf16 {
        let heads = f64::from(model.heads) / f64::from(tensor_parallel);
        let width = f64::from(model.qk_nope_head_dim + model.v_head_dim);
        heads * f64::from(model.kv_lora_rank) * width * f64::from(model.layers)
    } else {
        0.0
    };
    let kept = (own.kept + rest + again) * KEPT_BYTES;
    let total = own.linear * dtype.bytes_per_param() + kept;
    WeightBytes { total: total.ceil() as u64, kept: kept.ceil() as u64 }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::catalog::Catalog;

    #[test]
    fn on_one_gpu_the_tensors_are_the_models_parameters() {
        for m in &Catalog::embedded().models {
            let off = weights(m, 1, WeightsDtype::Bf16).total as f64 / (2.0 * m.params_total as f64) - 1.0;
            assert!(off.abs() < 0.001, "{}: {off:+.5}", m.id);
        }
        let m = Catalog::embedded().model("llama-3.1-8b").unwrap();
        assert_eq!(weights(m, 1, WeightsDtype::Bf16).total, 2 * m.params_total);
    }

    #[test]
    fn quantisation_spares_embeddings_head_and_routers() {
        let m = Catalog::embedded().model("llama-3.1-8b").unwrap();
        let w = weights(m, 1, WeightsDtype::Fp8);
        // 32 layers with two norms of 4,096 each, and the last one.
        let norms = 65 * 4_096;
        assert_eq!(w.kept, 2 * (2 * 4_096 * 128_256 + norms), "2.1 GB of an 8B model is vocabulary");
        assert_eq!(w.total - w.kept, m.params_total - w.kept / 2);
        let int4 = weights(m, 1, WeightsDtype::Int4);
        assert_eq!(int4.kept, w.kept);
        assert!(((int4.total - int4.kept) as f64 / (w.total - w.kept) as f64 - 0.519_531_25).abs() < 1e-6);
        let moe = Catalog::embedded().model("qwen3-30b-a3b").unwrap();
        let embeddings = 2 * 2_048 * 151_936;
        assert!(weights(moe, 1, WeightsDtype::Fp8).kept >= 2 * (embeddings + 2_048 * 128 * 48), "routers stay BF16");
        let tied = Catalog::embedded().model("gemma-3-27b").unwrap();
        assert!(weights(tied, 1, WeightsDtype::Fp8).kept < 2 * 2 * 5_376 * 262_208, "tied embeddings count once");
    }

    #[test]
    fn what_is_not_cut_is_on_every_gpu() {
        let m = Catalog::embedded().model("qwen3-30b-a3b").unwrap();
        let of = |tp| weights(m, tp, WeightsDtype::Bf16).total as f64;
        let kv = 2.0 * f64::from(m.hidden * m.head_dim) * f64::from(m.layers) * 2.0;
        let router = f64::from(m.hidden * m.experts * m.layers) * 2.0;
        let eight = of(8) - of(1) / 8.0;
        // At TP 8 each of 4 KV heads is held twice: half a head a GPU too many; routers are whole eight times.
        let extra = kv * 0.5 + router * 7.0 / 8.0;
        assert!((eight / extra - 1.0).abs() < 0.02, "{eight} {extra}");
    }
}
