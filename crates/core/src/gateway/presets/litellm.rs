//! LiteLLM's router over deployments: here each own replica and each endpoint is one.
use super::{Empty, Keeps, Preset, Table, by, rule, weights};
use crate::catalog::values_between;
use crate::gateway::parts::{MinCostSection, Parts, PickerSection, RuleSection, TiesSection};
use indexmap::IndexMap;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// LiteLLM's simple-shuffle.
#[derive(Debug, Clone, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct LitellmShuffleSection {
    /// Weights of pools (of each replica) and endpoints, 1 where unnamed; all alike unless given.
    #[serde(skip_serializing_if = "IndexMap::is_empty")]
    #[schemars(transform = values_between(0.0, 1e9))]
    pub weights: IndexMap<String, f64>,
}

impl LitellmShuffleSection {
    /// What it expands to.
    pub fn parts(&self) -> Parts {
        let rules = vec![rule("any")];
        if self.weights.is_empty() {
            return Parts { rules, picker: Some(PickerSection::Random), ..Parts::default() };
        }
        let weights = Some(self.weights.clone());
        Parts { rules, weights, ..by("weight", PickerSection::WeightedRandom) }
    }
}

const CHANCE: PickerSection = PickerSection::MinCost(MinCostSection { temperature: 0.0, ties: TiesSection::Random });

fn any_by(scorer: &str) -> Parts {
    Parts { rules: vec![rule("any")], ..by(scorer, CHANCE) }
}
fn usage(_: &Empty) -> Parts {
    let within = RuleSection { within_limits: true, ..rule("any") };
    Parts { rules: vec![within], scorers: weights(&[("usage", 1.0)]), picker: Some(CHANCE), ..Parts::default() }
}

const SOURCE: &str = "LiteLLM 1.109, router.py and router_strategy/, spec/routers.md 3.6 (sources read November 2026)";

pub const PRESETS: &[Preset] = &[
    Preset {
        name: "litellm_simple_shuffle",
        title: "any own replica or endpoint by chance, by weight where weights are given",
        source: SOURCE,
        sees: "nothing",
        keeps: Keeps::All,
        example: "",
        section: &Table(LitellmShuffleSection::parts),
    },
    Preset {
        name: "litellm_least_busy",
        title: "the own replica or endpoint with the fewest requests under way",
        source: SOURCE,
        sees: "its own counts, exact",
        keeps: Keeps::All,
        example: "",
        section: &Table::<Empty>(|_| any_by("outstanding")),
    },
    Preset {
        name: "litellm_latency",
        title: "the own replica or endpoint with the lowest mean of its last ten TTFTs",
        source: SOURCE,
        sees: "TTFTs of answers, a timeout as 1000 s; forgotten after an hour without any",
        keeps: Keeps::All,
        example: "",
        section: &Table::<Empty>(|_| any_by("latency")),
    },
    Preset {
        name: "litellm_usage_v2",
        title: "the own replica or endpoint with the fewest tokens this minute, within its limits",
        source: SOURCE,
        sees: "tokens and requests of the running minute, its own counts; endpoints' stated limits. Where all limits are reached \
               LiteLLM fails the request; here it goes to an own replica or the cheapest endpoint",
        keeps: Keeps::All,
        example: "",
        section: &Table(usage),
    },
];
