//! Makes a pipeline of its parts: names looked up, numbers checked, conditions understood. Faults are `key: words`, the key
//! counted from the policy's table.
use super::condition::{Bucket, Condition, Daily, Overflow, Saturation};
use super::expr::{self, Scope};
use super::index::{BlockRule, PrefixRule};
use super::parts::{
    DailySection, FullSection, KvCostSection, Parts, PickerSection, PrefixSection, RuleSection, SaturationSection,
    TiesSection,
};
use super::pick::{Picker, Ties};
use super::pipeline::{Pipeline, Place, Rule, Scoring};
use super::quality::Answers;
use super::score::{KvCost, SCORERS, Scorer};
use crate::catalog::nearest;
use crate::types::{SimTime, Usd, parse_duration};
use indexmap::IndexMap;
use std::sync::Arc;

mod needs;

/// What a policy's parts may name.
#[derive(Debug, Clone, Default)]
pub struct Known {
    /// The policy's pools, in order.
    pub pools: Vec<String>,
    /// Replicas that it keeps of each.
    pub replicas: Vec<u32>,
    /// Its endpoints, in order.
    pub endpoints: Vec<String>,
    /// Classes, in order.
    pub classes: Vec<String>,
    /// The experiment's TTFT objective.
    pub slo_ttft: Option<SimTime>,
    /// How good answers are, by the name of the pool or endpoint, where that is given.
    pub quality: Vec<(String, Arc<Answers>)>,
}

/// A pipeline, and what its author should know.
#[derive(Debug, Clone, PartialEq)]
pub struct Assembled {
    /// The pipeline.
    pub pipeline: Pipeline,
    /// `key: words`.
    pub warnings: Vec<String>,
}

fn duration(key: &str, text: &str) -> Result<SimTime, String> {
    parse_duration(text).map_err(|e| format!("{key}: {e}"))
}
fn longer(key: &str, text: &str) -> Result<SimTime, String> {
    match duration(key, text)? {
        SimTime::ZERO => Err(format!("{key} is 0; it must be longer")),
        time => Ok(time),
    }
}
fn share(key: &str, x: f64) -> Result<f64, String> {
    if (0.0..=1.0).contains(&x) { Ok(x) } else { Err(format!("{key} is {x}; it must lie between 0 and 1")) }
}
fn above_0(key: &str, x: f64) -> Result<f64, String> {
    if x.is_finite() && x > 0.0 { Ok(x) } else { Err(format!("{key} is {x}; it must be above 0")) }
}
fn from_0(key: &str, x: f64) -> Result<f64, String> {
    if x.is_finite() && x >= 0.0 { Ok(x) } else { Err(format!("{key} is {x}; it must be a number from 0")) }
}
fn milli(x: f64) -> u64 {
    (x * 1e3).round() as u64
}
fn ppm(x: f64) -> u64 {
    (x * 1e6).round() as u64
}

/// `unknown KIND ...`, with the nearest of the known names or all of them.
fn unknown<'a>(kind: &str, name: &str, known: impl Iterator<Item = &'a str>) -> String {
    let known: Vec<&str> = known.collect();
    match nearest(name, &known) {
        Some(near) => format!("unknown {kind} `{name}`; did you mean `{near}`?"),
        None if known.is_empty() => format!("unknown {kind} `{name}`; there is none"),
        None => format!("unknown {kind} `{name}`; there are {}", known.join(", ")),
    }
}

impl Parts {
    /// The pipeline of these parts.
    ///
    /// # Errors
    /// The first fault.
    pub fn assemble(&self, known: &Known) -> Result<Assembled, String> {
        let mut maker = Maker { known, warnings: Vec::new() };
        let weights = maker.weights(self.weights.as_ref())?;
        let scoring = maker.scoring("", self.scorers.as_ref(), self.picker)?;
        let rules = self.rules.iter().enumerate();
        let rules = rules.map(|(i, r)| maker.rule(&format!("rules[{i}]"), r)).collect::<Result<Vec<_>, _>>()?;
        let pipeline = Pipeline {
            rules,
            scoring: scoring.unwrap_or_else(|| Pipeline::best(Scorer::Outstanding).scoring),
            prefixes: prefixes(self.prefix.unwrap_or_default())?,
            kv_cost: kv_cost(self.kv_cost.unwrap_or_default())?,
            weights,
        };
        maker.check(&pipeline)?;
        Ok(Assembled { pipeline, warnings: maker.warnings })
    }
}

fn prefixes(p: PrefixSection) -> Result<PrefixRule, String> {
    if p.tree {
        return Ok(PrefixRule::Tree);
    }
    for (key, value) in [("block_tokens", p.block_tokens), ("blocks", p.blocks)] {
        if value == 0 {
            return Err(format!("prefix.{key} is 0; it must be at least 1"));
        }
    }
    Ok(PrefixRule::Blocks(BlockRule { block_tokens: p.block_tokens, blocks: p.blocks, max_tokens: p.max_tokens }))
}

fn kv_cost(c: KvCostSection) -> Result<KvCost, String> {
    if c.block_tokens == 0 {
        return Err("kv_cost.block_tokens is 0; it must be at least 1".into());
    }
    Ok(KvCost {
        block_tokens: c.block_tokens,
        overlap_credit: from_0("kv_cost.overlap_credit", c.overlap_credit)?,
        prefill_scale: from_0("kv_cost.prefill_scale", c.prefill_scale)?,
        active_weight: from_0("kv_cost.active_weight", c.active_weight)?,
    })
}

fn picker(key: &str, p: PickerSection) -> Result<Picker, String> {
    Ok(match p {
        PickerSection::Max => Picker::Max,
        PickerSection::MaxRandom => Picker::MaxRandom,
        PickerSection::WeightedRandom => Picker::WeightedRandom,
        PickerSection::PowerOfTwo => Picker::PowerOfTwo,
        PickerSection::RoundRobin => Picker::RoundRobin,
        PickerSection::Random => Picker::Random,
        PickerSection::MinCost(m) => Picker::MinCost {
            temperature: from_0(&format!("{key}.min_cost.temperature"), m.temperature)?,
            ties: match m.ties {
                TiesSection::Lowest => Ties::Lowest,
                TiesSection::Random => Ties::Random,
                TiesSection::Rotate => Ties::Rotate,
            },
        },
    })
}

struct Maker<'a> {
    known: &'a Known,
    warnings: Vec<String>,
}

impl Maker<'_> {
    fn weights(&self, weights: Option<&IndexMap<String, f64>>) -> Result<(Vec<f64>, Vec<f64>), String> {
        let mut out = (vec![1.0; self.known.pools.len()], vec![1.0; self.known.endpoints.len()]);
        for (name, weight) in weights.into_iter().flatten() {
            let weight = from_0(&format!("weights.{name}"), *weight)?;
            let pool = self.known.pools.iter().position(|p| p == name);
            match (pool, self.known.endpoints.iter().position(|e| e == name)) {
                (Some(at), _) => out.0[at] = weight,
                (_, Some(at)) => out.1[at] = weight,
                _ => {
                    let all = self.known.pools.iter().chain(&self.known.endpoints).map(String::as_str);
                    return Err(format!("weights: {}", unknown("pool or endpoint of this policy", name, all)));
                }
            }
        }
        if weights.is_some() && out.0.iter().chain(&out.1).all(|w| *w == 0.0) {
            return Err("weights are all 0; at least one must be above 0".into());
        }
        Ok(out)
    }

    fn scoring(
        &self,
        at: &str,
        scorers: Option<&IndexMap<String, f64>>,
        section: Option<PickerSection>,
    ) -> Result<Option<Scoring>, String> {
        let key = |k: &str| if at.is_empty() { k.to_string() } else { format!("{at}.{k}") };
        let picker = section.map(|p| picker(&key("picker"), p)).transpose()?;
        if scorers.is_none() && picker.is_none() {
            return Ok(None);
        }
        let picker = picker.unwrap_or_default();
        let mut out = Vec::new();
        for (name, weight) in scorers.into_iter().flatten() {
            let Some((_, scorer)) = SCORERS.iter().find(|(n, _)| n == name) else {
                return Err(format!("{}: {}", key("scorers"), unknown("scorer", name, SCORERS.iter().map(|s| s.0))));
            };
            if picker.by_cost() && !scorer.is_cost() {
                return Err(format!(
                    "{}.{name}: `{name}` is a score, and the picker min_cost takes costs: use max, or another scorer",
                    key("scorers")
                ));
            }
            out.push((*scorer, from_0(&format!("{}.{name}", key("scorers")), *weight)?));
        }
        if picker.by_score() && out.iter().map(|(_, w)| w).sum::<f64>() <= 0.0 {
            return Err(match scorers {
                Some(_) => format!("{}: the weights add up to 0; at least one must be above 0", key("scorers")),
                None => format!("{}: this picker takes scored candidates; give {}", key("picker"), key("scorers")),
            });
        }
        if !picker.by_score() && !out.is_empty() {
            return Err(format!("{}: the picker looks at no scores; leave them out, or use max", key("scorers")));
        }
        Ok(Some(Scoring { scorers: out, picker }))
    }

    fn objective(&self, key: &str, text: &str) -> Result<SimTime, String> {
        if text == "slo" { Ok(self.known.slo_ttft.unwrap_or(SimTime::NEVER)) } else { duration(key, text) }
    }

    fn rule(&mut self, at: &str, r: &RuleSection) -> Result<Rule, String> {
        let to = self.place(at, r)?;
        let when = self.when(at, r)?;
        if r.within_limits && !matches!(to, Place::Any | Place::Bought) {
            return Err(format!("{at}.within_limits goes with to = \"any\" or \"bought\", not with \"{}\"", r.to));
        }
        let scoring = self.scoring(at, r.scorers.as_ref(), r.picker)?;
        if scoring.is_some() && !matches!(to, Place::Own | Place::Pool(_) | Place::Any | Place::Bought) {
            return Err(format!("{at}.scorers: to = \"{}\" leaves nothing to score; leave them out", r.to));
        }
        Ok(Rule { when, to, scoring, within_limits: r.within_limits })
    }

    fn place(&self, at: &str, r: &RuleSection) -> Result<Place, String> {
        let within = match (&r.within, r.to.as_str()) {
            (Some(text), "cheapest") => self.objective(&format!("{at}.within"), text)?,
            (Some(_), to) => return Err(format!("{at}.within goes with to = \"cheapest\", not with \"{to}\"")),
            (None, _) => SimTime::NEVER,
        };
        if r.to != "defer" && (r.until.is_some() || r.wait.is_some()) {
            return Err(format!("{at}.to is \"{}\"; until and wait go with \"defer\"", r.to));
        }
        let named = ["own", "any", "bought", "cheapest", "fastest", "reject", "defer"];
        let bought = ["bought", "cheapest", "fastest"].contains(&r.to.as_str());
        if bought && self.known.endpoints.is_empty() {
            return Err(format!("{at}.to is \"{}\", and this policy has no endpoint", r.to));
        }
        if r.to == "own" && self.known.replicas.iter().all(|n| *n == 0) {
            return Err(format!("{at}.to is \"own\", and this policy keeps no replica"));
        }
        Ok(match r.to.as_str() {
            "own" => Place::Own,
            "any" => Place::Any,
            "bought" => Place::Bought,
            "cheapest" => Place::Cheapest(within),
            "fastest" => Place::Fastest,
            "reject" => Place::Reject,
            "defer" => match (&r.until, &r.wait) {
                (Some(text), None) => {
                    let (clock, day) = (duration(&format!("{at}.until"), text)?, SimTime::from_secs(86_400));
                    if clock >= day {
                        return Err(format!("{at}.until is {text}; it must lie within a day of 24 h"));
                    }
                    Place::DeferUntil { clock, day }
                }
                (None, Some(text)) => Place::DeferFor(longer(&format!("{at}.wait"), text)?),
                _ => return Err(format!("{at}.to is \"defer\"; give either until or wait")),
            },
            "" => {
                return Err(format!("{at}.to is missing: {}, or the name of a pool or an endpoint", named.join(", ")));
            }
            name => match self.known.pools.iter().position(|p| p == name) {
                Some(pool) if self.known.replicas[pool] == 0 => {
                    return Err(format!(
                        "{at}.to: this policy keeps no replica of pool `{name}`; no request may use it"
                    ));
                }
                Some(pool) => Place::Pool(pool as u32),
                None => match self.known.endpoints.iter().position(|e| e == name) {
                    Some(endpoint) => Place::Endpoint(endpoint as u32),
                    None => {
                        let ours = self.known.pools.iter().chain(&self.known.endpoints).map(String::as_str);
                        return Err(format!("{at}.to: {}", unknown("place", name, ours.chain(named))));
                    }
                },
            },
        })
    }

    fn when(&mut self, at: &str, r: &RuleSection) -> Result<Vec<Condition>, String> {
        let key = |k: &str| format!("{at}.{k}");
        let mut when = Vec::new();
        if let Some(text) = &r.when {
            let k = self.known;
            let scope = Scope { pools: &k.pools, endpoints: &k.endpoints, classes: &k.classes };
            let lowered = expr::compile(text, &scope)
                .map_err(|f| format!("{}[{}..{}]: {}", key("when"), f.at.start, f.at.end, f.what))?;
            match lowered.constant {
                Some(false) => self.warnings.push(format!("{}: it is never true; the rule never holds", key("when"))),
                Some(true) => {}
                None => when.push(Condition::Expr(lowered.program.clone())),
            }
            if lowered.constant == Some(false) {
                when.push(Condition::Expr(lowered.program));
            }
        }
        if let Some(o) = &r.overflow {
            when.push(overflow(&key("overflow"), o)?);
        }
        if let Some(b) = &r.baseload {
            let rate = above_0(&key("baseload.requests_per_s"), b.requests_per_s)?;
            if b.burst == 0 {
                return Err(format!("{} is 0; it must be at least 1", key("baseload.burst")));
            }
            when.push(Condition::Bucket(Bucket { rate_micro: ppm(rate), burst: b.burst }));
        }
        if let Some(d) = &r.daily {
            when.push(daily(&key("daily"), d)?);
        }
        if let Some(b) = &r.budget {
            let money = Usd::from_number(b.usd_per_day).map_err(|e| format!("{}: {e}", key("budget.usd_per_day")))?;
            if money <= Usd::ZERO {
                return Err(format!("{} is {}; it must be above 0", key("budget.usd_per_day"), b.usd_per_day));
            }
            when.push(Condition::Budget { per_day_pico: money.0, day: longer(&key("budget.day"), &b.day)? });
        }
        if let Some(n) = &r.need {
            when.push(Condition::Need(self.need(at, n, &r.to)?));
        }
        if let Some(i) = &r.imbalance {
            if !(i.rel.is_finite() && i.rel >= 1.0) {
                return Err(format!("{} is {}; it must be at least 1", key("imbalance.rel"), i.rel));
            }
            when.push(Condition::Imbalance { abs: i.abs, rel_milli: milli(i.rel) });
        }
        if let Some(x) = r.prefix_hit {
            when.push(Condition::PrefixHit { min_ppm: ppm(share(&key("prefix_hit"), x)?) });
        }
        if let Some(text) = &r.predicted_ttft {
            when.push(Condition::PredictedWithin(self.objective(&key("predicted_ttft"), text)?));
        }
        if r.endpoint_faster {
            when.push(Condition::EndpointFaster);
        }
        if let Some(s) = &r.saturation {
            when.push(saturation(&key("saturation"), s)?);
        }
        Ok(when)
    }

    /// What a whole pipeline must keep.
    fn check(&mut self, pipeline: &Pipeline) -> Result<(), String> {
        let always = pipeline.rules.iter().position(|r| r.when.is_empty() && self.always_there(r.to));
        if let Some(first) = always
            && first + 1 < pipeline.rules.len()
        {
            self.warnings
                .push(format!("rules[{}]: rules[{first}] always holds before it; it is never asked", first + 1));
        }
        let own = self.known.replicas.iter().any(|n| *n > 0);
        let rules = pipeline.rules.iter().enumerate();
        let scorings = rules.filter_map(|(i, r)| {
            let of_rule = r.scoring.as_ref();
            let scored = matches!(r.to, Place::Any | Place::Bought) || of_rule.is_some();
            scored.then(|| {
                let at = if of_rule.is_some() { format!("rules[{i}].scorers") } else { "scorers".into() };
                (at, of_rule.unwrap_or(&pipeline.scoring), matches!(r.to, Place::Any | Place::Bought))
            })
        });
        for (at, scoring, bought) in scorings.chain([("scorers".to_string(), &pipeline.scoring, false)]) {
            let Some((scorer, _)) = scoring.scorers.iter().find(|(s, _)| s.own_only()) else { continue };
            let name = SCORERS.iter().find(|(_, s)| s == scorer).map_or("", |(n, _)| n);
            if bought {
                return Err(format!(
                    "{at}: `{name}` is observed of own replicas only, and the rule also chooses among endpoints"
                ));
            }
            if !own {
                return Err(format!("{at}: `{name}` is observed of own replicas only, and this policy keeps none"));
            }
        }
        Ok(())
    }

    /// Whether a place has a candidate for every request that any backend of the policy may serve.
    fn always_there(&self, to: Place) -> bool {
        matches!(to, Place::Reject | Place::Any)
    }
}

fn overflow(key: &str, o: &FullSection) -> Result<Condition, String> {
    let at = |k: &str| format!("{key}.{k}");
    if o.waiting_per_replica.is_none() && o.kv_use.is_none() && o.predicted_ttft.is_none() {
        return Err(format!("{key} has no threshold: give waiting_per_replica, kv_use or predicted_ttft"));
    }
    let waiting = o.waiting_per_replica.map(|x| above_0(&at("waiting_per_replica"), x)).transpose()?;
    Ok(Condition::Overflow(Overflow {
        waiting_per_replica_milli: waiting.map(milli),
        kv_use_ppm: o.kv_use.map(|x| share(&at("kv_use"), x)).transpose()?.map(ppm),
        predicted_ttft: o.predicted_ttft.as_ref().map(|t| longer(&at("predicted_ttft"), t)).transpose()?,
        hysteresis_milli: milli(share(&at("hysteresis"), o.hysteresis)?),
    }))
}

fn daily(key: &str, d: &DailySection) -> Result<Condition, String> {
    let at = |k: &str| format!("{key}.{k}");
    let day = longer(&at("day"), &d.day)?;
    let clock = |k: &str, text: &str| match duration(&at(k), text)? {
        time if time > day => Err(format!("{} is {text}; it must lie within the day of {}", at(k), d.day)),
        time => Ok(time),
    };
    let (from, to) = (clock("from", &d.from)?, clock("to", &d.to)?);
    if from == to {
        return Err(format!("{key}: from and to are both {}; the part of the day is empty", d.from));
    }
    Ok(Condition::Daily(Daily { from, to, day, offset: clock("offset", &d.offset)? }))
}

fn saturation(key: &str, s: &SaturationSection) -> Result<Condition, String> {
    let kv_use = above_0(&format!("{key}.kv_use"), share(&format!("{key}.kv_use"), s.kv_use)?)?;
    if s.waiting == 0 {
        return Err(format!("{key}.waiting is 0; it must be at least 1"));
    }
    Ok(Condition::Saturated(Saturation {
        queue: s.waiting,
        kv_use_ppm: ppm(kv_use) as u32,
        stale_after: duration(&format!("{key}.stale_after"), &s.stale_after)?,
    }))
}
