//! Limits of accounts and provisioned units, resolved.
use super::super::format::{AccelerationSection, LimitsSection, OutputCountingName, ProvisionedSection};
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

impl Resolver<'_> {
    /// The limits of an endpoint of `provider/model`. Keys of faults are counted from `limits`.
    pub(super) fn limits(&mut self, l: &LimitsSection, catalog: &str) -> Result<Limits, Faults> {
        let mut faults = Faults::default();
        let (provider, model) = catalog.split_once('/').unwrap_or((catalog, ""));
        let tier = match &l.tier {
            Some(name) => faults.take(self.tier(name)),
            None => None,
        };
        let row = match &l.preset {
            Some(name) => faults.take(self.catalog.limit_rules_named(name).map_err(|e| of_catalog("preset", e))),
            None => self.catalog.limit_rules(tier.as_ref().map_or(provider, |row| &row.provider)),
        };
        let rules = faults.or(Rules::PLAIN, rules(l, row.map_or(Rules::PLAIN, |row| Rules::of(row, model))));
        let tier = tier.as_ref();
        let mut limit = |key: &str, own: Option<u64>, of_tier: fn(&RateLimit) -> Option<u64>| match own {
            Some(0) => {
                faults.push(Fault::at(key, "it is 0").hint("leave the endpoint out, or give a limit above 0"));
                None
            }
            own => own.or_else(|| tier.and_then(of_tier)),
        };
        let tokens_per_minute = limit("tokens_per_minute", l.tokens_per_minute, |r| r.combined_tpm);
        let by_day = match rules.both {
            Counting::BurnDown(_) => tokens_per_minute.map(|tpm| tpm.saturating_mul(1_440)),
            _ => None,
        };
        let limits = Limits {
            requests_per_minute: limit("requests_per_minute", l.requests_per_minute, |r| r.rpm),
            requests_per_day: limit("requests_per_day", l.requests_per_day, |r| r.rpd),
            input_tokens_per_minute: limit("input_tokens_per_minute", l.input_tokens_per_minute, |r| r.input_tpm),
            output_tokens_per_minute: limit("output_tokens_per_minute", l.output_tokens_per_minute, |r| r.output_tpm),
            tokens_per_minute,
            tokens_per_day: limit("tokens_per_day", l.tokens_per_day, |r| r.combined_tpd).or(by_day),
            spend_cap: None,
            utilization: None,
            rules,
        };
        let cap = l.spend_cap_usd.map(|usd| money("spend_cap_usd", usd)).transpose();
        let spend_cap = faults.or_default(cap);
        faults.finish(Limits { spend_cap, ..limits })
    }

    /// The row of a published tier.
    fn tier(&mut self, name: &str) -> Result<RateLimit, Fault> {
        let row = self.catalog.rate_limit(name).map_err(|e| of_catalog("tier", e))?.clone();
        if [row.rpm, row.input_tpm, row.output_tpm, row.combined_tpm].iter().all(Option::is_none) {
            return Err(Fault::at("tier", format!("`{name}` has no published numbers")).hint("give your own limits"));
        }
        self.dated.push((format!("rate limits of {name}"), row.date.clone()));
        Ok(row)
    }

    /// Provisioned units of an endpoint of `provider/model`. Keys of faults are counted from `provisioned`.
    pub(super) fn provisioned(
        &mut self,
        name: &str,
        p: &ProvisionedSection,
        catalog: &str,
    ) -> Result<(Hourly, Utilization), Faults> {
        let mut faults = Faults::default();
        let model = catalog.rsplit('/').next().unwrap_or(catalog);
        let known = self.catalog.provisioned(model);
        let units = faults.or_default(at_least_1("units", p.units));
        if let (Ok(row), None) = (&known, p.input_tokens_per_minute) {
            self.dated.push((format!("provisioned units of {model}"), row.date.clone()));
            if units < row.min_units || !(units - row.min_units).is_multiple_of(row.unit_step) {
                self.warnings.push(format!(
                    "endpoint.{name}.provisioned.units is {units}; Azure sells {model} from {} in steps of {}: the bill is of \
                     units that nobody can buy in that number",
                    row.min_units, row.unit_step
                ));
            }
        }
        let of_row = |key: &str| {
            let row = known.as_ref().map_err(|e| Fault::at(key, format!("it is missing, and {e}")));
            row.map_err(|fault| fault.hint("give it"))
        };
        let a_unit = match p.input_tokens_per_minute {
            Some(own) => at_least_1("input_tokens_per_minute", own),
            None => of_row("input_tokens_per_minute").map(|row| row.input_tpm_per_unit),
        };
        let weight = match p.output_weight {
            Some(own) => Ok(own),
            None => of_row("output_weight").map(|row| row.output_weight),
        };
        let right = "it must be from 0.001 to 1000";
        let weight = weight.and_then(|w| in_range("output_weight", w, (0.001..=1_000.0).contains(&w), right));
        let usd = p.usd_per_unit_hour;
        let per_unit = in_range("usd_per_unit_hour", usd, usd <= 1e6, "give US$ an hour, at most 1,000,000")
            .and_then(|usd| money("usd_per_unit_hour", usd));
        let utilization = Utilization {
            tokens_per_minute: faults.or_default(a_unit).saturating_mul(units.into()),
            output_milli: (faults.or_default(weight) * 1_000.0).round() as u64,
        };
        let per_unit = faults.or_default(per_unit);
        faults.finish((Hourly { units, per_unit }, utilization))
    }

    /// Endpoints of one account have one set of limits: that of whichever gives one.
    pub(super) fn accounts(&self, endpoints: &mut [ResolvedEndpoint]) -> Result<(), Faults> {
        let mut faults = Faults::default();
        let gives = |name: &str| {
            let e = &self.file.endpoint[name];
            e.limits.is_some() || e.provisioned.is_some()
        };
        for i in 0..endpoints.len() {
            let name = endpoints[i].name.clone();
            let account = endpoints[i].spec.account.clone();
            let of_account: Vec<usize> =
                (0..endpoints.len()).filter(|e| endpoints[*e].spec.account == account).collect();
            let other = of_account.iter().copied().find(|e| *e != i);
            if let (Some(_), Some(other)) = (endpoints[i].hourly, other) {
                let what = format!("account `{account}` is that of endpoint.{}, too", endpoints[other].name);
                let fault = Fault::at(key!["endpoint", name, "provisioned"], what);
                faults.push(fault.hint("units are an account of their own"));
                continue;
            }
            let Some(first) = of_account.iter().copied().find(|e| gives(&endpoints[*e].name)) else { continue };
            let limits = endpoints[first].spec.limits;
            if gives(&name) && endpoints[i].spec.limits != limits {
                let what = format!("account `{account}` has other limits in endpoint.{}.limits", endpoints[first].name);
                let fault = Fault::at(key!["endpoint", name, "limits"], what);
                faults.push(fault.hint("give them once, or name another account"));
                continue;
            }
            endpoints[i].spec.limits = limits;
        }
        faults.finish(())
    }
}

/// An amount above 0.
fn money(key: &str, usd: f64) -> Result<Usd, Fault> {
    above_0(key, usd).and_then(|usd| Usd::from_number(usd).map_err(|fault| fault.under(key)))
}

/// Rules by which calls are counted: a provider's, and what differs from them.
fn rules(l: &LimitsSection, mut rules: Rules) -> Result<Rules, Faults> {
    let mut faults = Faults::default();
    match l.output_counting {
        Some(OutputCountingName::Actual) => rules.output = OutputCounting::Actual,
        Some(OutputCountingName::MaxTokens) => rules.output = OutputCounting::MaxTokens,
        None => {}
    }
    rules.cache_reads_count = l.cache_reads_count.unwrap_or(rules.cache_reads_count);
    rules.refused_count = l.refused_count.unwrap_or(rules.refused_count);
    if let Some(text) = &l.requests_over {
        let over = duration("requests_over", text).and_then(|over| {
            let holds = over > SimTime::ZERO && over <= SimTime::from_secs(60);
            in_range("requests_over", text, holds, "it must be above 0 and at most 60s").map(|_| over)
        });
        rules.requests_over = faults.take(over);
    }
    if let Counting::BurnDown(times) = &mut rules.both {
        if let Some(own) = l.burn_down {
            *times = faults.or_default(at_least_1("burn_down", own));
        }
    } else if l.burn_down.is_some() {
        faults.push(Fault::at("burn_down", "only Bedrock's rules have one").hint("give preset = \"bedrock\""));
    }
    if let Some(text) = &l.day_offset {
        match &mut rules.day {
            Day::Midnight(offset) => {
                let clock = duration("day_offset", text).and_then(|clock| {
                    let right = "a day's clock shows less than 24h";
                    in_range("day_offset", text, clock < SimTime::from_secs(86_400), right).map(|_| clock)
                });
                *offset = faults.or(SimTime::ZERO, clock);
            }
            _ => faults.push(Fault::at("day_offset", "only Gemini's days begin at midnight").hint("leave it out")),
        }
    }
    if let Some(a) = &l.acceleration {
        rules.acceleration = faults.take(acceleration(a).map_err(|f| f.under("acceleration")));
    }
    faults.finish(rules)
}

fn acceleration(a: &AccelerationSection) -> Result<Acceleration, Faults> {
    let mut faults = Faults::default();
    let minutes = duration("over", &a.over).and_then(|over| {
        let minutes = over.0 / 60_000_000_000;
        let holds = (1..=1_440).contains(&minutes) && minutes * 60_000_000_000 == over.0;
        in_range("over", &a.over, holds, "it must be 1m to 1440m, whole minutes").map(|_| minutes)
    });
    let times = faults.or_default(above_0("times", a.times));
    let made = Acceleration {
        times_ppm: (times * 1e6).round() as u64,
        over_minutes: faults.or_default(minutes) as u32,
        above: a.above_tokens_per_minute,
    };
    faults.finish(made)
}
