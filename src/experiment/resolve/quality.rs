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
    /// Where it lies.
    pub path: PathBuf,
    /// Its key, for messages.
    pub key: &'static str,
    /// Requests that it has outcomes for; `None` where it begins again.
    pub rows: Option<u64>,
}

impl QualityInput {
    /// The fault, if a trace whose last request has this index needs more rows than there are.
    pub fn too_short(&self, last: u64) -> Option<String> {
        let rows = self.rows.filter(|rows| last >= *rows)?;
        Some(format!(
            "{}: the table has {rows} rows and the trace a request {last}, counted from 0: give trace.limit = {rows}, or \
             quality.repeat = true to begin with the first row again",
            self.key
        ))
    }
}

/// The columns of a table that are asked for.
type Columns = Vec<(String, Arc<[bool]>)>;

/// How good answers are, by the name of the pool or endpoint.
pub(super) fn known(pools: &[ResolvedPool], endpoints: &[ResolvedEndpoint]) -> Vec<(String, Arc<Answers>)> {
    let pools = pools.iter().map(|p| (&p.name, &p.answers));
    let all = pools.chain(endpoints.iter().map(|e| (&e.name, &e.answers)));
    all.filter_map(|(name, answers)| Some((name.clone(), answers.clone()?))).collect()
}

/// An endpoint's own price.
pub(super) fn own_price(key: &str, own: &OwnPriceSection) -> Result<Price, String> {
    let price = |what: &str, usd: f64| {
        let key = format!("{key}.price.{what}");
        if !(usd.is_finite() && usd >= 0.0) {
            return Err(format!("{key} is {usd}; it must be a number from 0"));
        }
        TokenPrice::per_million(usd).map_err(|e| format!("{key}: {e}"))
    };
    Ok(Price {
        input: price("input_usd_per_million", own.input_usd_per_million)?,
        output: price("output_usd_per_million", own.output_usd_per_million)?,
        ..Price::default()
    })
}

impl Resolver<'_> {
    /// Gives pools and endpoints their answers.
    pub(super) fn quality(
        &mut self,
        pools: &mut [ResolvedPool],
        endpoints: &mut [ResolvedEndpoint],
    ) -> Result<Option<QualityInput>, String> {
        let f = self.file;
        let drift = f.drift.as_ref().map(drift).transpose()?;
        let of_pools = f.pool.iter().map(|(n, p)| (format!("pool.{n}.quality"), p.quality.as_ref()));
        let of_endpoints = f.endpoint.iter().map(|(n, e)| (format!("endpoint.{n}.quality"), e.quality.as_ref()));
        let mut asked: Vec<(String, &str)> = Vec::new();
        for (key, section) in of_pools.chain(of_endpoints) {
            match section.map(|s| (s.share, &s.column)) {
                None | Some((Some(_), None)) => {}
                Some((None, Some(column))) => asked.push((format!("{key}.column"), column)),
                Some(_) => return Err(format!("{key}: give exactly one of share and column")),
            }
        }
        let (input, columns) = match self.table(&asked)? {
            Some((input, columns)) => (Some(input), columns),
            None => (None, Columns::new()),
        };
        let repeat = f.quality.as_ref().is_some_and(|q| q.repeat);
        let answers = |key: &str, model: &str, section: &AnswersSection| {
            let outcomes = match (section.share, &section.column) {
                (Some(x), _) => Outcomes::Share(share(&format!("{key}.quality.share"), x)?),
                (None, column) => {
                    let found = columns.iter().find(|(name, _)| Some(name) == column.as_ref());
                    let (_, rows) = found.ok_or_else(|| format!("{key}.quality.column: it was not read"))?;
                    Outcomes::Rows { rows: rows.clone(), repeat }
                }
            };
            Ok::<Answers, String>(Answers::new(model, outcomes, f.seed, 0))
        };
        for ((name, p), pool) in f.pool.iter().zip(pools) {
            let given = p.quality.as_ref().map(|s| answers(&format!("pool.{name}"), &p.model, s)).transpose()?;
            pool.answers = given.map(Arc::new);
        }
        let mut drifts = false;
        for ((name, e), endpoint) in f.endpoint.iter().zip(endpoints) {
            let key = format!("endpoint.{name}");
            let given = e.quality.as_ref().map(|s| answers(&key, &e.catalog, s)).transpose()?;
            if !e.pinned && given.is_none() {
                self.warnings.push(format!("{key}.pinned = false changes nothing: its quality is not given"));
            } else if !e.pinned && drift.is_none() {
                self.warnings.push(format!("{key}.pinned = false changes nothing without [drift]"));
            }
            let moves = drift.filter(|_| !e.pinned);
            drifts |= moves.is_some() && given.is_some();
            endpoint.answers = given.map(|a| match moves {
                Some(drift) => Arc::new(a.drifting(&e.catalog, drift, f.seed, 0)),
                None => Arc::new(a),
            });
        }
        match &f.drift {
            Some(_) if !drifts => self.warnings.push(
                "drift changes nothing: pinned endpoints and own pools keep their quality, and no endpoint with a quality \
                 has pinned = false"
                    .into(),
            ),
            Some(d) if *d == DriftSection::default() => self.warnings.push(format!(
                "drift: {} changes a year by steps of {} are assumptions: nobody publishes either",
                d.changes_per_year, d.step_sd
            )),
            _ => {}
        }
        Ok(input)
    }

    /// Reads the columns that are asked for, with the key that asks for each.
    fn table(&mut self, asked: &[(String, &str)]) -> Result<Option<(QualityInput, Columns)>, String> {
        let Some(section) = &self.file.quality else {
            return match asked.first() {
                Some((key, _)) => Err(format!(
                    "{key}: there is no [quality]; give the table that has the column, as quality.table or quality.source"
                )),
                None => Ok(None),
            };
        };
        let folder = self.path.parent().unwrap_or(Path::new("."));
        let (key, path) = match (&section.source, &section.table) {
            (Some(name), None) => ("quality.source", published::find("quality.source", name)?),
            (None, Some(path)) => ("quality.table", folder.join(path)),
            _ => return Err("quality: give exactly one of source and table".into()),
        };
        if asked.is_empty() {
            self.warnings.push("quality changes nothing: no pool or endpoint names a column of it".into());
        }
        let fault = |e: String| format!("{key}: {e}");
        let name = path.display().to_string();
        let table = QualityTable::open(open_text(&path).map_err(fault)?, &name).map_err(|e| fault(e.into()))?;
        let mut wanted: Vec<usize> = Vec::new();
        for (key, column) in asked {
            let names = || table.columns().iter().map(String::as_str);
            let at = names().position(|n| n == *column).ok_or_else(|| {
                let all = names().collect::<Vec<_>>().join(", ");
                let hint = unknown("column", column, names(), "its header");
                format!("{key}: {hint}; {name} has {all}")
            })?;
            if !wanted.contains(&at) {
                wanted.push(at);
            }
        }
        let names: Vec<String> = wanted.iter().map(|at| table.columns()[*at].clone()).collect();
        let read = table.read(&wanted).map_err(|e| fault(e.into()))?;
        let rows = read.first().map(|c| c.len() as u64).filter(|_| !section.repeat);
        let columns = names.into_iter().zip(read).map(|(name, rows)| (name, rows.into())).collect();
        Ok(Some((QualityInput { path, key, rows }, columns)))
    }

    /// Warns of a policy that may send to places whose quality is not given, beside some where it is.
    pub(super) fn unknown_quality(&mut self, policy: &str, places: &[(&str, bool)]) {
        let without: Vec<&str> = places.iter().filter(|(_, known)| !known).map(|(name, _)| *name).collect();
        if without.is_empty() || without.len() == places.len() {
            return;
        }
        self.warnings.push(format!(
            "policy {policy}: the quality of {} is not given; quality_served counts the answers of the others only",
            without.join(" and ")
        ));
    }
}

fn drift(d: &DriftSection) -> Result<Drift, String> {
    let DriftSection { changes_per_year, step_sd } = *d;
    if !(changes_per_year > 0.0 && changes_per_year <= 8_760.0) {
        return Err(format!("drift.changes_per_year is {changes_per_year}; it must be above 0, at most 8760"));
    }
    Ok(Drift { changes_per_year, step_sd: share("drift.step_sd", step_sd)? })
}
