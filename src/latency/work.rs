//! Counts of a model's work on one GPU: weights read, operations, KV bytes.
//!
//! Imports `catalog`, `memory`. Must keep true: at tensor parallelism 1 the weights add up to the model's parameters.
use crate::catalog::Model;

/// Weights of one GPU, in parameters. Norms and biases are ignored.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Weights {
    /// Attention projections of all layers.
    pub attention: f64,
    /// Dense FFNs of all layers, shared experts and routers.
    pub dense: f64,
    /// All routed experts of all MoE layers.
    pub experts: f64,
    /// Output head.
    pub head: f64,
}

/// Counts the weights. A GPU holds at least one KV head; MLA's down projections and routers are on every GPU.
pub(super) fn weights(m: &Model, tensor_parallel: u32) -> Weights {
    let tp = f64::from(tensor_parallel);
    let [hidden, heads, head_dim] = [m.hidden, m.heads, m.head_dim].map(f64::from);
    let attention = if m.is_mla() {
        let [q_rank, kv_rank, rope, nope, v] =
            [m.q_lora_rank, m.kv_lora_rank, m.qk_rope_head_dim, m.qk_nope_head_dim, m.v_head_dim].map(f64::from);
        let query_in = if m.q_lora_rank > 0 { q_rank } else { hidden };
        let replicated = hidden * q_rank + hidden * (kv_rank + rope);
        replicated + heads / tp * (query_in * (nope + rope) + kv_rank * (nope + v) + v * hidden)
    } else {
        let kv = f64::from((m.kv_heads / tensor_parallel).max(1));
        hidden * head_dim * (2.0 * heads / tp + 2.0 * kv)
    };
    let moe_layers = f64::from(m.moe_layers);
    let gated = |inner: u32| 3.0 * hidden * f64::from(inner) / tp;
    let router = hidden * f64::from(m.experts);
    Weights {
        attention: attention * f64::from(m.layers),
        dense: gated(m.ffn) * f64::from(m.dense_layers) + (gated(m.shared_ffn) + router) * moe_layers,
        experts: gated(m.moe_ffn) * f64::from(m.experts) * moe_layers,
        head: hidden * f64::from(m.vocab) / tp,
    }
}

/// Share of the routed experts that `tokens` tokens touch if each picks `k` of `e` at random: 1 - (1 - k/e)^n.
pub(super) fn touched_share(m: &Model, tokens: f64) -> f64 {
    if m.experts == 0 {
        return 0.0;
    }
    let miss = 1.0 - f64::from(m.experts_per_token) / f64::from(m.experts);
    1.0 - libm::pow(miss, tokens)
}

/// Operations of attention for one query token and one token of context, one layer, one GPU. Decoding with MLA works
/// on the latent; prefill on the unpacked heads.
pub(super) fn attention_flops(m: &Model, tensor_parallel: u32, decode: bool) -> f64 {
    let heads = f64::from(m.heads) / f64::from(tensor_parallel);
    let width = match (m.is_mla(), decode) {
        (true, true) => 2 * m.kv_lora_rank + m.qk_rope_head_dim,
        (true, false) => m.qk_nope_head_dim + m.qk_rope_head_dim + m.v_head_dim,
        (false, _) => 2 * m.head_dim,
    };
    2.0 * heads * f64::from(width)
}

/// Query-key pairs of a chunk of `tokens` on top of `context`, where a query sees at most `window` tokens (0: all).
pub(super) fn pairs(context: u32, tokens: u32, window: u32) -> f64 {
    let (c, t) = (f64::from(context), f64::from(tokens));
    if window == 0 {
        return t * c + t * (t + 1.0) / 2.0;
    }
    // Queries see c+1, c+2, ... tokens until the window is full.
    let growing = f64::from(window.saturating_sub(context).min(tokens));
    growing * c + growing * (growing + 1.0) / 2.0 + (t - growing) * f64::from(window)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::catalog::Catalog;

    #[test]
    fn weights_add_up_to_the_parameters_of_every_model() {
        for m in &Catalog::embedded().models {
            let w = weights(m, 1);
            let embedding = if m.tied_embeddings { 0.0 } else { w.head };
            let sum = w.attention + w.dense + w.experts + w.head + embedding;
            let off = sum / m.params_total as f64 - 1.0;
            assert!(off.abs() < 0.001, "{}: {off:+.5}", m.id);
        }
    }

    #[test]
    fn pairs_agree_with_counting() {
        for (c, t, w) in [(0, 5, 0), (3, 4, 0), (0, 10, 4), (2, 10, 4), (9, 3, 4)] {
            let counted: u32 = (1..=t).map(|i| if w == 0 { c + i } else { (c + i).min(w) }).sum();
            assert_eq!(pairs(c, t, w), f64::from(counted));
        }
    }
}
