//! Which rows of the catalogue an experiment rests on.
use super::super::{ON_CALL_KEY, PEOPLE_KEY};
use super::*;

/// A fact that was used.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct Fact {
    /// `gpu`, `model`, `profile`, `rent`, `api price`, `api latency`, `rate limits`, `provisioned`, `incidents` or `people`.
    pub kind: &'static str,
    /// Name of the fact's row in `baseload catalog`.
    pub name: String,
    /// When the fact was read.
    pub date: String,
    /// Where the fact was read.
    pub source: String,
}

/// The rows of the catalogue that the experiment names, each once, in order of kind and name.
pub(super) fn facts(file: &ExperimentFile, c: &Catalog, endpoints: &[ResolvedEndpoint]) -> Vec<Fact> {
    let mut out = Vec::new();
    let mut add = |kind, name: String, row: Option<(&String, &String)>| {
        out.extend(row.map(|(date, source)| Fact { kind, name, date: date.clone(), source: source.clone() }));
    };
    for pool in file.pool.values() {
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
    }
    for (endpoint, resolved) in file.endpoint.values().zip(endpoints) {
        let (name, row) = (&endpoint.catalog, &resolved.row);
        add("api price", name.clone(), Some((&row.date, &row.source)).filter(|_| endpoint.price.is_none()));
        add("api latency", name.clone(), c.api_latency(name).ok().map(|r| (&r.date, &r.source)));
        if let Some(tier) = endpoint.limits.as_ref().and_then(|l| l.tier.as_ref()) {
            add("rate limits", tier.clone(), c.rate_limit(tier).ok().map(|r| (&r.date, &r.source)));
        }
        if let Some(p) = &endpoint.provisioned {
            let model = name.rsplit('/').next().unwrap_or(name);
            let row = c.provisioned(model).ok().filter(|_| p.input_tokens_per_minute.is_none());
            add("provisioned", model.into(), row.map(|r| (&r.date, &r.source)));
        }
    }
    for service in file.outages.values().filter_map(|o| o.drawn.as_ref()) {
        add("incidents", service.clone(), c.incidents(service).ok().map(|r| (&r.date, &r.source)));
    }
    let own = [(PEOPLE_KEY, file.economics.people_usd_per_year), (ON_CALL_KEY, file.economics.on_call_usd_per_year)];
    for (key, _) in own.into_iter().filter(|(_, own)| own.is_none()) {
        add("people", key.into(), c.ops(key).ok().map(|r| (&r.date, &r.source)));
    }
    out.sort();
    out.dedup();
    out
}
