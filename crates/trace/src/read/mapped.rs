//! Any CSV or JSON rows through a column map (`types::ColumnMap`): columns that it does not name are passed over. A dotted name
//! is a field of an object within a JSON row, unless the row has a field of that whole name.
use super::own_csv::status;
use super::parquet::is_parquet;
use super::parse::{Names, scaled, tokens};
use super::record::{dotted, instant};
use super::{Rows, csv};
use crate::registry::{Carries, Format};
use baseload_core::types::{Classes, Clock, ColumnMap, Entry, TimeColumn, TimeUnit};
use baseload_core::types::{TraceFault, wrong};
use serde_json::Value;

/// Row of files read by a map in the registry of readers. Nothing but a map tells what such a file is.
pub const FORMAT: Format = Format {
    name: "columns",
    looks_like: "any table, by a column map",
    carries: Carries::ALL_BUT_COST,
    open: |trace| {
        let (map, map_name) = trace
            .columns
            .ok_or_else(|| wrong!("{}:1: its columns are not known; give a column map (--columns)", trace.name))?;
        if is_parquet(trace.head) {
            return trace.files.table(trace.columns, trace.classes);
        }
        let rows = Mapped::new(map, map_name, trace.classes, trace.head.is_json());
        super::rows(trace, rows)
    },
    headed: true,
    ..Format::PLAIN
};

/// Reads rows by the map's names.
pub(super) struct Mapped {
    map: ColumnMap,
    map_name: String,
    classes: Classes,
    json: bool,
    /// Names in the CSV's header.
    header: Vec<String>,
    splitter: csv::Splitter,
    fields: csv::Fields,
    tenants: Names,
    sessions: Names,
    unzoned: bool,
}

/// A row's fields by name; empty where absent or null.
struct Row<'a> {
    header: &'a [String],
    fields: &'a csv::Fields,
    json: Option<serde_json::Map<String, Value>>,
}

/// A JSON row's field by its name, which may be dotted.
fn field<'a>(object: &'a serde_json::Map<String, Value>, name: &str) -> Option<&'a Value> {
    object.get(name).or_else(|| dotted(object, name))
}

impl Row<'_> {
    fn of(&self, column: &str) -> Result<String, TraceFault> {
        match &self.json {
            None => {
                let place = self.header.iter().position(|h| h == column);
                Ok(place.map_or("", |p| self.fields.of(p)).to_owned())
            }
            Some(object) => match field(object, column) {
                None | Some(Value::Null) => Ok(String::new()),
                Some(Value::String(text)) => Ok(text.trim().to_string()),
                Some(Value::Number(n)) => Ok(n.to_string()),
                Some(Value::Bool(b)) => Ok(b.to_string()),
                Some(_) => Err(wrong!("{column} is a list or object; it must be a value")),
            },
        }
    }
    fn optional(&self, column: Option<&String>) -> Result<Option<String>, TraceFault> {
        let text = column.map(|c| self.of(c)).transpose()?;
        Ok(text.filter(|t| !t.is_empty()))
    }
}

impl Mapped {
    /// `map_name` is the map's file, for messages.
    pub(super) fn new(map: &ColumnMap, map_name: &str, classes: &Classes, json: bool) -> Mapped {
        Mapped {
            map: map.clone(),
            map_name: map_name.into(),
            classes: classes.clone(),
            json,
            header: Vec::new(),
            splitter: csv::Splitter::default(),
            fields: csv::Fields::default(),
            tenants: Names::default(),
            sessions: Names::default(),
            unzoned: false,
        }
    }

    fn missing(&self, has: impl Fn(&str) -> bool, there: &str) -> Result<(), TraceFault> {
        match self.map.columns().into_iter().find(|(_, column)| !has(column)) {
            Some((key, column)) => Err(wrong!(
                "column `{column}`, which {} names for {key}, is not there; it has {there}: name one of them or leave \
                 {key} out",
                self.map_name
            )),
            None => Ok(()),
        }
    }

    fn fill(&mut self, row: &Row, entry: &mut Entry) -> Result<(), TraceFault> {
        let number = |column: &Option<String>| match column {
            Some(column) => tokens(&row.of(column)?, column).map(Some),
            None => Ok(None),
        };
        // A call that was refused has no prompt; that is no fault of its row.
        let prompt = |column: &Option<String>| match column {
            Some(name) if row.of(name)?.is_empty() => Ok(Some(0)),
            _ => number(column),
        };
        let optional = |column: &Option<String>| {
            let text = row.optional(column.as_ref())?;
            text.map(|t| tokens(&t, column.as_deref().unwrap_or(""))).transpose()
        };
        let duration = |time: &Option<TimeColumn>| -> Result<Option<u64>, TraceFault> {
            let Some(time) = time else { return Ok(None) };
            let text = row.of(&time.column)?;
            if text.is_empty() {
                return Ok(None);
            }
            Ok(Some(ns(&text, time)? as u64))
        };
        let map = &self.map;
        if let Some(time) = &map.arrival {
            let text = row.of(&time.column)?;
            entry.at_ns = if time.unit == TimeUnit::Iso8601 {
                let (at, zoned) = instant(&text).ok_or_else(|| {
                    wrong!("{} is `{text}`; it must be ISO 8601, such as 2026-06-01T08:00:00.120Z", time.column)
                })?;
                self.unzoned |= !zoned;
                at
            } else {
                ns(&text, time)?
            };
        }
        let counted = prompt(&map.prompt_tokens)?;
        if counted == Some(0) {
            return Ok(());
        }
        entry.prompt_tokens = counted.or(number(&map.prompt_chars)?.map(|chars| map.tokens_of(chars))).unwrap_or(0);
        entry.output_tokens = number(&map.output_tokens)?.or(map.answer_tokens).unwrap_or(0);
        if let Some(name) = row.optional(map.tenant.as_ref())? {
            entry.tenant =
                u32::try_from(self.tenants.number(&name) + 1).map_err(|_| "over 2^32 tenants; no more fit")?;
        }
        if let Some(name) = row.optional(map.session.as_ref())? {
            entry.session = self.sessions.number(&name);
        }
        if let Some(name) = row.optional(map.class.as_ref())? {
            entry.class = self.classes.number(&name)?;
        }
        if let Some(text) = row.optional(map.priority.as_ref())? {
            entry.priority = text.parse().map_err(|_| wrong!("priority is `{text}`; it must be a whole number"))?;
        }
        if let Some(text) = row.optional(map.status.as_ref())? {
            entry.measured.status = status(&text)?;
        }
        entry.max_output_tokens = optional(&map.max_output_tokens)?.unwrap_or(0);
        entry.measured.cached_tokens = optional(&map.cached_tokens)?;
        entry.measured.images = optional(&map.images)?.unwrap_or(0);
        entry.think_ns = duration(&map.think)?;
        entry.measured.ttft_ns = duration(&map.ttft)?;
        entry.measured.e2e_ns = duration(&map.e2e)?;
        Ok(())
    }
}

/// Nanoseconds of a number of `time`'s unit.
fn ns(text: &str, time: &TimeColumn) -> Result<i64, TraceFault> {
    // JSON may write large or small numbers with an exponent.
    let exact = scaled(text, time.unit.digits());
    let rough = || {
        let value: f64 = text.parse().ok()?;
        let scale = [1.0, 1.0, 1.0, 1e3, 1.0, 1.0, 1e6, 1.0, 1.0, 1e9][time.unit.digits()];
        let ns = value * scale;
        (text.contains(['e', 'E']) && (0.0..9e18).contains(&ns)).then(|| ns.round() as i64)
    };
    exact.or_else(rough).ok_or_else(|| {
        let unit = ["ns", "", "", "us", "", "", "ms", "", "", "s"][time.unit.digits()];
        wrong!("{} is `{text}`; it must be a number of {unit}, at least 0", time.column)
    })
}

impl Rows for Mapped {
    fn row(&mut self, line: &str, entry: &mut Entry) -> Result<bool, TraceFault> {
        if self.json {
            let object: serde_json::Map<String, Value> = super::parse::json(line, "one object a line")?;
            let there: Vec<&str> = object.keys().map(String::as_str).collect();
            // Keys that only some lines have are optional ones.
            let m = &self.map;
            let needed = [m.prompt_tokens.as_ref(), m.prompt_chars.as_ref(), m.output_tokens.as_ref()];
            let arrival = self.map.arrival.as_ref().map(|t| &t.column);
            if needed.into_iter().flatten().chain(arrival).any(|c| field(&object, c).is_none()) {
                self.missing(|c| field(&object, c).is_some(), &there.join(", "))?;
            }
            let row = Row { header: &[], fields: &csv::Fields::default(), json: Some(object) };
            return self.fill(&row, entry).map(|()| true);
        }
        let mut fields = std::mem::take(&mut self.fields);
        self.splitter.split(line, &mut fields)?;
        if self.header.is_empty() {
            let header: Vec<String> = fields.iter().map(str::to_owned).collect();
            self.missing(|c| header.iter().any(|h| h == c), &header.join(", "))?;
            self.header = header;
            return Ok(false);
        }
        csv::fits(fields.count(), self.header.len())?;
        let header = std::mem::take(&mut self.header);
        let filled = self.fill(&Row { header: &header, fields: &fields, json: None }, entry);
        (self.header, self.fields) = (header, fields);
        filled.map(|()| true)
    }

    fn quoted(&self) -> bool {
        !self.json
    }

    fn clock(&self) -> Clock {
        if self.map.arrival.is_some() { Clock::Common } else { Clock::None }
    }

    fn names(&self) -> Vec<String> {
        self.sessions.list()
    }

    fn tenants(&self) -> Vec<String> {
        self.tenants.list()
    }

    fn notes(&self) -> Vec<String> {
        let tenants = self.tenants.len();
        let tenants =
            (tenants > 0).then(|| format!("{tenants} tenants are numbered from 1 in order of first appearance"));
        let unzoned = self.unzoned.then(|| "times without a zone are taken as UTC".to_string());
        tenants.into_iter().chain(unzoned).chain(self.map.notes()).collect()
    }
}
