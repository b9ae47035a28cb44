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
        let routing = match &p.overflow {
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
                Routing::Overflow {
                    to: to as u32,
                    waiting_per_replica_milli: (o.waiting_per_replica * 1e3).round() as u64,
                    kv_use_ppm: (share(&format!("{key}.overflow.kv_use"), o.kv_use)? * 1e6).round() as u64,
                    hysteresis_milli: (share(&format!("{key}.overflow.hysteresis"), o.hysteresis)? * 1e3).round()
                        as u64,
                }
            }
            None if p.prefix_affinity.is_some() => prefix_affinity(&key, p.prefix_affinity.as_ref())?,
            None if p.round_robin.is_some() => Routing::RoundRobin,
            None if p.cost_aware.is_some() => Routing::CostAware { ttft: ttft.unwrap_or(SimTime::NEVER) },
            None => Routing::LeastOutstanding,
        };
        if bought.is_empty() && kept.iter().all(|(_, replicas)| *replicas == 0) {
            return Err(format!(
                "{key}: no replicas and no endpoints; it may use no backend: give {key}.pools or {key}.endpoints"
            ));
        }
        Ok(ResolvedPolicy { name: name.into(), pools: kept, endpoints: bought, routing })
    }
}

fn prefix_affinity(key: &str, section: Option<&PrefixAffinitySection>) -> Result<Routing, String> {
    let p = section.cloned().unwrap_or_default();
    let key = |k: &str| format!("{key}.prefix_affinity.{k}");
    if !(p.balance_rel_threshold.is_finite() && p.balance_rel_threshold >= 1.0) {
        return Err(format!("{} is {}; it must be at least 1", key("balance_rel_threshold"), p.balance_rel_threshold));
    }
    Ok(Routing::PrefixAffinity {
        min_match_ppm: (share(&key("cache_threshold"), p.cache_threshold)? * 1e6).round() as u64,
        balance_abs: p.balance_abs_threshold,
        balance_rel_milli: (p.balance_rel_threshold * 1e3).round() as u64,
    })
}
