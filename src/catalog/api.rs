//! Rows about commercial APIs: prices, latency, capability, rate limits.
//!
//! Imports only `types`. Must keep true: a price finer than a pico-dollar a token is refused at load.
use crate::types::{Capability, TokenPrice};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// When the embedded price list was read (LiteLLM 1.109.1 wheel).
const PRICES_READ: &str = "2026-11-23";
/// Where the embedded price list is from.
const PRICES_SOURCE: &str = "litellm 1.109.1 wheel (PyPI)";

/// List prices of an API model. Tables and serialised rows hold US dollars a million tokens.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ApiPrice {
    /// Who sells it.
    pub provider: String,
    /// The model's name there.
    pub model: String,
    /// Key in LiteLLM's list.
    pub litellm_key: Option<String>,
    /// Prompt tokens.
    #[serde(with = "price")]
    pub input: TokenPrice,
    /// Output tokens.
    #[serde(with = "price")]
    pub output: TokenPrice,
    /// Prompt tokens read from the provider's cache.
    #[serde(default, with = "price_opt")]
    pub cached_input: Option<TokenPrice>,
    /// Prompt tokens written to the cache for 5 minutes.
    #[serde(default, with = "price_opt")]
    pub cache_write_5m: Option<TokenPrice>,
    /// Prompt tokens written to the cache for an hour.
    #[serde(default, with = "price_opt")]
    pub cache_write_1h: Option<TokenPrice>,
    /// Prompt tokens, asynchronous batch tier.
    #[serde(default, with = "price_opt")]
    pub batch_input: Option<TokenPrice>,
    /// Output tokens, asynchronous batch tier.
    #[serde(default, with = "price_opt")]
    pub batch_output: Option<TokenPrice>,
    /// Prompt tokens, slower best-effort tier.
    #[serde(default, with = "price_opt")]
    pub flex_input: Option<TokenPrice>,
    /// Output tokens, slower best-effort tier.
    #[serde(default, with = "price_opt")]
    pub flex_output: Option<TokenPrice>,
    /// Prompt tokens, faster tier.
    #[serde(default, with = "price_opt")]
    pub priority_input: Option<TokenPrice>,
    /// Output tokens, faster tier.
    #[serde(default, with = "price_opt")]
    pub priority_output: Option<TokenPrice>,
    /// Prompt tokens above which the `long_*` prices apply to the whole request.
    pub long_context_threshold_tokens: Option<u64>,
    /// Prompt tokens of a long request.
    #[serde(default, with = "price_opt")]
    pub long_input: Option<TokenPrice>,
    /// Output tokens of a long request.
    #[serde(default, with = "price_opt")]
    pub long_output: Option<TokenPrice>,
    /// Cached prompt tokens of a long request.
    #[serde(default, with = "price_opt")]
    pub long_cached_input: Option<TokenPrice>,
    /// Longest prompt, tokens.
    pub max_input_tokens: u64,
    /// Longest output, tokens.
    pub max_output_tokens: u64,
    /// When the provider retires it.
    pub deprecation: Option<String>,
    /// When the price was read.
    #[serde(default = "prices_read")]
    pub date: String,
    /// Where.
    #[serde(default = "prices_source")]
    pub source: String,
}

/// Latency and reliability of an API model.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ApiLatency {
    /// Who sells it.
    pub provider: String,
    /// The model's name there.
    pub model: String,
    /// Median time to first token, seconds.
    pub ttft_p50_s: f64,
    /// Median speed after the first token, tokens a second.
    pub output_tokens_per_s: f64,
    /// 95th percentile over median, of a log-normal.
    pub p95_over_p50: f64,
    /// Share of requests that fail, 0 to 1.
    pub error_rate: f64,
    /// Whether the medians too are assumptions.
    pub unverified: bool,
    /// When.
    pub date: String,
    /// Where.
    pub source: String,
    /// Which numbers are assumptions.
    pub note: Option<String>,
}

/// How capable an API model is, in our judgement.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ApiCapability {
    /// Who sells it.
    pub provider: String,
    /// The model's name there.
    pub model: String,
    /// Small, mid or frontier.
    pub capability: Capability,
}

/// A published rate limit, as an example.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RateLimit {
    /// Whose.
    pub provider: String,
    /// The customer's tier.
    pub tier: String,
    /// Models it holds for.
    pub model_class: String,
    /// Requests a minute.
    pub rpm: Option<u64>,
    /// Prompt tokens a minute.
    pub input_tpm: Option<u64>,
    /// Output tokens a minute.
    pub output_tpm: Option<u64>,
    /// Prompt and output tokens a minute.
    pub combined_tpm: Option<u64>,
    /// Requests a day.
    pub rpd: Option<u64>,
    /// Prompt and output tokens a day.
    pub combined_tpd: Option<u64>,
    /// Remarks.
    pub notes: Option<String>,
    /// When.
    pub date: String,
    /// Where.
    pub source: String,
}

fn prices_read() -> String {
    PRICES_READ.to_owned()
}

fn prices_source() -> String {
    PRICES_SOURCE.to_owned()
}

/// A price as US dollars a million tokens.
mod price {
    use super::*;

    pub fn serialize<S: Serializer>(value: &TokenPrice, s: S) -> Result<S::Ok, S::Error> {
        s.serialize_f64(value.0 as f64 / 1e6)
    }
    pub fn deserialize<'de, D: Deserializer<'de>>(d: D) -> Result<TokenPrice, D::Error> {
        TokenPrice::per_million(f64::deserialize(d)?).map_err(serde::de::Error::custom)
    }
}

/// The same, where it may be missing.
mod price_opt {
    use super::*;

    pub fn serialize<S: Serializer>(value: &Option<TokenPrice>, s: S) -> Result<S::Ok, S::Error> {
        value.map(|p| p.0 as f64 / 1e6).serialize(s)
    }
    pub fn deserialize<'de, D: Deserializer<'de>>(d: D) -> Result<Option<TokenPrice>, D::Error> {
        let number = Option::<f64>::deserialize(d)?;
        number.map(TokenPrice::per_million).transpose().map_err(serde::de::Error::custom)
    }
}
