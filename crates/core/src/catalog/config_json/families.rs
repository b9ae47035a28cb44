//! What each architecture calls its parts.
//!
//! Sources: the configuration classes of transformers 4.57 (`configuration_*.py`) and vLLM 0.32.0's model files, read
//! 2026-12-01. Defaults are those of these classes; a config that leaves a key out means them.
use super::super::Model;
use super::Config;

/// An architecture.
#[derive(Clone, Copy)]
pub(super) struct Family {
    /// Name of the family's architecture in the key `architectures`.
    pub architecture: &'static str,
    /// Whether experts and attention's output have biases.
    pub expert_biases: bool,
    /// Reads what is its own.
    pub read: fn(&Config<'_>, &mut Model),
}

const fn of(architecture: &'static str, read: fn(&Config<'_>, &mut Model)) -> Family {
    Family { architecture, expert_biases: false, read }
}

/// All that are known.
pub(super) const ALL: [Family; 19] = [
    of("LlamaForCausalLM", llama),
    of("MistralForCausalLM", mistral),
    of("Mistral3ForConditionalGeneration", mistral),
    of("Phi3ForCausalLM", mistral),
    of("MixtralForCausalLM", mixtral),
    of("Qwen2ForCausalLM", qwen2),
    of("Qwen2MoeForCausalLM", qwen2_moe),
    of("Qwen3ForCausalLM", qwen3),
    of("Qwen3MoeForCausalLM", qwen3_moe),
    of("GemmaForCausalLM", gemma),
    of("Gemma2ForCausalLM", gemma2),
    of("Gemma3ForCausalLM", gemma3),
    of("Gemma3ForConditionalGeneration", gemma3),
    Family { architecture: "GptOssForCausalLM", expert_biases: true, read: gpt_oss },
    of("DeepseekV2ForCausalLM", deepseek),
    of("DeepseekV3ForCausalLM", deepseek),
    of("DeepseekV32ForCausalLM", deepseek),
    of("GlmMoeDsaForCausalLM", deepseek),
    of("Llama4ForConditionalGeneration", llama4),
];

/// Attention of query heads that share key/value heads, vocabulary and context.
fn heads(c: &Config<'_>, row: &mut Model) {
    row.heads = c.count("num_attention_heads");
    row.kv_heads = c.maybe("num_key_value_heads").unwrap_or(row.heads);
    row.head_dim = c.maybe("head_dim").unwrap_or(0);
    row.vocab = c.count("vocab_size");
    row.max_context = c.count("max_position_embeddings");
}

fn dense(c: &Config<'_>, row: &mut Model) {
    heads(c, row);
    row.ffn = c.count("intermediate_size");
}

/// Windows, by the list of layers that newer configs have or by `count`.
fn windows(c: &Config<'_>, row: &mut Model, window: u32, count: u32) {
    let listed = c.words("layer_types", "sliding_attention");
    let layers = listed.unwrap_or(count);
    if window > 0 && layers > 0 {
        (row.window, row.window_layers) = (window, layers);
    }
}

fn llama(c: &Config<'_>, row: &mut Model) {
    dense(c, row);
}

fn mistral(c: &Config<'_>, row: &mut Model) {
    dense(c, row);
    let layers = row.layers;
    windows(c, row, c.maybe("sliding_window").unwrap_or(0), layers);
}

fn mixtral(c: &Config<'_>, row: &mut Model) {
    heads(c, row);
    let layers = row.layers;
    windows(c, row, c.maybe("sliding_window").unwrap_or(0), layers);
    (row.experts, row.experts_per_token) = (c.count("num_local_experts"), c.count("num_experts_per_tok"));
    (row.moe_ffn, row.moe_layers) = (c.count("intermediate_size"), row.layers);
}

/// Qwen's windows are off unless they are asked for, and then begin behind `max_window_layers`.
fn qwen_windows(c: &Config<'_>, row: &mut Model) {
    let (window, from) = (c.maybe("sliding_window").unwrap_or(0), c.maybe("max_window_layers").unwrap_or(0));
    let on = c.flag("use_sliding_window").unwrap_or(false);
    let behind = row.layers.saturating_sub(from);
    if on {
        windows(c, row, window, behind);
    } else {
        c.get("layer_types");
    }
}

fn qwen2(c: &Config<'_>, row: &mut Model) {
    dense(c, row);
    row.qkv_bias = true;
    qwen_windows(c, row);
}

fn qwen3(c: &Config<'_>, row: &mut Model) {
    dense(c, row);
    if row.head_dim == 0 {
        row.head_dim = 128;
    }
    qwen_windows(c, row);
}

/// Every `decoder_sparse_step`th layer has experts, but for those of `mlp_only_layers`.
fn qwen_experts(c: &Config<'_>, row: &mut Model) {
    (row.experts, row.experts_per_token) = (c.count("num_experts"), c.count("num_experts_per_tok"));
    row.moe_ffn = c.count("moe_intermediate_size");
    let step = c.maybe("decoder_sparse_step").unwrap_or(1).max(1);
    let only = c.get("mlp_only_layers").and_then(serde_json::Value::as_array).map_or(0, |l| l.len() as u32);
    row.moe_layers = (row.layers / step).saturating_sub(only);
}

fn qwen2_moe(c: &Config<'_>, row: &mut Model) {
    qwen2(c, row);
    qwen_experts(c, row);
    row.shared_ffn = c.count("shared_expert_intermediate_size");
    row.shared_experts = 1;
}

fn qwen3_moe(c: &Config<'_>, row: &mut Model) {
    qwen3(c, row);
    qwen_experts(c, row);
}

fn gemma(c: &Config<'_>, row: &mut Model) {
    dense(c, row);
    if row.head_dim == 0 {
        row.head_dim = 256;
    }
    row.tied_embeddings = c.flag("tie_word_embeddings").unwrap_or(true);
}

/// Every other layer has a window, the first one too.
fn gemma2(c: &Config<'_>, row: &mut Model) {
    gemma(c, row);
    let window = c.count_or("sliding_window", 4_096);
    let layers = row.layers.div_ceil(2);
    windows(c, row, window, layers);
}

/// Every sixth layer sees the whole context. Configs of this family leave out what is as in the class.
fn gemma3(c: &Config<'_>, row: &mut Model) {
    row.heads = c.count_or("num_attention_heads", 8);
    row.kv_heads = c.count_or("num_key_value_heads", 4);
    row.head_dim = c.count_or("head_dim", 256);
    row.vocab = c.count_or("vocab_size", 262_208);
    row.max_context = c.count_or("max_position_embeddings", 131_072);
    row.ffn = c.count("intermediate_size");
    row.tied_embeddings = c.flag("tie_word_embeddings").unwrap_or(true);
    let window = c.count_or("sliding_window", 4_096);
    let pattern = c.maybe("sliding_window_pattern").or(c.maybe("_sliding_window_pattern")).unwrap_or(6).max(1);
    let full = row.layers / pattern;
    let layers = row.layers - full;
    windows(c, row, window, layers);
}

/// Every other layer has a window, the first one too; all layers have experts.
fn gpt_oss(c: &Config<'_>, row: &mut Model) {
    dense(c, row);
    row.qkv_bias = c.flag("attention_bias").unwrap_or(true);
    row.experts = c.count("num_local_experts");
    row.experts_per_token = c.maybe("num_experts_per_tok").unwrap_or_else(|| c.count("experts_per_token"));
    c.get("experts_per_token");
    (row.moe_ffn, row.moe_layers) = (row.ffn, row.layers);
    let layers = row.layers.div_ceil(2);
    windows(c, row, c.maybe("sliding_window").unwrap_or(0), layers);
}

/// Latent attention; experts behind the first dense layers; a sparse-attention indexer where `index_head_dim` says its
/// keys, which are cached in one byte each and a float32 scale.
fn deepseek(c: &Config<'_>, row: &mut Model) {
    row.heads = c.count("num_attention_heads");
    row.kv_heads = row.heads;
    c.get("num_key_value_heads");
    c.get("head_dim");
    row.vocab = c.count("vocab_size");
    row.max_context = c.count("max_position_embeddings");
    row.ffn = c.count("intermediate_size");
    row.q_lora_rank = c.maybe("q_lora_rank").unwrap_or(0);
    row.kv_lora_rank = c.count("kv_lora_rank");
    row.qk_rope_head_dim = c.count("qk_rope_head_dim");
    row.qk_nope_head_dim = c.count("qk_nope_head_dim");
    row.v_head_dim = c.count("v_head_dim");
    row.experts = c.count("n_routed_experts");
    row.experts_per_token = c.count("num_experts_per_tok");
    row.moe_ffn = c.count("moe_intermediate_size");
    row.shared_experts = c.maybe("n_shared_experts").unwrap_or(0);
    let (dense, every) = (c.count("first_k_dense_replace"), c.maybe("moe_layer_freq").unwrap_or(1).max(1));
    row.moe_layers = row.layers.saturating_sub(dense) / every;
    c.get("index_n_heads");
    c.get("index_topk");
    if let Some(width) = c.maybe("index_head_dim") {
        row.indexer_bytes_per_token_layer = width + 4;
        row.attention = "mla+dsa".into();
        c.note("the sparse-attention indexer is not in the parameter count".into());
    }
}

/// Chunks on three of four layers; experts on every `interleave_moe_layer_step`th, with a shared one.
fn llama4(c: &Config<'_>, row: &mut Model) {
    heads(c, row);
    row.ffn = c.count("intermediate_size_mlp");
    row.moe_ffn = c.count("intermediate_size");
    (row.shared_experts, row.shared_ffn) = (1, row.moe_ffn);
    (row.experts, row.experts_per_token) = (c.count("num_local_experts"), c.maybe("num_experts_per_tok").unwrap_or(1));
    row.moe_layers = row.layers / c.maybe("interleave_moe_layer_step").unwrap_or(1).max(1);
    let every = c.maybe("no_rope_layer_interval").unwrap_or(4).max(1);
    let listed = c.get("no_rope_layers").and_then(serde_json::Value::as_array).filter(|l| !l.is_empty());
    let full = listed.map_or(row.layers / every, |l| l.iter().filter(|v| v.as_u64() == Some(0)).count() as u32);
    c.get("moe_layers");
    c.get("layer_types");
    let window = c.maybe("attention_chunk_size").unwrap_or(0);
    if window > 0 {
        (row.window, row.window_layers) = (window, row.layers.saturating_sub(full));
        row.attention = "gqa+chunked".into();
    }
}
