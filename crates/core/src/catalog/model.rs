//! Open-weight model architectures.
//!
//! Imports only `types`. Must keep true: field names are the keys of `data/models.toml`; sizes are those of the whole
//! model, before tensor parallelism.
use super::row_fault::RowFault;
use crate::types::{Capability, Fault};
use serde::{Deserialize, Serialize};

/// How weights may be stored, by the names that step times and pools use.
pub const WEIGHT_FORMATS: [&str; 5] = ["bf16", "fp8", "fp8-block", "mxfp4", "int4"];

/// Total parameters from which an own model counts as `mid`. Our judgement.
const MID_FROM_PARAMS: u64 = 20_000_000_000;
/// Total parameters from which an own model counts as `frontier`. Our judgement.
const FRONTIER_FROM_PARAMS: u64 = 300_000_000_000;

/// Dimensions of a model, text tower only. Fields that do not apply are 0.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Model {
    /// Name in experiments, such as `llama-3.1-8b`.
    pub id: String,
    /// Name at Hugging Face; none unless given.
    #[serde(default)]
    pub hf_id: String,
    /// Other names of models of this shape.
    #[serde(default)]
    pub also: Vec<String>,
    /// How its weights are stored where a pool does not say it (`fp8`, `fp8-block`, `mxfp4`, `int4`); not said by the row
    /// unless given.
    #[serde(default)]
    pub weights: Option<String>,
    /// How capable it is; by its size unless given.
    #[serde(default)]
    pub capability: Option<Capability>,
    /// `mha`, `gqa`, `mla`, with `+window`, `+chunked`, `+linear` or `+dsa` where layers differ.
    #[serde(default)]
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
    #[serde(default)]
    pub ffn: u32,
    /// Vocabulary.
    pub vocab: u32,
    /// Whether the output head shares the embedding's weights.
    #[serde(default)]
    pub tied_embeddings: bool,
    /// Whether q, k and v have biases.
    #[serde(default)]
    pub qkv_bias: bool,
    /// Routed experts of an MoE layer.
    #[serde(default)]
    pub experts: u32,
    /// Routed experts a token visits.
    #[serde(default)]
    pub experts_per_token: u32,
    /// Inner width of a routed expert.
    #[serde(default)]
    pub moe_ffn: u32,
    /// Shared experts of an MoE layer.
    #[serde(default)]
    pub shared_experts: u32,
    /// Inner width of all shared experts together.
    #[serde(default)]
    pub shared_ffn: u32,
    /// Layers with a dense FFN.
    #[serde(default)]
    pub dense_layers: u32,
    /// Layers with experts.
    #[serde(default)]
    pub moe_layers: u32,
    /// MLA: rank of the query's compression, 0 for none.
    #[serde(default)]
    pub q_lora_rank: u32,
    /// MLA: rank of the key/value latent.
    #[serde(default)]
    pub kv_lora_rank: u32,
    /// MLA: rotary part of a head.
    #[serde(default)]
    pub qk_rope_head_dim: u32,
    /// MLA: the rest of a query or key head.
    #[serde(default)]
    pub qk_nope_head_dim: u32,
    /// MLA: width of a value head.
    #[serde(default)]
    pub v_head_dim: u32,
    /// Window of the layers that see only so many tokens, 0 for none.
    #[serde(default)]
    pub window: u32,
    /// Layers with that window; with `window = 0`, layers of linear attention.
    #[serde(default)]
    pub window_layers: u32,
    /// Layers that see the whole context.
    #[serde(default)]
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
    #[serde(default)]
    pub params_total: u64,
    /// Parameters that one token uses.
    #[serde(default)]
    pub params_active: u64,
    /// KV bytes a token at 2 bytes an element, window layers included.
    #[serde(default)]
    pub kv_bytes_per_token_bf16_all_layers: u64,
    /// KV bytes a token at 2 bytes an element, of the layers that see the whole context only.
    #[serde(default)]
    pub kv_bytes_per_token_bf16_full_layers: u64,
    /// Bytes that a request's window layers hold at most, at 2 bytes an element.
    #[serde(default)]
    pub kv_bytes_cap_window_layers_bf16: u64,
    /// Remarks.
    pub note: Option<String>,
    /// When the row was read.
    #[serde(default)]
    pub date: String,
    /// Where the row is from; code is named with the commit or release that was read.
    #[serde(default)]
    pub source: String,
}

/// What `attention` begins with.
const ATTENTION_KINDS: [&str; 3] = ["mha", "gqa", "mla"];
/// What `attention` goes on with, each behind a plus sign.
const ATTENTION_PARTS: [&str; 4] = ["window", "chunked", "linear", "dsa"];
/// The widest head of FlashAttention's kernels, which vLLM 0.32.0 asks for widths that are multiples of 8
/// (`v1/attention/backends/flash_attn.py`, `supports_head_size`).
const WIDEST_HEAD: u32 = 256;
/// Keys that parameters and KV bytes are counted by.
const DIMENSIONS: [&str; 20] = [
    "layers",
    "moe_layers",
    "window_layers",
    "dense_layers",
    "full_attention_layers",
    "hidden",
    "heads",
    "kv_heads",
    "head_dim",
    "q_lora_rank",
    "kv_lora_rank",
    "qk_rope_head_dim",
    "qk_nope_head_dim",
    "v_head_dim",
    "ffn",
    "moe_ffn",
    "shared_ffn",
    "experts",
    "experts_per_token",
    "vocab",
];

/// Bytes of a cached element that the `kv_*` keys count with.
const KV_ELEMENT_BYTES: u64 = 2;

impl Model {
    /// Fills in what follows from the rest: layers and widths that are not said, parameters and KV bytes by the dimensions.
    pub(super) fn fill(&mut self) {
        if self.head_dim == 0 && self.kv_lora_rank == 0 {
            let whole = self.heads > 0 && self.hidden.is_multiple_of(self.heads);
            self.head_dim = if whole { self.hidden / self.heads } else { 0 };
        }
        if self.shared_ffn == 0 {
            self.shared_ffn = self.shared_experts.saturating_mul(self.moe_ffn);
        }
        if self.dense_layers == 0 {
            self.dense_layers = self.layers.saturating_sub(self.moe_layers);
        }
        if self.full_attention_layers == 0 {
            self.full_attention_layers = self.layers.saturating_sub(self.window_layers);
        }
        if self.attention.is_empty() {
            let kind = match self.kv_lora_rank {
                0 if self.kv_heads == self.heads => "mha",
                0 => "gqa",
                _ => "mla",
            };
            let more = match (self.window_layers, self.window) {
                (0, _) => "",
                (_, 0) => "+linear",
                _ => "+window",
            };
            self.attention = format!("{kind}{more}");
        }
        if self.beyond().next().is_some() {
            return;
        }
        let params = self.parameters();
        if self.params_total == 0 {
            self.params_total = params[0];
        }
        if self.params_active == 0 {
            self.params_active = params[1];
        }
        if self.kv_bytes_per_token_bf16_all_layers == 0 {
            let layer = self.kv_layer_bytes();
            self.kv_bytes_per_token_bf16_all_layers = layer * u64::from(self.layers);
            self.kv_bytes_per_token_bf16_full_layers = layer * u64::from(self.full_attention_layers);
            self.kv_bytes_cap_window_layers_bf16 = layer * u64::from(self.window) * u64::from(self.window_layers);
        }
    }

    /// Each dimension: its key, its value, and the most that it may be. The embedded models are at a quarter of these at most,
    /// and sums of a model that is at all of them do not overflow; tests hold both.
    pub(super) fn bounds(&self) -> [(&'static str, u32, u32); 22] {
        [
            ("layers", self.layers, 1_000),
            ("moe_layers", self.moe_layers, 1_000),
            ("window_layers", self.window_layers, 1_000),
            ("dense_layers", self.dense_layers, 1_000),
            ("full_attention_layers", self.full_attention_layers, 1_000),
            ("hidden", self.hidden, 1 << 17),
            ("heads", self.heads, 1 << 10),
            ("kv_heads", self.kv_heads, 1 << 10),
            ("head_dim", self.head_dim, 1 << 10),
            ("q_lora_rank", self.q_lora_rank, 1 << 16),
            ("kv_lora_rank", self.kv_lora_rank, 1 << 16),
            ("qk_rope_head_dim", self.qk_rope_head_dim, 1 << 10),
            ("qk_nope_head_dim", self.qk_nope_head_dim, 1 << 10),
            ("v_head_dim", self.v_head_dim, 1 << 10),
            ("ffn", self.ffn, 1 << 20),
            ("moe_ffn", self.moe_ffn, 1 << 16),
            ("shared_ffn", self.shared_ffn, 1 << 20),
            ("experts", self.experts, 1 << 13),
            ("experts_per_token", self.experts_per_token, 1 << 13),
            ("vocab", self.vocab, 1 << 24),
            ("max_context", self.max_context, 1 << 28),
            ("window", self.window, 1 << 24),
        ]
    }

    /// Dimensions above their bounds.
    fn beyond(&self) -> impl Iterator<Item = (&'static str, u32, u32)> {
        self.bounds().into_iter().filter(|(_, is, most)| is > most)
    }

    /// Bytes that a token takes in one layer's cache on one GPU.
    fn kv_layer_bytes(&self) -> u64 {
        let elements = match self.kv_lora_rank {
            0 => 2 * u64::from(self.kv_heads) * u64::from(self.head_dim),
            rank => u64::from(rank) + u64::from(self.qk_rope_head_dim),
        };
        elements * KV_ELEMENT_BYTES
    }

    /// All parameters, and those that one token uses: the matrices, their biases where q, k and v have some, and two norms
    /// a layer. Norms of heads and latents and biases of routers, under 0.01 %, are left out.
    pub fn parameters(&self) -> [u64; 2] {
        let of = |n: u32| u64::from(n);
        let [hidden, heads, kv, head_dim] = [self.hidden, self.heads, self.kv_heads, self.head_dim].map(of);
        let attention = match self.kv_lora_rank {
            0 => {
                let biases = if self.qkv_bias { (heads + 2 * kv) * head_dim } else { 0 };
                (2 * heads + 2 * kv) * head_dim * hidden + biases
            }
            rank => {
                let (rank, rope, nope, v) =
                    (of(rank), of(self.qk_rope_head_dim), of(self.qk_nope_head_dim), of(self.v_head_dim));
                let query = heads * (nope + rope);
                let queries = match of(self.q_lora_rank) {
                    0 => hidden * query,
                    latent => hidden * latent + latent * query,
                };
                queries + hidden * (rank + rope) + rank * heads * (nope + v) + heads * v * hidden
            }
        };
        let ffn = |width: u64| 3 * hidden * width;
        let embeddings = if self.tied_embeddings { 1 } else { 2 } * of(self.vocab) * hidden;
        let common = embeddings
            + of(self.layers) * (attention + 2 * hidden)
            + hidden
            + ffn(of(self.ffn)) * of(self.dense_layers)
            + (ffn(of(self.shared_ffn)) + hidden * of(self.experts)) * of(self.moe_layers);
        let experts = |n: u32| ffn(of(self.moe_ffn)) * of(n) * of(self.moe_layers);
        [common + experts(self.experts), common + experts(self.experts_per_token)]
    }

    /// Keys that contradict each other or make no sense, and why.
    pub(super) fn nonsense(&self) -> Vec<RowFault> {
        let counts = [
            ("layers", self.layers),
            ("hidden", self.hidden),
            ("heads", self.heads),
            ("kv_heads", self.kv_heads),
            ("vocab", self.vocab),
            ("max_context", self.max_context),
        ];
        let missing = counts.into_iter().filter(|(_, n)| *n == 0);
        let mut wrong: Vec<RowFault> =
            missing.map(|(key, _)| Fault::at(key, "is 0").hint("it must be at least 1").into()).collect();
        if let Some(format) = self.weights.as_ref().filter(|w| !WEIGHT_FORMATS.contains(&w.as_str())) {
            let fault = Fault::at("weights", format!("is `{format}`, which is not modelled"));
            wrong.push(fault.hint(format!("it may be {}", WEIGHT_FORMATS.join(", "))).into());
        }
        let beyond: Vec<_> = self.beyond().collect();
        if !beyond.is_empty() {
            let refused =
                |(key, is, most)| Fault::at(key, format!("is {is}")).hint(format!("it must be at most {most}"));
            wrong.extend(beyond.into_iter().map(refused).map(RowFault::from));
            return wrong;
        }
        self.contradictions_of_attention(&mut wrong);
        self.contradictions_of_layers(&mut wrong);
        if self.params_active > self.params_total {
            let fault = Fault::at("params_active", format!("is {}", self.params_active));
            let fault = fault.hint(format!("it must be at most params_total, {}", self.params_total));
            wrong.push(RowFault::of(fault, &DIMENSIONS));
        }
        wrong
    }

    /// What contradicts itself of heads, latents and what is cached.
    fn contradictions_of_attention(&self, wrong: &mut Vec<RowFault>) {
        let mut refuse = |key: &'static str, what: String, hint: &str, of| {
            wrong.push(RowFault::of(Fault::at(key, what).hint(hint), of));
        };
        let by_layers = self.kv_layer_bytes() * u64::from(self.layers);
        let kv_said = self.kv_bytes_per_token_bf16_all_layers;
        // Of linear attention each layer keeps a state, and the row's KV bytes are those of the other layers.
        if kv_said != by_layers && (self.window > 0 || self.window_layers == 0) {
            let what = format!("is {kv_said}; layers, kv_heads and head_dim make it {by_layers}");
            refuse("kv_bytes_per_token_bf16_all_layers", what, "leave it out", &DIMENSIONS);
        }
        if self.kv_heads > 0 && !self.heads.is_multiple_of(self.kv_heads) {
            let hint = format!("it must divide the {} heads", self.heads);
            refuse("kv_heads", format!("is {}", self.kv_heads), &hint, &["heads"]);
        }
        if self.kv_lora_rank == 0 && self.heads > 0 && self.hidden > 0 {
            let derived = "give it: an even number";
            match self.head_dim {
                0 => {
                    let what =
                        format!("is not given, and the {} heads do not divide hidden, {}", self.heads, self.hidden);
                    refuse("head_dim", what, derived, &["hidden", "heads", "kv_lora_rank"]);
                }
                odd if !odd.is_multiple_of(2) => {
                    let what = format!("is {odd}; positions turn the elements of a head in pairs");
                    refuse("head_dim", what, derived, &["hidden", "heads", "kv_lora_rank"]);
                }
                _ => {}
            }
            let latent = [
                ("q_lora_rank", self.q_lora_rank),
                ("qk_rope_head_dim", self.qk_rope_head_dim),
                ("qk_nope_head_dim", self.qk_nope_head_dim),
                ("v_head_dim", self.v_head_dim),
            ];
            for (key, n) in latent.into_iter().filter(|(_, n)| *n > 0) {
                let what = format!("is {n}, and there is no latent");
                refuse(key, what, "give kv_lora_rank, or leave it out", &["kv_lora_rank"]);
            }
        }
        if self.kv_lora_rank > 0 && (self.qk_nope_head_dim == 0 || self.v_head_dim == 0) {
            let hint = "give qk_nope_head_dim and v_head_dim beside it";
            let of = &["qk_nope_head_dim", "v_head_dim"];
            refuse("kv_lora_rank", format!("is {}, and its heads have no width", self.kv_lora_rank), hint, of);
        }
        let mut parts = self.attention.split('+');
        let kind = parts.next().unwrap_or_default();
        let known = ATTENTION_KINDS.contains(&kind) && parts.all(|part| ATTENTION_PARTS.contains(&part));
        if !known || (kind == "mla") != (self.kv_lora_rank > 0) {
            let what = format!("is `{}`", self.attention);
            let hint = "leave it out, or give mha, gqa, or, with kv_lora_rank, mla; and +window, +chunked, +linear or +dsa \
                        where layers differ";
            refuse("attention", what, hint, &["kv_lora_rank", "kv_heads", "heads", "window", "window_layers"]);
        }
    }

    /// What contradicts itself of layers and what they hold.
    fn contradictions_of_layers(&self, wrong: &mut Vec<RowFault>) {
        let mut refuse = |key: &'static str, what: String, hint: &str, of| {
            wrong.push(RowFault::of(Fault::at(key, what).hint(hint), of));
        };
        let all = format!("together they must be the {} layers", self.layers);
        if self.dense_layers + self.moe_layers != self.layers {
            let both = format!("is {} beside {} moe_layers", self.dense_layers, self.moe_layers);
            refuse("dense_layers", both, &all, &["layers", "moe_layers"]);
        }
        if self.full_attention_layers + self.window_layers != self.layers {
            let both = format!("is {} beside {} window_layers", self.full_attention_layers, self.window_layers);
            refuse("full_attention_layers", both, &all, &["layers", "window_layers"]);
        }
        if self.dense_layers > 0 && self.ffn == 0 {
            let hint = format!("give it: {} dense layers have an inner width", self.dense_layers);
            refuse("ffn", "is 0".into(), &hint, &["layers", "dense_layers", "moe_layers"]);
        }
        let experts = [
            ("experts", self.experts),
            ("experts_per_token", self.experts_per_token),
            ("moe_ffn", self.moe_ffn),
            ("shared_experts", self.shared_experts),
        ];
        if self.moe_layers > 0 {
            if self.experts == 0 || self.moe_ffn == 0 {
                let hint = "give experts and moe_ffn, their inner width";
                refuse("moe_layers", format!("is {}", self.moe_layers), hint, &["experts", "moe_ffn"]);
            }
            if !(1..=self.experts).contains(&self.experts_per_token) {
                let hint = format!("it must be from 1 to the {} experts", self.experts);
                refuse(
                    "experts_per_token",
                    format!("is {}", self.experts_per_token),
                    &hint,
                    &["experts", "moe_layers"],
                );
            }
        } else if let Some((key, n)) = experts.into_iter().find(|(_, n)| *n > 0) {
            let hint = "give moe_layers, how many have experts, or leave it out";
            refuse(key, format!("is {n}, and no layer has experts"), hint, &["moe_layers"]);
        }
        if self.window_layers > 0 && self.window == 0 && self.linear_state_bytes == 0 {
            let hint = "give window, or linear_state_bytes where they have linear attention";
            let of = &["window", "linear_state_bytes"];
            refuse("window_layers", format!("is {}, and nothing says what they see", self.window_layers), hint, of);
        }
        if self.window_layers == 0 && self.window > 0 {
            let hint = "give window_layers, how many have it, or leave it out";
            refuse("window", format!("is {}, and no layer has one", self.window), hint, &["window_layers"]);
        }
    }

    /// What can be and hardly is.
    pub(super) fn unusual_dimensions(&self) -> Vec<String> {
        let of_heads = self.kv_lora_rank == 0 && (!self.head_dim.is_multiple_of(8) || self.head_dim > WIDEST_HEAD);
        let note = || {
            format!(
                "head_dim is {}: attention kernels take multiples of 8 up to {WIDEST_HEAD}, and step times are those of such \
                 heads",
                self.head_dim
            )
        };
        of_heads.then(note).into_iter().collect()
    }

    /// How capable it is: as its row says, else by size alone, below 20 billion parameters small, from 300 billion
    /// frontier. Our judgement.
    pub fn capability(&self) -> Capability {
        if let Some(said) = self.capability {
            return said;
        }
        match self.params_total {
            p if p >= FRONTIER_FROM_PARAMS => Capability::Frontier,
            p if p >= MID_FROM_PARAMS => Capability::Mid,
            _ => Capability::Small,
        }
    }
    /// Whether keys and values are cached as one latent (multi-head latent attention).
    pub fn is_mla(&self) -> bool {
        self.kv_lora_rank > 0
    }
    /// Whether the layers that do not see the whole context see the chunk that a token is in, and not a window behind it.
    pub fn is_chunked(&self) -> bool {
        self.attention.split('+').any(|part| part == "chunked")
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
