//! A policy, resolved: the fleet that it keeps, what it may buy, how it routes.
use super::*;

impl Resolver<'_> {
    pub(super) fn policy(
        &self,
        name: &str,
        p: &PolicySection,
        pools: &[ResolvedPool],
        endpoints: &[ResolvedEndpoint],
        ttft: Option<SimTime>,
    ) -> Result<ResolvedPolicy, String> {
        let key = format!("policy.{name}");
        let tables = [
            ("round_robin", p.round_robin.is_some()),
            ("least_outstanding", p.least_outstanding.is_some()),
            ("api_only", p.api_only.is_some()),
            ("self_hosted_only", p.self_hosted_only.is_some()),
            ("prefix_affinity", p.prefix_affinity.is_some()),
            ("overflow", p.overflow.is_some()),
            ("cost_aware", p.cost_aware.is_some()),
        ];
        let given: Vec<&str> = tables.iter().filter(|(_, on)| *on).map(|(n, _)| *n).collect();
        if given.len() > 1 {
            return Err(format!("{key}: {} are given; one routing table a policy", given.join(" and ")));
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
        let parts = match &p.overflow {
            Some(o) => {
                let to = find("overflow.to", &o.to)?;
                let to = bought
                    .iter()
                    .position(|e| *e == to)
                    .ok_or_else(|| format!("{key}.overflow.to: `{}` is not among {key}.endpoints", o.to))?;
                if !(o.waiting_per_replica.is_finite() && o.waiting_per_replica > 0.0) {
                    return Err(format!(
                        "{key}.overflow.waiting_per_replica is {}; it must be above 0",
                        o.waiting_per_replica
                    ));
                }
                let full = Condition::Overflow(Overflow {
                    waiting_per_replica_milli: Some((o.waiting_per_replica * 1e3).round() as u64),
                    kv_use_ppm: Some((share(&format!("{key}.overflow.kv_use"), o.kv_use)? * 1e6).round() as u64),
                    predicted_ttft: None,
                    hysteresis_milli: (share(&format!("{key}.overflow.hysteresis"), o.hysteresis)? * 1e3).round()
                        as u64,
                });
                let rules = vec![Rule { when: vec![full], to: Place::Endpoint(to as u32), scoring: None }];
                Pipeline { rules, ..Pipeline::best(Scorer::Outstanding) }
            }
            None if p.prefix_affinity.is_some() => prefix_affinity(&key, p.prefix_affinity.as_ref())?,
            None if p.round_robin.is_some() => {
                Pipeline { scoring: Scoring { scorers: vec![], picker: Picker::RoundRobin }, ..Pipeline::default() }
            }
            None if p.cost_aware.is_some() => {
                let ttft = ttft.unwrap_or(SimTime::NEVER);
                let rule = |when, to| Rule { when, to, scoring: None };
                let rules = vec![
                    rule(vec![Condition::NoneReady], Place::Cheapest(SimTime::NEVER)),
                    rule(vec![Condition::PredictedWithin(ttft)], Place::Own),
                    rule(vec![], Place::Cheapest(ttft)),
                    rule(vec![Condition::EndpointFaster], Place::Fastest),
                ];
                Pipeline { rules, ..Pipeline::best(Scorer::PredictedTtft) }
            }
            None => Pipeline::best(Scorer::Outstanding),
        };
        if bought.is_empty() && kept.iter().all(|(_, replicas)| *replicas == 0) {
            return Err(format!(
                "{key}: no replicas and no endpoints; it may use no backend: give {key}.pools or {key}.endpoints"
            ));
        }
        let routing = Routing::Pipeline(parts);
        let gateway = self.gateway(name, p, &gateway::Places { pools, endpoints, kept: &kept, bought: &bought })?;
        Ok(ResolvedPolicy { name: name.into(), pools: kept, endpoints: bought, routing, gateway })
    }
}

fn prefix_affinity(key: &str, section: Option<&PrefixAffinitySection>) -> Result<Pipeline, String> {
    let p = section.cloned().unwrap_or_default();
    let key = |k: &str| format!("{key}.prefix_affinity.{k}");
    if !(p.balance_rel_threshold.is_finite() && p.balance_rel_threshold >= 1.0) {
        return Err(format!("{} is {}; it must be at least 1", key("balance_rel_threshold"), p.balance_rel_threshold));
    }
    let min_ppm = (share(&key("cache_threshold"), p.cache_threshold)? * 1e6).round() as u64;
    let (abs, rel_milli) = (p.balance_abs_threshold, (p.balance_rel_threshold * 1e3).round() as u64);
    let by_prefix = Scoring { scorers: vec![(Scorer::Prefix, 1.0)], picker: Picker::Max };
    let rules = vec![
        Rule { when: vec![Condition::Imbalance { abs, rel_milli }], to: Place::Own, scoring: None },
        Rule { when: vec![Condition::PrefixHit { min_ppm }], to: Place::Own, scoring: Some(by_prefix) },
    ];
    Ok(Pipeline { rules, prefixes: PrefixRule::Tree, ..Pipeline::best(Scorer::Outstanding) })
}
