//! What an endpoint costs on the run's day and in its tier, and what of it is an assumption.
use super::*;

/// Prices older than this are said to be old.
const OLD_DAYS: i64 = 90;

impl Resolver<'_> {
    /// The day whose prices hold: the one given, else the newest that a price of an endpoint's model was read on. None where
    /// nothing is bought.
    pub(super) fn date(&self) -> Result<Option<String>, String> {
        if let Some(date) = &self.file.date {
            let day = baseload_core::catalog::day_of(date);
            return match day {
                Some(_) => Ok(Some(date.clone())),
                None => Err(format!("date is `{date}`; give a day such as \"2026-11-25\"")),
            };
        }
        let mut newest: Option<&str> = None;
        for (name, e) in &self.file.endpoint {
            let rows = self.catalog.api_rows(&e.catalog).map_err(|m| format!("endpoint.{name}.catalog: {m}"))?;
            if rows.len() > 1 {
                return Err(format!(
                    "endpoint.{name}.catalog: {} has prices of several days; give date = \"YYYY-MM-DD\"",
                    e.catalog
                ));
            }
            newest = rows.into_iter().map(|r| r.date.as_str()).chain(newest).max();
        }
        Ok(newest.map(String::from))
    }

    /// The row that holds on `date`, with what a reader should know of it.
    pub(super) fn price_row(&mut self, name: &str, e: &EndpointSection, date: &str) -> Result<ApiPrice, String> {
        let key = format!("endpoint.{name}.catalog");
        let listed = self.catalog.api(&e.catalog).map_err(|m| format!("{key}: {m}"))?;
        if e.price.is_some() || e.provisioned.is_some() {
            // Of the row only what the model can do counts.
            return Ok(listed.clone());
        }
        let (row, known) = self.catalog.price_on(&e.catalog, date).map_err(|m| {
            let date = if self.file.date.is_some() { "change date, or give" } else { "give date, or" };
            format!("{key}: {m}; {date} prices of that day with --catalog")
        })?;
        let (row, read) = (row.clone(), row.date.clone());
        if !known {
            self.warnings.push(format!(
                "endpoint {name} ({}): its price was read on {read}, after the run's date {date}; what it was then is unknown",
                e.catalog
            ));
        }
        if let Some(days) = age_days(&read, date).filter(|d| *d > OLD_DAYS) {
            self.warnings.push(format!(
                "endpoint {name} ({}): the verdict rests on a price that is {days} days older than the run's date: read \
                 {read}",
                e.catalog
            ));
        }
        if let Some(retired) = row.deprecation.as_ref().filter(|d| age_days(d, date).is_some_and(|days| days > 0)) {
            self.warnings.push(format!(
                "endpoint {name} ({}): its provider was to retire it on {retired}, before the run's date {date}",
                e.catalog
            ));
        }
        self.dated.push((format!("price of {}", e.catalog), read));
        Ok(row)
    }

    /// The cache of an endpoint, and what writing to it costs.
    pub(super) fn cache(
        &mut self,
        name: &str,
        e: &EndpointSection,
        row: &ApiPrice,
    ) -> Result<(Option<CacheRule>, CacheWrite), String> {
        let key = format!("endpoint.{name}.cache");
        let none = (None, CacheWrite::Free);
        let known = self.catalog.prompt_cache(&row.provider, &row.model);
        let asked = match (e.cache, known) {
            (Some(CacheName::Off), _) => return Ok(none),
            (Some(asked), Some(_)) => asked,
            (Some(_), None) => {
                return Err(format!("{key}: no prompt cache of {} is known; leave it out, or say \"off\"", row.name()));
            }
            // Jobs of a batch run at times that nobody knows, so no reads are counted on.
            (None, Some(r)) if r.unasked && e.tier != Tier::Batch => CacheName::Auto,
            (None, _) => return Ok(none),
        };
        let Some(rule) = known else { return Ok(none) };
        let (ttl_s, write) = match (asked, rule.long_ttl_s) {
            (CacheName::AutoHour, Some(long)) => (long, CacheWrite::Hour),
            (CacheName::AutoHour, None) => {
                return Err(format!("{key}: {} has no entries that live an hour; say \"auto\" or \"off\"", row.name()));
            }
            _ => (rule.ttl_s, CacheWrite::Usual),
        };
        if !rule.assumed.is_empty() {
            let why = rule.source.trim_start_matches("spec/apis.md 4.2: ");
            let what = rule.assumed.join(" and ");
            self.warnings
                .push(format!("endpoint {name} ({}): its prompt cache's {what} are assumptions: {why}", e.catalog));
        }
        if rule.breakpoints {
            self.warnings.push(format!(
                "endpoint {name} ({}): where its breakpoints stand, and that each sees the {} block ends before it, are \
                 assumptions; a block is a run of the prompt",
                e.catalog,
                baseload_core::api::LOOK_BACK
            ));
        }
        let rule = rule_of(rule, ttl_s);
        Ok((Some(rule), if rule.priced_writes { write } else { CacheWrite::Free }))
    }

    /// The price in the endpoint's tier.
    pub(super) fn price(
        &mut self,
        name: &str,
        e: &EndpointSection,
        row: &ApiPrice,
        write: CacheWrite,
    ) -> Result<Price, String> {
        if let Some(own) = &e.price {
            if e.tier != Tier::Standard {
                let tier = e.tier.name();
                return Err(format!(
                    "endpoint.{name}.price: your own price is that of the tier standard; for the tier {tier} give rows with --catalog"
                ));
            }
            return super::quality::own_price(&format!("endpoint.{name}"), own);
        }
        let Priced { price, derived } =
            Price::of(row, e.tier, write).map_err(|m| format!("endpoint.{name}.tier: {m}"))?;
        if !derived.is_empty() {
            self.warnings.push(format!(
                "endpoint {name} ({}, tier {}): no list says what {} cost; assumed in proportion to input",
                e.catalog,
                e.tier.name(),
                derived.join(", ")
            ));
        }
        Ok(price)
    }

    /// The tier's and the model's ways beyond price.
    pub(super) fn service(&mut self, name: &str, e: &EndpointSection) -> Result<Service, String> {
        let key = |k: &str| format!("endpoint.{name}.{k}");
        let of = |k: &str, tier: &str| Err(format!("{}: only an endpoint with tier = \"{tier}\" has it", key(k)));
        let unavailable_share = match (e.unavailable_share, e.tier) {
            (Some(given), Tier::Flex) => share(&key("unavailable_share"), given)?,
            (Some(_), _) => return of("unavailable_share", "flex"),
            (None, Tier::Flex) => {
                self.warnings.push(format!(
                    "endpoint {name} (tier flex): that it always has room is an assumption; give unavailable_share"
                ));
                0.0
            }
            (None, _) => 0.0,
        };
        let turnaround = match (&e.batch, e.tier) {
            (section, Tier::Batch) => {
                let default = BatchSection::default();
                let b = section.as_ref().unwrap_or(&default);
                if section.is_none() {
                    self.warnings.push(format!(
                        "endpoint {name} (tier batch): a turnaround of {} is an assumption; give batch.turnaround_p50",
                        b.turnaround_p50
                    ));
                }
                if self.file.class.values().all(|c| c.tolerates.is_none()) {
                    self.warnings.push(format!(
                        "endpoint {name} (tier batch) serves nobody: no class says how long it tolerates to wait"
                    ));
                }
                Some(turnaround(&key("batch"), b)?)
            }
            (Some(_), _) => return of("batch", "batch"),
            (None, _) => None,
        };
        let reasoning = e.reasoning.as_ref().map(|r| {
            if !(0.0..=10.0).contains(&r.sigma) {
                return Err(format!("{}.sigma is {}; it must lie between 0 and 10", key("reasoning"), r.sigma));
            }
            let median_tokens = at_least_one(&format!("{}.median_tokens", key("reasoning")), r.median_tokens)?;
            Ok(Reasoning { median_tokens, sigma: r.sigma })
        });
        Ok(Service { tier: e.tier, unavailable_share, turnaround, reasoning: reasoning.transpose()? })
    }
}

fn turnaround(key: &str, b: &BatchSection) -> Result<Turnaround, String> {
    let p50 = duration(&format!("{key}.turnaround_p50"), &b.turnaround_p50)?;
    if p50 == SimTime::ZERO || p50 > Turnaround::DAY {
        return Err(format!("{key}.turnaround_p50 is {}; it must lie above 0 and within 24h", b.turnaround_p50));
    }
    if !(1.0..=1e6).contains(&b.p95_over_p50) {
        return Err(format!("{key}.p95_over_p50 is {}; it must be at least 1", b.p95_over_p50));
    }
    Ok(Turnaround { p50_s: p50.as_secs_f64(), p95_over_p50: b.p95_over_p50, window: Turnaround::DAY })
}

fn rule_of(row: &PromptCacheRow, ttl_s: u64) -> CacheRule {
    CacheRule {
        min_tokens: row.min_tokens,
        kind: match row.breakpoints {
            true => CacheKind::Breakpoints,
            false => CacheKind::Steps(row.step_tokens.unwrap_or(1).max(1)),
        },
        ttl: SimTime::from_secs(ttl_s),
        priced_writes: row.priced_writes,
    }
}
