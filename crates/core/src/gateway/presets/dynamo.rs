//! NVIDIA Dynamo's KV router: the lowest cost in blocks.
use super::{Keeps, Preset, Table, weights};
use crate::gateway::parts::{KvCostSection, MinCostSection, Parts, PickerSection, PrefixSection, TiesSection};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Dynamo's constants (spec/routers.md 3.4).
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct DynamoKvSection {
    /// Tokens of a block.
    #[schemars(range(min = 1, max = 1_000_000))]
    pub block_tokens: u32,
    /// Credit for a block of overlap.
    #[schemars(range(min = 0.0, max = 1_000_000.0))]
    pub overlap_credit: f64,
    /// Weight of prefill against decode.
    #[schemars(range(min = 0.0, max = 1_000_000.0))]
    pub prefill_scale: f64,
    /// Blocks that an active request counts.
    #[schemars(range(min = 0.0, max = 1_000_000.0))]
    pub active_weight: f64,
    /// Above 0: by chance, cheaper is likelier.
    #[schemars(range(min = 0.0, max = 1_000_000.0))]
    pub temperature: f64,
}

impl Default for DynamoKvSection {
    fn default() -> Self {
        let c = KvCostSection::default();
        DynamoKvSection {
            block_tokens: c.block_tokens,
            overlap_credit: c.overlap_credit,
            prefill_scale: c.prefill_scale,
            active_weight: c.active_weight,
            temperature: 0.0,
        }
    }
}

impl DynamoKvSection {
    /// What it expands to.
    pub fn parts(&self) -> Parts {
        let min_cost = MinCostSection { temperature: self.temperature, ties: TiesSection::Random };
        Parts {
            scorers: weights(&[("kv_cost", 1.0)]),
            picker: Some(PickerSection::MinCost(min_cost)),
            prefix: Some(PrefixSection { block_tokens: self.block_tokens, ..PrefixSection::default() }),
            kv_cost: Some(KvCostSection {
                block_tokens: self.block_tokens,
                overlap_credit: self.overlap_credit,
                prefill_scale: self.prefill_scale,
                active_weight: self.active_weight,
            }),
            ..Parts::default()
        }
    }
}

pub const PRESETS: &[Preset] = &[Preset {
    name: "dynamo_kv",
    title: "the own replica with the lowest cost of prefill still to do and decode blocks",
    source: "NVIDIA Dynamo, lib/kv-router/src/scheduling, spec/routers.md 3.4 (sources read November 2026); overlap is known from \
             what was sent, as without KV events, and shared blocks under way are counted for each request",
    sees: "its own counts and what it sent where, exact; KV events are not modelled",
    keeps: Keeps::All,
    example: "",
    section: &Table(DynamoKvSection::parts),
}];
