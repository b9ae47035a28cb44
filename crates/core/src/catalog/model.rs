//! Open-weight model architectures.
//!
//! Imports only `types`. Must keep true: field names are the keys of `data/models.toml`; sizes are those of the whole
//! model, before tensor parallelism.
use crate::types::Capability;
use serde::{Deserialize, Serialize};

/// Total parameters from which an own model counts as `mid`. Our judgement.
const MID_FROM_PARAMS: u64 = 20_000_000_000;
/// Total parameters from which an own model counts as `frontier`. Our judgement.
const FRONTIER_FROM_PARAMS: u64 = 300_000_000_000;

/// Dimensions of a model, text tower only. Fields that do not apply are 0.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Model {
    /// Name in experiments, such as `llama-3.1-8b`.
    pub id: String,
    /// Name at Hugging Face.
    pub hf_id: String,
    /// `mha`, `gqa`, `mla`, with `+window`, `+chunked`, `+linear` or `+dsa` where layers differ.
    pub attention: String,
    /// Decoder layers.
    pub layers: u32,
    /// Width of the residual stream.
    pub hidden: u32,
    /// Query heads.
    pub heads: u32,
    /// Key/value heads (MLA: equal to `heads`, unused).
    pub kv_heads: u32,
    /// Width of a head (0 for MLA).
    #[serde(default)]
    pub head_dim: u32,
    /// Inner width of a dense layer's gated FFN.
    pub ffn: u32,
    /// Vocabulary.
    pub vocab: u32,
    /// Whether the output head shares the embedding's weights.
    pub tied_embeddings: bool,
    /// Whether q, k and v have biases.
    pub qkv_bias: bool,
    /// Routed experts of an MoE layer.
    pub experts: u32,
    /// Routed experts a token visits.
    pub experts_per_token: u32,
    /// Inner width of a routed expert.
    pub moe_ffn: u32,
    /// Shared experts of an MoE layer.
    pub shared_experts: u32,
    /// Inner width of all shared experts together.
    pub shared_ffn: u32,
    /// Layers with a dense FFN.
    pub dense_layers: u32,
    /// Layers with experts.
    pub moe_layers: u32,
    /// MLA: rank of the query's compression, 0 for none.
    pub q_lora_rank: u32,
    /// MLA: rank of the key/value latent.
    pub kv_lora_rank: u32,
    /// MLA: rotary part of a head.
    pub qk_rope_head_dim: u32,
    /// MLA: the rest of a query or key head.
    pub qk_nope_head_dim: u32,
    /// MLA: width of a value head.
    pub v_head_dim: u32,
    /// Window of the layers that see only so many tokens, 0 for none.
    pub window: u32,
    /// Layers with that window; with `window = 0`, layers of linear attention.
    pub window_layers: u32,
    /// Layers that see the whole context.
    pub full_attention_layers: u32,
    /// Longest context, tokens.
    pub max_context: u32,
    /// State that one layer of linear attention keeps for a sequence, bytes; 0 without such layers.
    #[serde(default)]
    pub linear_state_bytes: u64,
    /// What a sparse-attention indexer caches for a token and layer, bytes, on every GPU; 0 without one.
    #[serde(default)]
    pub indexer_bytes_per_token_layer: u32,
    /// All parameters.
    pub params_total: u64,
    /// Parameters that one token uses.
    pub params_active: u64,
    /// KV bytes a token at 2 bytes an element, window layers included.
    pub kv_bytes_per_token_bf16_all_layers: u64,
    /// The same for the layers that see the whole context.
    pub kv_bytes_per_token_bf16_full_layers: u64,
    /// Bytes that a request's window layers hold at most, at 2 bytes an element.
    pub kv_bytes_cap_window_layers_bf16: u64,
    /// Remarks.
    pub note: Option<String>,
    /// When the row was read.
    #[serde(default = "sheets_read")]
    pub date: String,
    /// Where the row is from; code is named with the commit or release that was read.
    pub source: String,
}

fn sheets_read() -> String {
    super::SHEETS_READ.to_owned()
}

impl Model {
    /// How capable it is, by size alone: below 20 billion parameters small, from 300 billion frontier. Our judgement.
    pub fn capability(&self) -> Capability {
        match self.params_total {
            p if p >= FRONTIER_FROM_PARAMS => Capability::Frontier,
            p if p >= MID_FROM_PARAMS => Capability::Mid,
            _ => Capability::Small,
        }
    }
    /// Whether keys and values are cached as one latent (multi-head latent attention).
    pub fn is_mla(&self) -> bool {
        self.attention.starts_with("mla")
    }
    /// Whether `gpus` can share each layer: they divide the heads, and divide the KV heads or repeat them evenly.
    pub fn divides_into(&self, gpus: u32) -> bool {
        let whole = |a: u32, b: u32| b > 0 && a.is_multiple_of(b);
        let kv = self.is_mla() || whole(self.kv_heads, gpus) || whole(gpus, self.kv_heads);
        whole(self.heads, gpus) && kv
    }
    /// Layers that keep KV for each token (all but linear attention).
    pub fn kv_layers(&self) -> u32 {
        if self.window > 0 { self.full_attention_layers + self.window_layers } else { self.full_attention_layers }
    }
}
