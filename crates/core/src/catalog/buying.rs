//! Rows about how bought capacity behaves: incidents of hosted services, provisioned units.
//!
//! Imports only `types`. Must keep true: what is derived from a row says how.
use crate::types::{Fault, Faults};
use serde::{Deserialize, Serialize};

/// z of the 90th percentile of the standard normal distribution.
const Z90: f64 = 1.281_551_565_544_600_4;
/// Weight of a partial outage in weighted availability.
const PARTIAL_WEIGHT: f64 = 0.3;

/// Incidents of a service, as its status page tells.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct IncidentRow {
    /// The service.
    pub service: String,
    /// Days observed.
    pub days: u32,
    /// Share of time without any impact, percent.
    pub availability_any: f64,
    /// Share of time without impact, partial outages counted at 0.3 of their length, percent.
    pub availability_weighted: f64,
    /// Hours between incidents, mean.
    pub gap_mean_h: f64,
    /// Median of the hours between incidents.
    pub gap_median_h: f64,
    /// Mean of the minutes that an incident lasts.
    pub duration_mean_min: f64,
    /// Median of the minutes that an incident lasts.
    pub duration_median_min: f64,
    /// 90th percentile of the minutes that an incident lasts.
    pub duration_p90_min: f64,
    /// Until when it was observed.
    #[serde(default)]
    pub date: String,
    /// Where the incidents were read.
    #[serde(default)]
    pub source: String,
}

impl IncidentRow {
    /// Sigma of a log-normal gap with this mean and median.
    pub fn gap_sigma(&self) -> f64 {
        libm::sqrt(2.0 * libm::log(self.gap_mean_h / self.gap_median_h))
    }
    /// Sigma of a log-normal duration with this median and 90th percentile.
    pub fn duration_sigma(&self) -> f64 {
        libm::log(self.duration_p90_min / self.duration_median_min) / Z90
    }
    /// Share of incidents that users notice: as many as give the availability that was measured, when incidents last as
    /// long and come as often as they do here.
    pub fn noticed(&self) -> f64 {
        let sigma = self.duration_sigma();
        let lasts_h = self.duration_median_min / 60.0 * libm::exp(sigma * sigma / 2.0);
        let share = (1.0 - self.availability_any / 100.0) * (self.gap_mean_h + lasts_h) / lasts_h;
        share.clamp(0.0, 1.0)
    }
    /// Share of noticed time that is a full outage: with `full + partial` lost in all and `full + 0.3 partial` weighted.
    pub fn full(&self) -> f64 {
        let (any, weighted) = (1.0 - self.availability_any / 100.0, 1.0 - self.availability_weighted / 100.0);
        let partial = (any - weighted) / (1.0 - PARTIAL_WEIGHT);
        (1.0 - partial / any).clamp(0.0, 1.0)
    }
}

/// Rules by which a provider counts an account's limits.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct LimitRules {
    /// Provider whose rules these are, as prices name it; also the name of a preset.
    pub provider: String,
    /// Other names of the provider.
    #[serde(default)]
    pub also: Vec<String>,
    /// How output counts against its own limit.
    #[serde(default)]
    pub output: OutputRule,
    /// How a call counts against limits that input and output share.
    #[serde(default)]
    pub both: SharedRule,
    /// What an output token counts in the end where `both` is `burn-down`, unless the model is one of `burn_down_of`.
    #[serde(default = "one")]
    pub burn_down: u32,
    /// Models that count otherwise.
    #[serde(default)]
    pub burn_down_of: Vec<BurnDownOf>,
    /// Whether tokens read from the prompt cache count as input.
    pub cache_reads_count: bool,
    /// Whether refused calls count as requests.
    pub refused_count: bool,
    /// Whether a call of more tokens than the limit waits for a full bucket; it is refused whenever it comes otherwise.
    pub oversized_wait: bool,
    /// Whether requests a day begin anew at midnight; they refill all the time otherwise.
    #[serde(default)]
    pub day_begins_at_midnight: bool,
    /// How fast input may grow; as fast as it likes unless given.
    #[serde(default)]
    pub acceleration: Option<AccelerationRule>,
    /// When the rules were read.
    #[serde(default)]
    pub date: String,
    /// Where the rules were read.
    #[serde(default)]
    pub source: String,
}

fn one() -> u32 {
    1
}

/// How output tokens count.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum OutputRule {
    /// Output tokens count when they are there.
    #[default]
    Actual,
    /// By `max_tokens` when a call is sent; what was not used comes back.
    MaxTokens,
}

/// How a call counts against limits that input and output share.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum SharedRule {
    /// The prompt when the call is sent, its output when it is there.
    #[default]
    Actual,
    /// The larger of prompt and `max_tokens`, never corrected.
    Larger,
    /// Prompt and `max_tokens`, never corrected.
    Sum,
    /// Prompt and `max_tokens` are reserved, then settled with the burn-down.
    BurnDown,
}

/// What an output token of some models counts.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct BurnDownOf {
    /// Words that the model's name must have, all of them.
    pub words: Vec<String>,
    /// Input tokens that an output token counts.
    pub times: u32,
}

/// How fast input tokens may grow.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct AccelerationRule {
    /// How many times the busiest minute looked back on a minute may have.
    pub times: f64,
    /// Minutes that are looked back.
    pub over_minutes: u32,
    /// Input tokens a minute that are always let in.
    pub above_tokens_per_minute: u64,
}

impl LimitRules {
    /// What an output token of `model` counts.
    pub fn burn_down(&self, model: &str) -> u32 {
        let lower = model.to_lowercase();
        let has = |word: &String| lower.split(|c: char| !c.is_ascii_alphanumeric()).any(|w| w == word);
        self.burn_down_of.iter().find(|of| of.words.iter().all(has)).map_or(self.burn_down, |of| of.times)
    }

    /// Keys that make no sense, and why.
    pub(super) fn nonsense(&self) -> Faults {
        let mut wrong = Faults::default();
        if self.burn_down == 0 {
            wrong.push(Fault::at("burn_down", "is 0").hint("it must be at least 1"));
        }
        if self.burn_down_of.iter().any(|of| of.times == 0 || of.words.is_empty()) {
            wrong.push(
                Fault::at("burn_down_of", "a row has no words, or times of 0")
                    .hint("give words, and times from 1, in each"),
            );
        }
        if let Some(a) = &self.acceleration
            && !(a.times > 0.0 && a.times < 1e6 && (1..=1_440).contains(&a.over_minutes))
        {
            let fault = Fault::at("acceleration", "times or over_minutes makes no sense");
            wrong.push(fault.hint("give times above 0 and over_minutes from 1 to 1440"));
        }
        wrong
    }
}

/// What a provisioned unit of a model serves.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ProvisionedRow {
    /// The model.
    pub model: String,
    /// Who sells the units.
    #[serde(default)]
    pub sold_by: String,
    /// Input tokens a minute of one unit.
    pub input_tpm_per_unit: u64,
    /// What an output token counts, input tokens.
    pub output_weight: f64,
    /// Units at least.
    pub min_units: u32,
    /// By how many they grow.
    pub unit_step: u32,
    /// When the offer was read.
    #[serde(default)]
    pub date: String,
    /// Where the offer was read.
    #[serde(default)]
    pub source: String,
}
