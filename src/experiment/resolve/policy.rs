//! A policy, resolved: the fleet that it keeps, what it may buy, how it routes.
use super::*;
use baseload_core::gateway::{Keeps, Known, Parts, Routing, RuleSection};
use baseload_core::types::key;
use baseload_core::types::{Fault, Faults, Segment};

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

impl Resolver<'_> {
    pub(super) fn policy(
        &mut self,
        name: &str,
        p: &PolicySection,
        pools: &[ResolvedPool],
        endpoints: &[ResolvedEndpoint],
        known: &Known,
    ) -> Result<ResolvedPolicy, Wrong> {
        let key = format!("policy.{name}");
        let keeps = p.preset.as_ref().map_or(Keeps::All, |given| given.preset.keeps);
        let pool_names = || pools.iter().map(|x| x.name.as_str());
        let endpoint_names = || endpoints.iter().map(|x| x.name.as_str());
        if let Some(wrong) = p.own.pools.keys().find(|k| !pool_names().any(|n| n == *k)) {
            let message = format!("{key}.pools: {}", unknown("pool", wrong, pool_names(), "[pool.NAME]"));
            return Err(message.into());
        }
        let kept = |i: usize, pool: &ResolvedPool| {
            let replicas = p.own.pools.get(&pool.name).copied().unwrap_or(pool.replicas);
            (i, if keeps == Keeps::NoReplicas { 0 } else { replicas })
        };
        let kept: Vec<(usize, u32)> = pools.iter().enumerate().map(|(i, pool)| kept(i, pool)).collect();
        let find = |at: &str, wanted: &str| {
            let found = endpoints.iter().position(|e| e.name == wanted);
            found.ok_or_else(|| {
                format!("{key}.{at}: {}", unknown("endpoint", wanted, endpoint_names(), "[endpoint.NAME]"))
            })
        };
        let bought: Vec<usize> = match &p.own.endpoints {
            _ if keeps == Keeps::NoEndpoints => Vec::new(),
            Some(names) => names.iter().map(|n| find("endpoints", n)).collect::<Result<_, String>>()?,
            None => (0..endpoints.len()).collect(),
        };
        if bought.is_empty() && kept.iter().all(|(_, replicas)| *replicas == 0) {
            let what = "no replicas and no endpoints; it may use no backend";
            let message = format!("{key}: {what}: give {key}.pools or {key}.endpoints");
            return Err(message.into());
        }
        let known = Known {
            replicas: kept.iter().map(|(_, n)| *n).collect(),
            endpoints: bought.iter().map(|e| endpoints[*e].name.clone()).collect(),
            quality: quality::known(pools, endpoints),
            ..known.clone()
        };
        let parts = parts(&key, p, &known)?;
        let assembled = parts.assemble(&known).map_err(|faults| {
            let said = |fault: Fault| match &p.preset {
                Some(given) if !of_own_rules(&fault, p.parts.rules.len()) => given.said(fault),
                _ => fault,
            };
            faults.into_iter().map(said).collect::<Faults>().under(key!["policy", name])
        })?;
        let warnings = assembled.warnings.into_iter();
        self.warnings.extend(warnings.map(|w| w.under(key!["policy", name]).to_string()));
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
fn parts(key: &str, p: &PolicySection, known: &Known) -> Result<Parts, String> {
    let own = p.parts.clone();
    let Some(given) = &p.preset else { return Ok(own) };
    let brought = [
        ("scorers", own.scorers.is_some()),
        ("picker", own.picker.is_some()),
        ("prefix", own.prefix.is_some()),
        ("kv_cost", own.kv_cost.is_some()),
        ("weights", own.weights.is_some()),
    ];
    if let Some((part, _)) = brought.iter().find(|(_, given)| *given) {
        let name = given.preset.name;
        return Err(format!(
            "{key}.{part}: the preset {name} brings its own; write its parts instead, `baseload policies show {name}` \
             prints them"
        ));
    }
    let mut parts = given.parts.clone();
    // What a preset says of backends that this policy does not have never holds.
    let none_kept = known.replicas.iter().all(|n| *n == 0);
    let none_bought = given.preset.keeps == Keeps::AllThatIsThere && known.endpoints.is_empty();
    let idle =
        |r: &RuleSection| none_kept && r.to == "own" || none_bought && ["cheapest", "fastest"].contains(&r.to.as_str());
    parts.rules.retain(|r| !idle(r));
    parts.rules.splice(0..0, own.rules);
    parts.scrape = own.scrape.or(parts.scrape);
    Ok(parts)
}

/// Whether a fault is of one of the policy's own rules, the first so many. Its key counts from the policy's table.
fn of_own_rules(fault: &Fault, own: usize) -> bool {
    matches!(fault.key.segments(), [Segment::Name(rules), Segment::Index(at), ..] if rules == "rules" && *at < own)
}
