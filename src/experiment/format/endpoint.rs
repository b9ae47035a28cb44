//! `[endpoint.NAME]`: what you buy.
use super::{
    AnswersSection, BatchSection, CacheName, DurationText, ErrorsSection, LimitsSection, OwnPriceSection,
    ProvisionedSection, ReasoningSection, is_true, yes,
};
use baseload_core::catalog::Tier;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// A bought endpoint.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct EndpointSection {
    /// `provider/model` of `baseload catalog apis`: price, context, capability, published latency.
    pub catalog: String,
    /// Rate limits; none unless given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub limits: Option<LimitsSection>,
    /// Account on whose rate limits the endpoint draws: endpoints that name the same account share them. An account of
    /// its own unless given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub account: Option<String>,
    /// Units bought by the hour, whose tokens cost nothing more. Tokens are bought unless given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub provisioned: Option<ProvisionedSection>,
    /// Median TTFT; the catalog's unless given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ttft_p50: Option<DurationText>,
    /// Median output speed in tokens a second; the catalog's unless given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0.0, max = 1_000_000.0))]
    pub output_tokens_per_s: Option<f64>,
    /// Share of requests that end in a 5xx, 0 to 1; unless given the latency profile's, where it knows one, else the
    /// catalog's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0.0, max = 1.0))]
    pub error_rate: Option<f64>,
    /// Shares of requests that fail, by what the provider answers; `error_rate` alone unless given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub errors: Option<ErrorsSection>,
    /// Your own price, without a price of cached or long prompts; the catalog's unless given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub price: Option<OwnPriceSection>,
    /// How good the endpoint's answers are, `{ share = 0.8 }` or `{ column = "..." }`; not known unless given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub quality: Option<AnswersSection>,
    /// False: an alias whose quality changes as `[drift]` says. A dated version that stays what it is unless given.
    #[serde(default = "yes", skip_serializing_if = "is_true")]
    pub pinned: bool,
    /// What is paid for speed or patience: `standard` (default), `batch`, `flex` or `priority`, where the catalog has a price
    /// in that tier. Prices of cached input, writes and long requests that it does not list are scaled as input is.
    #[serde(default)]
    pub tier: Tier,
    /// Share of calls that the tier `flex` refuses with a 429 for want of room, unbilled, 0 to 1; 0 unless given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0.0, max = 1.0))]
    pub unavailable_share: Option<f64>,
    /// When answers of the tier `batch` come: a median of 1h unless given. Only classes that tolerate a wait may use it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub batch: Option<BatchSection>,
    /// Hidden tokens that the model thinks with before it answers; none unless given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reasoning: Option<ReasoningSection>,
    /// The provider's prompt cache: `off`, `auto` (its own rule; where it must be asked for, breakpoints at the end of the
    /// prompt, of the last two blocks before it and of the first that is long enough), or `auto-1h` (the same with entries that
    /// live an hour). `auto` where the provider caches by itself, unless given; else, and in the tier `batch`, `off`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cache: Option<CacheName>,
    /// A profile of measured latency in place of medians: a file (relative to this one) that `baseload calibrate api` wrote,
    /// or a name of `baseload catalog latency`. It must be of the model that `catalog` names. None unless given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub latency: Option<String>,
    /// Take a latency profile of another model or provider than `catalog` names; a warning says so. false unless given.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub latency_of_another_model: bool,
    /// What the clock of the day shows when the simulation starts, for a latency profile whose hours differ; unless given
    /// 0s, midnight.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub latency_offset: Option<DurationText>,
}
