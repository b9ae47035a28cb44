//! An endpoint, resolved: its price, latency, limits and cache.
use super::*;

impl Resolver<'_> {
    pub(super) fn endpoint(&mut self, name: &str, e: &EndpointSection, date: &str) -> Result<ResolvedEndpoint, String> {
        let catalog = self.catalog;
        let key = format!("endpoint.{name}");
        let row = self.price_row(name, e, date)?;
        let service = self.service(name, e)?;
        let (cache, write) = self.cache(name, e, &row)?;
        let price = self.price(name, e, &row, write)?;
        let known = catalog.api_latency(&e.catalog).ok();
        let batch = service.turnaround.is_some();
        let given = [
            ("ttft_p50", e.ttft_p50.is_some()),
            ("output_tokens_per_s", e.output_tokens_per_s.is_some()),
            ("latency", e.latency.is_some()),
            ("latency_offset", e.latency_offset.is_some()),
            ("latency_of_another_model", e.latency_of_another_model),
        ];
        if let Some((what, _)) = given.into_iter().find(|(_, given)| batch && *given) {
            return Err(format!(
                "{key}.{what}: a batch answers all at once; give {key}.batch.turnaround_p50 in its place"
            ));
        }
        let (latency, measured_errors) = match &e.latency {
            // A batch is as fast as its turnaround; its law of latency is never asked.
            _ if batch => {
                let unused = LogNormal { ttft_p50_s: 1.0, output_tokens_per_s: 1.0, p95_over_p50: 1.0 };
                (Latency::LogNormal(unused), None)
            }
            Some(named) => self.measured(&key, named, e, (&row.provider, &row.model))?,
            None => (self.published(&key, name, e, known)?, None),
        };
        let mut limits = match &e.limits {
            Some(l) => self.limits(&key, l, &e.catalog)?,
            None => Limits::NONE,
        };
        for (what, given) in [
            ("price", e.price.is_some()),
            ("tier", e.tier != Tier::Standard),
            ("limits.spend_cap_usd", limits.spend_cap.is_some()),
        ] {
            if given && e.provisioned.is_some() {
                return Err(format!("{key}.{what}: provisioned units cost nothing a token; leave one of them out"));
            }
        }
        let provisioned = e.provisioned.as_ref().map(|p| self.provisioned(&key, p, &e.catalog)).transpose()?;
        limits.utilization = provisioned.map(|(_, utilization)| utilization);
        let errors = e.errors.clone().unwrap_or_default();
        if e.error_rate.is_some() && errors.server_error.is_some() {
            return Err(format!("{key}.errors.server_error: {key}.error_rate says the same; give one of them"));
        }
        let own_errors = errors.server_error.or(e.error_rate);
        let error_rate = share(
            &format!("{key}.error_rate"),
            own_errors.or(measured_errors).or(known.map(|k| k.error_rate)).unwrap_or(0.0),
        )?;
        let overload_rate = share(&format!("{key}.errors.overloaded"), errors.overloaded)?;
        if error_rate + overload_rate > 1.0 {
            return Err(format!("{key}.errors: more than all calls fail; the shares must add up to at most 1"));
        }
        let account = e.account.clone().unwrap_or_else(|| name.into());
        if account.is_empty() {
            return Err(format!("{key}.account is empty; name it, or leave the key out"));
        }
        let mut spec = EndpointSpec {
            name: name.into(),
            latency,
            error_rate,
            overload_rate,
            outages: None,
            price,
            account,
            limits,
            squeezes: Vec::new(),
            cache,
            service,
            capability: catalog.api_capability(&e.catalog).unwrap_or(Capability::Small),
            max_input_tokens: u32::try_from(row.max_input_tokens).unwrap_or(u32::MAX),
        };
        if provisioned.is_some() {
            // Paid by the hour: a token more costs nothing.
            spec.price = Price::default();
        }
        let hourly = provisioned.map(|(hourly, _)| hourly);
        Ok(ResolvedEndpoint { name: name.into(), spec, hourly, answers: None, row })
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
                let text = std::fs::read_to_string(&path).map_err(|e| {
                    let path = path.display();
                    wrong(format!(
                        "{path}: {e}; `baseload calibrate api` writes one, `baseload catalog latency` names those here"
                    ))
                })?;
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
