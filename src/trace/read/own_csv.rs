//! Our own schema as CSV: see `traces/README.md`. Fields are plain: no quotes, no commas inside.
use super::Rows;
use super::parse::{class_of, tokens};
use crate::types::{Entry, parse_duration};

/// Columns it knows; the first three are needed.
const COLUMNS: [&str; 8] =
    ["arrival_s", "prompt_tokens", "output_tokens", "tenant", "session", "class", "max_output_tokens", "priority"];

/// Reads rows by the names in the header, in any order.
pub(super) struct OwnCsv {
    classes: Vec<String>,
    /// Index into `COLUMNS` of each column of the file; empty before the header.
    columns: Vec<usize>,
}

impl OwnCsv {
    pub(super) fn new(classes: &[String]) -> OwnCsv {
        OwnCsv { classes: classes.to_vec(), columns: Vec::new() }
    }

    fn header(&mut self, line: &str) -> Result<(), String> {
        for name in line.split(',').map(str::trim) {
            let known = COLUMNS.iter().position(|c| *c == name);
            let column =
                known.ok_or_else(|| format!("column `{name}` is unknown; known are {}", COLUMNS.join(", ")))?;
            if self.columns.contains(&column) {
                return Err(format!("column `{name}` stands twice; it may stand once"));
            }
            self.columns.push(column);
        }
        match (0..3).find(|c| !self.columns.contains(c)) {
            Some(c) => Err(format!("column `{}` is missing; the header needs it", COLUMNS[c])),
            None => Ok(()),
        }
    }
}

impl Rows for OwnCsv {
    fn row(&mut self, line: &str, row: &mut Entry) -> Result<bool, String> {
        if self.columns.is_empty() {
            return self.header(line).map(|()| false);
        }
        if line.contains('"') {
            return Err("the line has a quote; fields are plain text without quotes".into());
        }
        let fields: Vec<&str> = line.split(',').map(str::trim).collect();
        if fields.len() != self.columns.len() {
            return Err(format!("the line is torn: {} fields; the header has {}", fields.len(), self.columns.len()));
        }
        for (&column, &text) in self.columns.iter().zip(&fields) {
            if text.is_empty() && column >= 3 {
                continue;
            }
            let wrong = |right: &str| format!("{} is `{text}`; it must be {right}", COLUMNS[column]);
            match column {
                0 => row.at_ns = seconds(text).ok_or_else(|| wrong("seconds from 0, such as 12.5"))?,
                1 => row.prompt_tokens = tokens(text, COLUMNS[1])?,
                2 => row.output_tokens = tokens(text, COLUMNS[2])?,
                3 => row.tenant = text.parse().map_err(|_| wrong("a whole number under 2^32"))?,
                4 => row.session = text.parse().map_err(|_| wrong("a whole number under 2^64"))?,
                5 => row.class = class_of(text, &self.classes)?,
                6 => row.max_output_tokens = tokens(text, COLUMNS[6])?,
                _ => row.priority = text.parse().map_err(|_| wrong("a whole number, lower is more urgent"))?,
            }
        }
        Ok(true)
    }
}

/// Exact nanoseconds of decimal seconds; digits past the ninth decimal are cut.
fn seconds(text: &str) -> Option<i64> {
    let cut = text.split_once('.').map_or(text.len(), |(whole, _)| (whole.len() + 10).min(text.len()));
    parse_duration(&format!("{}s", text.get(..cut)?)).ok().and_then(|t| i64::try_from(t.0).ok())
}
