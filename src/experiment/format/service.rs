//! Parts of `[endpoint.X]` about tiers, hidden tokens and prompt caches.
use super::DurationText;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Whether and how a provider's prompt cache is used.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum CacheName {
    /// Prompts are not cached.
    Off,
    /// By the provider's rule.
    Auto,
    /// By the provider's rule, with entries that live an hour for a higher price of writing.
    #[serde(rename = "auto-1h")]
    AutoHour,
}

/// The turnaround of a batch: log-normal, whole answers at once, what is not done within 24 hours expires.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct BatchSection {
    /// Median time from sending to the answer.
    pub turnaround_p50: DurationText,
    /// 95th percentile of the turnaround over its median.
    #[schemars(range(min = 1.0, max = 1000.0))]
    pub p95_over_p50: f64,
}

impl Default for BatchSection {
    fn default() -> Self {
        BatchSection { turnaround_p50: "1h".into(), p95_over_p50: 4.0 }
    }
}

/// Hidden tokens of an answer: log-normal, drawn by request, at most what its client's limit leaves beside the answer. They are
/// billed as output and pass before the first visible token.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ReasoningSection {
    /// Median of the hidden tokens of a request.
    #[schemars(range(min = 0, max = 100_000_000))]
    pub median_tokens: u32,
    /// Standard deviation of the logarithm of the hidden tokens.
    #[serde(default = "reasoning_sigma")]
    #[schemars(range(min = 0.0, max = 5.0))]
    pub sigma: f64,
}

fn reasoning_sigma() -> f64 {
    0.8
}
