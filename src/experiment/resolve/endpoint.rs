//! An endpoint, resolved: its price, latency, limits and cache.
use super::*;

impl Resolver<'_> {
    pub(super) fn endpoint(&mut self, name: &str, e: &EndpointSection) -> Result<ResolvedEndpoint, String> {
        let catalog = Catalog::embedded();
        let key = format!("endpoint.{name}");
        let row = catalog.api(&e.catalog).map_err(|m| format!("{key}.catalog: {m}"))?;
        let known = catalog.api_latency(&e.catalog).ok();
        let (latency, error_rate) = match &e.latency {
            Some(named) => self.measured(&key, named, e, (&row.provider, &row.model))?,
            None => (self.published(&key, name, e, known)?, known.map(|k| k.error_rate)),
        };
        self.dated.push((format!("price of {}", e.catalog), row.date.clone()));
        let limit = |what: &str, value: Option<u64>| match value {
            Some(0) => Err(format!("{key}.limits.{what} is 0; leave the endpoint out, or give a limit above 0")),
            other => Ok(other),
        };
        let l = &e.limits;
        let spec = EndpointSpec {
            name: name.into(),
            latency,
            error_rate: share(
                &format!("{key}.error_rate"),
                e.error_rate.or(error_rate).or(known.map(|k| k.error_rate)).unwrap_or(0.0),
            )?,
            price: Price {
                input: row.input,
                output: row.output,
                cached_input: row.cached_input,
                long_context: row.long_context_threshold_tokens.map(|threshold_tokens| LongContext {
                    threshold_tokens,
                    input: row.long_input.unwrap_or(row.input),
                    output: row.long_output.unwrap_or(row.output),
                    cached_input: row.long_cached_input.or(row.cached_input),
                }),
            },
            account: name.into(),
            limits: Limits {
                requests_per_minute: limit("requests_per_minute", l.requests_per_minute)?,
                input_tokens_per_minute: limit("input_tokens_per_minute", l.input_tokens_per_minute)?,
                output_tokens_per_minute: limit("output_tokens_per_minute", l.output_tokens_per_minute)?,
            },
            // Only OpenAI caches without being asked (spec/apis.md 4.2).
            cache: (row.provider == "openai").then_some(CacheRule::OPENAI),
            capability: catalog.api_capability(&e.catalog).unwrap_or(Capability::Small),
            max_input_tokens: u32::try_from(row.max_input_tokens).unwrap_or(u32::MAX),
        };
        Ok(ResolvedEndpoint { name: name.into(), spec })
    }

    /// The law of the medians that are published, or given.
    fn published(
        &mut self,
        key: &str,
        name: &str,
        e: &EndpointSection,
        known: Option<&ApiLatency>,
    ) -> Result<Latency, String> {
        let own_ttft = e.ttft_p50.as_ref().map(|t| duration(&format!("{key}.ttft_p50"), t)).transpose()?;
        let missing = |what: &str| format!("{key}: no published {what} for {}; give {key}.{what}", e.catalog);
        let ttft_p50_s =
            own_ttft.map(SimTime::as_secs_f64).or(known.map(|k| k.ttft_p50_s)).ok_or_else(|| missing("ttft_p50"))?;
        let speed = e
            .output_tokens_per_s
            .or(known.map(|k| k.output_tokens_per_s))
            .ok_or_else(|| missing("output_tokens_per_s"))?;
        if !(speed.is_finite() && speed > 0.0) {
            return Err(format!("{key}.output_tokens_per_s is {speed}; it must be above 0"));
        }
        if ttft_p50_s <= 0.0 {
            return Err(format!("{key}.ttft_p50 is 0; it must be longer"));
        }
        for (only, given) in
            [("latency_of_another_model", e.latency_of_another_model), ("latency_offset", e.latency_offset.is_some())]
        {
            if given {
                return Err(format!(
                    "{key}.{only}: it says how a profile is taken; give {key}.latency too, or leave it out"
                ));
            }
        }
        if let Some(k) = known {
            if k.unverified {
                self.warnings.push(format!(
                    "endpoint {name} ({}): latency is an assumption: {}",
                    e.catalog,
                    why(&k.source)
                ));
            }
            self.dated.push((format!("latency of {}", e.catalog), k.date.clone()));
        }
        Ok(Latency::LogNormal(LogNormal {
            ttft_p50_s,
            output_tokens_per_s: speed,
            p95_over_p50: known.map_or(3.0, |k| k.p95_over_p50),
        }))
    }

    /// The law of a profile of measured calls, and the share of calls that failed, where it knows that.
    fn measured(
        &mut self,
        key: &str,
        named: &str,
        e: &EndpointSection,
        (provider, model): (&str, &str),
    ) -> Result<(Latency, Option<f64>), String> {
        for (other, given) in
            [("ttft_p50", e.ttft_p50.is_some()), ("output_tokens_per_s", e.output_tokens_per_s.is_some())]
        {
            if given {
                return Err(format!("{key}.{other}: latency is given too; an endpoint has one law of latency"));
            }
        }
        let wrong = |what: String| format!("{key}.latency: {what}");
        let folder = self.path.parent().unwrap_or(Path::new("."));
        let profile = match profile_file(named, folder) {
            Some(path) => {
                let text = std::fs::read_to_string(&path).map_err(|e| wrong(format!("{}: {e}", path.display())))?;
                ApiProfile::parse(&text, &path.display().to_string()).map_err(wrong)?
            }
            None => ApiProfile::named(named).map_err(|e| wrong(e.to_string()))?.clone(),
        };
        let of = format!("profile {} is of {}/{}", profile.name, profile.provider, profile.model);
        if !profile.is_of(provider, model) {
            if !e.latency_of_another_model {
                return Err(wrong(format!(
                    "{of}; the endpoint is {}: give a profile of that, or set latency_of_another_model = true",
                    e.catalog
                )));
            }
            self.warnings.push(format!("{key}: {of}, and stands in for {}", e.catalog));
        }
        let offset = duration(&format!("{key}.latency_offset"), e.latency_offset.as_deref().unwrap_or("0s"))?;
        if e.latency_offset.is_some() && profile.hours.is_none() {
            self.warnings.push(format!("{key}.latency_offset changes nothing: profile {} has no hours", profile.name));
        }
        if age_days(&profile.measured, "9999").is_none() {
            self.warnings.push(format!("{key}: profile {} does not say when its calls were made", profile.name));
        }
        self.dated.push((format!("latency profile {}", profile.name), profile.measured.clone()));
        let law = ProfileLaw::new(&profile, offset);
        Ok((Latency::Profile(Arc::new(law)), profile.outcomes.map(|o| o.error_rate())))
    }
}
