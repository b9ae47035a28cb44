//! Limits of accounts and provisioned units, resolved.
use super::super::format::{LimitsSection, OutputCountingName, ProvisionedSection};
use super::*;
use baseload_core::api::{Acceleration, Counting, Day, OutputCounting, Rules, Utilization};
use baseload_core::catalog::RateLimit;

/// What is paid by the hour for an endpoint, used or not.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Hourly {
    /// Units.
    pub units: u32,
    /// What one costs an hour.
    pub per_unit: Usd,
}

fn above_zero(key: &str, value: f64) -> Result<f64, String> {
    if value.is_finite() && value > 0.0 { Ok(value) } else { Err(format!("{key} is {value}; it must be above 0")) }
}

impl Resolver<'_> {
    /// The limits of `key`, an endpoint of `provider/model`.
    pub(super) fn limits(&mut self, key: &str, l: &LimitsSection, catalog: &str) -> Result<Limits, String> {
        let key = format!("{key}.limits");
        let at = |k: &str| format!("{key}.{k}");
        let limit = |what: &str, own: Option<u64>, of_tier: fn(&RateLimit) -> Option<u64>, tier: Option<&RateLimit>| {
            match own {
                Some(0) => Err(format!("{key}.{what} is 0; leave the endpoint out, or give a limit above 0")),
                Some(own) => Ok(Some(own)),
                None => Ok(tier.and_then(of_tier)),
            }
        };
        let (provider, model) = catalog.split_once('/').unwrap_or((catalog, ""));
        let tier = match &l.tier {
            Some(name) => {
                let row = self.catalog.rate_limit(name).map_err(|e| format!("{}: {e}", at("tier")))?;
                if [row.rpm, row.input_tpm, row.output_tpm, row.combined_tpm].iter().all(Option::is_none) {
                    return Err(format!("{}: `{name}` has no published numbers; give your own limits", at("tier")));
                }
                self.dated.push((format!("rate limits of {name}"), row.date.clone()));
                Some(row)
            }
            None => None,
        };
        let row = match &l.preset {
            Some(name) => Some(self.catalog.limit_rules_named(name).map_err(|e| format!("{}: {e}", at("preset")))?),
            None => self.catalog.limit_rules(tier.map_or(provider, |row| &row.provider)),
        };
        let mut rules = row.map_or(Rules::PLAIN, |row| Rules::of(row, model));
        match l.output_counting {
            Some(OutputCountingName::Actual) => rules.output = OutputCounting::Actual,
            Some(OutputCountingName::MaxTokens) => rules.output = OutputCounting::MaxTokens,
            None => {}
        }
        rules.cache_reads_count = l.cache_reads_count.unwrap_or(rules.cache_reads_count);
        rules.refused_count = l.refused_count.unwrap_or(rules.refused_count);
        if let Some(text) = &l.requests_over {
            let over = duration(&at("requests_over"), text)?;
            if over == SimTime::ZERO || over > SimTime::from_secs(60) {
                return Err(format!("{} is {text}; it must be above 0 and at most 60s", at("requests_over")));
            }
            rules.requests_over = Some(over);
        }
        if let Counting::BurnDown(times) = &mut rules.both {
            *times = match l.burn_down {
                Some(0) => return Err(format!("{} is 0; it must be at least 1", at("burn_down"))),
                own => own.unwrap_or(*times),
            };
        } else if l.burn_down.is_some() {
            return Err(format!("{}: only Bedrock's rules have one; give preset = \"bedrock\"", at("burn_down")));
        }
        if let Some(text) = &l.day_offset {
            let Day::Midnight(offset) = &mut rules.day else {
                return Err(format!("{}: only Gemini's days begin at midnight", at("day_offset")));
            };
            *offset = duration(&at("day_offset"), text)?;
            if *offset >= SimTime::from_secs(86_400) {
                return Err(format!("{} is {text}; a day's clock shows less than 24h", at("day_offset")));
            }
        }
        if let Some(a) = &l.acceleration {
            let over = duration(&at("acceleration.over"), &a.over)?;
            let minutes = over.0 / 60_000_000_000;
            if minutes == 0 || minutes * 60_000_000_000 != over.0 || minutes > 1_440 {
                return Err(format!(
                    "{} is {}; it must be 1m to 1440m, whole minutes",
                    at("acceleration.over"),
                    a.over
                ));
            }
            rules.acceleration = Some(Acceleration {
                times_ppm: (above_zero(&at("acceleration.times"), a.times)? * 1e6).round() as u64,
                over_minutes: minutes as u32,
                above: a.above_tokens_per_minute,
            });
        }
        let spend_cap = match l.spend_cap_usd {
            Some(usd) => {
                let key = at("spend_cap_usd");
                Some(Usd::from_number(above_zero(&key, usd)?).map_err(|e| format!("{key}: {e}"))?)
            }
            None => None,
        };
        let tokens_per_minute = limit("tokens_per_minute", l.tokens_per_minute, |r| r.combined_tpm, tier)?;
        let by_day = match rules.both {
            Counting::BurnDown(_) => tokens_per_minute.map(|tpm| tpm.saturating_mul(1_440)),
            _ => None,
        };
        Ok(Limits {
            requests_per_minute: limit("requests_per_minute", l.requests_per_minute, |r| r.rpm, tier)?,
            requests_per_day: limit("requests_per_day", l.requests_per_day, |r| r.rpd, tier)?,
            input_tokens_per_minute: limit(
                "input_tokens_per_minute",
                l.input_tokens_per_minute,
                |r| r.input_tpm,
                tier,
            )?,
            output_tokens_per_minute: limit(
                "output_tokens_per_minute",
                l.output_tokens_per_minute,
                |r| r.output_tpm,
                tier,
            )?,
            tokens_per_minute,
            tokens_per_day: limit("tokens_per_day", l.tokens_per_day, |r| r.combined_tpd, tier)?.or(by_day),
            spend_cap,
            utilization: None,
            rules,
        })
    }

    /// Provisioned units of `key`, an endpoint of `provider/model`.
    pub(super) fn provisioned(
        &mut self,
        key: &str,
        p: &ProvisionedSection,
        catalog: &str,
    ) -> Result<(Hourly, Utilization), String> {
        let key = format!("{key}.provisioned");
        let model = catalog.rsplit('/').next().unwrap_or(catalog);
        let known = self.catalog.provisioned(model);
        let units = at_least_one(&format!("{key}.units"), p.units)?;
        if let (Ok(row), None) = (&known, p.input_tokens_per_minute) {
            self.dated.push((format!("provisioned units of {model}"), row.date.clone()));
            if units < row.min_units || !(units - row.min_units).is_multiple_of(row.unit_step) {
                self.warnings.push(format!(
                    "{key}.units is {units}; {} sells {model} from {} in steps of {}",
                    if row.sold_by.is_empty() { "its provider" } else { &row.sold_by },
                    row.min_units,
                    row.unit_step
                ));
            }
        }
        let missing = |what: &str, e: &dyn std::fmt::Display| format!("{key}: {e}; or give {key}.{what}");
        let a_unit = match (p.input_tokens_per_minute, &known) {
            (Some(0), _) => return Err(format!("{key}.input_tokens_per_minute is 0; it must be above 0")),
            (Some(own), _) => own,
            (None, Ok(row)) => row.input_tpm_per_unit,
            (None, Err(e)) => return Err(missing("input_tokens_per_minute", e)),
        };
        let weight = match (p.output_weight, &known) {
            (Some(own), _) => above_zero(&format!("{key}.output_weight"), own)?,
            (None, Ok(row)) => row.output_weight,
            (None, Err(e)) => return Err(missing("output_weight", e)),
        };
        if !(0.001..=1_000.0).contains(&weight) {
            return Err(format!("{key}.output_weight is {weight}; it must be from 0.001 to 1000"));
        }
        let usd = format!("{key}.usd_per_unit_hour");
        if p.usd_per_unit_hour > 1e6 {
            return Err(format!("{usd} is {}; give US$ an hour, at most 1,000,000", p.usd_per_unit_hour));
        }
        let per_unit = Usd::from_number(above_zero(&usd, p.usd_per_unit_hour)?).map_err(|e| format!("{usd}: {e}"))?;
        let utilization = Utilization {
            tokens_per_minute: a_unit.saturating_mul(units.into()),
            output_milli: (weight * 1_000.0).round() as u64,
        };
        Ok((Hourly { units, per_unit }, utilization))
    }

    /// Endpoints of one account have one set of limits: that of whichever gives one.
    pub(super) fn accounts(&self, endpoints: &mut [ResolvedEndpoint]) -> Result<(), String> {
        let gives = |name: &str| {
            let e = &self.file.endpoint[name];
            e.limits.is_some() || e.provisioned.is_some()
        };
        for i in 0..endpoints.len() {
            let account = endpoints[i].spec.account.clone();
            let of_account: Vec<usize> =
                (0..endpoints.len()).filter(|e| endpoints[*e].spec.account == account).collect();
            let other = of_account.iter().copied().find(|e| *e != i);
            if let (Some(_), Some(other)) = (endpoints[i].hourly, other) {
                return Err(format!(
                    "endpoint.{}.provisioned: units are an account of their own; `{account}` is that of endpoint.{}, too",
                    endpoints[i].name, endpoints[other].name
                ));
            }
            let Some(first) = of_account.iter().copied().find(|e| gives(&endpoints[*e].name)) else { continue };
            let limits = endpoints[first].spec.limits;
            if gives(&endpoints[i].name) && endpoints[i].spec.limits != limits {
                return Err(format!(
                    "endpoint.{}.limits: account `{account}` has other limits in endpoint.{}.limits; give them once, or name \
                     another account",
                    endpoints[i].name, endpoints[first].name
                ));
            }
            endpoints[i].spec.limits = limits;
        }
        Ok(())
    }
}
