//! Counts of a model's work on one GPU: matrix products, experts touched, operations of attention.
//!
//! Imports `catalog`, `memory`. Must keep true: at tensor parallelism 1 the weights add up to the model's parameters.
use crate::catalog::Model;
use crate::memory::{self, Matrix, Role};

/// A matrix product of one GPU: `k` inputs to `n` outputs, so often in a step.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Product {
    /// Outputs.
    pub n: f64,
    /// Inputs.
    pub k: f64,
    /// Layers that have it.
    pub layers: f64,
    /// Outputs that an element-wise kernel reads again, with what it writes and reads beside them, in elements a token.
    pub elementwise: f64,
}

/// The products of all layers but routers and routed experts: the matrices that [`memory::matrices`] counts, with what
/// element-wise kernels read and write about them. Norms and biases are ignored.
pub(super) fn products(m: &Model, tensor_parallel: u32) -> Vec<Product> {
    // Two norms with their residuals read and write four streams each.
    let norms = 8.0 * f64::from(m.hidden);
    let latents = if m.is_mla() { f64::from(m.kv_lora_rank + m.qk_rope_head_dim) } else { 0.0 };
    let elementwise = |x: &Matrix| match x.role {
        // MLA's latents are no heads to be rotated; queries are, wherever they come from.
        Role::Attention if m.is_mla() && m.q_lora_rank > 0 => norms,
        Role::Attention => norms + 3.0 * (x.n - latents),
        Role::Query => 3.0 * x.n,
        Role::GateUp => 1.5 * x.n,
        Role::KeyValue | Role::AttentionOut | Role::Down => 0.0,
    };
    let product = |x: &Matrix| Product { n: x.n, k: x.k, layers: x.layers, elementwise: elementwise(x) };
    memory::matrices(m, tensor_parallel).iter().map(product).collect()
}

/// Routed experts that a step of `tokens` touches, of all `e`, where each token visits `k`: k T e / (e + k (T - 1)).
/// Popularity differs from expert to expert (geometrically in this formula), so that they are fewer than if each token
/// picked at random; the kernel tables with power-law routing are matched by it.
pub fn touched_experts(e: f64, k: f64, tokens: f64) -> f64 {
    if tokens < 1.0 { 0.0 } else { k * tokens * e / (e + k * (tokens - 1.0)) }
}

/// How much more work the busiest of `ranks` GPUs has than the mean, where whole experts are spread over them and
/// `touched` of `e` are in use: the expected largest of `ranks` draws is about sqrt(2 ln ranks) deviations up.
pub(super) fn busiest(e: f64, touched: f64, ranks: f64) -> f64 {
    let mean = touched / ranks;
    if ranks < 2.0 || mean <= 0.0 {
        return 1.0;
    }
    let spread = libm::sqrt(2.0 * mean * (1.0 - mean * ranks / e).max(0.0) * libm::log(ranks));
    (mean + spread).min(e / ranks) / mean
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
            let products: f64 = products(m, 1).iter().map(|p| p.n * p.k * p.layers).sum();
            let hidden = f64::from(m.hidden);
            let expert = hidden * (3.0 * f64::from(m.moe_ffn) + 1.0);
            let experts = expert * f64::from(m.experts) * f64::from(m.moe_layers);
            let head = hidden * f64::from(m.vocab);
            let sum = products + experts + if m.tied_embeddings { head } else { 2.0 * head };
            let off = sum / m.params_total as f64 - 1.0;
            assert!(off.abs() < 0.001, "{}: {off:+.5}", m.id);
        }
    }

    #[test]
    fn experts_touched_start_at_k_grow_and_end_at_all() {
        let of = |tokens: f64| touched_experts(128.0, 8.0, tokens);
        assert_eq!((of(0.0), of(1.0)), (0.0, 8.0));
        let mut last = 0.0;
        for tokens in 1..2_000 {
            let touched = of(f64::from(tokens));
            assert!(touched > last && touched <= 128.0);
            last = touched;
        }
        assert!(last > 126.0);
        assert_eq!(busiest(128.0, 40.0, 1.0), 1.0);
        assert!(busiest(128.0, 40.0, 8.0) > 1.5 && busiest(128.0, 127.9, 8.0) < 1.01);
    }

    #[test]
    fn pairs_agree_with_counting() {
        for (c, t, w) in [(0, 5, 0), (3, 4, 0), (0, 10, 4), (2, 10, 4), (9, 3, 4)] {
            let counted: u32 = (1..=t).map(|i| if w == 0 { c + i } else { (c + i).min(w) }).sum();
            assert_eq!(pairs(c, t, w), f64::from(counted));
        }
    }
}
