//! A model's row from the `config.json` that lies beside its weights at Hugging Face.
//!
//! Imports only `types`. Must keep true: a key that is not read and that may change the shape is named; an architecture
//! that is not known is refused; all faults come at once; each embedded row comes back from the config that it is of
//! (tests).
mod families;

use super::Model;
use super::model::WEIGHT_FORMATS;
use super::nearest::nearest;
use crate::types::{Fault, Faults};
use serde_json::{Map, Value};
use std::cell::RefCell;

/// A row, and what people should know of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FromConfig {
    /// The row.
    pub row: Model,
    /// What was assumed, and what was not read.
    pub notes: Vec<String>,
}

/// Keys that say nothing of a model's shape, memory or speed.
const HARMLESS: [&str; 63] = [
    "_name_or_path",
    "architectures",
    "attention_dropout",
    "attn_logit_softcapping",
    "attn_scale",
    "attn_temperature_tuning",
    "auto_map",
    "aux_loss_alpha",
    "bos_token_id",
    "cache_implementation",
    "dtype",
    "embd_pdrop",
    "eoi_token_index",
    "eos_token_id",
    "ep_size",
    "final_logit_softcapping",
    "floor_scale",
    "for_llm_compressor",
    "hidden_act",
    "hidden_activation",
    "image_token_index",
    "initial_context_length",
    "initializer_range",
    "mm_tokens_per_image",
    "model_type",
    "n_group",
    "norm_topk_prob",
    "original_max_position_embeddings",
    "output_router_logits",
    "pad_token_id",
    "partial_rotary_factor",
    "pretraining_tp",
    "query_pre_attn_scalar",
    "qk_head_dim",
    "resid_pdrop",
    "rms_norm_eps",
    "rope_interleave",
    "rope_local_base_freq",
    "rope_parameters",
    "rope_scaling",
    "rope_theta",
    "routed_scaling_factor",
    "router_aux_loss_coef",
    "router_jitter_noise",
    "scoring_func",
    "seq_aux",
    "swiglu_limit",
    "topk_group",
    "topk_method",
    "torch_dtype",
    "transformers_version",
    "unsloth_fixed",
    "use_cache",
    "use_qk_norm",
    "boi_token_index",
    "vision_config",
    "audio_config",
    "image_token_id",
    "video_token_id",
    "vision_start_token_id",
    "vision_end_token_id",
    "router_bias",
    "use_bidirectional_attention",
];

/// A config's object, and what was read of it.
struct Config<'a> {
    object: &'a Map<String, Value>,
    read: RefCell<Vec<&'static str>>,
    faults: RefCell<Faults>,
    notes: RefCell<Vec<String>>,
}

impl<'a> Config<'a> {
    fn new(object: &'a Map<String, Value>) -> Config<'a> {
        Config { object, read: RefCell::default(), faults: RefCell::default(), notes: RefCell::default() }
    }

    /// The value of a key, where it is there and not null.
    fn get(&self, key: &'static str) -> Option<&'a Value> {
        self.read.borrow_mut().push(key);
        self.object.get(key).filter(|v| !v.is_null())
    }

    fn wrong(&self, key: &'static str, what: String) {
        self.faults.borrow_mut().push(Fault::at(key, what));
    }

    fn note(&self, text: String) {
        self.notes.borrow_mut().push(text);
    }

    /// A count that may be missing.
    fn maybe(&self, key: &'static str) -> Option<u32> {
        let value = self.get(key)?;
        let count = value.as_u64().and_then(|n| u32::try_from(n).ok());
        if count.is_none() {
            self.wrong(key, format!("is {value}; it must be a whole number from 0"));
        }
        count
    }

    /// A count that must be there.
    fn count(&self, key: &'static str) -> u32 {
        if self.get(key).is_none() {
            self.wrong(key, "is missing; this architecture needs it".into());
        }
        self.maybe(key).unwrap_or(1)
    }

    /// A count that has a default in the architecture's own code, which is said.
    fn count_or(&self, key: &'static str, default: u32) -> u32 {
        self.maybe(key).unwrap_or_else(|| {
            self.note(format!("{key} is not in the file: {default}, the architecture's default"));
            default
        })
    }

    fn flag(&self, key: &'static str) -> Option<bool> {
        let value = self.get(key)?;
        if value.as_bool().is_none() {
            self.wrong(key, format!("is {value}; it must be true or false"));
        }
        value.as_bool()
    }

    /// How many of the words of a list are `word`.
    fn words(&self, key: &'static str, word: &str) -> Option<u32> {
        let list = self.get(key)?.as_array()?;
        Some(list.iter().filter(|v| v.as_str() == Some(word)).count() as u32)
    }

    /// Keys that nobody read and that may matter.
    fn unread(&self, also: &[&str]) -> Vec<&'a str> {
        let read = self.read.borrow();
        let known = |k: &str| HARMLESS.contains(&k) || also.contains(&k) || read.contains(&k);
        self.object.iter().filter(|(k, v)| !known(k) && !v.is_null()).map(|(k, _)| k.as_str()).collect()
    }
}

/// The row `name` of a model whose `config.json` is `text`.
///
/// # Errors
/// Text that is no JSON; an architecture that is not known, with those that are; keys that are missing or make no sense.
pub fn model_from_config(text: &str, name: &str) -> Result<FromConfig, Faults> {
    if name.trim().is_empty() || name.contains(['/', '"']) {
        return Err(Fault::new(format!("the name `{name}` is none")).hint("give one such as my-70b").into());
    }
    let whole: Value = serde_json::from_str(text)
        .map_err(|e| Fault::new(format!("line {}: {e}", e.line())).hint("give the config.json of a model"))?;
    let Some(top) = whole.as_object() else {
        return Err(Fault::new("is no object").hint("give the config.json of a model").into());
    };
    let architecture = top.get("architectures").and_then(|a| a.get(0)).and_then(Value::as_str);
    let Some(architecture) = architecture else {
        let what = "is missing: nothing says what the numbers mean";
        return Err(Fault::at("architectures", what).hint("give the config.json of a model, not of an adapter").into());
    };
    let known = families::ALL.map(|f| f.architecture);
    let Some(family) = families::ALL.into_iter().find(|f| f.architecture == architecture) else {
        return Err(unknown_architecture(architecture, &known));
    };
    // Models that see as well have their text tower in a table of its own.
    let inner = top.get("text_config").and_then(Value::as_object);
    let config = Config::new(inner.unwrap_or(top));
    let mut row = Model { id: name.to_owned(), source: format!("config.json, {architecture}"), ..Model::default() };
    let own_name = top.get("_name_or_path").and_then(Value::as_str).filter(|n| n.matches('/').count() == 1);
    row.hf_id = own_name.unwrap_or_default().to_owned();
    common(&config, &mut row);
    (family.read)(&config, &mut row);
    let around = Config::new(top);
    row.weights = weights(around.get("quantization_config").or(config.get("quantization_config")), &config);
    if inner.is_some() {
        config.note("the text tower alone: what sees or hears is not counted".into());
    }
    let mut faults = config.faults.take();
    if !faults.is_empty() {
        return Err(faults);
    }
    row.fill();
    if family.expert_biases {
        let [layer, expert] = [row.hidden, 2 * row.moe_ffn + row.hidden].map(u64::from);
        let biases = |experts: u32| u64::from(row.layers) * (layer + expert * u64::from(experts));
        (row.params_total, row.params_active) =
            (row.params_total + biases(row.experts), row.params_active + biases(row.experts_per_token));
    }
    faults.extend(row.nonsense().into_iter().map(|wrong| {
        let Fault { key, what, hint, .. } = wrong.fault;
        Fault { hint, ..Fault::new(format!("the row's {key} {what}")) }
    }));
    row.unusual_dimensions().into_iter().for_each(|note| config.note(note));
    let unread = config.unread(if inner.is_some() { &[] } else { &["text_config"] });
    if !unread.is_empty() {
        config.note(format!("not read, though it may change the shape: {}", unread.join(", ")));
    }
    let notes = config.notes.take();
    if !notes.is_empty() {
        row.note = Some(notes.join("; "));
    }
    faults.finish(FromConfig { row, notes })
}

fn unknown_architecture(architecture: &str, known: &[&str]) -> Faults {
    let near = nearest(architecture, known).map_or_else(String::new, |n| format!("; the nearest is {n}"));
    let needed = "write its [[model]] row by hand (docs/catalogue.md): layers, hidden, heads, kv_heads, head_dim, ffn, vocab \
                  and max_context, and experts, windows or latents where it has them";
    let what = format!("architecture `{architecture}` is not known{near}; known are {}", known.join(", "));
    Fault::at("architectures", what).hint(needed).into()
}

/// What all architectures call alike.
fn common(c: &Config<'_>, row: &mut Model) {
    row.layers = c.count("num_hidden_layers");
    row.hidden = c.count("hidden_size");
    row.tied_embeddings = c.flag("tie_word_embeddings").unwrap_or(false);
    row.qkv_bias = c.flag("attention_bias").unwrap_or(false);
    if c.flag("mlp_bias") == Some(true) {
        c.note("mlp_bias is true: the biases of its FFNs are not counted".into());
    }
    if c.maybe("num_nextn_predict_layers").is_some_and(|n| n > 0) {
        c.note("the layers that predict further tokens (num_nextn_predict_layers) are not counted".into());
    }
}

/// How the weights are stored, by `quantization_config`.
fn weights(quantized: Option<&Value>, c: &Config<'_>) -> Option<String> {
    let q = quantized?;
    let method = q["quant_method"].as_str().unwrap_or_default();
    let bits = q["bits"].as_u64().or_else(|| q["num_bits"].as_u64());
    let format = match method {
        "fp8" if q["weight_block_size"].is_array() => Some("fp8-block"),
        "fp8" | "fbgemm_fp8" => Some("fp8"),
        "awq" | "gptq" if bits.unwrap_or(4) == 4 => Some("int4"),
        "bitsandbytes" if q["load_in_4bit"] == true => Some("int4"),
        "mxfp4" => Some("mxfp4"),
        "modelopt" if q["quant_algo"] == "FP8" => Some("fp8"),
        "compressed-tensors" => {
            let groups = q["config_groups"].as_object().into_iter().flatten();
            let of = |w: &Value| match (w["type"].as_str(), w["num_bits"].as_u64()) {
                (Some("float"), Some(8)) if w["strategy"] == "block" => Some("fp8-block"),
                (Some("float"), Some(8)) => Some("fp8"),
                (Some("int"), Some(4)) => Some("int4"),
                _ => None,
            };
            groups.map(|(_, group)| of(&group["weights"])).next().flatten()
        }
        _ => None,
    };
    let unread = unread_of_quantization(q, method);
    if !unread.is_empty() {
        c.note(format!(
            "quantization_config: not read, though it may change how weights, keys or values are stored: {}",
            unread.join(", ")
        ));
    }
    if format.is_none() {
        let known = WEIGHT_FORMATS.join(", ");
        c.note(format!(
            "quantization_config of `{method}` is not read: give weights, one of {known}, or a pool its weights_dtype"
        ));
    }
    format.map(String::from)
}

/// Keys of `quantization_config` that are read, whatever the method.
const READ_OF_QUANTIZATION: [&str; 7] =
    ["quant_method", "bits", "num_bits", "weight_block_size", "load_in_4bit", "quant_algo", "config_groups"];
/// Keys of it that say nothing of how weights, keys or values are stored: how they were found, and by what program.
const HARMLESS_OF_QUANTIZATION: [&str; 21] = [
    "activation_scheme",
    "backend",
    "checkpoint_format",
    "damp_percent",
    "desc_act",
    "do_fuse",
    "fmt",
    "format",
    "fuse_max_seq_len",
    "global_compression_ratio",
    "meta",
    "model_file_base_name",
    "model_name_or_path",
    "producer",
    "quantization_status",
    "scale_fmt",
    "static_groups",
    "sym",
    "true_sequential",
    "version",
    "zero_point",
];

/// Weights that share a scale where nobody says otherwise.
const USUAL_GROUP: u64 = 128;

/// What of `quantization_config` was not read and may matter, each by its path.
fn unread_of_quantization(q: &Value, method: &str) -> Vec<String> {
    let says_nothing = |key: &str, v: &Value| match v {
        Value::Null | Value::Bool(false) => true,
        // The head stays in 16 bits in any case.
        Value::Array(list) => list.iter().all(|module| module == "lm_head"),
        Value::Object(table) => table.is_empty(),
        _ => key == "group_size" && *v == USUAL_GROUP,
    };
    let known = |key: &str| {
        let of_another = key == "config_groups" && method != "compressed-tensors";
        !of_another && (READ_OF_QUANTIZATION.contains(&key) || HARMLESS_OF_QUANTIZATION.contains(&key))
    };
    let top = q.as_object().into_iter().flatten();
    let mut unread: Vec<String> =
        top.filter(|(key, v)| !known(key) && !says_nothing(key, v)).map(|(key, _)| key.clone()).collect();
    if method == "compressed-tensors" {
        // Only the first group's weights are read.
        let groups = q["config_groups"].as_object().into_iter().flatten();
        unread.extend(groups.skip(1).map(|(name, _)| format!("config_groups.{name}")));
    }
    unread
}

#[cfg(test)]
#[path = "config_json/tests.rs"]
mod tests;
