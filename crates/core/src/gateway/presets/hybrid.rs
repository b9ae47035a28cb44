//! Policies between own GPUs and bought tokens. What a rule does not buy goes to the own replica with the fewest requests
//! under way; what no own replica may serve goes to the cheapest endpoint, whatever the rule.
use super::{Empty, Keeps, Preset, Table, by, rule, weights};
use crate::catalog::value_items_between;
use crate::gateway::parts::{
    BaseloadSection, BudgetSection, DailySection, FullSection, NeedSection, OracleSection, Parts, PickerSection,
    PredictorSection, RuleSection,
};
use indexmap::IndexMap;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

fn fewest(rules: Vec<RuleSection>) -> Parts {
    Parts { rules, ..by("outstanding", PickerSection::Max) }
}

/// When to buy, and from whom.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct OverflowSection {
    /// The endpoint.
    pub to: String,
    /// Mean waiting requests a replica at which it begins.
    #[serde(default = "waiting")]
    #[schemars(range(min = 0.0, max = 1_000_000.0))]
    pub waiting_per_replica: f64,
    /// Mean KV use (0 to 1) at which it begins.
    #[serde(default = "kv_use")]
    #[schemars(range(min = 0.0, max = 1.0))]
    pub kv_use: f64,
    /// Least predicted TTFT of a replica at which it begins; not looked at unless given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub predicted_ttft: Option<String>,
    /// The overflow ends when all values are below their thresholds times one minus this.
    #[serde(default = "hysteresis")]
    #[schemars(range(min = 0.0, max = 1.0))]
    pub hysteresis: f64,
}

fn waiting() -> f64 {
    8.0
}
fn kv_use() -> f64 {
    0.95
}
fn hysteresis() -> f64 {
    0.2
}

impl OverflowSection {
    /// What it expands to.
    pub fn parts(&self) -> Parts {
        let overflow = FullSection {
            waiting_per_replica: Some(self.waiting_per_replica),
            kv_use: Some(self.kv_use),
            predicted_ttft: self.predicted_ttft.clone(),
            hysteresis: self.hysteresis,
        };
        fewest(vec![RuleSection { overflow: Some(overflow), ..rule(&self.to) }])
    }
}

/// A steady stream to own replicas, the rest bought.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct BaseloadSplitSection {
    /// Requests a second that own replicas take.
    #[schemars(range(min = 0.0, max = 1_000_000.0))]
    pub requests_per_s: f64,
    /// Requests by which a burst may be over that.
    #[serde(default = "burst")]
    #[schemars(range(min = 0, max = 1_000_000_000))]
    pub burst: u64,
    /// Where the rest goes: an endpoint's name, or `cheapest`.
    #[serde(default = "cheapest")]
    pub to: String,
}

fn burst() -> u64 {
    8
}
fn cheapest() -> String {
    "cheapest".into()
}

impl BaseloadSplitSection {
    /// What it expands to.
    pub fn parts(&self) -> Parts {
        let baseload = BaseloadSection { requests_per_s: self.requests_per_s, burst: self.burst };
        fewest(vec![RuleSection { baseload: Some(baseload), ..rule("own") }, rule(&self.to)])
    }
}

/// Buys in a part of every day.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct TimeOfDaySection {
    /// When buying begins, as time since midnight, such as `8h`.
    pub from: String,
    /// When it ends; through midnight where `from` is later.
    pub until: String,
    /// What the clock shows when the trace starts.
    #[serde(default = "zero")]
    pub offset: String,
    /// Who sells then: an endpoint's name, or `cheapest`.
    #[serde(default = "cheapest")]
    pub to: String,
}

fn zero() -> String {
    "0s".into()
}
fn day() -> String {
    "24h".into()
}

impl TimeOfDaySection {
    /// What it expands to.
    pub fn parts(&self) -> Parts {
        let (from, to) = (self.from.clone(), self.until.clone());
        let daily = DailySection { from, to, day: day(), offset: self.offset.clone() };
        fewest(vec![RuleSection { daily: Some(daily), ..rule(&self.to) }])
    }
}

/// Buys where the own queue is long, at the pace of a day's budget.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct BudgetPacedSection {
    /// Dollars a day.
    #[schemars(range(min = 0.0, max = 1_000_000_000.0))]
    pub usd_per_day: f64,
    /// Mean waiting requests a replica at which buying begins.
    #[serde(default = "one")]
    #[schemars(range(min = 0.0, max = 1_000_000.0))]
    pub waiting_per_replica: f64,
    /// Buying ends when waiting requests a replica are below `waiting_per_replica` times one minus this.
    #[serde(default = "hysteresis")]
    #[schemars(range(min = 0.0, max = 1.0))]
    pub hysteresis: f64,
    /// Who sells: an endpoint's name, or `cheapest`.
    #[serde(default = "cheapest")]
    pub to: String,
}

fn one() -> f64 {
    1.0
}

impl BudgetPacedSection {
    /// What it expands to.
    pub fn parts(&self) -> Parts {
        let full = FullSection {
            waiting_per_replica: Some(self.waiting_per_replica),
            hysteresis: self.hysteresis,
            ..FullSection::default()
        };
        let budget = BudgetSection { usd_per_day: self.usd_per_day, day: day() };
        fewest(vec![RuleSection { overflow: Some(full), budget: Some(budget), ..rule(&self.to) }])
    }
}

/// Sends what is predicted to need the strong model there; a router's win rate is drawn from a stated sample.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RouteLlmThresholdSection {
    /// The strong model: the name of an endpoint or a pool, or `cheapest`.
    pub to: String,
    /// The win rate from which on a request goes there, 0 to 1; calibrated to `strong_share` unless given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0.0, max = 1.0))]
    pub threshold: Option<f64>,
    /// Share of requests that shall go there, to which the threshold is calibrated; needed unless given `threshold`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0.0, max = 1.0))]
    pub strong_share: Option<f64>,
    /// A sample of win rates, 0 to 1, quantiles linear between them. Evenly from 0 to 1 unless given.
    #[serde(default = "even")]
    #[schemars(inner(range(min = 0.0, max = 1.0)))]
    pub win_rates: Vec<f64>,
    /// Samples of classes that have their own; none unless given.
    #[serde(default, skip_serializing_if = "IndexMap::is_empty")]
    #[schemars(transform = value_items_between(0.0, 1.0))]
    pub classes: IndexMap<String, Vec<f64>>,
    /// Instead of win rates, a score that tells with a stated quality who needs the strong model; none unless given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub predictor: Option<PredictorSection>,
}

fn even() -> Vec<f64> {
    vec![0.0, 1.0]
}

impl RouteLlmThresholdSection {
    /// What it expands to.
    pub fn parts(&self) -> Parts {
        let need = NeedSection {
            threshold: self.threshold,
            strong_share: self.strong_share,
            // With a predictor nothing is drawn of them; those that somebody gave are refused there.
            win_rates: Some(self.win_rates.clone()).filter(|w| self.predictor.is_none() || *w != even()),
            classes: self.classes.clone(),
            predictor: self.predictor.clone(),
            oracle: None,
        };
        fewest(vec![RuleSection { need: Some(need), ..rule(&self.to) }])
    }
}

/// Sends there what only the strong model answers above the bar: what no router can know, as a bound for those that predict.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct OracleQualitySection {
    /// The strong model: the name of an endpoint or a pool.
    pub to: String,
    /// The weak model, which answers what does not need the strong one: a pool or an endpoint; the policy's only other
    /// one unless given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub weak: Option<String>,
}

impl OracleQualitySection {
    /// What it expands to.
    pub fn parts(&self) -> Parts {
        let oracle = Some(OracleSection { weak: self.weak.clone() });
        let need = NeedSection {
            threshold: None,
            strong_share: None,
            win_rates: None,
            classes: IndexMap::new(),
            predictor: None,
            oracle,
        };
        fewest(vec![RuleSection { need: Some(need), ..rule(&self.to) }])
    }
}

/// Own replicas while one is predicted to meet the TTFT objective, then the cheapest endpoint that does, then the fastest.
fn slo_cheapest(_: &Empty) -> Parts {
    let none_ready = RuleSection { when: Some("pool.ready == 0".into()), ..rule("cheapest") };
    let own = RuleSection { predicted_ttft: Some("slo".into()), ..rule("own") };
    let in_time = RuleSection { within: Some("slo".into()), ..rule("cheapest") };
    let fastest = RuleSection { endpoint_faster: true, ..rule("fastest") };
    Parts {
        rules: vec![none_ready, own, in_time, fastest],
        scorers: weights(&[("predicted_ttft", 1.0)]),
        picker: Some(PickerSection::Max),
        ..Parts::default()
    }
}

const OURS: &str = "this program's, for the question it asks";
const SLO_SEES: &str = "unanswered prompt tokens over the prefill rate it measured; endpoints' p90 TTFT; prices";

pub const PRESETS: &[Preset] = &[
    Preset {
        name: "overflow",
        title: "buy when the own queue is long or KV is full, until well below",
        source: OURS,
        sees: "waiting requests and KV use, as old as [gateway].scrape",
        keeps: Keeps::All,
        example: "to = \"frontier\"",
        section: &Table(OverflowSection::parts),
    },
    Preset {
        name: "baseload_split",
        title: "a steady rate to own replicas, the rest bought",
        source: OURS,
        sees: "its own counts, exact",
        keeps: Keeps::All,
        example: "requests_per_s = 2.0",
        section: &Table(BaseloadSplitSection::parts),
    },
    Preset {
        name: "time_of_day",
        title: "buy in a part of every day",
        source: OURS,
        sees: "the clock",
        keeps: Keeps::All,
        example: "from = \"8h\"\nuntil = \"18h\"",
        section: &Table(TimeOfDaySection::parts),
    },
    Preset {
        name: "slo_cheapest",
        title: "the cheapest that is predicted to meet the TTFT objective, else the fastest",
        source: OURS,
        sees: SLO_SEES,
        keeps: Keeps::AllThatIsThere,
        example: "",
        section: &Table(slo_cheapest),
    },
    Preset {
        name: "cost_aware",
        title: "another name of slo_cheapest",
        source: OURS,
        sees: SLO_SEES,
        keeps: Keeps::AllThatIsThere,
        example: "",
        section: &Table(slo_cheapest),
    },
    Preset {
        name: "budget_paced",
        title: "buy where the own queue is long, at the pace of a day's budget",
        source: OURS,
        sees: "what attempts of today cost or are expected to; waiting requests, as old as [gateway].scrape",
        keeps: Keeps::All,
        example: "usd_per_day = 100.0",
        section: &Table(BudgetPacedSection::parts),
    },
    Preset {
        name: "route_llm_threshold",
        title: "what is predicted to need the strong model goes there",
        source: "RouteLLM, routers.py and calibrate_threshold.py, spec/routers.md 3.11 (sources read November 2026); the win rate is \
                 drawn, once a request",
        sees: "the drawn win rate",
        keeps: Keeps::All,
        example: "to = \"frontier\"\nstrong_share = 0.2",
        section: &Table(RouteLlmThresholdSection::parts),
    },
    Preset {
        name: "oracle_quality",
        title: "what only the strong model answers above the bar goes there",
        source: OURS,
        sees: "what both models would answer, which no router can know: a bound",
        keeps: Keeps::All,
        example: "to = \"frontier\"\nweak = \"chat\"",
        section: &Table(OracleQualitySection::parts),
    },
];
