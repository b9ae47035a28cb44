//! Reads trace files: one file a format, with its row of the registry, each yielding entries (`types::Entries`).
//!
//! Formats of one line an entry implement [`Rows`] and are opened by [`rows`]; those of several entries a line or JSON element
//! implement [`Sessions`] and are opened by [`session_lines`] or [`session_elements`].
//! Must hold: nothing is guessed; a fault is `NAME:LINE: what is wrong; what would be right`; only one line (or one
//! session, where a line is one) is held.
pub(super) mod azure;
pub(super) mod bailian;
pub(super) mod burstgpt;
pub(super) mod claude;
pub(super) mod copilot;
mod csv;
mod elements;
mod lines;
pub(super) mod litellm;
pub(super) mod lmcache;
pub(super) mod mapped;
pub(super) mod mooncake;
pub(super) mod otlp;
pub(super) mod own_csv;
pub(super) mod own_jsonl;
pub(super) mod parquet;
mod parse;
mod servegen;
mod sessions;
pub(super) mod sharegpt;
pub(super) mod vllm_bench;

use super::unopened::Unopened;
use baseload_core::types::{Clock, Entries, Entry, IdSet, TraceFault};
pub use csv::{Csv, Fields};
pub use lines::Lines;
pub use mapped::FORMAT as COLUMNS;
pub use own_csv::FORMAT as OWN_CSV;
pub use own_jsonl::FORMAT as OWN_JSONL;
pub use parquet::FORMAT as PARQUET;
use parse::{checked, zero_outputs};
pub use servegen::{GapFamily, ServeGenClient, ServeGenLengths, ServeGenWindow};
pub use sessions::{Order, Sessions, session_elements, session_lines};

pub use super::unopened::Reader;

/// Understands the lines of one format. Errors are `what is wrong; what would be right`.
pub trait Rows: Send {
    /// Fills a blank `entry` from a line without its end, not blank. `false`: a header, or what is no request.
    ///
    /// # Errors
    /// What is wrong with the line; its place is added.
    fn row(&mut self, line: &str, entry: &mut Entry) -> Result<bool, TraceFault>;
    /// What times count from.
    fn clock(&self) -> Clock {
        Clock::Common
    }
    /// Whether a row may go on in the next line, inside quotes.
    fn quoted(&self) -> bool {
        false
    }
    /// Whether rows have ids of their own; else they are numbered.
    fn has_ids(&self) -> bool {
        false
    }
    /// What people should know of the rows so far.
    fn notes(&self) -> Vec<String> {
        Vec::new()
    }
}

/// Opens a text of which each line is an entry.
///
/// # Errors
/// What is no text.
pub fn rows(mut trace: Unopened<'_>, rows: impl Rows + 'static) -> Result<Box<dyn Entries>, TraceFault> {
    let lines = Lines::new(trace.text()?, trace.name);
    Ok(Box::new(RowReader { lines, rows: Box::new(rows), made: 0, empty: 0, ids: IdSet::default() }))
}

/// Entries of a text that has one a line, numbered from 0 unless they have ids.
struct RowReader {
    lines: Lines,
    rows: Box<dyn Rows>,
    made: u64,
    /// Requests whose output is 0 tokens.
    empty: u64,
    /// Ids met, where rows have their own.
    ids: IdSet,
}

impl Entries for RowReader {
    fn next(&mut self, entry: &mut Entry) -> Result<bool, TraceFault> {
        loop {
            let more = if self.rows.quoted() { self.lines.advance_quoted()? } else { self.lines.advance()? };
            if !more {
                if self.made == 0 {
                    return Err(self.lines.fault(TraceFault::no_requests()));
                }
                return Ok(false);
            }
            entry.clear();
            if !self.rows.row(self.lines.text(), entry).map_err(|e| self.lines.fault(e))? {
                continue;
            }
            checked(entry).map_err(|e| self.lines.fault(e))?;
            if !self.rows.has_ids() {
                entry.id = self.made;
            } else if !self.ids.insert(entry.id) {
                return Err(self.lines.fault(format!("id {} stands twice; it must be unique", entry.id)));
            }
            self.made += 1;
            self.empty += u64::from(entry.output_tokens == 0);
            return Ok(true);
        }
    }
    fn clock(&self) -> Clock {
        self.rows.clock()
    }
    fn place(&self) -> String {
        self.lines.place()
    }
    fn notes(&self) -> Vec<String> {
        let mut notes = self.rows.notes();
        notes.extend(zero_outputs(self.empty));
        if self.ids.is_full() {
            notes.push("ids are too far apart to check all of them for duplicates, which would count twice".into());
        }
        notes
    }
}

#[cfg(test)]
mod format_tests;
#[cfg(test)]
mod tests;
