//! A policy, resolved: the fleet that it keeps, what it may buy, how it routes.
use super::*;
use baseload_core::gateway::{Expand, Known, Parts, Routing, RuleSection, parts_of};

impl ResolvedPolicy {
    /// Whether it may send to an endpoint what its own replicas may serve too.
    pub fn buys_by_choice(&self) -> bool {
        let chooses = match &self.routing {
            Routing::Pipeline(pipeline) => pipeline.needs().endpoints,
            Routing::Custom(_) => true,
        };
        !self.endpoints.is_empty() && (chooses || self.gateway.resilience.cascade.is_some())
    }
}

/// The presets that a policy gives, with their parts.
fn given(p: &PolicySection) -> Vec<(&'static str, Parts)> {
    let all = [
        ("round_robin", p.round_robin.as_ref().map(|_| parts_of("round_robin"))),
        ("random", p.random.as_ref().map(|_| parts_of("random"))),
        ("least_outstanding", p.least_outstanding.as_ref().map(|_| parts_of("least_outstanding"))),
        ("power_of_two", p.power_of_two.as_ref().map(|_| parts_of("power_of_two"))),
        ("session_hash", p.session_hash.as_ref().map(|_| parts_of("session_hash"))),
        ("least_kv", p.least_kv.as_ref().map(|_| parts_of("least_kv"))),
        ("api_only", p.api_only.as_ref().map(|_| parts_of("api_only"))),
        ("self_hosted_only", p.self_hosted_only.as_ref().map(|_| parts_of("self_hosted_only"))),
        ("prefix_affinity", p.prefix_affinity.as_ref().map(Expand::parts)),
        ("sglang_cache_aware", p.sglang_cache_aware.as_ref().map(Expand::parts)),
        ("production_stack_session", p.production_stack_session.as_ref().map(|_| parts_of("production_stack_session"))),
        ("production_stack_prefix", p.production_stack_prefix.as_ref().map(|_| parts_of("production_stack_prefix"))),
        ("llmd_default", p.llmd_default.as_ref().map(|_| parts_of("llmd_default"))),
        ("dynamo_kv", p.dynamo_kv.as_ref().map(Expand::parts)),
        ("litellm_simple_shuffle", p.litellm_simple_shuffle.as_ref().map(Expand::parts)),
        ("litellm_least_busy", p.litellm_least_busy.as_ref().map(|_| parts_of("litellm_least_busy"))),
        ("litellm_latency", p.litellm_latency.as_ref().map(|_| parts_of("litellm_latency"))),
        ("litellm_usage_v2", p.litellm_usage_v2.as_ref().map(|_| parts_of("litellm_usage_v2"))),
        ("vllm_dp", p.vllm_dp.as_ref().map(|_| parts_of("vllm_dp"))),
        ("overflow", p.overflow.as_ref().map(Expand::parts)),
        ("baseload_split", p.baseload_split.as_ref().map(Expand::parts)),
        ("time_of_day", p.time_of_day.as_ref().map(Expand::parts)),
        ("slo_cheapest", p.slo_cheapest.as_ref().map(|_| parts_of("slo_cheapest"))),
        ("cost_aware", p.cost_aware.as_ref().map(|_| parts_of("cost_aware"))),
        ("budget_paced", p.budget_paced.as_ref().map(Expand::parts)),
        ("route_llm_threshold", p.route_llm_threshold.as_ref().map(Expand::parts)),
        ("oracle_quality", p.oracle_quality.as_ref().map(Expand::parts)),
    ];
    all.into_iter().filter_map(|(name, parts)| Some((name, parts?))).collect()
}

impl Resolver<'_> {
    pub(super) fn policy(
        &mut self,
        name: &str,
        p: &PolicySection,
        pools: &[ResolvedPool],
        endpoints: &[ResolvedEndpoint],
        known: &Known,
    ) -> Result<ResolvedPolicy, String> {
        let key = format!("policy.{name}");
        let mut given = given(p);
        if given.len() > 1 {
            let names: Vec<&str> = given.iter().map(|(name, _)| *name).collect();
            return Err(format!("{key}: {} are given; one routing table a policy", names.join(" and ")));
        }
        let pool_names = || pools.iter().map(|x| x.name.as_str());
        let endpoint_names = || endpoints.iter().map(|x| x.name.as_str());
        if let Some(wrong) = p.pools.keys().find(|k| !pool_names().any(|n| n == *k)) {
            return Err(format!("{key}.pools: {}", unknown("pool", wrong, pool_names(), "[pool.NAME]")));
        }
        let kept = |i: usize, pool: &ResolvedPool| {
            let replicas = p.pools.get(&pool.name).copied().unwrap_or(pool.replicas);
            (i, if p.api_only.is_some() { 0 } else { replicas })
        };
        let kept: Vec<(usize, u32)> = pools.iter().enumerate().map(|(i, pool)| kept(i, pool)).collect();
        let find = |at: &str, wanted: &str| {
            let found = endpoints.iter().position(|e| e.name == wanted);
            found.ok_or_else(|| {
                format!("{key}.{at}: {}", unknown("endpoint", wanted, endpoint_names(), "[endpoint.NAME]"))
            })
        };
        let bought: Vec<usize> = match &p.endpoints {
            _ if p.self_hosted_only.is_some() => Vec::new(),
            Some(names) => names.iter().map(|n| find("endpoints", n)).collect::<Result<_, _>>()?,
            None => (0..endpoints.len()).collect(),
        };
        if let Some(o) = &p.overflow {
            let to = find("overflow.to", &o.to)?;
            if !bought.contains(&to) {
                return Err(format!("{key}.overflow.to: `{}` is not among {key}.endpoints", o.to));
            }
        }
        if bought.is_empty() && kept.iter().all(|(_, replicas)| *replicas == 0) {
            return Err(format!(
                "{key}: no replicas and no endpoints; it may use no backend: give {key}.pools or {key}.endpoints"
            ));
        }
        let known = Known {
            replicas: kept.iter().map(|(_, n)| *n).collect(),
            endpoints: bought.iter().map(|e| endpoints[*e].name.clone()).collect(),
            quality: quality::known(pools, endpoints),
            ..known.clone()
        };
        let preset = given.pop();
        let parts = parts(&key, p, preset.as_ref(), &known)?;
        let assembled = parts.assemble(&known).map_err(|fault| match &preset {
            Some((preset, _)) => of_preset(&key, preset, p.rules.len(), &fault),
            None => format!("{key}.{fault}"),
        })?;
        self.warnings.extend(assembled.warnings.iter().map(|w| format!("{key}.{w}")));
        let scrape = match &parts.scrape {
            Some(s) => Some(scrape(&format!("{key}.scrape"), s)?),
            None => None,
        };
        let used = kept.iter().filter(|(_, replicas)| *replicas > 0).map(|(i, _)| &pools[*i]);
        let mut places: Vec<(&str, bool)> = used.map(|p| (p.name.as_str(), p.answers.is_some())).collect();
        places.extend(bought.iter().map(|e| (endpoints[*e].name.as_str(), endpoints[*e].answers.is_some())));
        self.unknown_quality(name, &places);
        let routing = Routing::Pipeline(assembled.pipeline);
        let gateway = self.gateway(name, p, &gateway::Places { pools, endpoints, kept: &kept, bought: &bought })?;
        Ok(ResolvedPolicy { name: name.into(), pools: kept, endpoints: bought, routing, scrape, gateway })
    }
}

/// The parts of a policy: its own, or a preset's behind its own rules.
fn parts(key: &str, p: &PolicySection, preset: Option<&(&str, Parts)>, known: &Known) -> Result<Parts, String> {
    let own = Parts {
        rules: p.rules.clone(),
        scorers: p.scorers.clone(),
        picker: p.picker,
        prefix: p.prefix,
        kv_cost: p.kv_cost,
        weights: p.weights.clone(),
        scrape: p.scrape.clone(),
    };
    let Some((name, parts)) = preset else { return Ok(own) };
    let brought = [
        ("scorers", own.scorers.is_some()),
        ("picker", own.picker.is_some()),
        ("prefix", own.prefix.is_some()),
        ("kv_cost", own.kv_cost.is_some()),
        ("weights", own.weights.is_some()),
    ];
    if let Some((part, _)) = brought.iter().find(|(_, given)| *given) {
        return Err(format!(
            "{key}.{part}: the preset {name} brings its own; write its parts instead, `baseload policies show {name}` \
             prints them"
        ));
    }
    let mut parts = parts.clone();
    // What a preset says of backends that this policy does not have never holds.
    let none_kept = known.replicas.iter().all(|n| *n == 0);
    let optional = ["slo_cheapest", "cost_aware"].contains(name) && known.endpoints.is_empty();
    let idle =
        |r: &RuleSection| none_kept && r.to == "own" || optional && ["cheapest", "fastest"].contains(&r.to.as_str());
    parts.rules.retain(|r| !idle(r));
    parts.rules.splice(0..0, own.rules);
    parts.scrape = own.scrape.or(parts.scrape);
    Ok(parts)
}

/// A fault in what a preset expands to, said of the preset's own key.
fn of_preset(key: &str, preset: &str, own_rules: usize, fault: &str) -> String {
    let end = fault.find([' ', ':']).unwrap_or(fault.len());
    let (at, words) = fault.split_at(end);
    let rule = at.strip_prefix("rules[").and_then(|rest| rest.split_once(']'));
    if rule.and_then(|(n, _)| n.parse::<usize>().ok()).is_some_and(|n| n < own_rules) {
        return format!("{key}.{fault}");
    }
    let mut last = at.rsplit('.').next().unwrap_or(at);
    if let Some(start) = ["weights", "classes", "predictor"].into_iter().find_map(|list| at.find(list)) {
        last = &at[start..];
    }
    let whole = last == preset || last == "scorers" || last.starts_with("rules[");
    if whole { format!("{key}.{preset}{words}") } else { format!("{key}.{preset}.{last}{words}") }
}
