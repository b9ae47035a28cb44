//! A policy as a composition: rules (the first that matches wins), scorers (weighted), a picker. Constraints have already
//! dropped the backends that may not serve the request.
use super::condition::Condition;
use super::index::{BlockRule, PrefixRule};
use super::pick::Picker;
use super::score::{KvCost, Scorer};
use super::view::Needs;
use crate::types::{EndpointId, PlaceMap, PoolId, SimTime};

/// How candidates are ranked, and how one of them is taken.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Scoring {
    /// What each candidate's score is the weighted sum of.
    pub scorers: Vec<(Scorer, f64)>,
    /// Who is taken.
    pub picker: Picker,
}

/// Where a rule sends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Destination {
    /// To an own replica, by scoring.
    Own,
    /// To a replica of this pool, by scoring.
    Pool(PoolId),
    /// To an own replica or an endpoint, by scoring.
    Any,
    /// To an endpoint, by scoring.
    Bought,
    /// To this endpoint.
    Endpoint(EndpointId),
    /// To the cheapest endpoint by expected bill, of those whose p90 TTFT is at most this.
    Cheapest(SimTime),
    /// To the endpoint with the lowest p90 TTFT.
    Fastest,
    /// Nowhere: the request is shed.
    Reject,
    /// To be asked again when the day's clock next shows this since the request arrived; no match after that.
    DeferUntil {
        /// Time of the day.
        clock: SimTime,
        /// Length of a day.
        day: SimTime,
    },
    /// To be asked again so long after the request's arrival; no match after that.
    DeferFor(SimTime),
}

impl Destination {
    /// Whether it may name an endpoint.
    fn buys(self) -> bool {
        match self {
            Destination::Any
            | Destination::Bought
            | Destination::Endpoint(_)
            | Destination::Cheapest(_)
            | Destination::Fastest => true,
            Destination::Own
            | Destination::Pool(_)
            | Destination::Reject
            | Destination::DeferUntil { .. }
            | Destination::DeferFor(_) => false,
        }
    }
}

/// Sends what meets all its conditions to a place, if the place has a candidate.
#[derive(Debug, Clone, PartialEq)]
pub struct Rule {
    /// Conditions that must all hold for the rule; without any it always holds.
    pub when: Vec<Condition>,
    /// Where requests go that meet the rule's conditions.
    pub to: Destination,
    /// Scoring of this rule; `None`: the policy's.
    pub scoring: Option<Scoring>,
    /// Leaves out endpoints whose limits of the minute the request would reach (LiteLLM's usage-based routing: `tpm + input >
    /// limit` or `rpm + 1 >= limit`).
    pub within_limits: bool,
}

/// A policy's parts, names resolved to indices. What no rule matches goes to an own replica by scoring, where one is ready,
/// and else to the cheapest endpoint.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Pipeline {
    /// In order.
    pub rules: Vec<Rule>,
    /// For rules without their own, and for what no rule matches.
    pub scoring: Scoring,
    /// How prefixes that were sent are remembered, where a part asks for them.
    pub prefixes: PrefixRule,
    /// Constants of the scorer `kv_cost`.
    pub kv_cost: KvCost,
    /// Static weights of pools' replicas and of endpoints, for the scorer `weight`; 1 where none is given.
    pub weights: PlaceMap<f64>,
}

impl Pipeline {
    /// Own replicas only by this scorer, the highest score first.
    pub fn best(scorer: Scorer) -> Pipeline {
        let scoring = Scoring { scorers: vec![(scorer, 1.0)], picker: Picker::Max };
        Pipeline { scoring, ..Pipeline::default() }
    }
    fn scorings(&self) -> impl Iterator<Item = &Scoring> {
        self.rules.iter().filter_map(|r| r.scoring.as_ref()).chain([&self.scoring])
    }
    /// All scorers that may be asked.
    pub fn scorers(&self) -> impl Iterator<Item = Scorer> + '_ {
        self.scorings().flat_map(|s| s.scorers.iter().map(|(scorer, _)| *scorer))
    }
    /// What it reads.
    pub fn needs(&self) -> Needs {
        let mut needs = Needs::default();
        for rule in &self.rules {
            rule.when.iter().for_each(|c| c.add_needs(&mut needs));
            needs.endpoints |= rule.to.buys();
        }
        needs.feedback |= self.rules.iter().any(|r| r.within_limits);
        for scorer in self.scorers() {
            scorer.add_needs(&mut needs);
        }
        needs
    }
    /// The index of prefixes it needs, if any part reads one.
    pub fn prefix_rule(&self) -> Option<PrefixRule> {
        let scored = self.scorers().any(|s| matches!(s, Scorer::Prefix | Scorer::KvCost));
        let asked = self.rules.iter().flat_map(|r| &r.when).any(|c| matches!(c, Condition::PrefixHit { .. }));
        (scored || asked).then_some(self.prefixes)
    }
}

impl Default for PrefixRule {
    fn default() -> Self {
        PrefixRule::Blocks(BlockRule::default())
    }
}
