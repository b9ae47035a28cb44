//! How good answers are, resolved: the table read, each pool and endpoint given its outcomes, aliases their drift.
use super::super::format::{AnswersSection, DriftSection, OwnPriceSection};
use super::super::inputs::{open_text, published};
use super::*;
use baseload_core::gateway::{Answers, Drift, Outcomes};
use baseload_core::types::TokenPrice;
use baseload_trace::QualityTable;

/// The table of measured answers.
#[derive(Debug, Clone, PartialEq)]
pub struct QualityInput {
    /// Path of the table.
    pub path: PathBuf,
    /// Key in `[quality]` that names the table, for messages.
    pub key: &'static str,
    /// Requests that it has outcomes for; `None` where it begins again.
    pub rows: Option<u64>,
}

impl QualityInput {
    /// The fault, if a trace whose last request has this index needs more rows than there are.
    pub fn too_short(&self, last: u64) -> Option<Fault> {
        let rows = self.rows.filter(|rows| last >= *rows)?;
        let what = format!("the table has {rows} rows and the trace a request {last}, counted from 0");
        let hint = format!("give trace.limit = {rows}, or quality.repeat = true to begin with the first row again");
        Some(Fault::at(key!["quality", self.key], what).hint(hint))
    }
}

/// The columns of a table that are asked for.
type Columns = Vec<(String, Arc<[bool]>)>;

/// An endpoint's own price. Keys of faults are counted from `price`.
pub(super) fn own_price(own: &OwnPriceSection) -> Result<Price, Faults> {
    let mut faults = Faults::default();
    let mut price = |key: &str, usd: f64| {
        let price = from_0(key, usd).and_then(|usd| TokenPrice::per_million(usd).map_err(|fault| fault.under(key)));
        faults.or_default(price)
    };
    let input = price("input_usd_per_million", own.input_usd_per_million);
    let output = price("output_usd_per_million", own.output_usd_per_million);
    faults.finish(Price { input, output, ..Price::default() })
}

impl Resolver<'_> {
    /// How good answers are, and the table of those that were measured. There are answers wherever some are asked for, in spite
    /// of faults, so that nobody is told that they are not given.
    pub(super) fn quality(&mut self, faults: &mut Faults) -> (Option<QualityInput>, AllAnswers) {
        let f = self.file;
        let drift = faults.or_default(f.drift.as_ref().map(drift).transpose());
        let of_pools = f.pool.iter().map(|(n, p)| (key!["pool", n, "quality"], p.quality.as_ref()));
        let of_endpoints = f.endpoint.iter().map(|(n, e)| (key!["endpoint", n, "quality"], e.quality.as_ref()));
        let mut asked: Vec<(KeyPath, &str)> = Vec::new();
        for (key, section) in of_pools.chain(of_endpoints) {
            match section.map(|s| (s.share, &s.column)) {
                None => {}
                Some((Some(x), None)) => drop(faults.take(share(key.then("share"), x))),
                Some((None, Some(column))) => asked.push((key.then("column"), column)),
                Some((Some(_), Some(_))) => faults.push(Fault::at(key, "share and column are given").hint("give one")),
                Some((None, None)) => faults.push(Fault::at(key, "it says nothing").hint("give share or column")),
            }
        }
        let table = faults.or_default(self.table(&asked));
        let (input, columns) = table.map_or_else(Default::default, |(input, columns)| (Some(input), columns));
        let repeat = f.quality.as_ref().is_some_and(|q| q.repeat);
        let answers = |model: &str, section: &AnswersSection| {
            let rows = columns.iter().find(|(name, _)| Some(name) == section.column.as_ref());
            let outcomes = match rows {
                Some((_, rows)) => Outcomes::Rows { rows: rows.clone(), repeat },
                None => Outcomes::Share(section.share.unwrap_or_default()),
            };
            Answers::new(model, outcomes, f.seed, 0)
        };
        let pools = f.pool.values().map(|p| p.quality.as_ref().map(|s| Arc::new(answers(&p.model, s)))).collect();
        let mut endpoints = Vec::new();
        let mut drifts = false;
        for (name, e) in &f.endpoint {
            let given = e.quality.as_ref().map(|s| answers(&e.catalog, s));
            let key = key!["endpoint", name, "pinned"];
            if !e.pinned && given.is_none() {
                self.warnings.push(format!(
                    "{key} = false changes nothing: its quality is not given, and quality_served leaves its answers out"
                ));
            } else if !e.pinned && f.drift.is_none() {
                self.warnings
                    .push(format!("{key} = false changes nothing without [drift]: its quality stays as given"));
            }
            let moves = drift.filter(|_| !e.pinned);
            drifts |= moves.is_some() && given.is_some();
            endpoints.push(given.map(|a| match moves {
                Some(drift) => Arc::new(a.drifting(&e.catalog, drift, f.seed, 0)),
                None => Arc::new(a),
            }));
        }
        match &f.drift {
            Some(_) if !drifts => self.warnings.push(
                "drift changes nothing: pinned endpoints and own pools keep their quality, and no endpoint with a quality \
                 has pinned = false"
                    .into(),
            ),
            Some(d) if *d == DriftSection::default() => self.warnings.push(format!(
                "drift: {} changes a year by steps of {} are assumptions, on which quality_served rests where pinned = false: \
                 nobody publishes either",
                d.changes_per_year, d.step_sd
            )),
            _ => {}
        }
        (input, AllAnswers { pools, endpoints })
    }

    /// Reads the columns that are asked for, with the key that asks for each.
    fn table(&mut self, asked: &[(KeyPath, &str)]) -> Result<Option<(QualityInput, Columns)>, Faults> {
        let Some(section) = &self.file.quality else {
            let missing = |(key, _): &(KeyPath, &str)| {
                let hint = "give the table that has the column, as quality.table or quality.source";
                Fault::at(key.clone(), "there is no [quality]").hint(hint)
            };
            return asked.iter().map(missing).collect::<Faults>().finish(None);
        };
        let (key, path) = match (&section.source, &section.table) {
            (Some(name), None) => ("source", published::find(name).map_err(|f| f.under(key!["quality", "source"]))?),
            (None, Some(path)) => ("table", self.folder.join(path)),
            _ => {
                let hint = "give exactly one of source and table";
                return Err(Fault::at("quality", "it says not which table").hint(hint).into());
            }
        };
        if asked.is_empty() {
            self.warnings.push("quality changes nothing: no pool or endpoint names a column of it".into());
        }
        let renumbering = self.file.trace.transform.iter().enumerate().find(|(_, t)| t.renumbers());
        if let Some((i, transform)) = renumbering.filter(|_| !asked.is_empty()) {
            let what =
                "it gives requests new numbers, and a row of the table of [quality] is found by a request's number";
            let hint = "leave it out, write the changed trace with `baseload trace transform` and measure its answers, or give \
                        shares in place of columns";
            return Err(Fault::at(key!["trace", "transform", i, transform.name()], what).hint(hint).into());
        }
        let at = key!["quality", key];
        let name = path.display().to_string();
        let text = open_text(&path).map_err(|e| Fault::from(e).under(at.clone()))?;
        let table = QualityTable::open(text, &name).map_err(|e| Fault::from(e).under(at.clone()))?;
        let mut faults = Faults::default();
        let mut wanted: Vec<usize> = Vec::new();
        for (key, column) in asked {
            let names = || table.columns().iter().map(String::as_str);
            match names().position(|n| n == *column) {
                Some(at) if wanted.contains(&at) => {}
                Some(at) => wanted.push(at),
                None => faults.push(Fault::unknown(key.clone(), &format!("column of {name}"), column, names())),
            }
        }
        let names: Vec<String> = wanted.iter().map(|at| table.columns()[*at].clone()).collect();
        let read = table.read(&wanted).map_err(|e| Fault::from(e).under(at))?;
        let rows = read.first().map(|c| c.len() as u64).filter(|_| !section.repeat);
        let columns = names.into_iter().zip(read).map(|(name, rows)| (name, rows.into())).collect();
        faults.finish(Some((QualityInput { path, key, rows }, columns)))
    }
}

fn drift(d: &DriftSection) -> Result<Drift, Faults> {
    let DriftSection { changes_per_year, step_sd } = *d;
    let mut faults = Faults::default();
    let holds = changes_per_year > 0.0 && changes_per_year <= 8_760.0;
    let at = key!["drift", "changes_per_year"];
    let changes = in_range(at, changes_per_year, holds, "it must be above 0, at most 8760");
    let drift = Drift {
        changes_per_year: faults.or_default(changes),
        step_sd: faults.or_default(share(key!["drift", "step_sd"], step_sd)),
    };
    faults.finish(drift)
}
