//! A pipeline at work: its parts, and what they remember.
use super::condition::{Condition, State};
use super::history::History;
use super::pick::Picker;
use super::pipeline::{Destination, Pipeline, Rule, Scoring};
use super::score::{Scored, Scorer, to_scores};
use super::view::{Decide, Decision, Draws, EndpointView, Feedback, GatewayView, Needs};
use crate::types::{Place, ReplicaId, SimTime};

/// See the module head.
pub struct Policy {
    parts: Pipeline,
    /// By rule, of each of its conditions.
    states: Vec<Vec<State>>,
    /// Decisions of each rule's scoring and, last, of the policy's.
    turns: Vec<u64>,
    history: History,
    scratch: Scratch,
}

/// Reused, so that decisions do not allocate.
#[derive(Default)]
struct Scratch {
    own: Vec<ReplicaId>,
    bought: Vec<EndpointView>,
    scores: Vec<f64>,
    one: Vec<f64>,
}

impl Policy {
    /// A fresh policy.
    pub fn new(parts: Pipeline) -> Policy {
        let conditions = || parts.rules.iter().flat_map(|r| &r.when);
        let day = conditions().find_map(|c| match c {
            Condition::Budget { day, .. } => Some(*day),
            _ => None,
        });
        let since_sample = parts.scorers().any(|s| s == Scorer::VllmDp);
        Policy {
            states: parts.rules.iter().map(|r| vec![State::default(); r.when.len()]).collect(),
            turns: vec![0; parts.rules.len() + 1],
            history: History::new(parts.prefix_rule(), day, since_sample),
            scratch: Scratch::default(),
            parts,
        }
    }

    /// Whether a rule's conditions all hold.
    fn holds(&mut self, i: usize, view: &GatewayView<'_>, draws: &Draws) -> bool {
        let conditions = self.parts.rules[i].when.iter().zip(&mut self.states[i]);
        let history = &mut self.history;
        conditions.fold(true, |all, (condition, state)| all && condition.holds(state, view, history, draws))
    }

    /// What is decided for a request whose destination is `to`, by the scoring of `rule` if it has one; `None` where `to`
    /// has no candidate.
    fn choose(
        &mut self,
        to: Destination,
        rule: Option<usize>,
        view: &GatewayView<'_>,
        draws: &mut Draws,
    ) -> Option<Decision> {
        let endpoint = |e: &EndpointView| Decision::Send(e.endpoint.into());
        match to {
            Destination::Own => self.pick(rule, view, view.own, &[], draws),
            Destination::Any | Destination::Bought => {
                let own = if to == Destination::Any { view.own } else { &[] };
                if !rule.is_some_and(|i| self.parts.rules[i].within_limits) {
                    return self.pick(rule, view, own, view.bought, draws);
                }
                let mut bought = std::mem::take(&mut self.scratch.bought);
                bought.clear();
                bought.extend(view.bought.iter().filter(|e| self.history.within_limits(view, e)));
                let decision = self.pick(rule, view, own, &bought, draws);
                self.scratch.bought = bought;
                decision
            }
            Destination::Pool(pool) => {
                let mut own = std::mem::take(&mut self.scratch.own);
                own.clear();
                own.extend(view.own.iter().filter(|r| view.signals.pool_of(**r) == pool));
                let decision = self.pick(rule, view, &own, &[], draws);
                self.scratch.own = own;
                decision
            }
            Destination::Endpoint(to) => view.bought.iter().find(|e| e.endpoint == to).map(endpoint),
            Destination::Cheapest(within) => {
                let in_time = view.bought.iter().filter(|e| e.ttft_p90 <= within);
                in_time.min_by_key(|e| (e.expected_cost_pico, e.endpoint)).map(endpoint)
            }
            Destination::Fastest => view.bought.iter().min_by_key(|e| (e.ttft_p90, e.endpoint)).map(endpoint),
            Destination::Reject => Some(Decision::Reject),
            Destination::DeferFor(time) => later(view, view.request.arrival + time),
            Destination::DeferUntil { clock, day } => {
                let arrival = view.request.arrival;
                let shown = arrival.0 % day.0;
                let wait = if clock.0 > shown { clock.0 - shown } else { clock.0 + day.0 - shown };
                later(view, arrival + SimTime(wait))
            }
        }
    }

    /// Scores candidates and takes one.
    fn pick(
        &mut self,
        rule: Option<usize>,
        view: &GatewayView<'_>,
        own: &[ReplicaId],
        bought: &[EndpointView],
        draws: &mut Draws,
    ) -> Option<Decision> {
        let n = own.len() + bought.len();
        if n == 0 {
            return None;
        }
        let of_rule = rule.and_then(|i| self.parts.rules[i].scoring.as_ref().map(|s| (i, s)));
        let (turn, scoring) = of_rule.unwrap_or((self.parts.rules.len(), &self.parts.scoring));
        if bought.is_empty()
            && matches!(scoring.scorers[..], [(Scorer::Outstanding, _)])
            && scoring.picker == Picker::Max
        {
            return Some(Decision::Send(fewest(view, own).into()));
        }
        let Scratch { scores, one, .. } = &mut self.scratch;
        scores.clear();
        scores.resize(n, 0.0);
        if scoring.picker.by_score() && n > 1 {
            let Pipeline { kv_cost, weights, .. } = &self.parts;
            let scored = Scored { view, own, bought, kv_cost, weights };
            score(scoring, &scored, &mut self.history, scores, one);
        }
        let at = scoring.picker.pick(scores, &mut self.turns[turn], draws);
        Some(match own.get(at) {
            Some(&replica) => Decision::Send(replica.into()),
            None => Decision::Send(bought[at - own.len()].endpoint.into()),
        })
    }

    fn by_rules(&mut self, view: &GatewayView<'_>, draws: &mut Draws) -> Option<Decision> {
        for i in 0..self.parts.rules.len() {
            if self.holds(i, view, draws)
                && let Some(decision) = self.choose(self.parts.rules[i].to, Some(i), view, draws)
            {
                let rule: &Rule = &self.parts.rules[i];
                rule.when.iter().zip(&mut self.states[i]).for_each(|(c, state)| c.used(state, view.now));
                return Some(decision);
            }
        }
        None
    }
}

/// The commonest scoring without scores: the fewest requests under way, the first among equals.
fn fewest(view: &GatewayView<'_>, own: &[ReplicaId]) -> ReplicaId {
    let outstanding = view.signals.outstanding();
    let mut best = (u32::MAX, ReplicaId(u32::MAX));
    for &replica in own {
        best = best.min((outstanding[replica], replica));
    }
    best.1
}

fn later(view: &GatewayView<'_>, at: SimTime) -> Option<Decision> {
    (at > view.now).then_some(Decision::Defer(at))
}

/// Adds up what a scoring's scorers give the candidates: weighted scores, or weighted costs for a picker that takes those.
fn score(scoring: &Scoring, scored: &Scored<'_, '_>, history: &mut History, total: &mut [f64], one: &mut Vec<f64>) {
    let by_cost = scoring.picker.by_cost();
    for (scorer, weight) in &scoring.scorers {
        one.clear();
        one.resize(total.len(), 0.0);
        scorer.observe(scored, history, one);
        if scorer.is_cost() && !by_cost {
            to_scores(one);
        }
        total.iter_mut().zip(&*one).for_each(|(sum, x)| *sum += weight * x);
    }
}

impl Decide for Policy {
    fn needs(&self) -> Needs {
        self.parts.needs()
    }

    fn decide(&mut self, view: &GatewayView<'_>, draws: &mut Draws) -> Decision {
        if view.own.is_empty() && view.bought.is_empty() {
            return view.without_own();
        }
        self.history.begin(view.signals);
        let decision = self
            .by_rules(view, draws)
            .or_else(|| self.pick(None, view, view.own, &[], draws))
            .unwrap_or_else(|| view.without_own());
        if let Decision::Send(Place::Replica(replica)) = decision {
            self.history.goes_to(view, replica);
        }
        decision
    }

    fn learn(&mut self, feedback: &Feedback) {
        self.history.learn(feedback);
    }

    fn forget(&mut self, place: Place) {
        self.history.forget(place);
    }
}

#[cfg(test)]
#[path = "policy_tests.rs"]
mod tests;
