//! An endpoint, resolved: its price, latency, limits and cache.
use super::*;

impl Resolver<'_> {
    pub(super) fn endpoint(&mut self, name: &str, e: &EndpointSection, date: &str) -> Result<ResolvedEndpoint, String> {
        let catalog = Catalog::embedded();
        let key = format!("endpoint.{name}");
        let row = self.price_row(name, e, date)?;
        let service = self.service(name, e)?;
        let (cache, write) = self.cache(name, e, &row)?;
        let price = self.price(name, e, &row, write)?;
        let known = catalog.api_latency(&e.catalog).ok();
        // A batch is as fast as its turnaround; its law of latency is never asked.
        let batch = service.turnaround.is_some();
        let unused = [("ttft_p50", e.ttft_p50.is_some()), ("output_tokens_per_s", e.output_tokens_per_s.is_some())];
        if let Some((what, _)) = unused.into_iter().find(|(_, given)| batch && *given) {
            return Err(format!(
                "{key}.{what}: a batch answers all at once; give {key}.batch.turnaround_p50 in its place"
            ));
        }
        let own_ttft = e.ttft_p50.as_ref().map(|t| duration(&format!("{key}.ttft_p50"), t)).transpose()?;
        let missing = |what: &str| format!("{key}: no published {what} for {}; give {key}.{what}", e.catalog);
        let ttft_p50_s = own_ttft
            .map(SimTime::as_secs_f64)
            .or(known.map(|k| k.ttft_p50_s))
            .or(batch.then_some(1.0))
            .ok_or_else(|| missing("ttft_p50"))?;
        let speed = e
            .output_tokens_per_s
            .or(known.map(|k| k.output_tokens_per_s))
            .or(batch.then_some(1.0))
            .ok_or_else(|| missing("output_tokens_per_s"))?;
        if !(speed.is_finite() && speed > 0.0) {
            return Err(format!("{key}.output_tokens_per_s is {speed}; it must be above 0"));
        }
        if ttft_p50_s <= 0.0 {
            return Err(format!("{key}.ttft_p50 is 0; it must be longer"));
        }
        if let Some(k) = known.filter(|_| !batch) {
            if k.unverified {
                self.warnings.push(format!(
                    "endpoint {name} ({}): latency is an assumption: {}",
                    e.catalog,
                    why(&k.source)
                ));
            }
            self.dated.push((format!("latency of {}", e.catalog), k.date.clone()));
        }
        let limit = |what: &str, value: Option<u64>| match value {
            Some(0) => Err(format!("{key}.limits.{what} is 0; leave the endpoint out, or give a limit above 0")),
            other => Ok(other),
        };
        let l = &e.limits;
        let spec = EndpointSpec {
            name: name.into(),
            latency: Latency::LogNormal(LogNormal {
                ttft_p50_s,
                output_tokens_per_s: speed,
                p95_over_p50: known.map_or(3.0, |k| k.p95_over_p50),
            }),
            error_rate: share(
                &format!("{key}.error_rate"),
                e.error_rate.or(known.map(|k| k.error_rate)).unwrap_or(0.0),
            )?,
            price,
            account: name.into(),
            limits: Limits {
                requests_per_minute: limit("requests_per_minute", l.requests_per_minute)?,
                input_tokens_per_minute: limit("input_tokens_per_minute", l.input_tokens_per_minute)?,
                output_tokens_per_minute: limit("output_tokens_per_minute", l.output_tokens_per_minute)?,
            },
            cache,
            service,
            capability: catalog.api_capability(&e.catalog).unwrap_or(Capability::Small),
            max_input_tokens: u32::try_from(row.max_input_tokens).unwrap_or(u32::MAX),
        };
        Ok(ResolvedEndpoint { name: name.into(), spec, row })
    }
}
