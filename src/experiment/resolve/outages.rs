//! `[outages.PROVIDER]`, resolved: which endpoints meet which incidents, whose limits are squeezed when.
use super::super::format::{OutageEntry, OutageSection};
use super::*;
use baseload_core::api::{Drawn, Incident, Outages, Squeeze};

impl Resolver<'_> {
    /// Gives endpoints the incidents of their providers.
    pub(super) fn outages(&mut self, endpoints: &mut [ResolvedEndpoint]) -> Result<(), String> {
        let file = self.file;
        let catalog_of = |e: &ResolvedEndpoint| file.endpoint[&e.name].catalog.split_once('/').unwrap_or_default();
        for (provider, section) in &file.outages {
            let key = format!("outages.{provider}");
            let known: Vec<&str> = endpoints.iter().map(|e| catalog_of(e).0).collect();
            if !known.contains(&provider.as_str()) {
                return Err(format!("{key}: {}", unknown("provider", provider, known.into_iter(), "[endpoint.NAME]")));
            }
            let models: Vec<&str> =
                endpoints.iter().map(catalog_of).filter(|(p, _)| p == provider).map(|(_, model)| model).collect();
            for (i, model) in section.models.iter().flatten().enumerate() {
                if !models.contains(&model.as_str()) {
                    let names = models.iter().copied();
                    return Err(format!("{key}.models[{i}]: {}", unknown("model", model, names, "[endpoint.NAME]")));
                }
            }
            let (outages, squeezes) = self.outages_of(&key, provider, section)?;
            let meets = |e: &ResolvedEndpoint| {
                let (of, model) = catalog_of(e);
                of == provider && section.models.as_ref().is_none_or(|models| models.iter().any(|m| m == model))
            };
            let met: Vec<usize> = (0..endpoints.len()).filter(|i| meets(&endpoints[*i])).collect();
            if let Some(i) = squeezed(&section.schedule).filter(|_| {
                let limited = |i: &usize| Limits { rules: Rules::PLAIN, ..endpoints[*i].spec.limits } != Limits::NONE;
                !met.iter().any(limited)
            }) {
                self.warnings.push(format!("{key}.schedule[{i}].limits_times changes nothing: no endpoint has limits"));
            }
            // An account is squeezed for all who share it.
            let accounts: Vec<String> = met.iter().map(|i| endpoints[*i].spec.account.clone()).collect();
            for endpoint in endpoints.iter_mut().filter(|e| accounts.contains(&e.spec.account)) {
                endpoint.spec.squeezes.extend_from_slice(&squeezes);
            }
            if !outages.written.is_empty() || outages.drawn.is_some() {
                let outages = Arc::new(outages);
                met.into_iter().for_each(|i| endpoints[i].spec.outages = Some(outages.clone()));
            }
        }
        Ok(())
    }

    fn outages_of(&mut self, key: &str, provider: &str, s: &OutageSection) -> Result<(Outages, Vec<Squeeze>), String> {
        if s.schedule.is_empty() && s.drawn.is_none() {
            return Err(format!("{key}: no incidents; give {key}.schedule or {key}.drawn"));
        }
        let (mut written, mut squeezes) = (Vec::new(), Vec::new());
        for (i, entry) in s.schedule.iter().enumerate() {
            let key = format!("{key}.schedule[{i}]");
            let (incident, times_ppm) = self::entry(&key, entry)?;
            if incident.fails > 0.0 || incident.slower > 1.0 {
                written.push(incident);
            } else if times_ppm == 1_000_000 {
                return Err(format!("{key} changes nothing; give {key}.fails, {key}.slower or {key}.limits_times"));
            }
            if times_ppm != 1_000_000 {
                squeezes.push(Squeeze { at: incident.at, until: incident.until, times_ppm });
            }
        }
        let drawn = match &s.drawn {
            Some(service) => {
                let row = self.catalog.incidents(service).map_err(|e| format!("{key}.drawn: {e}"))?;
                self.dated.push((format!("incidents of {service}"), row.date.clone()));
                Some(Drawn {
                    gap_median_h: row.gap_median_h,
                    gap_sigma: row.gap_sigma(),
                    duration_median_min: row.duration_median_min,
                    duration_sigma: row.duration_sigma(),
                    noticed: row.noticed(),
                    full: row.full(),
                    partial_fails: share(&format!("{key}.partial.fails"), s.partial.fails)?,
                    partial_slower: slower(&format!("{key}.partial.slower"), s.partial.slower)?,
                })
            }
            None => None,
        };
        Ok((Outages { provider: provider.into(), written, drawn }, squeezes))
    }
}

/// The first entry that squeezes.
fn squeezed(schedule: &[OutageEntry]) -> Option<usize> {
    schedule.iter().position(|e| e.limits_times != 1.0)
}

fn slower(key: &str, value: f64) -> Result<f64, String> {
    if value.is_finite() && value >= 1.0 { Ok(value) } else { Err(format!("{key} is {value}; it must be at least 1")) }
}

fn entry(key: &str, e: &OutageEntry) -> Result<(Incident, u64), String> {
    let at = duration(&format!("{key}.at"), &e.at)?;
    let lasts = duration(&format!("{key}.duration"), &e.duration)?;
    if lasts == SimTime::ZERO {
        return Err(format!("{key}.duration is 0; it must be longer"));
    }
    let times = e.limits_times;
    if !(1e-6..=1.0).contains(&times) {
        return Err(format!(
            "{key}.limits_times is {times}; it is what is left of the limits, above 0 and at most 1: with none left nothing is \
             let in, which is fails = 1.0"
        ));
    }
    let incident = Incident {
        at,
        until: at + lasts,
        fails: share(&format!("{key}.fails"), e.fails)?,
        slower: slower(&format!("{key}.slower"), e.slower)?,
    };
    Ok((incident, (times * 1e6).round() as u64))
}
