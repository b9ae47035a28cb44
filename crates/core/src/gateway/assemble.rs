//! Makes a pipeline of its parts: names looked up, numbers checked, conditions understood. Keys of faults are counted from the
//! policy's table; what is wrong in one part does not hide what is wrong in another.
use super::answers::Answers;
use super::index::{BlockRule, PrefixRule};
use super::parts::{KvCostSection, Parts, PickerSection, PrefixSection, TiesSection};
use super::pick::{Picker, Ties};
use super::pipeline::{Destination, Pipeline, Rule, Scoring};
use super::score::{KvCost, SCORERS, Scorer};
use crate::types::check::{at_least_1, from_0};
use crate::types::key;
use crate::types::{EndpointId, Fault, Faults, KeyPath, PlaceId, PlaceMap, PoolId, SimTime};
use indexmap::IndexMap;
use std::sync::Arc;

mod conditions;
mod needs;
mod rules;

/// What a policy's parts may name.
#[derive(Debug, Clone, Default)]
pub struct PolicyScope {
    /// The policy's pools, in order.
    pub pools: Vec<String>,
    /// Replicas that it keeps of each.
    pub replicas: Vec<u32>,
    /// Names of the policy's endpoints, in order.
    pub endpoints: Vec<String>,
    /// Classes, in order.
    pub classes: Vec<String>,
    /// The experiment's TTFT objective.
    pub slo_ttft: Option<SimTime>,
    /// How good answers are, by the name of the pool or endpoint, where that is given.
    pub quality: Vec<(String, Arc<Answers>)>,
}

impl PolicyScope {
    /// Whether it keeps a replica of some pool.
    fn keeps_replicas(&self) -> bool {
        self.replicas.iter().any(|n| *n > 0)
    }
    /// Names of all pools and endpoints.
    fn places(&self) -> impl Iterator<Item = &str> {
        self.pools.iter().chain(&self.endpoints).map(String::as_str)
    }
}

/// A pipeline, and what its author should know.
#[derive(Debug, Clone, PartialEq)]
pub struct Assembled {
    /// The pipeline.
    pub pipeline: Pipeline,
    /// What is allowed and hardly meant, each at its key.
    pub warnings: Vec<Fault>,
}

impl Parts {
    /// The pipeline of these parts.
    ///
    /// # Errors
    /// All faults, keys counted from the policy's table.
    pub fn assemble(&self, scope: &PolicyScope) -> Result<Assembled, Faults> {
        let mut faults = Faults::default();
        let mut maker = Maker { scope, warnings: Vec::new() };
        let weights = faults.or_default(maker.weights(self.weights.as_ref()));
        let scoring = faults.or_default(maker.scoring(self.scorers.as_ref(), self.picker));
        let mut rules = Vec::new();
        for (i, rule) in self.rules.iter().enumerate() {
            let at = key!["rules", i];
            let made = maker.rule(&at, rule).map_err(|faults| faults.under(at));
            rules.extend(faults.take(made));
        }
        let pipeline = Pipeline {
            rules,
            scoring: scoring.unwrap_or_else(|| Pipeline::best(Scorer::Outstanding).scoring),
            prefixes: faults.or(PrefixRule::Tree, prefixes(self.prefix.unwrap_or_default())),
            kv_cost: faults.or_default(kv_cost(self.kv_cost.unwrap_or_default())),
            weights,
        };
        let pipeline = faults.finish(pipeline)?;
        maker.check(&pipeline)?;
        Ok(Assembled { pipeline, warnings: maker.warnings })
    }
}

fn prefixes(p: PrefixSection) -> Result<PrefixRule, Faults> {
    if p.tree {
        return Ok(PrefixRule::Tree);
    }
    let mut faults = Faults::default();
    let rule = BlockRule {
        block_tokens: faults.or_default(at_least_1(key!["prefix", "block_tokens"], p.block_tokens)),
        blocks: faults.or_default(at_least_1(key!["prefix", "blocks"], p.blocks)),
        max_tokens: p.max_tokens,
    };
    faults.finish(PrefixRule::Blocks(rule))
}

fn kv_cost(c: KvCostSection) -> Result<KvCost, Faults> {
    let mut faults = Faults::default();
    let mut number = |name: &str, x| faults.or_default(from_0(key!["kv_cost", name], x));
    let (overlap_credit, prefill_scale, active_weight) = (
        number("overlap_credit", c.overlap_credit),
        number("prefill_scale", c.prefill_scale),
        number("active_weight", c.active_weight),
    );
    let block_tokens = faults.or_default(at_least_1(key!["kv_cost", "block_tokens"], c.block_tokens));
    faults.finish(KvCost { block_tokens, overlap_credit, prefill_scale, active_weight })
}

fn picker(p: PickerSection) -> Result<Picker, Fault> {
    Ok(match p {
        PickerSection::Max => Picker::Max,
        PickerSection::MaxRandom => Picker::MaxRandom,
        PickerSection::WeightedRandom => Picker::WeightedRandom,
        PickerSection::PowerOfTwo => Picker::PowerOfTwo,
        PickerSection::RoundRobin => Picker::RoundRobin,
        PickerSection::Random => Picker::Random,
        PickerSection::MinCost(m) => Picker::MinCost {
            temperature: from_0(key!["picker", "min_cost", "temperature"], m.temperature)?,
            ties: match m.ties {
                TiesSection::Lowest => Ties::Lowest,
                TiesSection::Random => Ties::Random,
                TiesSection::Rotate => Ties::Rotate,
            },
        },
    })
}

struct Maker<'a> {
    scope: &'a PolicyScope,
    warnings: Vec<Fault>,
}

impl Maker<'_> {
    /// Weights of pools and of endpoints.
    fn weights(&self, weights: Option<&IndexMap<String, f64>>) -> Result<PlaceMap<f64>, Faults> {
        let mut faults = Faults::default();
        let mut out = PlaceMap {
            pools: self.scope.pools.iter().map(|_| 1.0).collect(),
            endpoints: self.scope.endpoints.iter().map(|_| 1.0).collect(),
            ..PlaceMap::default()
        };
        for (name, weight) in weights.into_iter().flatten() {
            let weight = faults.or_default(from_0(key!["weights", name], *weight));
            let pool = self.scope.pools.iter().position(|p| p == name);
            match (pool, self.scope.endpoints.iter().position(|e| e == name)) {
                (Some(at), _) => out.pools[PoolId::nth(at)] = weight,
                (_, Some(at)) => out.endpoints[EndpointId::nth(at)] = weight,
                _ => {
                    let kind = "pool or endpoint of this policy";
                    faults.push(Fault::unknown(key!["weights", name], kind, name, self.scope.places()));
                }
            }
        }
        if faults.is_empty() && weights.is_some() && out.values().all(|w| *w == 0.0) {
            faults.push(Fault::at("weights", "all are 0").hint("at least one must be above 0"));
        }
        faults.finish(out)
    }

    /// How candidates are scored and picked, where either is given. Keys of faults: `scorers` and `picker`.
    fn scoring(
        &self,
        scorers: Option<&IndexMap<String, f64>>,
        section: Option<PickerSection>,
    ) -> Result<Option<Scoring>, Faults> {
        if scorers.is_none() && section.is_none() {
            return Ok(None);
        }
        let mut faults = Faults::default();
        let picker = faults.or_default(section.map_or_else(|| Ok(Picker::default()), picker));
        let mut out = Vec::new();
        for (name, weight) in scorers.into_iter().flatten() {
            let key = key!["scorers", name];
            let Some((_, scorer)) = SCORERS.iter().find(|(n, _)| n == name) else {
                faults.push(Fault::unknown(key, "scorer", name, SCORERS.iter().map(|s| s.0)));
                continue;
            };
            if picker.by_cost() && !scorer.is_cost() {
                let what = format!("`{name}` is a score, and the picker min_cost takes costs");
                faults.push(Fault::at(key.clone(), what).hint("use max, or another scorer"));
            }
            out.push((*scorer, faults.or_default(from_0(key, *weight))));
        }
        let out = faults.finish(out)?;
        if picker.by_score() && out.iter().map(|(_, w)| w).sum::<f64>() <= 0.0 {
            return Err(match scorers {
                Some(_) => Fault::at("scorers", "the weights add up to 0").hint("at least one must be above 0"),
                None => Fault::at("picker", "this picker takes scored candidates").hint("give scorers"),
            }
            .into());
        }
        if !picker.by_score() && !out.is_empty() {
            let fault = Fault::at("scorers", "the picker looks at no scores").hint("leave them out, or use max");
            return Err(fault.into());
        }
        Ok(Some(Scoring { scorers: out, picker }))
    }

    /// What a whole pipeline must keep.
    fn check(&mut self, pipeline: &Pipeline) -> Result<(), Faults> {
        let always = pipeline.rules.iter().position(|r| r.when.is_empty() && always_there(r.to));
        if let Some(first) = always
            && first + 1 < pipeline.rules.len()
        {
            let what = format!("rules[{first}] always holds before it; it is never asked and changes no figure");
            self.warnings.push(Fault::at(key!["rules", first + 1], what));
        }
        let of_policy = (key!["scorers"], &pipeline.scoring, false);
        let rules = pipeline.rules.iter().enumerate();
        let scorings = rules.filter_map(|(i, r)| scored(i, r, &pipeline.scoring)).chain([of_policy]);
        let mut faults = Faults::default();
        for (at, scoring, bought) in scorings {
            let Some((scorer, _)) = scoring.scorers.iter().find(|(s, _)| s.own_only()) else { continue };
            let name = SCORERS.iter().find(|(_, s)| s == scorer).map_or("", |(n, _)| n);
            let observed = format!("`{name}` is observed of own replicas only");
            if bought {
                faults.push(Fault::at(at, format!("{observed}, and the rule also chooses among endpoints")));
            } else if !self.scope.keeps_replicas() {
                faults.push(Fault::at(at, format!("{observed}, and this policy keeps none")));
            }
        }
        faults.finish(())
    }
}

/// Key and scoring of rule `i`, and whether it chooses among endpoints; none for a rule that scores nobody.
fn scored<'a>(i: usize, rule: &'a Rule, of_policy: &'a Scoring) -> Option<(KeyPath, &'a Scoring, bool)> {
    let buys = matches!(rule.to, Destination::Any | Destination::Bought);
    match &rule.scoring {
        Some(own) => Some((key!["rules", i, "scorers"], own, buys)),
        None => buys.then(|| (key!["scorers"], of_policy, true)),
    }
}

/// Whether a place has a candidate for every request that any backend of the policy may serve.
fn always_there(to: Destination) -> bool {
    matches!(to, Destination::Reject | Destination::Any)
}
