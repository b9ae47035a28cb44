//! `[outages.PROVIDER]`, resolved: which endpoints meet which incidents, whose limits are squeezed when.
use super::super::format::{OutageEntry, OutageSection};
use super::*;
use baseload_core::api::{Drawn, Incident, Outages, Squeeze};

impl Resolver<'_> {
    /// Gives endpoints the incidents of their providers; those that did not resolve stay as they are.
    pub(super) fn outages(&mut self, endpoints: &mut [Option<ResolvedEndpoint>]) -> Result<(), Faults> {
        let file = self.file;
        let mut faults = Faults::default();
        let catalog_of = |e: &EndpointSection| e.catalog.split_once('/').map(|(p, m)| (p.to_string(), m.to_string()));
        let bought: Vec<(String, String)> = file.endpoint.values().map(|e| catalog_of(e).unwrap_or_default()).collect();
        for (provider, section) in &file.outages {
            let at = key!["outages", provider];
            if !bought.iter().any(|(of, _)| of == provider) {
                let known = bought.iter().map(|(of, _)| of.as_str());
                faults.push(Fault::unknown(at, "provider", provider, known));
                continue;
            }
            let models: Vec<&str> = bought.iter().filter(|(p, _)| p == provider).map(|(_, m)| m.as_str()).collect();
            for (i, model) in section.models.iter().flatten().enumerate() {
                if !models.contains(&model.as_str()) {
                    let at = at.clone().then("models").then(i);
                    faults.push(Fault::unknown(at, "model", model, models.iter().copied()));
                }
            }
            let resolved = self.outages_of(provider, section).map_err(|faults| faults.under(at));
            let Some((outages, squeezes)) = faults.take(resolved) else { continue };
            let meets = |(of, model): &(String, String)| {
                of == provider && section.models.as_ref().is_none_or(|models| models.contains(model))
            };
            let met: Vec<usize> = (0..endpoints.len()).filter(|i| meets(&bought[*i])).collect();
            self.unfelt(provider, section, met.iter().filter_map(|i| endpoints[*i].as_ref()));
            // An account is squeezed for all who share it.
            let accounts: Vec<String> =
                met.iter().filter_map(|i| Some(endpoints[*i].as_ref()?.spec.account.clone())).collect();
            for endpoint in endpoints.iter_mut().flatten().filter(|e| accounts.contains(&e.spec.account)) {
                endpoint.spec.squeezes.extend_from_slice(&squeezes);
            }
            if !outages.written.is_empty() || outages.drawn.is_some() {
                let outages = Arc::new(outages);
                for i in met {
                    if let Some(endpoint) = &mut endpoints[i] {
                        endpoint.spec.outages = Some(outages.clone());
                    }
                }
            }
        }
        faults.finish(())
    }

    /// Warns of limits that are squeezed where there are none.
    fn unfelt<'a>(
        &mut self,
        provider: &str,
        section: &OutageSection,
        mut met: impl Iterator<Item = &'a ResolvedEndpoint>,
    ) {
        let Some(i) = section.schedule.iter().position(|e| e.limits_times != 1.0) else { return };
        if !met.any(|e| Limits { rules: Rules::PLAIN, ..e.spec.limits } != Limits::NONE) {
            let at = key!["outages", provider, "schedule", i, "limits_times"];
            self.warnings
                .push(format!("{at} changes nothing: no endpoint has limits, so that no call is refused for it"));
        }
    }

    /// What happens at a provider. Keys of faults are counted from its table.
    fn outages_of(&mut self, provider: &str, s: &OutageSection) -> Result<(Outages, Vec<Squeeze>), Faults> {
        if s.schedule.is_empty() && s.drawn.is_none() {
            return Err(Fault::new("no incidents").hint("give schedule or drawn").into());
        }
        let mut faults = Faults::default();
        let (mut written, mut squeezes) = (Vec::new(), Vec::new());
        for (i, entry) in s.schedule.iter().enumerate() {
            let entry = self::entry(entry).map_err(|faults| faults.under(key!["schedule", i]));
            let Some((incident, times_ppm)) = faults.take(entry) else { continue };
            if times_ppm != 1_000_000 {
                squeezes.push(Squeeze { at: incident.at, until: incident.until, times_ppm });
            }
            if incident.fails > 0.0 || incident.slower > 1.0 {
                written.push(incident);
            }
        }
        let drawn = s.drawn.as_ref().map(|service| self.drawn(service, s)).transpose();
        let drawn = faults.or_default(drawn);
        faults.finish((Outages { provider: provider.into(), written, drawn }, squeezes))
    }

    fn drawn(&mut self, service: &str, s: &OutageSection) -> Result<Drawn, Faults> {
        let row = self.catalog.incidents(service).map_err(|e| of_catalog("drawn", e))?;
        self.dated.push((format!("incidents of {service}"), row.date.clone()));
        let mut faults = Faults::default();
        let drawn = Drawn {
            gap_median_h: row.gap_median_h,
            gap_sigma: row.gap_sigma(),
            duration_median_min: row.duration_median_min,
            duration_sigma: row.duration_sigma(),
            noticed: row.noticed(),
            full: row.full(),
            partial_fails: faults.or_default(share(key!["partial", "fails"], s.partial.fails)),
            partial_slower: faults.or_default(slower(key!["partial", "slower"], s.partial.slower)),
        };
        faults.finish(drawn)
    }
}

fn slower(key: impl Into<KeyPath>, value: f64) -> Result<f64, Fault> {
    in_range(key, value, value.is_finite() && value >= 1.0, "it must be at least 1")
}

/// An incident, and millionths of the limits that are left in it.
fn entry(e: &OutageEntry) -> Result<(Incident, u64), Faults> {
    let mut faults = Faults::default();
    let at = faults.or(SimTime::ZERO, duration("at", &e.at));
    let lasts = faults.or(SimTime::ZERO, longer_than_0("duration", &e.duration));
    let right = "it is what is left of the limits, above 0 and at most 1: with none left nothing is let in, which is \
                 fails = 1.0";
    let times = in_range("limits_times", e.limits_times, (1e-6..=1.0).contains(&e.limits_times), right);
    let incident = Incident {
        at,
        until: at + lasts,
        fails: faults.or_default(share("fails", e.fails)),
        slower: faults.or_default(slower("slower", e.slower)),
    };
    let times_ppm = (faults.or_default(times) * 1e6).round() as u64;
    if faults.is_empty() && incident.fails == 0.0 && incident.slower == 1.0 && times_ppm == 1_000_000 {
        faults.push(Fault::new("it changes nothing").hint("give fails, slower or limits_times"));
    }
    faults.finish((incident, times_ppm))
}
