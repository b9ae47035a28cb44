//! SGLang's router, `cache_aware`: by prefix while the fleet is in balance, else by fewest requests.
use super::{Keeps, Preset, Table, by, rule, weights};
use crate::gateway::parts::{ImbalanceSection, Parts, PickerSection, PrefixSection, RuleSection};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// When to follow the prefix: the rule and defaults of SGLang's `cache_aware` (spec/routers.md 3.1). Otherwise the own replica
/// with the fewest requests under way.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct CacheAwareSection {
    /// More than this share of the prompt (0 to 1) must have been sent to the replica.
    #[schemars(range(min = 0.0, max = 1.0))]
    pub cache_threshold: f64,
    /// The fleet is out of balance when the most requests under way are over the least by more than this number, and by
    /// more than the factor `balance_rel_threshold`.
    #[schemars(range(min = 0, max = 1_000_000_000))]
    pub balance_abs_threshold: u32,
    /// The fleet is out of balance when the most requests under way are over the least by more than this factor, and by
    /// more than the number `balance_abs_threshold`.
    #[schemars(range(min = 0.0, max = 1_000_000.0))]
    pub balance_rel_threshold: f64,
}

impl Default for CacheAwareSection {
    fn default() -> Self {
        CacheAwareSection { cache_threshold: 0.3, balance_abs_threshold: 64, balance_rel_threshold: 1.5 }
    }
}

impl CacheAwareSection {
    /// What it expands to.
    pub fn parts(&self) -> Parts {
        let imbalance = ImbalanceSection { abs: self.balance_abs_threshold, rel: self.balance_rel_threshold };
        let uneven = RuleSection { imbalance: Some(imbalance), ..rule("own") };
        let hit =
            RuleSection { prefix_hit: Some(self.cache_threshold), scorers: weights(&[("prefix", 1.0)]), ..rule("own") };
        let prefix = Some(PrefixSection { tree: true, ..PrefixSection::default() });
        Parts { rules: vec![uneven, hit], prefix, ..by("outstanding", PickerSection::Max) }
    }
}

const SOURCE: &str = "SGLang model gateway, policies/cache_aware.rs and its launch arguments, spec/routers.md 3.1 (sources read \
                      November 2026); its tree of text is here an index of prompt identity that forgets the oldest of 2^20 pieces";

pub const PRESETS: &[Preset] = &[
    Preset {
        name: "sglang_cache_aware",
        title: "by longest prefix sent, unless short or out of balance; then fewest requests",
        source: SOURCE,
        sees: "its own counts and what it sent where, exact",
        keeps: Keeps::All,
        example: "",
        section: &Table(CacheAwareSection::parts),
    },
    Preset {
        name: "prefix_affinity",
        title: "another name of sglang_cache_aware",
        source: SOURCE,
        sees: "its own counts and what it sent where, exact",
        keeps: Keeps::All,
        example: "",
        section: &Table(CacheAwareSection::parts),
    },
];
