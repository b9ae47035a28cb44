//! A policy, resolved: the fleet that it keeps, what it may buy, how it routes. Keys of faults are counted from its table.
use super::*;
use baseload_core::gateway::{Decide, Keeps, Parts, PolicyScope, Routing, RuleSection};
use baseload_core::types::check;
use baseload_core::types::numbers::thousands;

impl ResolvedPolicy {
    /// Whether the policy may send to an endpoint what its own replicas may serve too.
    pub fn buys_by_choice(&self) -> bool {
        let chooses = match &self.routing {
            Routing::Pipeline(pipeline) => pipeline.needs().endpoints,
            Routing::Custom(_) => true,
        };
        !self.endpoints.is_empty() && (chooses || self.gateway.resilience.cascade.is_some())
    }
}

impl Experiment {
    /// This experiment with one more policy, written in Rust: it keeps all pools at their own replicas and all
    /// endpoints, behind the experiment's gateway. Each simulation has a clone of `policy`.
    ///
    /// # Errors
    /// A name that there is already, or that is none.
    pub fn with_policy<P>(mut self, name: &str, policy: P) -> Result<Experiment, FileFaults>
    where
        P: Decide + Clone + Send + Sync + 'static,
    {
        check::name(key!["policy", name], name).map_err(|fault| self.located(fault))?;
        if self.policies.iter().any(|p| p.name == name) {
            let fault = Fault::at(key!["policy", name], "a policy has this name").hint("give another name");
            return Err(self.located(fault));
        }
        self.policies.push(ResolvedPolicy {
            name: name.into(),
            pools: self.pools.iter().enumerate().map(|(i, pool)| (i, pool.replicas)).collect(),
            endpoints: (0..self.endpoints.len()).collect(),
            routing: Routing::Custom(Arc::new(move || Box::new(policy.clone()))),
            scrape: None,
            gateway: self.gateway.clone(),
        });
        Ok(self)
    }
}

/// What a policy keeps of an experiment.
pub(super) struct Kept {
    /// Pools and the replicas of each.
    pub pools: Vec<(usize, u32)>,
    /// Endpoints that it may buy from.
    pub endpoints: Vec<usize>,
}

/// Replicas of a policy at most: each takes some 2 KB, and policies are simulated side by side.
const MOST_REPLICAS: u64 = 50_000;

/// The part of the experiment that the section asks for.
fn kept(p: &PolicySection, offers: &Offers<'_>) -> Result<Kept, Faults> {
    let keeps = p.preset.as_ref().map_or(Keeps::All, |given| given.preset.keeps);
    let mut faults = Faults::default();
    for name in p.own.pools.keys().filter(|name| !offers.pools.iter().any(|(pool, _)| pool == name)) {
        let known = offers.pools.iter().map(|(pool, _)| *pool);
        faults.push(Fault::unknown(key!["pools", name], "pool", name, known));
    }
    let replicas = |(i, (name, own)): (usize, &(&str, u32))| {
        let asked = p.own.pools.get(*name).copied().unwrap_or(*own);
        (i, if keeps == Keeps::NoReplicas { 0 } else { asked })
    };
    let pools: Vec<(usize, u32)> = offers.pools.iter().enumerate().map(replicas).collect();
    let mut endpoints = Vec::new();
    match &p.own.endpoints {
        _ if keeps == Keeps::NoEndpoints => {}
        Some(names) => {
            for (i, name) in names.iter().enumerate() {
                match offers.endpoints.iter().position(|e| e == name) {
                    Some(e) => endpoints.push(e),
                    None => {
                        let known = offers.endpoints.iter().copied();
                        faults.push(Fault::unknown(key!["endpoints", i], "endpoint", name, known));
                    }
                }
            }
        }
        None => endpoints = (0..offers.endpoints.len()).collect(),
    }
    if faults.is_empty() && endpoints.is_empty() && pools.iter().all(|(_, replicas)| *replicas == 0) {
        let fault = Fault::new("no replicas and no endpoints; it may use no backend");
        faults.push(fault.hint("give it pools or endpoints"));
    }
    let all: u64 = pools.iter().map(|(_, replicas)| u64::from(*replicas)).sum();
    if all > MOST_REPLICAS {
        let fault = Fault::at("pools", format!("{} replicas in all", thousands(all)));
        faults.push(fault.hint(format!("a policy keeps {} at most", thousands(MOST_REPLICAS))));
    }
    faults.finish(Kept { pools, endpoints })
}

impl Resolver<'_> {
    pub(super) fn policy(
        &mut self,
        name: &str,
        p: &PolicySection,
        offers: &Offers<'_>,
    ) -> Result<ResolvedPolicy, Faults> {
        let kept = kept(p, offers)?;
        let of_endpoints = |e: &usize| offers.endpoints[*e].to_string();
        let scope = PolicyScope {
            pools: offers.pools.iter().map(|(name, _)| name.to_string()).collect(),
            replicas: kept.pools.iter().map(|(_, n)| *n).collect(),
            endpoints: kept.endpoints.iter().map(of_endpoints).collect(),
            classes: offers.classes.clone(),
            slo_ttft: offers.slo_ttft,
            quality: offers.answers.by_name(offers),
        };
        let mut faults = Faults::default();
        let parts = faults.take(parts(p, &scope));
        let assembled = parts.as_ref().map(|parts| {
            parts.assemble(&scope).map_err(|faults| {
                let said = |fault: Fault| match &p.preset {
                    Some(given) if !of_own_rules(&fault, p.parts.rules.len()) => given.said(fault),
                    _ => fault,
                };
                faults.into_iter().map(said).collect::<Faults>()
            })
        });
        let assembled = faults.or_default(assembled.transpose());
        let at = key!["policy", name];
        let warnings = assembled.iter().flat_map(|a| &a.warnings);
        self.warnings.extend(warnings.map(|w| w.clone().under(at.clone()).to_string()));
        let scraped = parts.as_ref().and_then(|parts| parts.scrape.as_ref());
        let scrape = scraped.map(|s| scrape(s).map_err(|faults| faults.under("scrape"))).transpose();
        let scrape = faults.or_default(scrape);
        self.unknown_quality(name, &kept, offers);
        let gateway = faults.take(self.gateway(p, &gateway::Places { offers, kept: &kept }));
        let (Some(assembled), Some(gateway)) = (assembled, gateway) else { return Err(faults) };
        faults.finish(ResolvedPolicy {
            name: name.into(),
            pools: kept.pools,
            endpoints: kept.endpoints,
            routing: Routing::Pipeline(assembled.pipeline),
            scrape,
            gateway,
        })
    }

    /// Warns of a policy that may send to places whose quality is not given, beside some where it is.
    fn unknown_quality(&mut self, policy: &str, kept: &Kept, offers: &Offers<'_>) {
        let used = kept.pools.iter().filter(|(_, replicas)| *replicas > 0).map(|(i, _)| *i);
        let mut places: Vec<(&str, bool)> =
            used.map(|i| (offers.pools[i].0, offers.answers.pools[i].is_some())).collect();
        places.extend(kept.endpoints.iter().map(|e| (offers.endpoints[*e], offers.answers.endpoints[*e].is_some())));
        let without: Vec<&str> = places.iter().filter(|(_, known)| !known).map(|(name, _)| *name).collect();
        if without.is_empty() || without.len() == places.len() {
            return;
        }
        self.warnings.push(format!(
            "policy {policy}: the quality of {} is not given; quality_served counts the answers of the others only",
            without.join(" and ")
        ));
    }
}

/// The parts of a policy: its own, or a preset's behind its own rules.
fn parts(p: &PolicySection, scope: &PolicyScope) -> Result<Parts, Faults> {
    let own = p.parts.clone();
    let Some(given) = &p.preset else { return Ok(own) };
    let name = given.preset.name;
    let brought = [
        ("scorers", own.scorers.is_some()),
        ("picker", own.picker.is_some()),
        ("prefix", own.prefix.is_some()),
        ("kv_cost", own.kv_cost.is_some()),
        ("weights", own.weights.is_some()),
    ];
    let refused = |(part, _): (&str, bool)| {
        let hint = format!("write its parts instead, `baseload policies show {name}` prints them");
        Fault::at(part, format!("the preset {name} brings its own")).hint(hint)
    };
    brought.into_iter().filter(|(_, given)| *given).map(refused).collect::<Faults>().finish(())?;
    let mut parts = given.parts.clone();
    // A preset's rules about backends that this policy does not have could never apply.
    let none_kept = scope.replicas.iter().all(|n| *n == 0);
    let none_bought = given.preset.keeps == Keeps::AllThatIsThere && scope.endpoints.is_empty();
    let idle =
        |r: &RuleSection| none_kept && r.to == "own" || none_bought && ["cheapest", "fastest"].contains(&r.to.as_str());
    parts.rules.retain(|r| !idle(r));
    parts.rules.splice(0..0, own.rules);
    parts.scrape = own.scrape.or(parts.scrape);
    Ok(parts)
}

/// Whether a fault is of one of the policy's own rules, the first so many.
fn of_own_rules(fault: &Fault, own: usize) -> bool {
    matches!(fault.key.segments(), [Segment::Name(rules), Segment::Index(at), ..] if rules == "rules" && *at < own)
}
