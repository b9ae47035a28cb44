//! The matrices of a model's layers as one GPU holds them: what its weights are counted by and its products priced by.
//!
//! Imports `catalog`. Must keep true: at tensor parallelism 1 they are, with experts, routers, embedding and head, the
//! model's parameters but norms and biases (tests of `weights.rs` and of `latency/work.rs`).
use crate::catalog::Model;

/// What a matrix is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Role {
    /// From the residual stream to queries, keys and values, or to MLA's latents (and queries, where these have none).
    Attention,
    /// From MLA's query latent to queries.
    Query,
    /// From MLA's key/value latent to keys and values.
    KeyValue,
    /// From attention's output to the residual stream.
    AttentionOut,
    /// Gate and up of an FFN.
    GateUp,
    /// Down of an FFN.
    Down,
}

/// A matrix of `k` inputs and `n` outputs, in so many layers.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Matrix {
    /// What for.
    pub role: Role,
    /// Outputs.
    pub n: f64,
    /// Inputs.
    pub k: f64,
    /// Layers that have it.
    pub layers: f64,
}

/// KV heads that a GPU holds: at least one, so heads are repeated where there are fewer than GPUs.
pub(super) fn kv_heads_on_gpu(model: &Model, tensor_parallel: u32) -> u32 {
    (model.kv_heads / tensor_parallel.max(1)).max(1)
}

/// The matrices of all layers but routers and routed experts. Heads and inner widths are cut; a GPU holds at least one
/// KV head; MLA's down projections are on every GPU.
pub fn matrices(m: &Model, tensor_parallel: u32) -> Vec<Matrix> {
    let tp = f64::from(tensor_parallel);
    let [hidden, heads, head_dim] = [m.hidden, m.heads, m.head_dim].map(f64::from);
    let heads = heads / tp;
    let mut all = Vec::new();
    let mut add = |role: Role, n: f64, k: f64, layers: u32| {
        if layers > 0 && n > 0.0 && k > 0.0 {
            all.push(Matrix { role, n, k, layers: layers.into() });
        }
    };
    if m.is_mla() {
        let [q_rank, kv_rank, rope, nope, v] =
            [m.q_lora_rank, m.kv_lora_rank, m.qk_rope_head_dim, m.qk_nope_head_dim, m.v_head_dim].map(f64::from);
        let query = heads * (nope + rope);
        if m.q_lora_rank > 0 {
            add(Role::Attention, q_rank + kv_rank + rope, hidden, m.layers);
            add(Role::Query, query, q_rank, m.layers);
        } else {
            add(Role::Attention, query + kv_rank + rope, hidden, m.layers);
        }
        add(Role::KeyValue, heads * (nope + v), kv_rank, m.layers);
        add(Role::AttentionOut, hidden, heads * v, m.layers);
    } else {
        let kv = f64::from(kv_heads_on_gpu(m, tensor_parallel));
        add(Role::Attention, (heads + 2.0 * kv) * head_dim, hidden, m.layers);
        add(Role::AttentionOut, hidden, heads * head_dim, m.layers);
    }
    for (inner, layers) in [(m.ffn, m.dense_layers), (m.shared_ffn, m.moe_layers)] {
        let inner = f64::from(inner) / tp;
        add(Role::GateUp, 2.0 * inner, hidden, layers);
        add(Role::Down, hidden, inner, layers);
    }
    all
}
