//! `[quality]`, `[drift]`, and what a pool or an endpoint says of its answers.
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Measured answers: a CSV with a header, a row a request in the order of the trace, and in columns that pools and endpoints
/// name 1 where the answer was above the bar, else 0. Exactly one of `source` and `table`.
#[derive(Debug, Clone, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct QualitySection {
    /// A published table of answers, by its name in `baseload trace fetch --list`; none unless given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub source: Option<String>,
    /// A file with a table of answers, relative to this one; none unless given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub table: Option<String>,
    /// Begin the table again with its first row after the last; a trace longer than the table is refused unless given.
    #[serde(default)]
    pub repeat: bool,
}

/// How good a model's answers are: exactly one of them.
#[derive(Debug, Clone, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct AnswersSection {
    /// Share of answers above the bar, 0 to 1; whose, is drawn by request and model. Not unless given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0.0, max = 1.0))]
    pub share: Option<f64>,
    /// Column of `[quality]`'s table that has the measured outcomes. Not unless given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub column: Option<String>,
}

/// How models behind aliases change: endpoints with `pinned = false`, at dates of a Poisson process. The share of answers above
/// the bar then moves by a normal step, between 0 and 1; endpoints of one `catalog` row move together.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct DriftSection {
    /// Changes a year (default: 4, an assumption), above 0, at most 8760.
    #[schemars(range(min = 0.0, max = 8_760.0))]
    pub changes_per_year: f64,
    /// Standard deviation of a step (default: 0.03, an assumption), 0 to 1; its mean is 0.
    #[schemars(range(min = 0.0, max = 1.0))]
    pub step_sd: f64,
}

impl Default for DriftSection {
    fn default() -> Self {
        DriftSection { changes_per_year: 4.0, step_sd: 0.03 }
    }
}

/// Your own price of an endpoint, US dollars a million tokens.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct OwnPriceSection {
    /// Price of a million prompt tokens.
    #[schemars(range(min = 0.0, max = 1_000_000.0))]
    pub input_usd_per_million: f64,
    /// Price of a million output tokens.
    #[schemars(range(min = 0.0, max = 1_000_000.0))]
    pub output_usd_per_million: f64,
    /// Where the price is from, and when it was read; kept in the manifest.
    #[serde(default)]
    pub source: String,
}
