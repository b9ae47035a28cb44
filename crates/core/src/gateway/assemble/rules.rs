//! A rule, of its parts: where it sends, and when it holds. Keys of faults are counted from the rule's table.
use super::super::condition::{Bucket, Condition};
use super::super::expr::{self, Scope};
use super::super::parts::RuleSection;
use super::super::pipeline::{Destination, Rule};
use super::Maker;
use super::conditions::{budget, daily, milli, overflow, ppm, saturation};
use crate::types::check::{above_0, at_least_1, duration, in_range, longer_than_0, share};
use crate::types::key;
use crate::types::{EndpointId, Fault, Faults, KeyPath, PlaceId, PoolId, SimTime};

/// What `to` may be besides a pool or an endpoint.
const PLACES: [&str; 7] = ["own", "any", "bought", "cheapest", "fastest", "reject", "defer"];

impl Maker<'_> {
    /// The rule at `at`.
    pub(super) fn rule(&mut self, at: &KeyPath, r: &RuleSection) -> Result<Rule, Faults> {
        let mut faults = Faults::default();
        let to = faults.take(self.destination(r));
        let when = faults.or_default(self.when(at, r));
        let scoring = faults.or_default(self.scoring(r.scorers.as_ref(), r.picker));
        let Some(to) = to else { return Err(faults) };
        if r.within_limits && !matches!(to, Destination::Any | Destination::Bought) {
            let what = format!("it goes with to = \"any\" or \"bought\", not with \"{}\"", r.to);
            faults.push(Fault::at("within_limits", what));
        }
        if scoring.is_some()
            && !matches!(to, Destination::Own | Destination::Pool(_) | Destination::Any | Destination::Bought)
        {
            let what = format!("to = \"{}\" leaves nothing to score", r.to);
            faults.push(Fault::at("scorers", what).hint("leave them out"));
        }
        faults.finish(Rule { when, to, scoring, within_limits: r.within_limits })
    }

    /// A duration, or the experiment's TTFT objective by its name.
    fn objective(&self, key: &str, text: &str) -> Result<SimTime, Fault> {
        if text == "slo" { Ok(self.scope.slo_ttft.unwrap_or(SimTime::NEVER)) } else { duration(key, text) }
    }

    fn destination(&self, r: &RuleSection) -> Result<Destination, Fault> {
        let to = r.to.as_str();
        let within = match &r.within {
            Some(text) if to == "cheapest" => self.objective("within", text)?,
            Some(_) => {
                let what = format!("it goes with to = \"cheapest\", not with \"{to}\"");
                return Err(Fault::at("within", what));
            }
            None => SimTime::NEVER,
        };
        if let Some((key, _)) = [("until", &r.until), ("wait", &r.wait)].into_iter().find(|(_, given)| given.is_some())
            && to != "defer"
        {
            return Err(Fault::at(key, format!("it goes with to = \"defer\", not with \"{to}\"")));
        }
        if ["bought", "cheapest", "fastest"].contains(&to) && self.scope.endpoints.is_empty() {
            return Err(Fault::at("to", format!("it is \"{to}\", and this policy has no endpoint")));
        }
        Ok(match to {
            "own" if !self.scope.keeps_replicas() => {
                return Err(Fault::at("to", "it is \"own\", and this policy keeps no replica"));
            }
            "own" => Destination::Own,
            "any" => Destination::Any,
            "bought" => Destination::Bought,
            "cheapest" => Destination::Cheapest(within),
            "fastest" => Destination::Fastest,
            "reject" => Destination::Reject,
            "defer" => deferred(r)?,
            "" => {
                let hint = format!("give {}, or the name of a pool or an endpoint", PLACES.join(", "));
                return Err(Fault::at("to", "it is missing").hint(hint));
            }
            name => return self.named(name),
        })
    }

    /// The policy's pool or endpoint of this name.
    fn named(&self, name: &str) -> Result<Destination, Fault> {
        let k = self.scope;
        if let Some(pool) = k.pools.iter().position(|p| p == name) {
            if k.replicas[pool] == 0 {
                let what = format!("this policy keeps no replica of pool `{name}`");
                return Err(Fault::at("to", what).hint("keep one, or send nothing there"));
            }
            return Ok(Destination::Pool(PoolId::nth(pool)));
        }
        let endpoint = k.endpoints.iter().position(|e| e == name);
        endpoint
            .map(|e| Destination::Endpoint(EndpointId::nth(e)))
            .ok_or_else(|| Fault::unknown("to", "place of this policy", name, k.places().chain(PLACES)))
    }

    /// All conditions of the rule at `at`.
    fn when(&mut self, at: &KeyPath, r: &RuleSection) -> Result<Vec<Condition>, Faults> {
        let mut faults = Faults::default();
        let mut when = Vec::new();
        when.extend(faults.or_default(self.expression(at, r.when.as_deref())));
        let mut add = |made: Option<Result<Condition, Faults>>| when.extend(made.and_then(|m| faults.take(m)));
        add(r.overflow.as_ref().map(|o| overflow(o).map_err(|f| f.under("overflow"))));
        add(r.baseload.as_ref().map(|b| bucket(b.requests_per_s, b.burst).map_err(|f| f.under("baseload"))));
        add(r.daily.as_ref().map(|d| daily(d).map_err(|f| f.under("daily"))));
        add(r.budget.as_ref().map(|b| budget(b).map_err(|f| f.under("budget"))));
        add(r.need.as_ref().map(|n| Ok(Condition::Need(self.need(n, &r.to)?))));
        add(r.imbalance.as_ref().map(|i| {
            let holds = i.rel.is_finite() && i.rel >= 1.0;
            let rel = in_range(key!["imbalance", "rel"], i.rel, holds, "it must be at least 1")?;
            Ok(Condition::Imbalance { abs: i.abs, rel_milli: milli(rel) })
        }));
        add(r.prefix_hit.map(|x| Ok(Condition::PrefixHit { min_ppm: ppm(share("prefix_hit", x)?) })));
        add(r
            .predicted_ttft
            .as_ref()
            .map(|text| Ok(Condition::PredictedWithin(self.objective("predicted_ttft", text)?))));
        add(r.endpoint_faster.then_some(Ok(Condition::EndpointFaster)));
        add(r.saturation.as_ref().map(|s| saturation(s).map_err(|f| f.under("saturation"))));
        faults.finish(when)
    }

    /// The condition in CEL; none where it is always true.
    fn expression(&mut self, at: &KeyPath, text: Option<&str>) -> Result<Option<Condition>, Fault> {
        let Some(text) = text else { return Ok(None) };
        let k = self.scope;
        let scope = Scope { pools: &k.pools, endpoints: &k.endpoints, classes: &k.classes };
        let lowered = expr::compile(text, &scope).map_err(|fault| fault.under("when"))?;
        if lowered.constant == Some(false) {
            let what = "it is never true; the rule never holds and changes no figure";
            self.warnings.push(Fault::at("when", what).under(at.clone()));
        }
        Ok((lowered.constant != Some(true)).then_some(Condition::Expr(lowered.program)))
    }
}

fn deferred(r: &RuleSection) -> Result<Destination, Fault> {
    match (&r.until, &r.wait) {
        (Some(text), None) => {
            let (clock, day) = (duration("until", text)?, SimTime::from_secs(86_400));
            in_range("until", text, clock < day, "it must lie within a day of 24 h")?;
            Ok(Destination::DeferUntil { clock, day })
        }
        (None, Some(text)) => Ok(Destination::DeferFor(longer_than_0("wait", text)?)),
        _ => Err(Fault::at("to", "it is \"defer\"").hint("give either until or wait")),
    }
}

fn bucket(requests_per_s: f64, burst: u64) -> Result<Condition, Faults> {
    let mut faults = Faults::default();
    let rate = faults.or_default(above_0("requests_per_s", requests_per_s));
    let burst = faults.or_default(at_least_1("burst", burst));
    faults.finish(Condition::Bucket(Bucket { rate_micro: ppm(rate), burst }))
}
