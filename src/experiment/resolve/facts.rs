//! Which rows of the catalogue an experiment rests on.
use super::super::{ON_CALL_KEY, PEOPLE_KEY};
use super::*;

/// A fact that was used.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct Fact {
    /// `gpu`, `model`, `step time`, `profile`, `rent`, `api price`, `api latency`, `api capability`, `latency profile`,
    /// `prompt cache`, `rate limits`, `limit rules`, `provisioned`, `incidents` or `people`.
    pub kind: &'static str,
    /// Name of the fact's row in `baseload catalog`.
    pub name: String,
    /// When the fact was read.
    pub date: String,
    /// Where the fact was read.
    pub source: String,
}

/// Facts that were used so far.
struct Used(Vec<Fact>);

impl Used {
    /// A row, if there is one: its date and its source.
    fn add(&mut self, kind: &'static str, name: String, row: Option<(&String, &String)>) {
        let fact = row.map(|(date, source)| Fact { kind, name, date: date.clone(), source: source.clone() });
        self.0.extend(fact);
    }
}

/// The rows of the catalogue that the experiment rests on, each once, in order of kind and name.
pub(super) fn facts(
    file: &ExperimentFile,
    c: &Catalog,
    pools: &[ResolvedPool],
    endpoints: &[ResolvedEndpoint],
) -> Vec<Fact> {
    let mut used = Used(Vec::new());
    of_pools(file, c, pools, &mut used);
    for (endpoint, resolved) in file.endpoint.values().zip(endpoints) {
        of_endpoint(endpoint, resolved, c, &mut used);
    }
    for service in file.outages.values().filter_map(|o| o.drawn.as_ref()) {
        used.add("incidents", service.clone(), c.incidents(service).ok().map(|r| (&r.date, &r.source)));
    }
    let own = [(PEOPLE_KEY, file.economics.people_usd_per_year), (ON_CALL_KEY, file.economics.on_call_usd_per_year)];
    for (key, _) in own.into_iter().filter(|(_, own)| own.is_none()) {
        used.add("people", key.into(), c.ops(key).ok().map(|r| (&r.date, &r.source)));
    }
    let mut out = used.0;
    out.sort();
    out.dedup();
    out
}

fn of_pools(file: &ExperimentFile, c: &Catalog, pools: &[ResolvedPool], used: &mut Used) {
    let mut add = |kind, name, row| used.add(kind, name, row);
    for (pool, resolved) in file.pool.values().zip(pools) {
        let (gpu, model) = (c.gpu(&pool.gpu).ok(), c.model(&pool.model).ok());
        let gpu_id = gpu.map_or(&pool.gpu, |r| &r.id);
        add("gpu", gpu_id.clone(), gpu.map(|r| (&r.date, &r.source)));
        add("model", model.map_or(&pool.model, |r| &r.id).clone(), model.map(|r| (&r.date, &r.source)));
        if let Some(profile) = pool.profile.as_deref().and_then(|p| Profile::named(p).ok()) {
            add("profile", profile.name.clone(), Some((&profile.date, &profile.source)));
        }
        if let (Some(provider), Some(kind)) = (&pool.rent.provider, &pool.rent.kind) {
            let row = c.rent(gpu_id, provider, kind).ok();
            add("rent", format!("{gpu_id}, {provider}, {kind}"), row.map(|r| (&r.date, &r.source)));
        }
        // The numbers of BF16 weights lie under those of every other format.
        for dtype in ["bf16", resolved.replica.weights.name()].into_iter().filter(|_| resolved.by_catalog_steps) {
            if let Some(row) = c.step_time(gpu_id, dtype) {
                add("step time", format!("{} in {}", row.gpu, row.dtype), Some((&row.date, &row.source)));
            }
        }
    }
}

fn of_endpoint(endpoint: &EndpointSection, resolved: &ResolvedEndpoint, c: &Catalog, used: &mut Used) {
    let (name, row) = (&endpoint.catalog, &resolved.row);
    used.add("api price", name.clone(), Some((&row.date, &row.source)).filter(|_| endpoint.price.is_none()));
    used.add("api latency", name.clone(), c.api_latency(name).ok().map(|r| (&r.date, &r.source)));
    if c.api_capability(name).is_ok() {
        // Judgements, which nobody dated.
        used.add("api capability", name.clone(), Some((&"undated".into(), &"a judgement".into())));
    }
    if let Some(profile) = endpoint.latency.as_deref().and_then(|named| ApiProfile::named(named).ok()) {
        used.add("latency profile", profile.name.clone(), Some((&profile.date, &profile.source)));
    }
    if let Some(rule) = c.prompt_cache(&row.provider, &row.model).filter(|_| resolved.spec.cache.is_some()) {
        used.add("prompt cache", row.name(), Some((&rule.date, &rule.source)));
    }
    if let Some(limits) = &endpoint.limits {
        let tier = limits.tier.as_ref().and_then(|tier| Some((tier, c.rate_limit(tier).ok()?)));
        if let Some((tier, row)) = tier {
            used.add("rate limits", tier.clone(), Some((&row.date, &row.source)));
        }
        let provider = tier.map_or(&row.provider, |(_, row)| &row.provider);
        let rules = match &limits.preset {
            Some(preset) => c.limit_rules_named(preset).ok(),
            None => c.limit_rules(provider),
        };
        if let Some(rules) = rules {
            used.add("limit rules", rules.provider.clone(), Some((&rules.date, &rules.source)));
        }
    }
    if let Some(p) = &endpoint.provisioned {
        let model = name.rsplit('/').next().unwrap_or(name);
        let row = c.provisioned(model).ok().filter(|_| p.input_tokens_per_minute.is_none());
        used.add("provisioned", model.into(), row.map(|r| (&r.date, &r.source)));
    }
}
