//! The rows of the fact files, with their units.
use crate::types::{Capability, TokenPrice, Usd};
use serde::{Deserialize, Serialize};

/// A GPU's data sheet; dense peaks, no sparsity.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Gpu {
    /// Id.
    pub id: String,
    /// Full name.
    pub name: String,
    /// Vendor.
    pub vendor: String,
    /// What CUDA reports, GiB: engines size by it.
    pub memory_total_gib: f64,
    /// Where that figure is from.
    pub memory_total_source: String,
    /// Memory bandwidth, 10^9 bytes a second.
    pub mem_bw_gbps: f64,
    /// BF16 peak, 10^12 operations a second.
    pub bf16_tflops_dense: f64,
    /// FP8 peak, where there is one.
    #[serde(default)]
    pub fp8_tflops_dense: Option<f64>,
    /// Scale-up link.
    pub scale_up_tech: String,
    /// Its bandwidth one way, 10^9 bytes a second.
    pub scale_up_gbps_unidirectional: f64,
    /// GPUs it reaches.
    pub scale_up_domain_gpus: u32,
    /// Board power, W.
    pub tdp_w: f64,
    /// Remarks.
    #[serde(default)]
    pub note: String,
    /// Source.
    pub source: String,
}

/// An open-weight model's architecture (text tower). A dimension that a kind of attention lacks is 0.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Model {
    /// Id.
    pub id: String,
    /// Name on the hub.
    pub hf_id: String,
    /// Kind of attention.
    pub attention: String,
    /// Layers.
    pub layers: u32,
    /// Hidden size.
    pub hidden: u32,
    /// Query heads.
    pub heads: u32,
    /// KV heads.
    pub kv_heads: u32,
    /// Head size.
    pub head_dim: u32,
    /// Dense FFN size.
    pub ffn: u32,
    /// Vocabulary.
    pub vocab: u32,
    /// Experts of a MoE layer, 0 = dense.
    pub experts: u32,
    /// Experts that a token visits.
    pub experts_per_token: u32,
    /// Expert FFN size.
    pub moe_ffn: u32,
    /// MoE layers.
    pub moe_layers: u32,
    /// MLA's latent, 0 = none.
    pub kv_lora_rank: u32,
    /// MLA's rotary part.
    pub qk_rope_head_dim: u32,
    /// Longest sequence.
    pub max_context: u32,
    /// Parameters.
    pub params_total: u64,
    /// Parameters that a token touches.
    pub params_active: u64,
    /// KV bytes a token at 2 bytes an element, all layers cached in full.
    pub kv_bytes_per_token_bf16_all_layers: u64,
    /// Remarks.
    #[serde(default)]
    pub note: String,
    /// Source.
    pub source: String,
}

impl Model {
    /// What a self-hosted model can do, by size: our own rule, below 20 billion parameters small, from 300 billion
    /// frontier.
    pub fn capability(&self) -> Capability {
        match self.params_total {
            0..20_000_000_000 => Capability::Small,
            20_000_000_000..300_000_000_000 => Capability::Mid,
            _ => Capability::Frontier,
        }
    }
}

/// List price of an API model, US$ a million tokens.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct ApiPrice {
    /// Provider.
    pub provider: String,
    /// Model.
    pub model: String,
    /// Input.
    pub input: f64,
    /// Output.
    pub output: f64,
    /// Cached input, where sold.
    #[serde(default)]
    pub cached_input: Option<f64>,
    /// Longest input, tokens.
    pub max_input_tokens: u32,
    /// Longest output, tokens.
    pub max_output_tokens: u32,
    /// Input above which the long-context price holds for the whole request.
    #[serde(default)]
    pub long_context_threshold_tokens: Option<u64>,
    /// Long-context input.
    #[serde(default)]
    pub long_input: Option<f64>,
    /// Long-context output.
    #[serde(default)]
    pub long_output: Option<f64>,
    /// When it is switched off, where announced.
    #[serde(default)]
    pub deprecation: Option<String>,
}

impl ApiPrice {
    /// `provider/model`.
    pub fn key(&self) -> String {
        format!("{}/{}", self.provider, self.model)
    }
    /// Input, output and cached input, exactly.
    ///
    /// # Errors
    /// A price finer than a pico-dollar a token.
    pub fn prices(&self) -> Result<(TokenPrice, TokenPrice, Option<TokenPrice>), String> {
        let cached = self.cached_input.map(TokenPrice::per_million).transpose()?;
        Ok((TokenPrice::per_million(self.input)?, TokenPrice::per_million(self.output)?, cached))
    }
    /// Threshold, input and output of the long-context step, exactly.
    ///
    /// # Errors
    /// A price finer than a pico-dollar a token.
    pub fn long_context(&self) -> Result<Option<(u64, TokenPrice, TokenPrice)>, String> {
        match (self.long_context_threshold_tokens, self.long_input, self.long_output) {
            (Some(t), Some(i), Some(o)) => Ok(Some((t, TokenPrice::per_million(i)?, TokenPrice::per_million(o)?))),
            _ => Ok(None),
        }
    }
}

/// Latency of an API as published, parameters of log-normals.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct ApiLatency {
    /// `provider/model`.
    pub key: String,
    /// Median TTFT, s.
    pub ttft_p50_s: f64,
    /// Median output speed, tokens a second.
    pub output_tokens_per_s: f64,
    /// p95 over p50.
    pub p95_over_p50: f64,
    /// Share of 5xx.
    pub error_rate: f64,
    /// What it can do (our judgement).
    pub capability: Capability,
    /// Date.
    pub date: String,
    /// Source.
    pub source: String,
    /// What of it is assumed.
    pub assumptions: String,
    /// Nothing of it was measured.
    pub unverified: bool,
}

/// A dated observation of a GPU's rent.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Rent {
    /// GPU id.
    pub gpu: String,
    /// Provider.
    pub provider: String,
    /// Kind: on-demand, spot, ...
    pub kind: String,
    /// US$ a GPU and hour.
    pub usd_per_gpu_hour: f64,
    /// What it was computed from.
    #[serde(default)]
    pub basis: String,
    /// Date.
    pub date: String,
    /// Source.
    pub source: String,
}

impl Rent {
    /// US$ a GPU and hour, exactly.
    ///
    /// # Errors
    /// Finer than a pico-dollar.
    pub fn usd(&self) -> Result<Usd, String> {
        Usd::from_number(self.usd_per_gpu_hour)
    }
}

/// People, power, space: a range for scenarios.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct OpsCost {
    /// Key.
    pub key: String,
    /// Low end.
    pub low: f64,
    /// Typical.
    pub typical: f64,
    /// High end.
    pub high: f64,
    /// Unit.
    pub unit: String,
    /// Remarks.
    #[serde(default)]
    pub notes: String,
    /// Date.
    pub date: String,
    /// Source.
    pub source: String,
}

/// A published rate limit.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct RateLimit {
    /// Provider.
    pub provider: String,
    /// Tier.
    pub tier: String,
    /// Models it holds for.
    pub model_class: String,
    /// Requests a minute.
    #[serde(default)]
    pub rpm: Option<u64>,
    /// Input tokens a minute.
    #[serde(default)]
    pub input_tpm: Option<u64>,
    /// Output tokens a minute.
    #[serde(default)]
    pub output_tpm: Option<u64>,
    /// Input and output tokens a minute together.
    #[serde(default)]
    pub combined_tpm: Option<u64>,
    /// Remarks.
    #[serde(default)]
    pub notes: String,
    /// Date.
    pub date: String,
    /// Source.
    pub source: String,
}
