//! Presets: what real routers do by default, and the hybrids, each as a table of an experiment file that expands to parts.
//!
//! A preset says where its rule and its defaults come from, and what it may see: how old engine signals are by the time it
//! reads them, where it brings its own scrape.
mod dynamo;
mod hybrid;
mod litellm;
mod llmd;
mod plain;
mod production_stack;
mod sglang;
mod vllm;

pub use dynamo::DynamoKvSection;
pub use hybrid::{
    BaseloadSplitSection, BudgetPacedSection, OracleQualitySection, OverflowSection, RouteLlmThresholdSection,
    TimeOfDaySection,
};
pub use litellm::LitellmShuffleSection;
pub use plain::Empty;
pub use sglang::CacheAwareSection;

use super::parts::{Parts, PickerSection, RuleSection, ScrapeSection};
use indexmap::IndexMap;

/// A preset as the registry knows it.
#[derive(Debug, Clone, Copy)]
pub struct Preset {
    /// Its key in `[policy.NAME]`.
    pub name: &'static str,
    /// What it does, in a line.
    pub title: &'static str,
    /// Where rule and defaults come from, and when that was read.
    pub source: &'static str,
    /// What it sees of backends, and how old.
    pub sees: &'static str,
    /// Its expansion with defaults; required values are those of an example with an endpoint `frontier`.
    pub parts: fn() -> Parts,
}

/// A section of an experiment file that expands to parts.
pub trait Expand {
    /// The parts.
    fn parts(&self) -> Parts;
}

/// All presets, in the order in which they are listed.
pub fn presets() -> impl Iterator<Item = &'static Preset> {
    [
        plain::PRESETS,
        sglang::PRESETS,
        production_stack::PRESETS,
        llmd::PRESETS,
        dynamo::PRESETS,
        litellm::PRESETS,
        vllm::PRESETS,
        hybrid::PRESETS,
    ]
    .into_iter()
    .flatten()
}

/// The preset of a name.
pub fn preset(name: &str) -> Option<&'static Preset> {
    presets().find(|p| p.name == name)
}

/// The parts of a preset that has no options.
pub fn parts_of(name: &str) -> Parts {
    preset(name).map_or_else(Parts::default, |p| (p.parts)())
}

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
