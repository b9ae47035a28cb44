//! `[endpoint.NAME]`'s limits, errors and provisioned units, and `[outages.PROVIDER]`.
use super::DurationText;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Rate limits of an endpoint's account: a published tier's, and what differs from it, counted by its provider's rules.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct LimitsSection {
    /// A published tier, such as `anthropic/Scale`, by its name in `baseload catalog apis` (`provider/tier`, or
    /// `provider/tier/models` where a tier has several); none unless given.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tier: Option<String>,
    /// By whose rules calls are counted, by the provider's name in the catalog (`plain`, `openai`, `anthropic`, `gemini`,
    /// `cerebras`, `bedrock`, or one of your own); the tier's or the endpoint's provider's, where known, unless given.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub preset: Option<String>,
    /// Requests a minute; no limit unless given.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0, max = 1_000_000_000_000_000_u64))]
    pub requests_per_minute: Option<u64>,
    /// Requests a day; no limit unless given.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0, max = 1_000_000_000_000_000_u64))]
    pub requests_per_day: Option<u64>,
    /// Input tokens a minute, but for those read from the prompt cache where the rules exempt them; no limit unless
    /// given.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0, max = 1_000_000_000_000_000_u64))]
    pub input_tokens_per_minute: Option<u64>,
    /// Output tokens a minute; no limit unless given.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0, max = 1_000_000_000_000_000_u64))]
    pub output_tokens_per_minute: Option<u64>,
    /// Input and output tokens a minute, together; no limit unless given.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0, max = 1_000_000_000_000_000_u64))]
    pub tokens_per_minute: Option<u64>,
    /// Input and output tokens a day, together; 1,440 times `tokens_per_minute` by Bedrock's rules, else no limit
    /// unless given.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0, max = 1_000_000_000_000_000_u64))]
    pub tokens_per_day: Option<u64>,
    /// How output tokens are counted; by what was generated unless given.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub output_counting: Option<OutputCountingName>,
    /// Whether tokens read from the prompt cache count as input; as the rules say unless given.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cache_reads_count: Option<bool>,
    /// Whether refused calls count as requests; as the rules say unless given.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub refused_count: Option<bool>,
    /// The interval over which requests a minute are enforced, such as `1s`: 60 a minute are then 1 a second. A minute
    /// unless given.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub requests_over: Option<DurationText>,
    /// What an output token counts at the end of a call by Bedrock's rules; 5 for models of the Claude 4 class and 1 for
    /// others unless given.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0, max = 1_000))]
    pub burn_down: Option<u32>,
    /// What the provider's clock (Pacific time for Gemini, whose days begin at midnight) shows when the simulation starts;
    /// `0s` unless given.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub day_offset: Option<DurationText>,
    /// Sharp ramps of input tokens are refused below the limits; by OpenAI's rules 1.5 times in 15 minutes above a million a
    /// minute, else never, unless given.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub acceleration: Option<AccelerationSection>,
    /// US dollars after which the account is refused all calls, for the whole simulation; what is under way then is still
    /// answered and billed. No cap unless given.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0.0, max = 1_000_000_000_000.0))]
    pub spend_cap_usd: Option<f64>,
}

/// How output tokens are counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum OutputCountingName {
    /// Output tokens count when they are there.
    Actual,
    /// `max_tokens` when a call is sent; what was not used comes back.
    MaxTokens,
}

/// How fast input tokens may grow: those of a minute at most `times` those of the busiest of the minutes `over` which is
/// looked back.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct AccelerationSection {
    /// How many times the tokens of the busiest minute a minute may have.
    #[schemars(range(min = 0.0, max = 1_000_000.0))]
    pub times: f64,
    /// How far it is looked back for the busiest minute, whole minutes; nothing is refused in the first of these of a
    /// simulation.
    pub over: DurationText,
    /// Input tokens a minute that are always let in.
    #[schemars(range(min = 0, max = 1_000_000_000_000_000_u64))]
    pub above_tokens_per_minute: u64,
}

impl Default for AccelerationSection {
    fn default() -> Self {
        AccelerationSection { times: 1.5, over: "15m".into(), above_tokens_per_minute: 1_000_000 }
    }
}

/// Calls that fail at any time, by what the provider answers.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct ErrorsSection {
    /// Share of calls that end in a 5xx, 0 to 1, in place of `error_rate`; that or the catalog's unless given.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0.0, max = 1.0))]
    pub server_error: Option<f64>,
    /// Share of calls that end in a 529 or 503 (overload), 0 to 1.
    #[schemars(range(min = 0.0, max = 1.0))]
    pub overloaded: f64,
}

/// Units bought by the hour, whose tokens cost nothing more (Azure's PTU, Bedrock's model units).
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ProvisionedSection {
    /// Units bought.
    #[schemars(range(min = 0, max = 1_000_000))]
    pub units: u32,
    /// What a unit costs an hour, used or not.
    #[schemars(range(min = 0.0, max = 1_000_000.0))]
    pub usd_per_unit_hour: f64,
    /// Input tokens a minute of one unit; the catalog's for the model unless given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0, max = 1_000_000_000_000_000_u64))]
    pub input_tokens_per_minute: Option<u64>,
    /// What an output token counts, input tokens; the catalog's for the model unless given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0.0, max = 1000.0))]
    pub output_weight: Option<f64>,
}

/// Incidents of a provider, at all of its endpoints at once.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct OutageSection {
    /// Incidents as written, any order; several at a time add up. None unless given.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub schedule: Vec<OutageEntry>,
    /// Incidents drawn by seed, as often and as long as those of a service of `baseload catalog apis`: `openai-api`,
    /// `chatgpt`, `anthropic-api` or `claude-ai`. None unless given.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub drawn: Option<String>,
    /// What a drawn partial incident does; a full one fails all calls.
    pub partial: PartialSection,
    /// Only endpoints of these models, named as behind the provider in `catalog`; all of the provider's unless given.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub models: Option<Vec<String>>,
}

/// What happens for a while at a provider.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct OutageEntry {
    /// When the outage begins, from the start of the simulation.
    pub at: DurationText,
    /// How long the outage lasts.
    pub duration: DurationText,
    /// Share of calls that fail, 0 to 1: as overload (529, 503), or as 5xx where all do.
    #[serde(default)]
    #[schemars(range(min = 0.0, max = 1.0))]
    pub fails: f64,
    /// By how much calls are slower that do not fail, from 1.
    #[serde(default = "one")]
    #[schemars(range(min = 0.0, max = 1_000_000.0))]
    pub slower: f64,
    /// What is left of the limits of the provider's accounts, such as 0.25; provisioned units keep theirs.
    #[serde(default = "one")]
    #[schemars(range(min = 0.0, max = 1.0))]
    pub limits_times: f64,
}

/// What a drawn partial incident does.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct PartialSection {
    /// Share of calls that fail in a partial incident, 0 to 1; 0.3 is the weight that status pages give a partial
    /// outage.
    #[schemars(range(min = 0.0, max = 1.0))]
    pub fails: f64,
    /// By how much calls are slower in a partial incident that do not fail; an assumption.
    #[schemars(range(min = 0.0, max = 1_000_000.0))]
    pub slower: f64,
}

impl Default for PartialSection {
    fn default() -> Self {
        PartialSection { fails: 0.3, slower: 2.0 }
    }
}

fn one() -> f64 {
    1.0
}
