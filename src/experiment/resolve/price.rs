//! What an endpoint costs on the run's day and in its tier, and what of it is an assumption.
use super::*;

/// Prices older than this are said to be old.
const OLD_DAYS: i64 = 90;

impl Resolver<'_> {
    /// The day whose prices hold: the one given, else the newest that a price of an endpoint's model was read on. None where
    /// nothing is bought.
    pub(super) fn date(&self) -> Result<Option<String>, Faults> {
        if let Some(date) = &self.file.date {
            return match baseload_core::catalog::day_of(date) {
                Some(_) => Ok(Some(date.clone())),
                None => {
                    let what = format!("`{date}` is no day");
                    Err(Fault::at("date", what).hint("give a day such as \"2026-11-25\"").into())
                }
            };
        }
        let mut newest: Option<&str> = None;
        let mut faults = Faults::default();
        for (name, e) in &self.file.endpoint {
            // An unknown name is reported where its endpoint is resolved.
            let Ok(rows) = self.catalog.api_rows(&e.catalog) else { continue };
            if rows.len() > 1 {
                let what = format!("{} has prices of several days", e.catalog);
                faults.push(Fault::at(key!["endpoint", name, "catalog"], what).hint("give date = \"YYYY-MM-DD\""));
            }
            newest = rows.into_iter().map(|r| r.date.as_str()).chain(newest).max();
        }
        faults.finish(newest.map(String::from))
    }

    /// The row that holds on `date`, with what a reader should know of it.
    pub(super) fn price_row(&mut self, name: &str, e: &EndpointSection, date: &str) -> Result<ApiPrice, Fault> {
        let listed = self.catalog.api(&e.catalog).map_err(|e| of_catalog("catalog", e))?;
        if e.price.is_some() || e.provisioned.is_some() || date.is_empty() {
            // Of the row only what the model can do counts. That no day is known is a fault of its own.
            return Ok(listed.clone());
        }
        let (row, known) = self.catalog.price_on(&e.catalog, date).map_err(|fault| {
            let date = if self.file.date.is_some() { "change date, or give" } else { "give date, or" };
            let there = fault.hint.as_ref().map_or(String::new(), |hint| format!("{hint}; "));
            fault.under("catalog").hint(format!("{there}{date} prices of that day with --catalog"))
        })?;
        let (row, read) = (row.clone(), row.date.clone());
        if !known {
            self.warnings.push(format!(
                "endpoint {name} ({}): its price was read on {read}, after the run's date {date}; what it was then is unknown, \
                 and its bill too high or too low by the difference",
                e.catalog
            ));
        }
        if let Some(days) = age_days(&read, date).filter(|d| *d > OLD_DAYS) {
            self.warnings.push(format!(
                "endpoint {name} ({}): the verdict rests on a price that is {days} days older than the run's date: read \
                 {read}; what has changed since is not in its bill",
                e.catalog
            ));
        }
        if let Some(retired) = row.deprecation.as_ref().filter(|d| age_days(d, date).is_some_and(|days| days > 0)) {
            self.warnings.push(format!(
                "endpoint {name} ({}): its provider was to retire it on {retired}, before the run's date {date}; it is billed \
                 and answers here as if it were still sold",
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
    ) -> Result<(Option<CacheRule>, CacheWrite), Fault> {
        let none = (None, CacheWrite::Free);
        let known = self.catalog.prompt_cache(&row.provider, &row.model);
        let asked = match (e.cache, known) {
            (Some(CacheName::Off), _) => return Ok(none),
            (Some(asked), Some(_)) => asked,
            (Some(_), None) => {
                let what = format!("no prompt cache of {} is known", row.name());
                return Err(Fault::at("cache", what).hint("leave it out, or say \"off\""));
            }
            // Jobs of a batch run at times that nobody knows, so no reads are counted on.
            (None, Some(r)) if r.unasked && e.tier != Tier::Batch => CacheName::Auto,
            (None, _) => return Ok(none),
        };
        let Some(rule) = known else { return Ok(none) };
        let (ttl_s, write) = match (asked, rule.long_ttl_s) {
            (CacheName::AutoHour, Some(long)) => (long, CacheWrite::Hour),
            (CacheName::AutoHour, None) => {
                let what = format!("{} has no entries that live an hour", row.name());
                return Err(Fault::at("cache", what).hint("say \"auto\" or \"off\""));
            }
            _ => (rule.ttl_s, CacheWrite::Usual),
        };
        if !rule.assumed.is_empty() {
            let why = rule.assumed_because.as_ref().unwrap_or(&rule.source);
            let what = rule.assumed.join(" and ");
            self.warnings.push(format!(
                "endpoint {name} ({}): its prompt cache's {what} are assumptions, on which rests how much input is billed as \
                 cached: {why}",
                e.catalog
            ));
        }
        if rule.breakpoints {
            self.warnings.push(format!(
                "endpoint {name} ({}): where its breakpoints stand, and that each sees the {} block ends before it, are \
                 assumptions, on which rests how much input is billed as cached; a block is a run of the prompt",
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
    ) -> Result<Price, Faults> {
        if let Some(own) = &e.price {
            if e.tier != Tier::Standard {
                let what = "your own price is that of the tier standard";
                let hint = format!("for the tier {} give rows with --catalog", e.tier.name());
                return Err(Fault::at("price", what).hint(hint).into());
            }
            return super::quality::own_price(own).map_err(|faults| faults.under("price"));
        }
        let Priced { price, derived } = Price::of(row, e.tier, write).map_err(|fault| fault.under("tier"))?;
        if !derived.is_empty() {
            self.warnings.push(format!(
                "endpoint {name} ({}, tier {}): no list says what {} cost; assumed in proportion to input, so that this part of \
                 its bill is an estimate",
                e.catalog,
                e.tier.name(),
                derived.join(", ")
            ));
        }
        Ok(price)
    }

    /// The tier's and the model's ways beyond price.
    pub(super) fn service(&mut self, name: &str, e: &EndpointSection) -> Result<Service, Faults> {
        let mut faults = Faults::default();
        let only = |key: &str, tier: &str| Fault::at(key, format!("only an endpoint with tier = \"{tier}\" has it"));
        let unavailable_share = match (e.unavailable_share, e.tier) {
            (Some(given), Tier::Flex) => share("unavailable_share", given),
            (Some(_), _) => Err(only("unavailable_share", "flex")),
            (None, Tier::Flex) => {
                self.warnings.push(format!(
                    "endpoint {name} (tier flex): that it always has room is an assumption, which makes it answer more calls \
                     here than it may; give unavailable_share"
                ));
                Ok(0.0)
            }
            (None, _) => Ok(0.0),
        };
        let turnaround = match (&e.batch, e.tier) {
            (section, Tier::Batch) => Some(self.turnaround(name, section.as_ref())).transpose(),
            (Some(_), _) => Err(only("batch", "batch").into()),
            (None, _) => Ok(None),
        };
        let reasoning = e.reasoning.as_ref().map(|r| {
            let holds = (0.0..=10.0).contains(&r.sigma);
            let sigma = in_range(key!["reasoning", "sigma"], r.sigma, holds, "it must lie between 0 and 10")?;
            Ok(Reasoning { median_tokens: at_least_1(key!["reasoning", "median_tokens"], r.median_tokens)?, sigma })
        });
        let service = Service {
            tier: e.tier,
            unavailable_share: faults.or_default(unavailable_share),
            turnaround: faults.or_default(turnaround),
            reasoning: faults.or_default(reasoning.transpose().map_err(|fault: Fault| fault)),
        };
        faults.finish(service)
    }

    /// When answers of a batch come, with what of it is an assumption.
    fn turnaround(&mut self, name: &str, section: Option<&BatchSection>) -> Result<Turnaround, Faults> {
        let default = BatchSection::default();
        let b = section.unwrap_or(&default);
        if section.is_none() {
            self.warnings.push(format!(
                "endpoint {name} (tier batch): a turnaround of {} is an assumption, on which rest TTFT and E2E of what it \
                 serves; give batch.turnaround_p50",
                b.turnaround_p50
            ));
        }
        if self.file.class.values().all(|c| c.tolerates.is_none()) {
            self.warnings.push(format!(
                "endpoint {name} (tier batch) serves nobody: no class says how long it tolerates to wait; its bill is 0"
            ));
        }
        let mut faults = Faults::default();
        let p50 = duration(key!["batch", "turnaround_p50"], &b.turnaround_p50).and_then(|p50| {
            let holds = p50 > SimTime::ZERO && p50 <= Turnaround::DAY;
            let right = "it must lie above 0 and within 24h";
            in_range(key!["batch", "turnaround_p50"], &b.turnaround_p50, holds, right).map(|_| p50)
        });
        let holds = (1.0..=1e6).contains(&b.p95_over_p50);
        let ratio = in_range(key!["batch", "p95_over_p50"], b.p95_over_p50, holds, "it must be at least 1");
        let made = Turnaround {
            p50_s: faults.or(SimTime::ZERO, p50).as_secs_f64(),
            p95_over_p50: faults.or_default(ratio),
            window: Turnaround::DAY,
        };
        faults.finish(made)
    }
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
