//! Rows about commercial APIs: prices, latency, capability, rate limits, prompt caches.
//!
//! Imports only `types`. Must keep true: a price finer than a pico-dollar a token is refused at load, and so is one in
//! another currency than US dollars.
use crate::types::{Capability, TokenPrice};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// List prices of an API model. Tables and serialised rows hold US dollars a million tokens.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
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
    #[schemars(with = "f64")]
    pub input: TokenPrice,
    /// Output tokens.
    #[serde(with = "price")]
    #[schemars(with = "f64")]
    pub output: TokenPrice,
    /// Prompt tokens read from the provider's cache.
    #[serde(default, with = "price_opt")]
    #[schemars(with = "Option<f64>")]
    pub cached_input: Option<TokenPrice>,
    /// Prompt tokens written to the cache for 5 minutes.
    #[serde(default, with = "price_opt")]
    #[schemars(with = "Option<f64>")]
    pub cache_write_5m: Option<TokenPrice>,
    /// Prompt tokens written to the cache for an hour.
    #[serde(default, with = "price_opt")]
    #[schemars(with = "Option<f64>")]
    pub cache_write_1h: Option<TokenPrice>,
    /// Output tokens that the model thinks with and does not show; as output where it is not given.
    #[serde(default, with = "price_opt")]
    #[schemars(with = "Option<f64>")]
    pub reasoning_output: Option<TokenPrice>,
    /// Prompt tokens, asynchronous batch tier.
    #[serde(default, with = "price_opt")]
    #[schemars(with = "Option<f64>")]
    pub batch_input: Option<TokenPrice>,
    /// Output tokens, asynchronous batch tier.
    #[serde(default, with = "price_opt")]
    #[schemars(with = "Option<f64>")]
    pub batch_output: Option<TokenPrice>,
    /// Cached prompt tokens, asynchronous batch tier; derived where it is not given.
    #[serde(default, with = "price_opt")]
    #[schemars(with = "Option<f64>")]
    pub batch_cached_input: Option<TokenPrice>,
    /// Prompt tokens, slower best-effort tier.
    #[serde(default, with = "price_opt")]
    #[schemars(with = "Option<f64>")]
    pub flex_input: Option<TokenPrice>,
    /// Output tokens, slower best-effort tier.
    #[serde(default, with = "price_opt")]
    #[schemars(with = "Option<f64>")]
    pub flex_output: Option<TokenPrice>,
    /// Cached prompt tokens, slower best-effort tier; derived where it is not given.
    #[serde(default, with = "price_opt")]
    #[schemars(with = "Option<f64>")]
    pub flex_cached_input: Option<TokenPrice>,
    /// Prompt tokens, faster tier.
    #[serde(default, with = "price_opt")]
    #[schemars(with = "Option<f64>")]
    pub priority_input: Option<TokenPrice>,
    /// Output tokens, faster tier.
    #[serde(default, with = "price_opt")]
    #[schemars(with = "Option<f64>")]
    pub priority_output: Option<TokenPrice>,
    /// Cached prompt tokens, faster tier; derived where it is not given.
    #[serde(default, with = "price_opt")]
    #[schemars(with = "Option<f64>")]
    pub priority_cached_input: Option<TokenPrice>,
    /// Prompt tokens above which the `long_*` prices apply to the whole request.
    pub long_context_threshold_tokens: Option<u64>,
    /// Prompt tokens of a long request.
    #[serde(default, with = "price_opt")]
    #[schemars(with = "Option<f64>")]
    pub long_input: Option<TokenPrice>,
    /// Output tokens of a long request.
    #[serde(default, with = "price_opt")]
    #[schemars(with = "Option<f64>")]
    pub long_output: Option<TokenPrice>,
    /// Cached prompt tokens of a long request.
    #[serde(default, with = "price_opt")]
    #[schemars(with = "Option<f64>")]
    pub long_cached_input: Option<TokenPrice>,
    /// Longest prompt, tokens.
    pub max_input_tokens: u64,
    /// Longest output, tokens.
    pub max_output_tokens: u64,
    /// When the provider retires it.
    pub deprecation: Option<String>,
    /// The first day it holds on; the day it was read on unless given.
    #[serde(default)]
    pub valid_from: Option<String>,
    /// The last day it holds on; open unless given.
    #[serde(default)]
    pub valid_until: Option<String>,
    /// `USD`, which is the only one.
    #[serde(default)]
    #[schemars(with = "String")]
    pub currency: Currency,
    /// When the price was read.
    #[serde(default)]
    pub date: String,
    /// Where the price was read.
    #[serde(default)]
    pub source: String,
}

/// What prices are in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, schemars::JsonSchema)]
pub enum Currency {
    /// US dollars.
    #[default]
    #[serde(rename = "USD")]
    Usd,
}

impl<'de> Deserialize<'de> for Currency {
    fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Currency, D::Error> {
        match String::deserialize(d)?.as_str() {
            "USD" => Ok(Currency::Usd),
            other => Err(serde::de::Error::custom(format!(
                "currency is `{other}`; prices are in USD: convert them and leave the key out"
            ))),
        }
    }
}

/// How fast and how surely a provider answers, at which price.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Tier {
    /// The usual service, of a call that asks for no tier.
    #[default]
    Standard,
    /// Within a day, for work that may wait.
    Batch,
    /// When there is room.
    Flex,
    /// Before others.
    Priority,
}

impl Tier {
    /// All tiers.
    pub const ALL: [Tier; 4] = [Tier::Standard, Tier::Batch, Tier::Flex, Tier::Priority];

    /// Name of the tier in experiments.
    pub fn name(self) -> &'static str {
        match self {
            Tier::Standard => "standard",
            Tier::Batch => "batch",
            Tier::Flex => "flex",
            Tier::Priority => "priority",
        }
    }
}

impl ApiPrice {
    /// `provider/model`.
    pub fn name(&self) -> String {
        format!("{}/{}", self.provider, self.model)
    }
    /// Prices of input and output in a tier, where it has both.
    pub fn in_tier(&self, tier: Tier) -> Option<(TokenPrice, TokenPrice)> {
        match tier {
            Tier::Standard => Some((self.input, self.output)),
            Tier::Batch => self.batch_input.zip(self.batch_output),
            Tier::Flex => self.flex_input.zip(self.flex_output),
            Tier::Priority => self.priority_input.zip(self.priority_output),
        }
    }
    /// The price of cached input in a tier, where the row says it.
    pub fn cached_in_tier(&self, tier: Tier) -> Option<TokenPrice> {
        match tier {
            Tier::Standard => self.cached_input,
            Tier::Batch => self.batch_cached_input,
            Tier::Flex => self.flex_cached_input,
            Tier::Priority => self.priority_cached_input,
        }
    }
}

/// How a provider caches prompts.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct PromptCacheRow {
    /// Provider whose cache this is.
    pub provider: String,
    /// Models of the provider that are cached so; all that no other row names, unless given.
    #[serde(default)]
    pub models: Vec<String>,
    /// Whether it caches without being asked.
    pub unasked: bool,
    /// Whether only what lies before a breakpoint is cached.
    pub breakpoints: bool,
    /// Shortest prefix that is cached, tokens.
    pub min_tokens: u32,
    /// Steps of a hit above that, tokens; of caches without breakpoints.
    pub step_tokens: Option<u32>,
    /// Idle time after which an entry is gone, seconds.
    #[schemars(range(min = 0, max = 315_360_000))]
    pub ttl_s: u64,
    /// Idle time after which an entry is gone for whose writing more was paid, seconds.
    #[schemars(range(min = 0, max = 315_360_000))]
    pub long_ttl_s: Option<u64>,
    /// Whether writing has a price of its own.
    pub priced_writes: bool,
    /// Keys of this row whose numbers nobody publishes.
    #[serde(default)]
    pub assumed: Vec<String>,
    /// What those numbers were taken from; the source unless given.
    #[serde(default)]
    pub assumed_because: Option<String>,
    /// When the rule was read.
    #[serde(default)]
    pub date: String,
    /// Where the rule was read.
    #[serde(default)]
    pub source: String,
}

/// Latency and reliability of an API model.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
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
    #[serde(default)]
    pub unverified: bool,
    /// When the figures were read.
    #[serde(default)]
    pub date: String,
    /// Where the figures were read.
    #[serde(default)]
    pub source: String,
    /// Which of the row's numbers are assumptions, in words.
    pub note: Option<String>,
}

/// How capable an API model is, in our judgement.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
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
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RateLimit {
    /// Provider that sets the limit.
    pub provider: String,
    /// The customer's tier.
    pub tier: String,
    /// Models it holds for.
    pub model_class: String,
    /// Requests a minute.
    #[schemars(range(min = 1, max = 1_000_000_000_000_000_u64))]
    pub rpm: Option<u64>,
    /// Prompt tokens a minute.
    #[schemars(range(min = 1, max = 1_000_000_000_000_000_u64))]
    pub input_tpm: Option<u64>,
    /// Output tokens a minute.
    #[schemars(range(min = 1, max = 1_000_000_000_000_000_u64))]
    pub output_tpm: Option<u64>,
    /// Prompt and output tokens a minute.
    #[schemars(range(min = 1, max = 1_000_000_000_000_000_u64))]
    pub combined_tpm: Option<u64>,
    /// Requests a day.
    #[schemars(range(min = 1, max = 1_000_000_000_000_000_u64))]
    pub rpd: Option<u64>,
    /// Prompt and output tokens a day.
    #[schemars(range(min = 1, max = 1_000_000_000_000_000_u64))]
    pub combined_tpd: Option<u64>,
    /// Remarks.
    pub notes: Option<String>,
    /// When the limit was read.
    #[serde(default)]
    pub date: String,
    /// Where the limit was read.
    #[serde(default)]
    pub source: String,
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

/// A price that may be missing, as a number in a file.
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
