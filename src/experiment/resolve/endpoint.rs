//! An endpoint, resolved: its price, latency, limits and cache. Keys of faults are counted from its table.
use super::*;

/// A law of latency, and the share of calls that failed, where it knows that.
type Law = (Latency, Option<f64>);

impl Resolver<'_> {
    pub(super) fn endpoint(&mut self, name: &str, e: &EndpointSection, date: &str) -> Result<ResolvedEndpoint, Faults> {
        let mut faults = Faults::default();
        let row = self.price_row(name, e, date);
        let service = faults.take(self.service(name, e));
        let row = faults.take(row);
        let (cache, write) = match &row {
            Some(row) => faults.or((None, CacheWrite::Free), self.cache(name, e, row)),
            None => (None, CacheWrite::Free),
        };
        let price = row.as_ref().map(|row| self.price(name, e, row, write)).transpose();
        let price = faults.or_default(price).unwrap_or_default();
        let law = row.as_ref().map(|row| self.law(name, e, row)).transpose();
        let law = faults.or_default(law);
        let limits = e
            .limits
            .as_ref()
            .map_or(Ok(Limits::NONE), |l| self.limits(l, &e.catalog).map_err(|faults| faults.under("limits")));
        let limits = faults.or(Limits::NONE, limits);
        let bought = e
            .provisioned
            .as_ref()
            .map(|p| self.provisioned(name, p, &e.catalog).map_err(|faults| faults.under("provisioned")));
        let bought = faults.or_default(bought.transpose());
        if e.provisioned.is_some() {
            faults.extend(paid_twice(e, &limits));
        }
        let rates = faults.or_default(self.error_rates(e, law.as_ref().and_then(|(_, failed)| *failed)));
        let account = e.account.clone().unwrap_or_else(|| name.into());
        if account.is_empty() {
            faults.push(Fault::at("account", "it is empty").hint("name it, or leave the key out"));
        }
        let (Some(row), Some(service), Some((latency, _))) = (row, service, law) else { return Err(faults) };
        let spec = EndpointSpec {
            name: name.into(),
            latency,
            error_rate: rates.0,
            overload_rate: rates.1,
            outages: None,
            // What is paid by the hour costs nothing more a token.
            price: if bought.is_some() { Price::default() } else { price },
            account,
            limits: Limits { utilization: bought.map(|(_, utilization)| utilization), ..limits },
            squeezes: Vec::new(),
            cache,
            service,
            capability: self.catalog.api_capability(&e.catalog).unwrap_or(Capability::Small),
            max_input_tokens: u32::try_from(row.max_input_tokens).unwrap_or(u32::MAX),
        };
        let hourly = bought.map(|(hourly, _)| hourly);
        faults.finish(ResolvedEndpoint { name: name.into(), spec, hourly, answers: None, row })
    }

    /// Shares of calls that end in a 5xx, and in an overload.
    fn error_rates(&self, e: &EndpointSection, measured: Option<f64>) -> Result<(f64, f64), Faults> {
        let errors = e.errors.clone().unwrap_or_default();
        if e.error_rate.is_some() && errors.server_error.is_some() {
            let fault = Fault::at(key!["errors", "server_error"], "error_rate says the same").hint("give one of them");
            return Err(fault.into());
        }
        let known = self.catalog.api_latency(&e.catalog).ok().map(|row| row.error_rate);
        let (key, rate) = match (errors.server_error, e.error_rate) {
            (Some(own), _) => (key!["errors", "server_error"], own),
            (None, own) => (key!["error_rate"], own.or(measured).or(known).unwrap_or(0.0)),
        };
        let mut faults = Faults::default();
        let rate = faults.or_default(share(key, rate));
        let overload = faults.or_default(share(key!["errors", "overloaded"], errors.overloaded));
        if rate + overload > 1.0 {
            let fault = Fault::at("errors", "more than all calls fail");
            faults.push(fault.hint("the shares must add up to at most 1"));
        }
        faults.finish((rate, overload))
    }

    /// How long its calls take.
    fn law(&mut self, name: &str, e: &EndpointSection, row: &ApiPrice) -> Result<Law, Faults> {
        let given = [
            ("ttft_p50", e.ttft_p50.is_some()),
            ("output_tokens_per_s", e.output_tokens_per_s.is_some()),
            ("latency", e.latency.is_some()),
            ("latency_offset", e.latency_offset.is_some()),
            ("latency_of_another_model", e.latency_of_another_model),
        ];
        let refused = |keys: &[(&str, bool)], what: &str, hint: &str| {
            let given = keys.iter().filter(|(_, given)| *given);
            given.map(|(key, _)| Fault::at(*key, what).hint(hint)).collect::<Faults>().finish(())
        };
        if e.tier == Tier::Batch {
            refused(&given, "a batch answers all at once", "give batch.turnaround_p50 in its place")?;
            // A batch is as fast as its turnaround; its law of latency is never asked.
            let unused = LogNormal { ttft_p50_s: 1.0, output_tokens_per_s: 1.0, p95_over_p50: 1.0 };
            return Ok((Latency::LogNormal(unused), None));
        }
        match &e.latency {
            Some(named) => {
                refused(&given[..2], "latency is given too", "an endpoint has one law of latency")?;
                Ok(self.measured(name, named, e, (&row.provider, &row.model))?)
            }
            None => {
                refused(&given[3..], "it says how a profile is taken", "give latency too, or leave it out")?;
                Ok((self.published(name, e)?, None))
            }
        }
    }

    /// The law of the medians that are published, or given.
    fn published(&mut self, name: &str, e: &EndpointSection) -> Result<Latency, Faults> {
        let known = self.catalog.api_latency(&e.catalog).ok();
        let missing = |key: &str| {
            let what = format!("it is missing, and none is published for {}", e.catalog);
            Fault::at(key, what).hint("give it")
        };
        let mut faults = Faults::default();
        let own = e.ttft_p50.as_ref().map(|text| longer_than_0("ttft_p50", text)).transpose();
        let ttft = own.and_then(|own| {
            let ttft = own.map(SimTime::as_secs_f64).or(known.map(|k| k.ttft_p50_s));
            ttft.ok_or_else(|| missing("ttft_p50"))
        });
        let speed = e.output_tokens_per_s.or(known.map(|k| k.output_tokens_per_s));
        let speed = speed.ok_or_else(|| missing("output_tokens_per_s"));
        let law = LogNormal {
            ttft_p50_s: faults.or_default(ttft),
            output_tokens_per_s: faults.or_default(speed.and_then(|speed| above_0("output_tokens_per_s", speed))),
            p95_over_p50: known.map_or(3.0, |k| k.p95_over_p50),
        };
        if let Some(k) = known {
            if k.unverified {
                self.warnings.push(format!("endpoint {name} ({}): latency is an assumption: {}", e.catalog, k.source));
            }
            self.dated.push((format!("latency of {}", e.catalog), k.date.clone()));
        }
        faults.finish(Latency::LogNormal(law))
    }

    /// The law of a profile of measured calls.
    fn measured(
        &mut self,
        name: &str,
        named: &str,
        e: &EndpointSection,
        (provider, model): (&str, &str),
    ) -> Result<Law, Fault> {
        let profile = match self.paths.at(&key!["endpoint", name, "latency"]) {
            Some(path) => {
                let text = read_text(path, LONGEST_TOML).map_err(|e| {
                    let hint = "`baseload calibrate api` writes one, `baseload catalog latency` names those here";
                    Fault::from(e).under("latency").hint(hint)
                })?;
                ApiProfile::parse(&text, &path.display().to_string()).map_err(|e| Fault::from(e).under("latency"))?
            }
            None => ApiProfile::named(named).map_err(|e| of_catalog("latency", e))?.clone(),
        };
        let of = format!("profile {} is of {}/{}", profile.name, profile.provider, profile.model);
        if !profile.is_of(provider, model) {
            if !e.latency_of_another_model {
                let hint = "give a profile of that, or set latency_of_another_model = true";
                return Err(Fault::at("latency", format!("{of}, and the endpoint is {}", e.catalog)).hint(hint));
            }
            self.warnings.push(format!(
                "endpoint.{name}: {of}, and stands in for {}, whose own TTFT and E2E may be shorter or longer",
                e.catalog
            ));
        }
        let offset = duration("latency_offset", e.latency_offset.as_deref().unwrap_or("0s"))?;
        if e.latency_offset.is_some() && profile.hours.is_none() {
            let what = format!("profile {} has no hours, so that its latency is the same all day", profile.name);
            self.warnings.push(format!("endpoint.{name}.latency_offset changes nothing: {what}"));
        }
        if age_days(&profile.measured, "9999").is_none() {
            self.warnings.push(format!(
                "endpoint.{name}: profile {} does not say when its calls were made: how old its TTFT and E2E are is unknown",
                profile.name
            ));
        }
        self.dated.push((format!("latency profile {}", profile.name), profile.measured.clone()));
        let law = ProfileLaw::new(&profile, offset);
        Ok((Latency::Profile(Arc::new(law)), profile.outcomes.map(|o| o.error_rate())))
    }
}

/// What is of no use beside units that are bought by the hour.
fn paid_twice(e: &EndpointSection, limits: &Limits) -> Vec<Fault> {
    let given = [
        (key!["price"], e.price.is_some()),
        (key!["tier"], e.tier != Tier::Standard),
        (key!["limits", "spend_cap_usd"], limits.spend_cap.is_some()),
    ];
    let given = given.into_iter().filter(|(_, given)| *given);
    given
        .map(|(key, _)| Fault::at(key, "provisioned units cost nothing a token").hint("leave one of them out"))
        .collect()
}
