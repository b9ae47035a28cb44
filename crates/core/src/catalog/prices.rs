//! Which price holds on which day.
//!
//! A row with `valid_from` holds from that day to `valid_until`, both included. A row without holds from the day it was read,
//! and is what is known of the days before.
//!
//! Imports only `types`. Must keep true: no two prices of a model hold on the same day.
use super::{ApiPrice, Catalog, CatalogError, date::day_of};
use crate::types::Fault;

impl ApiPrice {
    /// Fills in when and where it was read if it does not say it: when it begins to hold, else on the newest day that a
    /// price was read on.
    pub(super) fn said(&mut self, file: &str, under: &Catalog) {
        if self.date.is_empty() {
            let newest = under.api_prices.iter().map(|p| &p.date).max();
            self.date = self.valid_from.as_ref().or(newest).cloned().unwrap_or_default();
        }
        if self.source.is_empty() {
            file.clone_into(&mut self.source);
        }
    }
}

/// First and last day of a row, in days from 1970-01-01.
fn days(row: &ApiPrice) -> Result<(i64, i64), Fault> {
    let day = |key: &str, text: &Option<String>, open: i64| match text {
        None => Ok(open),
        Some(text) => day_of(text).ok_or_else(|| {
            let what = format!("{}: {key} is `{text}`", row.name());
            Fault::at(key, what).hint("give a day such as \"2026-11-23\"")
        }),
    };
    let (from, until) =
        (day("valid_from", &row.valid_from, i64::MIN)?, day("valid_until", &row.valid_until, i64::MAX)?);
    if day_of(&row.date).is_none() {
        let what = format!("{}: date is `{}`", row.name(), row.date);
        return Err(Fault::at("date", what).hint("give the day it was read on, such as \"2026-11-23\""));
    }
    if from > until {
        let what = format!("{}: it is valid {}, which ends before it begins", row.name(), validity(row));
        return Err(Fault::at("valid_until", what).hint("give a day from valid_from on"));
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
pub(super) fn check(rows: &[ApiPrice]) -> Result<(), (usize, Fault)> {
    let mut seen: Vec<(i64, i64)> = Vec::new();
    for (i, row) in rows.iter().enumerate() {
        let (from, until) = days(row).map_err(|e| (i, e))?;
        if row.max_input_tokens == 0 {
            let what = format!("{}: max_input_tokens is 0; nothing fits in it", row.name());
            return Err((i, Fault::at("max_input_tokens", what).hint("give what the model takes")));
        }
        let same = |j: &usize| (&rows[*j].provider, &rows[*j].model) == (&row.provider, &row.model);
        if let Some(j) = (0..i).filter(same).find(|j| from <= seen[*j].1 && seen[*j].0 <= until) {
            let (own, other) = (validity(row), validity(&rows[j]));
            let what = format!("{}: valid {own}, and another row of it {other}", row.name());
            let hint = "let each day have one price: end one with valid_until";
            return Err((i, Fault::new(what).hint(hint)));
        }
        seen.push((from, until));
    }
    Ok(())
}

impl Catalog {
    /// All prices of `provider/model`, at least one.
    ///
    /// # Errors
    /// As [`Catalog::model`].
    pub fn api_rows(&self, name: &str) -> Result<Vec<&ApiPrice>, CatalogError> {
        self.api(name)?;
        Ok(self.api_prices.iter().filter(|r| r.name() == name).collect())
    }

    /// The price of `provider/model` on a day, and whether it is known to hold then: one without validity is taken for days
    /// before it was read too.
    ///
    /// # Errors
    /// No such model, a day that is none, or one on which no price holds, with when they do.
    pub fn price_on(&self, name: &str, day: &str) -> Result<(&ApiPrice, bool), Fault> {
        let rows = self.api_rows(name)?;
        let no_day = || Fault::new(format!("`{day}` is no day")).hint("give one such as \"2026-11-23\"");
        let at = day_of(day).ok_or_else(no_day)?;
        let holds = |row: &&&ApiPrice| days(row).is_ok_and(|(from, until)| from <= at && at <= until);
        match rows.iter().find(holds) {
            Some(row) => Ok((row, row.valid_from.is_some() || day_of(&row.date).is_some_and(|read| read <= at))),
            None => {
                let all: Vec<String> = rows.iter().map(|r| validity(r)).collect();
                let hint = format!("there is one valid {}", all.join(", one "));
                Err(Fault::new(format!("no price of {name} is valid on {day}")).hint(hint))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::catalog::{CatalogFault, CatalogText};
    use crate::types::TokenPrice;

    fn row(input: &str, more: &str) -> String {
        format!(
            "[[api_price]]\nprovider = \"openai\"\nmodel = \"gpt-4o\"\ninput = {input}\noutput = 1\n\
             max_input_tokens = 1000\nmax_output_tokens = 100\n{more}\n"
        )
    }
    fn laid(text: &str) -> Result<Catalog, Vec<CatalogFault>> {
        Catalog::embedded().laid_over(&[CatalogText { name: "p.toml", text }]).map(|l| l.catalog)
    }
    fn fault(text: &str) -> String {
        laid(text).unwrap_err().iter().map(|f| format!("{}\n", f.fault)).collect()
    }

    #[test]
    fn a_day_has_the_price_that_holds_on_it() {
        let text = row("1", "valid_from = \"2026-01-01\"\nvalid_until = \"2026-06-30\"")
            + &row("2", "valid_from = \"2026-07-01\"\nvalid_until = \"2026-12-31\"\nsource = \"us\"");
        let c = laid(&text).unwrap();
        let on =
            |day: &str| c.price_on("openai/gpt-4o", day).map(|(r, _)| (r.input, r.date.as_str(), r.source.as_str()));
        assert_eq!(on("2026-01-01"), Ok((TokenPrice(1_000_000), "2026-01-01", "p.toml")));
        assert_eq!(on("2026-06-30").unwrap().0, TokenPrice(1_000_000));
        assert_eq!(on("2026-07-01"), Ok((TokenPrice(2_000_000), "2026-07-01", "us")));
        let says = on("2027-01-01").unwrap_err().to_string();
        let want = "no price of openai/gpt-4o is valid on 2027-01-01; there is one valid from 2026-01-01 to 2026-06-30, \
                    one from 2026-07-01 to 2026-12-31";
        assert_eq!(says, want);
        assert!(on("2026").unwrap_err().what.contains("no day"));
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
        let want = "api_price[1]: openai/gpt-4o: valid from 2026-07-01 on, and another row of it from 2026-01-01 on; let \
                    each day have one price: end one with valid_until\n";
        assert_eq!(fault(&(open + &row("2", "valid_from = \"2026-07-01\""))), want);
        assert!(fault(&(row("1", "") + &row("2", ""))).contains("another row of it"));
        let euros = fault(&row("1", "currency = \"EUR\""));
        assert!(euros.starts_with("api_price[0].currency: currency is `EUR`; prices are in USD"), "{euros}");
        assert!(laid(&row("1", "currency = \"USD\"")).is_ok());
        assert!(fault(&row("1", "valid_from = \"soon\"")).contains("valid_from is `soon`; give a day"));
        let back = "valid_from = \"2026-02-01\"\nvalid_until = \"2026-01-01\"";
        assert!(fault(&row("1", back)).contains("ends before"));
        assert!(fault(&row("1", "date = \"2026\"")).contains("date is `2026`"));
        let slip = fault(&row("1", "inputs = 1"));
        assert!(slip.starts_with("api_price[0].inputs: unknown key `inputs`; did you mean `input`?"), "{slip}");
        assert!(fault(&row("-1", "")).contains("api_price[0].input: "), "{}", fault(&row("-1", "")));
        let missing = fault("[[api_price]]\nprovider = \"a\"\n");
        assert_eq!(missing.lines().count(), 5, "each missing key: {missing}");
    }

    /// The facts that the catalogue was made of, where they are there: every row, every key, every value.
    #[test]
    fn the_catalogue_covers_the_facts() {
        let embedded: toml::Table = include_str!("data/api_prices.toml").parse().unwrap();
        let own = embedded["api_price"].as_array().unwrap();
        assert_eq!((own.len(), own.iter().map(|r| r.as_table().unwrap().len()).sum::<usize>()), (40, 548));
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
