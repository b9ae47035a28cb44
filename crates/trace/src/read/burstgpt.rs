//! BurstGPT (HPMLL/BurstGPT): `Timestamp,Model,Request tokens,Response tokens,Total tokens,Log Type`, newer releases with
//! `Session ID` and `Elapsed time`; names match whatever their case. Written to the README's description, not tried.
//!
//! Times are seconds from 0:00 of the first day. A response of 0 tokens is a failed request, one of 0 and 0 tokens none.
//! `Elapsed time` (v2.0) is the end-to-end time in seconds, of answered requests. Rows of API logs have no session.
use super::parse::{Names, Unknown, decimal_ns, tokens};
use super::window::windowed;
use super::{Rows, csv};
use crate::registry::{Carries, Format, Tried};
use baseload_core::types::{Entry, Status, TraceFault, UnknownField, wrong};

/// Row of BurstGPT's format in the registry of readers.
pub const FORMAT: Format = Format {
    name: "burstgpt",
    looks_like: "header Timestamp,Model,Request tokens,...",
    tried: Tried::Nothing,
    recognises: |head| head.has_columns_in_any_case(&["Timestamp", "Model", "Request tokens"]),
    carries: Carries { sessions: true, ..Carries::ARRIVALS },
    open: |trace| windowed(trace, BurstGpt::default()),
    example: "Timestamp,Model,Request tokens,Response tokens,Total tokens,Log Type\n45,ChatGPT,472,18,490,Conversation log\n",
    headed: true,
    ..Format::PLAIN
};

const COLUMNS: [&str; 8] = [
    "Timestamp",
    "Model",
    "Request tokens",
    "Response tokens",
    "Total tokens",
    "Log Type",
    "Session ID",
    "Elapsed time",
];

/// Reads rows by the names in the header.
#[derive(Default)]
pub(super) struct BurstGpt {
    header: csv::Header,
    splitter: csv::Splitter,
    fields: csv::Fields,
    sessions: Names,
    failed: u64,
    unknown: Unknown,
}

impl Rows for BurstGpt {
    fn row(&mut self, line: &str, entry: &mut Entry) -> Result<bool, TraceFault> {
        self.splitter.split(line, &mut self.fields)?;
        if !self.header.is_read() {
            self.header.read(self.fields.iter(), &COLUMNS, 5, str::eq_ignore_ascii_case, Some(&mut self.unknown))?;
            return Ok(false);
        }
        self.header.fits(self.fields.count())?;
        let field = |k: usize| self.header.of(&self.fields, k);
        entry.at_ns = decimal_ns(field(0))
            .ok_or_else(|| wrong!("Timestamp is `{}`; it must be seconds from 0, such as 45 or 45.5", field(0)))?;
        entry.prompt_tokens = tokens(field(2), COLUMNS[2])?;
        entry.output_tokens = tokens(field(3), COLUMNS[3])?;
        let total = tokens(field(4), COLUMNS[4])?;
        let sum = u64::from(entry.prompt_tokens) + u64::from(entry.output_tokens);
        if u64::from(total) != sum {
            return Err(wrong!("Total tokens is {total} but request and response add up to {sum}; they must agree"));
        }
        if entry.prompt_tokens == 0 {
            return Ok(true);
        }
        let elapsed = field(7);
        if !elapsed.is_empty() && entry.output_tokens > 0 {
            let ns =
                decimal_ns(elapsed).ok_or_else(|| wrong!("Elapsed time is `{elapsed}`; it must be seconds from 0"))?;
            entry.measured.e2e_ns = Some(ns as u64);
        }
        if !field(6).is_empty() {
            entry.session = self.sessions.number(self.header.of(&self.fields, 6));
        }
        if entry.output_tokens == 0 {
            entry.measured.status = Status::Failed;
            self.failed += 1;
        }
        Ok(true)
    }

    fn notes(&self) -> Vec<String> {
        let failed = (self.failed > 0)
            .then(|| format!("{} responses of 0 tokens are failed requests; they are kept, as failed", self.failed));
        failed.into_iter().collect()
    }

    fn unknown_fields(&self) -> Vec<UnknownField> {
        self.unknown.list()
    }

    fn names(&self) -> Vec<String> {
        self.sessions.list()
    }
}
