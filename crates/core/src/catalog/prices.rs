//! Which price holds on which day, and price files of a user's own.
//!
//! A row with `valid_from` holds from that day to `valid_until`, both included. A row without holds from the day it was read,
//! and is what is known of the days before.
//!
//! Imports only `types`. Must keep true: no two prices of a model hold on the same day.
use super::{ApiPrice, Catalog, CatalogError, date::day_of};
use serde::Deserialize;
use std::ops::Range;
use toml::Spanned;

/// Prices of a user's own, read from a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PriceFile(Vec<ApiPrice>);

/// What is wrong with a price file, and where.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PriceFault {
    /// Bytes of its text.
    pub span: Range<usize>,
    /// What, and what would be right.
    pub what: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Table {
    api_price: Vec<Spanned<ApiPrice>>,
}

impl PriceFile {
    /// Reads `[[api_price]]` rows as the catalogue has them. A row that says no `source` is from the file `name`; one that says
    /// no `date` was read when it begins to hold.
    ///
    /// # Errors
    /// The first fault.
    pub fn parse(text: &str, name: &str) -> Result<PriceFile, PriceFault> {
        let table: Table = toml::from_str(text).map_err(|e: toml::de::Error| PriceFault {
            span: e.span().unwrap_or(0..0),
            what: match e.message() {
                "missing field `api_price`" => "no prices: write each as an [[api_price]] row".to_string(),
                m if m.starts_with("missing field") => format!("api_price: {m}"),
                m => m.to_string(),
            },
        })?;
        let spans: Vec<Range<usize>> = table.api_price.iter().map(Spanned::span).collect();
        let mut rows: Vec<ApiPrice> = table.api_price.into_iter().map(Spanned::into_inner).collect();
        said(&mut rows, super::api::PRICES_READ, name);
        match check(&rows) {
            Ok(()) => Ok(PriceFile(rows)),
            Err((row, what)) => Err(PriceFault { span: spans[row].clone(), what: format!("api_price: {what}") }),
        }
    }
}

/// Fills in when and where rows were read that do not say it.
pub(super) fn said(rows: &mut [ApiPrice], date: &str, source: &str) {
    for row in rows {
        if row.date.is_empty() {
            row.date = row.valid_from.clone().unwrap_or_else(|| date.to_string());
        }
        if row.source.is_empty() {
            row.source = source.to_string();
        }
    }
}

/// First and last day of a row, in days from 1970-01-01.
fn days(row: &ApiPrice) -> Result<(i64, i64), String> {
    let day = |key: &str, text: &Option<String>, open: i64| match text {
        None => Ok(open),
        Some(text) => {
            day_of(text).ok_or_else(|| format!("{}: {key} is `{text}`; give a day such as \"2026-11-23\"", row.name()))
        }
    };
    let (from, until) =
        (day("valid_from", &row.valid_from, i64::MIN)?, day("valid_until", &row.valid_until, i64::MAX)?);
    if day_of(&row.date).is_none() {
        return Err(format!(
            "{}: date is `{}`; give the day it was read on, such as \"2026-11-23\"",
            row.name(),
            row.date
        ));
    }
    if from > until {
        return Err(format!("{}: it is valid {}, which ends before it begins", row.name(), validity(row)));
    }
    Ok((from, until))
}

/// When a row holds, in words.
fn validity(row: &ApiPrice) -> String {
    match (&row.valid_from, &row.valid_until) {
        (None, None) => format!("from {} (when it was read)", row.date),
        (from, until) => {
            let from = from.as_ref().map_or_else(String::new, |d| format!("from {d} "));
            let until = until.as_ref().map_or_else(|| "on".into(), |d| format!("to {d}"));
            format!("{from}{until}")
        }
    }
}

/// Complains of the first row whose days are none or are another row's of the same model too.
pub(super) fn check(rows: &[ApiPrice]) -> Result<(), (usize, String)> {
    let mut seen: Vec<(i64, i64)> = Vec::new();
    for (i, row) in rows.iter().enumerate() {
        let (from, until) = days(row).map_err(|e| (i, e))?;
        if row.max_input_tokens == 0 {
            return Err((
                i,
                format!("{}: max_input_tokens is 0; nothing fits in it: give what the model takes", row.name()),
            ));
        }
        let same = |j: &usize| (&rows[*j].provider, &rows[*j].model) == (&row.provider, &row.model);
        if let Some(j) = (0..i).filter(same).find(|j| from <= seen[*j].1 && seen[*j].0 <= until) {
            let (own, other) = (validity(row), validity(&rows[j]));
            let what = format!(
                "{}: valid {own}, and another row of it {other}; let each day have one price: end one with valid_until",
                row.name()
            );
            return Err((i, what));
        }
        seen.push((from, until));
    }
    Ok(())
}

/// Puts rows in place of all that speak of their models, or behind the others.
pub(super) fn replace(all: &mut Vec<ApiPrice>, new: Vec<ApiPrice>) {
    let mut done: Vec<String> = Vec::new();
    for row in &new {
        let name = row.name();
        if done.contains(&name) {
            continue;
        }
        let at = all.iter().position(|r| r.name() == name).unwrap_or(all.len());
        all.retain(|r| r.name() != name);
        let rows: Vec<ApiPrice> = new.iter().filter(|r| r.name() == name).cloned().collect();
        all.splice(at..at, rows);
        done.push(name);
    }
}

impl Catalog {
    /// A copy with these prices: those of a model in the file stand in place of all that the catalogue knows of it.
    pub fn with_prices(&self, file: &PriceFile) -> Catalog {
        let mut all = self.clone();
        replace(&mut all.api_prices, file.0.clone());
        all
    }

    /// All prices of `provider/model`, at least one.
    ///
    /// # Errors
    /// As [`Catalog::gpu`].
    pub fn api_rows(&self, name: &str) -> Result<Vec<&ApiPrice>, CatalogError> {
        self.api(name)?;
        Ok(self.api_prices.iter().filter(|r| r.name() == name).collect())
    }

    /// The price of `provider/model` on a day, and whether it is known to hold then: one without validity is taken for days
    /// before it was read too.
    ///
    /// # Errors
    /// No such model, a day that is none, or one on which no price holds, with when they do.
    pub fn price_on(&self, name: &str, day: &str) -> Result<(&ApiPrice, bool), String> {
        let rows = self.api_rows(name).map_err(|e| e.to_string())?;
        let at = day_of(day).ok_or_else(|| format!("`{day}` is no day; give one such as \"2026-11-23\""))?;
        let holds = |row: &&&ApiPrice| days(row).is_ok_and(|(from, until)| from <= at && at <= until);
        match rows.iter().find(holds) {
            Some(row) => Ok((row, row.valid_from.is_some() || day_of(&row.date).is_some_and(|read| read <= at))),
            None => {
                let all: Vec<String> = rows.iter().map(|r| validity(r)).collect();
                Err(format!("no price of {name} is valid on {day}; there is one valid {}", all.join(", one ")))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::types::TokenPrice;

    fn row(input: &str, more: &str) -> String {
        format!(
            "[[api_price]]\nprovider = \"openai\"\nmodel = \"gpt-4o\"\ninput = {input}\noutput = 1\n\
             max_input_tokens = 1000\nmax_output_tokens = 100\n{more}\n"
        )
    }
    fn fault(text: &str) -> (String, String) {
        let fault = PriceFile::parse(text, "p.toml").unwrap_err();
        (format!("{}: {}", fault.span.start, &text[fault.span.clone()]), fault.what)
    }

    #[test]
    fn a_day_has_the_price_that_holds_on_it() {
        let text = row("1", "valid_from = \"2026-01-01\"\nvalid_until = \"2026-06-30\"")
            + &row("2", "valid_from = \"2026-07-01\"\nvalid_until = \"2026-12-31\"\nsource = \"us\"");
        let c = Catalog::embedded().with_prices(&PriceFile::parse(&text, "p.toml").unwrap());
        let on =
            |day: &str| c.price_on("openai/gpt-4o", day).map(|(r, _)| (r.input, r.date.as_str(), r.source.as_str()));
        assert_eq!(on("2026-01-01"), Ok((TokenPrice(1_000_000), "2026-01-01", "p.toml")));
        assert_eq!(on("2026-06-30").unwrap().0, TokenPrice(1_000_000));
        assert_eq!(on("2026-07-01"), Ok((TokenPrice(2_000_000), "2026-07-01", "us")));
        let says = on("2027-01-01").unwrap_err();
        let want = "no price of openai/gpt-4o is valid on 2027-01-01; there is one valid from 2026-01-01 to 2026-06-30, \
                    one from 2026-07-01 to 2026-12-31";
        assert_eq!(says, want);
        assert!(on("2026").unwrap_err().contains("no day"));
        // Others keep theirs, in their places.
        let names: Vec<String> = c.api_prices.iter().map(ApiPrice::name).collect();
        assert_eq!(names.len(), 41);
        assert_eq!(names[8..10], ["openai/gpt-4o", "openai/gpt-4o"]);
        assert_eq!(c.price_on("openai/gpt-4.1", "2026-11-23").unwrap().0.input, TokenPrice(2_000_000));
    }

    #[test]
    fn a_price_without_validity_is_known_from_the_day_it_was_read() {
        let c = Catalog::embedded();
        let known = |day| c.price_on("openai/gpt-4o", day).unwrap().1;
        assert_eq!([known("2026-11-22"), known("2026-11-23"), known("2028-01-01")], [false, true, true]);
    }

    #[test]
    fn faults_have_a_place_and_say_what_would_be_right() {
        let open = row("1", "valid_from = \"2026-01-01\"");
        let (at, what) = fault(&(open.clone() + &row("2", "valid_from = \"2026-07-01\"")));
        assert_eq!(at, format!("{}: [[api_price]]", open.len()), "the second row's head");
        let want = "api_price: openai/gpt-4o: valid from 2026-07-01 on, and another row of it from 2026-01-01 on; let each \
                    day have one price: end one with valid_until";
        assert_eq!(what, want);
        assert!(fault(&(row("1", "") + &row("2", ""))).1.contains("another row of it"));
        let (at, what) = fault(&row("1", "currency = \"EUR\""));
        assert!(at.ends_with(": \"EUR\"") && what.starts_with("currency is `EUR`; prices are in USD"), "{at} {what}");
        assert!(PriceFile::parse(&row("1", "currency = \"USD\""), "p").is_ok());
        assert!(fault(&row("1", "valid_from = \"soon\"")).1.contains("valid_from is `soon`; give a day"));
        assert!(
            fault(&row("1", "valid_from = \"2026-02-01\"\nvalid_until = \"2026-01-01\"")).1.contains("ends before")
        );
        assert!(fault(&row("1", "date = \"2026\"")).1.contains("date is `2026`"));
        assert!(fault(&row("1", "inputs = 1")).1.contains("unknown field `inputs`"));
        assert!(fault(&row("-1", "")).1.contains("negative"));
        assert!(fault("[[api_price]]\nprovider = \"a\"\n").1.contains("missing field"));
        assert!(fault("").1.contains("write each as an [[api_price]] row"));
    }

    /// The facts that the catalogue was made of, where they are there: every row, every key, every value.
    #[test]
    fn the_catalogue_covers_the_facts() {
        let embedded: toml::Table = include_str!("data/api_prices.toml").parse().unwrap();
        let own = embedded["api_price"].as_array().unwrap();
        assert_eq!((own.len(), own.iter().map(|r| r.as_table().unwrap().len()).sum::<usize>()), (40, 468));
        let Ok(facts) =
            std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/../../../shared/facts/api_prices.toml"))
        else {
            return;
        };
        let facts: toml::Table = facts.parse().unwrap();
        for fact in facts["api_price"].as_array().unwrap() {
            let same = |r: &&toml::Value| r["provider"] == fact["provider"] && r["model"] == fact["model"];
            let row = own.iter().find(same).unwrap_or_else(|| panic!("{fact} is missing"));
            for (key, value) in fact.as_table().unwrap() {
                assert_eq!(row.get(key), Some(value), "{key} of {fact}");
            }
        }
        // And what is embedded is what is read: no key of the table is dropped on the way.
        let read = serde_json::to_value(&Catalog::embedded().api_prices).unwrap();
        for (row, read) in own.iter().zip(read.as_array().unwrap()) {
            for (key, value) in row.as_table().unwrap() {
                let number = value.as_float().or(value.as_integer().map(|n| n as f64));
                match number {
                    Some(number) => assert_eq!(read[key].as_f64(), Some(number), "{key} of {row}"),
                    None => assert_eq!(read[key].as_str(), value.as_str(), "{key} of {row}"),
                }
            }
        }
    }
}
