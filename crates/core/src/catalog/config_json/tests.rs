//! Each family's config gives back the embedded row; what is not read is named; what is not known is refused.
use super::*;
use crate::catalog::Catalog;

/// Configs by the row that they are of, with the keys that say its shape.
const CONFIGS: [(&str, &str); 20] = [
    (
        "llama-2-7b",
        r#"{"architectures": ["LlamaForCausalLM"], "model_type": "llama", "hidden_size": 4096, "intermediate_size": 11008,
            "num_hidden_layers": 32, "num_attention_heads": 32, "num_key_value_heads": 32, "vocab_size": 32000,
            "max_position_embeddings": 4096, "tie_word_embeddings": false, "pretraining_tp": 1, "rope_scaling": null}"#,
    ),
    (
        "llama-3.1-8b",
        r#"{"architectures": ["LlamaForCausalLM"], "hidden_size": 4096, "intermediate_size": 14336, "num_hidden_layers": 32,
            "num_attention_heads": 32, "num_key_value_heads": 8, "vocab_size": 128256, "max_position_embeddings": 131072,
            "attention_bias": false, "mlp_bias": false, "rope_theta": 500000.0, "torch_dtype": "bfloat16"}"#,
    ),
    (
        "llama-3.1-405b",
        r#"{"architectures": ["LlamaForCausalLM"], "hidden_size": 16384, "intermediate_size": 53248,
            "num_hidden_layers": 126, "num_attention_heads": 128, "num_key_value_heads": 8, "vocab_size": 128256,
            "max_position_embeddings": 131072, "tie_word_embeddings": false}"#,
    ),
    (
        "llama-4-scout",
        r#"{"architectures": ["Llama4ForConditionalGeneration"], "vision_config": {"hidden_size": 1408}, "text_config": {
            "hidden_size": 5120, "intermediate_size": 8192, "intermediate_size_mlp": 16384, "num_hidden_layers": 48,
            "num_attention_heads": 40, "num_key_value_heads": 8, "head_dim": 128, "vocab_size": 202048,
            "max_position_embeddings": 10485760, "num_local_experts": 16, "num_experts_per_tok": 1,
            "interleave_moe_layer_step": 1, "attention_chunk_size": 8192, "no_rope_layers": []}}"#,
    ),
    (
        "llama-4-maverick",
        r#"{"architectures": ["Llama4ForConditionalGeneration"], "text_config": {
            "hidden_size": 5120, "intermediate_size": 8192, "intermediate_size_mlp": 16384, "num_hidden_layers": 48,
            "num_attention_heads": 40, "num_key_value_heads": 8, "head_dim": 128, "vocab_size": 202048,
            "max_position_embeddings": 1048576, "num_local_experts": 128, "num_experts_per_tok": 1,
            "interleave_moe_layer_step": 2, "attention_chunk_size": 8192}}"#,
    ),
    (
        "qwen2.5-7b",
        r#"{"architectures": ["Qwen2ForCausalLM"], "hidden_size": 3584, "intermediate_size": 18944, "num_hidden_layers": 28,
            "num_attention_heads": 28, "num_key_value_heads": 4, "vocab_size": 152064, "max_position_embeddings": 32768,
            "max_window_layers": 28, "sliding_window": 131072, "use_sliding_window": false, "tie_word_embeddings": false}"#,
    ),
    (
        "qwen2.5-72b",
        r#"{"architectures": ["Qwen2ForCausalLM"], "hidden_size": 8192, "intermediate_size": 29568, "num_hidden_layers": 80,
            "num_attention_heads": 64, "num_key_value_heads": 8, "vocab_size": 152064, "max_position_embeddings": 32768}"#,
    ),
    (
        "qwen3-32b",
        r#"{"architectures": ["Qwen3ForCausalLM"], "hidden_size": 5120, "intermediate_size": 25600, "num_hidden_layers": 64,
            "num_attention_heads": 64, "num_key_value_heads": 8, "head_dim": 128, "vocab_size": 151936,
            "max_position_embeddings": 40960, "attention_bias": false, "max_window_layers": 64, "sliding_window": null,
            "use_sliding_window": false}"#,
    ),
    (
        "qwen3-30b-a3b",
        r#"{"architectures": ["Qwen3MoeForCausalLM"], "hidden_size": 2048, "intermediate_size": 6144,
            "num_hidden_layers": 48, "num_attention_heads": 32, "num_key_value_heads": 4, "head_dim": 128,
            "vocab_size": 151936, "max_position_embeddings": 40960, "num_experts": 128, "num_experts_per_tok": 8,
            "moe_intermediate_size": 768, "decoder_sparse_step": 1, "mlp_only_layers": [], "norm_topk_prob": true}"#,
    ),
    (
        "mistral-7b-v0.3",
        r#"{"architectures": ["MistralForCausalLM"], "hidden_size": 4096, "intermediate_size": 14336,
            "num_hidden_layers": 32, "num_attention_heads": 32, "num_key_value_heads": 8, "vocab_size": 32768,
            "max_position_embeddings": 32768, "sliding_window": null}"#,
    ),
    (
        "mistral-nemo-12b",
        r#"{"architectures": ["MistralForCausalLM"], "hidden_size": 5120, "intermediate_size": 14336, "head_dim": 128,
            "num_hidden_layers": 40, "num_attention_heads": 32, "num_key_value_heads": 8, "vocab_size": 131072,
            "max_position_embeddings": 131072, "sliding_window": null}"#,
    ),
    (
        "mixtral-8x7b",
        r#"{"architectures": ["MixtralForCausalLM"], "hidden_size": 4096, "intermediate_size": 14336,
            "num_hidden_layers": 32, "num_attention_heads": 32, "num_key_value_heads": 8, "vocab_size": 32000,
            "max_position_embeddings": 32768, "num_local_experts": 8, "num_experts_per_tok": 2, "sliding_window": null}"#,
    ),
    (
        "gemma-3-12b",
        r#"{"architectures": ["Gemma3ForConditionalGeneration"], "text_config": {"hidden_size": 3840,
            "intermediate_size": 15360, "num_attention_heads": 16, "num_key_value_heads": 8, "num_hidden_layers": 48,
            "sliding_window": 1024}, "mm_tokens_per_image": 256}"#,
    ),
    (
        "gemma-3-27b",
        r#"{"architectures": ["Gemma3ForConditionalGeneration"], "text_config": {"hidden_size": 5376, "head_dim": 128,
            "intermediate_size": 21504, "num_attention_heads": 32, "num_key_value_heads": 16, "num_hidden_layers": 62,
            "query_pre_attn_scalar": 168, "sliding_window": 1024}}"#,
    ),
    (
        "gpt-oss-20b",
        r#"{"architectures": ["GptOssForCausalLM"], "hidden_size": 2880, "intermediate_size": 2880, "num_hidden_layers": 24,
            "num_attention_heads": 64, "num_key_value_heads": 8, "head_dim": 64, "vocab_size": 201088,
            "max_position_embeddings": 131072, "num_local_experts": 32, "num_experts_per_tok": 4, "experts_per_token": 4,
            "sliding_window": 128, "attention_bias": true, "quantization_config": {"quant_method": "mxfp4"},
            "tie_word_embeddings": false}"#,
    ),
    (
        "gpt-oss-120b",
        r#"{"architectures": ["GptOssForCausalLM"], "hidden_size": 2880, "intermediate_size": 2880, "num_hidden_layers": 36,
            "num_attention_heads": 64, "num_key_value_heads": 8, "head_dim": 64, "vocab_size": 201088,
            "max_position_embeddings": 131072, "num_local_experts": 128, "experts_per_token": 4, "sliding_window": 128}"#,
    ),
    (
        "deepseek-v3",
        r#"{"architectures": ["DeepseekV3ForCausalLM"], "hidden_size": 7168, "intermediate_size": 18432,
            "num_hidden_layers": 61, "num_attention_heads": 128, "num_key_value_heads": 128, "vocab_size": 129280,
            "max_position_embeddings": 163840, "q_lora_rank": 1536, "kv_lora_rank": 512, "qk_rope_head_dim": 64,
            "qk_nope_head_dim": 128, "v_head_dim": 128, "n_routed_experts": 256, "num_experts_per_tok": 8,
            "moe_intermediate_size": 2048, "n_shared_experts": 1, "first_k_dense_replace": 3, "moe_layer_freq": 1,
            "num_nextn_predict_layers": 1, "quantization_config": {"quant_method": "fp8", "weight_block_size": [128, 128]}}"#,
    ),
    (
        "deepseek-v2-lite",
        r#"{"architectures": ["DeepseekV2ForCausalLM"], "hidden_size": 2048, "intermediate_size": 10944,
            "num_hidden_layers": 27, "num_attention_heads": 16, "num_key_value_heads": 16, "vocab_size": 102400,
            "max_position_embeddings": 163840, "q_lora_rank": null, "kv_lora_rank": 512, "qk_rope_head_dim": 64,
            "qk_nope_head_dim": 128, "v_head_dim": 128, "n_routed_experts": 64, "num_experts_per_tok": 6,
            "moe_intermediate_size": 1408, "n_shared_experts": 2, "first_k_dense_replace": 1}"#,
    ),
    (
        "glm-5",
        r#"{"architectures": ["GlmMoeDsaForCausalLM"], "hidden_size": 6144, "intermediate_size": 12288,
            "num_hidden_layers": 78, "num_attention_heads": 64, "vocab_size": 154880, "max_position_embeddings": 202752,
            "q_lora_rank": 2048, "kv_lora_rank": 512, "qk_rope_head_dim": 64, "qk_nope_head_dim": 192, "v_head_dim": 256,
            "n_routed_experts": 256, "num_experts_per_tok": 8, "moe_intermediate_size": 2048, "n_shared_experts": 1,
            "first_k_dense_replace": 3, "index_head_dim": 128, "index_n_heads": 32, "index_topk": 2048}"#,
    ),
    (
        "phi-4",
        r#"{"architectures": ["Phi3ForCausalLM"], "hidden_size": 5120, "intermediate_size": 17920, "num_hidden_layers": 40,
            "num_attention_heads": 40, "num_key_value_heads": 10, "vocab_size": 100352, "max_position_embeddings": 16384,
            "sliding_window": null, "partial_rotary_factor": 1.0}"#,
    ),
];

fn config(id: &str) -> &'static str {
    CONFIGS.iter().find(|(of, _)| *of == id).unwrap().1
}

#[test]
fn each_embedded_row_comes_back_from_its_config() {
    let c = Catalog::embedded();
    for (id, text) in CONFIGS {
        let read = model_from_config(text, id).unwrap_or_else(|e| panic!("{id}: {e}"));
        let known = c.model(id).unwrap();
        let about = |m: &Model| Model {
            weights: None,
            also: Vec::new(),
            hf_id: String::new(),
            note: None,
            date: String::new(),
            source: String::new(),
            ..m.clone()
        };
        assert_eq!(about(&read.row), about(known), "{id}");
    }
    // The text of a row goes back into a catalogue.
    let row = model_from_config(config("gpt-oss-20b"), "mine").unwrap().row;
    let text = toml::to_string(&std::collections::BTreeMap::from([("model", vec![row.clone()])])).unwrap();
    let laid = c.laid_over(&[crate::catalog::CatalogText { name: "mine.toml", text: &text }]).unwrap();
    let again = laid.catalog.model("mine").unwrap();
    assert_eq!((again.params_total, again.weights.as_deref()), (row.params_total, Some("mxfp4")));
}

#[test]
fn embedded_parameters_follow_from_dimensions() {
    for m in &Catalog::embedded().models {
        let off = m.parameters()[0] as f64 / m.params_total as f64 - 1.0;
        assert!(off.abs() < 4e-4, "{}: {off}", m.id);
    }
}

#[test]
fn windows_of_gemma_and_mistral_are_read() {
    let gemma2 = r#"{"architectures": ["Gemma2ForCausalLM"], "hidden_size": 4608, "intermediate_size": 36864,
        "num_hidden_layers": 46, "num_attention_heads": 32, "num_key_value_heads": 16, "head_dim": 128,
        "vocab_size": 256000, "max_position_embeddings": 8192, "sliding_window": 4096}"#;
    let row = model_from_config(gemma2, "g").unwrap().row;
    assert_eq!((row.window, row.window_layers, row.full_attention_layers), (4_096, 23, 23));
    assert_eq!((row.attention.as_str(), row.tied_embeddings), ("gqa+window", true));
    assert!((row.params_total as f64 / 27.2e9 - 1.0).abs() < 0.01, "{}", row.params_total);
    let v1 = config("mistral-7b-v0.3").replace("\"sliding_window\": null", "\"sliding_window\": 4096");
    let row = model_from_config(&v1, "m").unwrap().row;
    assert_eq!((row.window_layers, row.full_attention_layers, row.window), (32, 0, 4_096));
    let listed = config("gpt-oss-20b").replace(
        "\"sliding_window\"",
        "\"layer_types\": [\"sliding_attention\", \"full_attention\", \"full_attention\"], \"sliding_window\"",
    );
    assert_eq!(model_from_config(&listed, "g").unwrap().row.window_layers, 1, "the list counts");
}

#[test]
fn formats_are_read_and_those_that_are_not_are_named() {
    let with = |q: &str| {
        let text = config("llama-3.1-8b")
            .replace("\"hidden_size\"", &format!("\"quantization_config\": {q}, \"hidden_size\""));
        let read = model_from_config(&text, "m").unwrap();
        (read.row.weights, read.notes.join("; "))
    };
    for (q, format) in [
        (r#"{"quant_method": "fp8"}"#, "fp8"),
        (r#"{"quant_method": "fp8", "weight_block_size": [128, 128]}"#, "fp8-block"),
        (r#"{"quant_method": "awq", "bits": 4}"#, "int4"),
        (r#"{"quant_method": "gptq", "bits": 4, "group_size": 128}"#, "int4"),
        (r#"{"quant_method": "bitsandbytes", "load_in_4bit": true}"#, "int4"),
        (
            r#"{"quant_method": "compressed-tensors", "config_groups": {"group_0": {"weights": {"num_bits": 8, "type": "float", "strategy": "channel"}}}}"#,
            "fp8",
        ),
        (
            r#"{"quant_method": "compressed-tensors", "config_groups": {"group_0": {"weights": {"num_bits": 4, "type": "int"}}}}"#,
            "int4",
        ),
    ] {
        assert_eq!(with(q), (Some(format.to_owned()), String::new()), "{q}");
    }
    for q in [r#"{"quant_method": "gptq", "bits": 8}"#, r#"{"quant_method": "aqlm"}"#] {
        let (format, note) = with(q);
        assert!(format.is_none() && note.contains("is not read: give weights, one of bf16, fp8"), "{note}");
    }
}

#[test]
fn entries_of_a_quantization_that_are_not_read_are_named() {
    let note = |q: &str| {
        let text = config("llama-3.1-8b")
            .replace("\"hidden_size\"", &format!("\"quantization_config\": {q}, \"hidden_size\""));
        model_from_config(&text, "m").unwrap().notes.join("; ")
    };
    let head = "quantization_config: not read, though it may change how weights, keys or values are stored: ";
    for (q, named) in [
        (
            r#"{"quant_method": "fp8", "activation_scheme": "dynamic", "modules_to_not_convert": ["lm_head", "model.layers.0"]}"#,
            "modules_to_not_convert",
        ),
        (r#"{"quant_method": "gptq", "bits": 4, "group_size": 32, "desc_act": true}"#, "group_size"),
        (
            r#"{"quant_method": "compressed-tensors", "kv_cache_scheme": {"num_bits": 8}, "ignore": ["lm_head"],
                "config_groups": {"group_0": {"weights": {"num_bits": 8, "type": "float"}}, "group_1": {}}}"#,
            "kv_cache_scheme, config_groups.group_1",
        ),
        (r#"{"quant_method": "modelopt", "quant_algo": "FP8", "kv_cache_quant_algo": "FP8"}"#, "kv_cache_quant_algo"),
        (r#"{"quant_method": "fp8", "something_new": 3}"#, "something_new"),
    ] {
        assert_eq!(note(q), format!("{head}{named}"), "{q}");
    }
}

#[test]
fn what_is_not_read_is_named_and_assumptions_are_said() {
    let text = config("llama-3.1-8b").replace("\"hidden_size\"", "\"num_memory_tokens\": 16, \"hidden_size\"");
    let read = model_from_config(&text, "m").unwrap();
    assert_eq!(read.notes, ["not read, though it may change the shape: num_memory_tokens"]);
    assert_eq!(read.row.note.as_deref(), Some(read.notes[0].as_str()));
    let notes = model_from_config(config("gemma-3-27b"), "m").unwrap().notes;
    assert!(
        notes.contains(&"vocab_size is not in the file: 262208, the architecture's default".to_owned()),
        "{notes:?}"
    );
    assert!(notes.iter().any(|n| n.starts_with("the text tower alone")), "{notes:?}");
    let notes = model_from_config(config("deepseek-v3"), "m").unwrap().notes;
    assert!(notes[0].contains("num_nextn_predict_layers"), "{notes:?}");
}

#[test]
fn bad_configs_are_refused_with_all_that_is_wrong() {
    let says = |text: &str| model_from_config(text, "m").unwrap_err().to_string();
    let e = says(r#"{"architectures": ["MambaForCausalLM"], "hidden_size": 1}"#);
    assert!(e.starts_with("architectures: architecture `MambaForCausalLM` is not known"), "{e}");
    assert!(e.contains("known are LlamaForCausalLM, ") && e.contains("[[model]] row by hand"), "{e}");
    let e = says(r#"{"architectures": ["Qwen3ForCasualLM"]}"#);
    assert!(e.contains("the nearest is Qwen3ForCausalLM"), "{e}");
    let e = says(r#"{"architectures": ["LlamaForCausalLM"], "hidden_size": "x", "num_hidden_layers": -2}"#);
    for words in [
        "hidden_size: is \"x\"; it must be a whole number from 0",
        "num_hidden_layers: is -2",
        "num_attention_heads: is missing; this architecture needs it",
        "vocab_size: is missing",
        "max_position_embeddings: is missing",
        "intermediate_size: is missing",
    ] {
        assert!(e.contains(words), "{words}: {e}");
    }
    assert!(says("{").starts_with("line 1: "), "{}", says("{"));
    assert!(says("[]").contains("is no object"));
    assert!(says(r#"{"peft_type": "LORA"}"#).contains("not of an adapter"));
    let heads = config("llama-3.1-8b").replace("\"num_key_value_heads\": 8", "\"num_key_value_heads\": 7");
    assert!(says(&heads).contains("the row's kv_heads is 7; it must divide the 32 heads"), "{}", says(&heads));
    assert!(model_from_config(config("phi-4"), "a/b").unwrap_err().to_string().contains("give one such as my-70b"));
}
