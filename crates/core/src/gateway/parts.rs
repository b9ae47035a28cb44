//! A policy's parts as text: what people write in `[policy.NAME]`, and what presets expand to.
use crate::catalog::{value_items_between, values_between};
use indexmap::IndexMap;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// A policy's parts, as keys of `[policy.NAME]`.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Parts {
    /// The first rule that holds and whose place has a candidate decides; what none takes goes to an own replica by scorers
    /// and picker, where one is ready, and else to the cheapest endpoint. None unless given.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub rules: Vec<RuleSection>,
    /// Weights of scorers, by the names that `baseload policies fields` lists; a preset's, or `outstanding`, unless given.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(transform = values_between(-1e9, 1e9))]
    pub scorers: Option<IndexMap<String, f64>>,
    /// Who is taken of scored candidates; `max`, or a preset's, unless given.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub picker: Option<PickerSection>,
    /// How sent prefixes are remembered, where a part reads them; as llm-d does unless given.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub prefix: Option<PrefixSection>,
    /// Constants of the scorer `kv_cost`; Dynamo's unless given.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub kv_cost: Option<KvCostSection>,
    /// Weights of pools (of each replica) and endpoints for the scorer `weight`; 1 each unless given.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(transform = values_between(0.0, 1e9))]
    pub weights: Option<IndexMap<String, f64>>,
    /// How old engine signals are for this policy; a preset's, or that of `[gateway]`, unless given.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub scrape: Option<ScrapeSection>,
}

/// Where requests go that meet all its conditions; every request without any.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct RuleSection {
    /// A condition in CEL over the fields that `baseload policies fields` lists; none unless given.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub when: Option<String>,
    /// Own replicas are full; not asked unless given.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub overflow: Option<FullSection>,
    /// A steady stream of requests; not asked unless given.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub baseload: Option<BaseloadSection>,
    /// A part of the day; not asked unless given.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub daily: Option<DailySection>,
    /// Buying it keeps the day's pace; not asked unless given.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub budget: Option<BudgetSection>,
    /// Condition: a predictor says that the request needs the strong model; not asked unless given.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub need: Option<NeedSection>,
    /// Own replicas are out of balance; not asked unless given.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub imbalance: Option<ImbalanceSection>,
    /// More than this share (0 to 1) of the prompt was sent to a ready replica; not asked unless given.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0.0, max = 1.0))]
    pub prefix_hit: Option<f64>,
    /// A ready replica is predicted to answer within this, `"slo"` being the experiment's TTFT objective; not asked
    /// unless given.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub predicted_ttft: Option<String>,
    /// Some endpoint's p90 TTFT is lower than any ready replica's predicted one; not asked unless given.
    #[serde(skip_serializing_if = "is_false")]
    pub endpoint_faster: bool,
    /// Own replicas are saturated; not asked unless given.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub saturation: Option<SaturationSection>,
    /// `own`, `any` (own replicas and endpoints), `bought`, `cheapest`, `fastest`, `reject`, `defer`, or the name of a pool
    /// or of an endpoint.
    pub to: String,
    /// With `cheapest`: of endpoints whose p90 TTFT is at most this, `"slo"` being the experiment's TTFT objective; of all
    /// unless given.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub within: Option<String>,
    /// With `any` or `bought`: leave out endpoints whose limits of the minute the request would reach; not asked
    /// unless given.
    #[serde(skip_serializing_if = "is_false")]
    pub within_limits: bool,
    /// With `defer`: until the clock of a day of 24 h, which the trace's start begins, shows this; needed with `defer`
    /// unless given `wait`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub until: Option<String>,
    /// With `defer`: so long from the arrival; needed with `defer` unless given `until`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub wait: Option<String>,
    /// Scorers of this rule and their weights; the policy's unless given.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(transform = values_between(-1e9, 1e9))]
    #[schemars(transform = values_between(-1e9, 1e9))]
    pub scorers: Option<IndexMap<String, f64>>,
    /// Picker of this rule; the policy's unless given.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub picker: Option<PickerSection>,
}

fn is_false(b: &bool) -> bool {
    !b
}

/// Own replicas are full when any threshold is reached.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct FullSection {
    /// Mean waiting requests a replica; not looked at unless given.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0.0, max = 1_000_000.0))]
    pub waiting_per_replica: Option<f64>,
    /// Mean KV use (0 to 1); not looked at unless given.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0.0, max = 1.0))]
    pub kv_use: Option<f64>,
    /// Least predicted TTFT; not looked at unless given.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub predicted_ttft: Option<String>,
    /// The overflow ends when all values are below their thresholds times one minus this.
    #[schemars(range(min = 0.0, max = 1.0))]
    pub hysteresis: f64,
}

impl Default for FullSection {
    fn default() -> Self {
        FullSection { waiting_per_replica: None, kv_use: None, predicted_ttft: None, hysteresis: 0.2 }
    }
}

/// A bucket that fills with requests at a steady rate.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct BaseloadSection {
    /// Requests a second.
    #[schemars(range(min = 0.0, max = 1_000_000.0))]
    pub requests_per_s: f64,
    /// Requests that the bucket holds; it starts full.
    #[serde(default = "eight")]
    #[schemars(range(min = 0, max = 1_000_000_000))]
    pub burst: u64,
}

fn eight() -> u64 {
    8
}

/// A part of every day; through midnight where `from` is later than `to`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct DailySection {
    /// First instant, as time since midnight, such as `8h`.
    pub from: String,
    /// First instant after it.
    pub to: String,
    /// Length of a day.
    #[serde(default = "day")]
    pub day: String,
    /// What the day's clock shows when the trace starts.
    #[serde(default = "zero")]
    pub offset: String,
}

fn day() -> String {
    "24h".into()
}
fn zero() -> String {
    "0s".into()
}

/// Spending at a steady pace: of today's attempts what they cost, or are expected to, is at most the day's money times the
/// share of the day that has passed.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct BudgetSection {
    /// Dollars a day.
    #[schemars(range(min = 0.0, max = 1_000_000_000.0))]
    pub usd_per_day: f64,
    /// Length of a day.
    #[serde(default = "day")]
    pub day: String,
}

/// A win rate of the strong model is drawn for each request from a stated sample; the request needs it from a threshold on.
/// Where the qualities of both models are given, a predictor of stated quality may stand in its place, or the oracle.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct NeedSection {
    /// The threshold, 0 to 1; calibrated to `strong_share` unless given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0.0, max = 1.0))]
    pub threshold: Option<f64>,
    /// Share of requests that shall go to the strong model: the threshold is this quantile from above of `win_rates`, or of
    /// the predictor's scores. Not used unless given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0.0, max = 1.0))]
    pub strong_share: Option<f64>,
    /// A sample of win rates, 0 to 1, quantiles linear between them. Evenly from 0 to 1 unless given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(inner(range(min = 0.0, max = 1.0)))]
    pub win_rates: Option<Vec<f64>>,
    /// Samples of classes that have their own; none unless given.
    #[serde(default, skip_serializing_if = "IndexMap::is_empty")]
    #[schemars(transform = value_items_between(0.0, 1.0))]
    pub classes: IndexMap<String, Vec<f64>>,
    /// Instead of win rates, a score that tells with a stated quality who needs the strong model; none unless given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub predictor: Option<PredictorSection>,
    /// The truth, instead of a predictor: strong where only that model's answer is above the bar. Not unless given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub oracle: Option<OracleSection>,
}

/// A synthetic predictor. A request needs the strong model where only that one's answer is above the bar; scores are normal,
/// those of the needy higher by sqrt(2) z(auc).
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct PredictorSection {
    /// Area under its ROC curve: 0.5 is chance, below 1.
    #[schemars(range(min = 0.0, max = 1.0))]
    pub auc: f64,
    /// The weak model, which answers what does not need the strong one: a pool or an endpoint; the policy's only other
    /// one unless given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub weak: Option<String>,
}

/// The truth.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct OracleSection {
    /// The weak model, which answers what does not need the strong one: a pool or an endpoint; the policy's only other
    /// one unless given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub weak: Option<String>,
}

/// The most requests under way are over the least by more than `abs`, and by more than the factor `rel`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ImbalanceSection {
    /// Requests.
    #[schemars(range(min = 0, max = 1_000_000_000))]
    pub abs: u32,
    /// Factor, at least 1.
    #[schemars(range(min = 0.0, max = 1_000_000.0))]
    pub rel: f64,
}

/// The mean over replicas of the larger of waiting requests and KV use, each as a share of its threshold, is at least 1.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct SaturationSection {
    /// Waiting requests.
    #[schemars(range(min = 0, max = 1_000_000))]
    pub waiting: u32,
    /// KV use, 0 to 1.
    #[schemars(range(min = 0.0, max = 1.0))]
    pub kv_use: f64,
    /// Older samples count as saturated.
    pub stale_after: String,
}

impl Default for SaturationSection {
    fn default() -> Self {
        SaturationSection { waiting: 5, kv_use: 0.8, stale_after: "200ms".into() }
    }
}

/// Who is taken of scored candidates.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum PickerSection {
    /// The highest score, the first among equals.
    Max,
    /// The highest score, by chance among equals.
    MaxRandom,
    /// By chance, in proportion to the score.
    WeightedRandom,
    /// The better of two taken by chance.
    PowerOfTwo,
    /// In turn.
    RoundRobin,
    /// By chance.
    Random,
    /// The lowest sum of weighted costs.
    MinCost(MinCostSection),
}

/// Options of `min_cost`.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct MinCostSection {
    /// Above 0: by chance, cheaper is likelier; the lowest for sure at 0.
    #[schemars(range(min = 0.0, max = 1_000_000.0))]
    pub temperature: f64,
    /// Among equals at temperature 0: `lowest` (the first), `random` or `rotate`.
    pub ties: TiesSection,
}

/// Who is taken among equals.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum TiesSection {
    /// The first of equal candidates.
    #[default]
    Lowest,
    /// By chance.
    Random,
    /// The first from a place that moves on with every decision.
    Rotate,
}

/// An approximate index of prefixes, made of what was sent where; it knows nothing of what engines evict.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct PrefixSection {
    /// Who was sent a prefix last owns it, as in SGLang's tree, and the other keys say nothing; not so
    /// unless given.
    #[serde(skip_serializing_if = "is_false")]
    pub tree: bool,
    /// Tokens of a block.
    #[schemars(range(min = 1, max = 1_000_000))]
    pub block_tokens: u32,
    /// Blocks remembered for each replica, least recently sent forgotten first.
    #[schemars(range(min = 0, max = 1_000_000))]
    pub blocks: u32,
    /// Tokens of a prompt that are looked at.
    #[schemars(range(min = 0, max = 100_000_000))]
    pub max_tokens: u32,
}

impl Default for PrefixSection {
    fn default() -> Self {
        let rule = super::BlockRule::default();
        PrefixSection { tree: false, block_tokens: rule.block_tokens, blocks: rule.blocks, max_tokens: rule.max_tokens }
    }
}

/// Constants of NVIDIA Dynamo's cost: `prefill_scale * max(0, prefill - overlap_credit * overlap) + decode + active_weight *
/// active`, in blocks.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct KvCostSection {
    /// Tokens of a block.
    #[schemars(range(min = 1, max = 1_000_000))]
    pub block_tokens: u32,
    /// Credit for a block that was sent there before.
    #[schemars(range(min = 0.0, max = 1_000_000.0))]
    pub overlap_credit: f64,
    /// Weight of prefill against decode.
    #[schemars(range(min = 0.0, max = 1_000_000.0))]
    pub prefill_scale: f64,
    /// Blocks that an active request counts.
    #[schemars(range(min = 0.0, max = 1_000_000.0))]
    pub active_weight: f64,
}

impl Default for KvCostSection {
    fn default() -> Self {
        let c = super::KvCost::default();
        KvCostSection {
            block_tokens: c.block_tokens,
            overlap_credit: c.overlap_credit,
            prefill_scale: c.prefill_scale,
            active_weight: c.active_weight,
        }
    }
}

/// Scraping of engine signals.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct ScrapeSection {
    /// Time between samples.
    pub interval: String,
    /// Time from a sample until it is seen.
    pub delay: String,
}

impl Default for ScrapeSection {
    fn default() -> Self {
        ScrapeSection { interval: "1s".into(), delay: "0s".into() }
    }
}
