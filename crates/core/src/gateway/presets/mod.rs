//! Presets: what real routers do by default, and the hybrids, each as a table of an experiment file that expands to parts.
//!
//! A preset says where its rule and its defaults come from, and what it may see: how old engine signals are by the time it
//! reads them, where it brings its own scrape. Its row of the registry is all that the program knows of it: the file's
//! format, the schema, `baseload policies` and the documentation read rows.
mod dynamo;
mod hybrid;
mod litellm;
mod llmd;
mod plain;
mod production_stack;
mod registry;
mod sglang;
mod vllm;

pub use dynamo::DynamoKvSection;
pub use hybrid::{
    BaseloadSplitSection, BudgetPacedSection, OracleQualitySection, OverflowSection, RouteLlmThresholdSection,
    TimeOfDaySection,
};
pub use litellm::LitellmShuffleSection;
pub use plain::Empty;
pub use registry::{Given, Keeps, Preset, Presets, Section, Table};
pub use sglang::CacheAwareSection;

use super::parts::{Parts, PickerSection, RuleSection, ScrapeSection};
use indexmap::IndexMap;

/// The presets of this program, in the order in which they are listed.
const EMBEDDED: [&[Preset]; 8] = [
    plain::PRESETS,
    sglang::PRESETS,
    production_stack::PRESETS,
    llmd::PRESETS,
    dynamo::PRESETS,
    litellm::PRESETS,
    vllm::PRESETS,
    hybrid::PRESETS,
];

fn weights(list: &[(&str, f64)]) -> Option<IndexMap<String, f64>> {
    Some(list.iter().map(|(name, weight)| (name.to_string(), *weight)).collect())
}

/// One scorer and a picker.
fn by(scorer: &str, picker: PickerSection) -> Parts {
    Parts { scorers: weights(&[(scorer, 1.0)]), picker: Some(picker), ..Parts::default() }
}

fn rule(to: &str) -> RuleSection {
    RuleSection { to: to.into(), ..RuleSection::default() }
}

fn scrape(interval: &str) -> Option<ScrapeSection> {
    Some(ScrapeSection { interval: interval.into(), ..ScrapeSection::default() })
}

#[cfg(test)]
mod tests;
