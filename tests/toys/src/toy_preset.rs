//! A preset: long prompts are bought, all others stay.
use baseload::gateway::{Keeps, Parts, PickerSection, Preset, RuleSection, Table};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// `[policy.NAME.toy_preset]`.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct ToySection {
    /// Prompts of more tokens are bought where that is cheapest.
    longer_than: u32,
}

fn expand(section: &ToySection) -> Parts {
    let bought = RuleSection {
        when: Some(format!("request.prompt_tokens > {}", section.longer_than)),
        to: "cheapest".into(),
        ..RuleSection::default()
    };
    Parts { rules: vec![bought], picker: Some(PickerSection::RoundRobin), ..Parts::default() }
}

/// Its row of the registry.
pub const PRESET: Preset = Preset {
    name: "toy_preset",
    title: "long prompts are bought, others go to own replicas in turn",
    source: "made up for tests, 2026-12",
    sees: "the prompt's length",
    keeps: Keeps::All,
    example: "longer_than = 1000",
    section: &Table(expand),
};
