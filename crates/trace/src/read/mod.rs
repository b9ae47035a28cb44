//! Reads trace files: one file a format, with its row of the registry, each yielding entries (`types::Entries`).
//!
//! Formats of one row an entry implement [`Rows`] and are opened by [`rows`]; those of several entries a row, [`Sessions`] and
//! [`session_items`]; logs of gateways and load tests, whose rows are calls among others and in any order, [`Log`] and
//! [`log`]. A row is a line, or a JSON object wherever it stands: [`Items`].
//! Must hold: nothing is guessed; a fault is `NAME:LINE: what is wrong; what would be right`; a row that is no request is
//! left out and counted by its reason ([`Tally`]), never the end of a file; unknown fields are counted, never refused. Only
//! one row (or one session, where a row is one) is held, of logs all requests.
pub(super) mod aiperf;
pub(super) mod azure;
pub(super) mod bailian;
pub(super) mod burstgpt;
mod calls;
pub(super) mod chat;
pub(super) mod claude;
pub(super) mod cloudflare;
pub(super) mod copilot;
mod csv;
pub(super) mod dag;
mod elements;
pub(super) mod envoy;
pub(super) mod guidellm;
pub(super) mod helicone;
pub(super) mod inference_perf;
mod items;
pub(super) mod langfuse;
mod lines;
pub(super) mod litellm;
pub(super) mod lmcache;
pub(super) mod mapped;
pub(super) mod mooncake;
pub(super) mod openrouter;
pub(super) mod otlp;
pub(super) mod own_csv;
pub(super) mod own_jsonl;
pub(super) mod parquet;
mod parse;
mod paths;
pub(super) mod portkey;
mod record;
mod runs;
pub(super) mod sagemaker;
mod seen_twice;
mod servegen;
mod sessions;
pub(super) mod sglang_bench;
mod tally;
pub(super) mod tracelab;
pub(super) mod vllm_bench;
mod window;

use super::unopened::Unopened;
use baseload_core::types::{Account, Clock, Entries, Entry, IdSet, Rest, TraceFault, UnknownField};
pub use csv::{Csv, Fields};
use items::{Items, without_bare_words};
pub use lines::Lines;
pub use mapped::FORMAT as COLUMNS;
pub use own_csv::FORMAT as OWN_CSV;
pub use own_jsonl::FORMAT as OWN_JSONL;
pub use parquet::FORMAT as PARQUET;
use parse::{checked, zero_outputs};
pub use servegen::{GapFamily, ServeGenClient, ServeGenLengths, ServeGenWindow};
pub use sessions::{Order, Sessions, session_items};
use tally::{NO_PROMPT, Tally};

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
    /// Fields of the rows so far that it does not know.
    fn unknown_fields(&self) -> Vec<UnknownField> {
        Vec::new()
    }
    /// Names of its sessions, that of number 0 first; none where they have none.
    fn names(&self) -> Vec<String> {
        Vec::new()
    }
    /// Names of its tenants, that of number 1 first; none where they have none.
    fn tenants(&self) -> Vec<String> {
        Vec::new()
    }
}

/// Opens a text of which each line, or each JSON object, is an entry.
///
/// # Errors
/// What is no text.
pub fn rows(mut trace: Unopened<'_>, rows: impl Rows + 'static) -> Result<Box<dyn Entries>, TraceFault> {
    let items = Items::open(&mut trace)?;
    let (tally, header) = (Tally::new(trace.strictness), trace.headed && !trace.head.is_json());
    Ok(Box::new(RowReader { items, rows: Box::new(rows), tally, header, made: 0, empty: 0, ids: IdSet::default() }))
}

/// Entries of a text that has one an item, numbered from 0 unless they have ids.
struct RowReader {
    items: Items,
    rows: Box<dyn Rows>,
    tally: Tally,
    /// Whether the next line is the header, without which no row is understood.
    header: bool,
    made: u64,
    /// Requests whose output is 0 tokens.
    empty: u64,
    /// Ids met, where rows have their own.
    ids: IdSet,
}

impl RowReader {
    /// Understands the item last read; `false` where it is no request.
    fn understand(&mut self, entry: &mut Entry) -> Result<bool, TraceFault> {
        entry.clear();
        let mut made = self.rows.row(self.items.text(), entry);
        if made.is_err()
            && let Some(text) = without_bare_words(self.items.text())
        {
            entry.clear();
            made = self.rows.row(&text, entry);
        }
        if !made? {
            return Ok(false);
        }
        if entry.prompt_tokens == 0 && self.tally.leaves_out() {
            self.tally.leave_out(NO_PROMPT, self.items.line());
            return Ok(false);
        }
        checked(entry)?;
        if !self.rows.has_ids() {
            entry.id = self.made;
        } else if !self.ids.insert(entry.id) {
            return Err(format!("id {} stands twice; it must be unique", entry.id).into());
        }
        Ok(true)
    }
}

impl Entries for RowReader {
    fn next(&mut self, entry: &mut Entry) -> Result<bool, TraceFault> {
        loop {
            let more = match self.items.advance(self.rows.quoted()) {
                Ok(more) => more,
                Err(fault) if fault.rest == Rest::MayRead && !self.header => {
                    self.tally.row(true);
                    self.tally.faulty(fault, self.items.line())?;
                    continue;
                }
                // How much is lost behind it nobody knows.
                Err(fault) => return Err(fault),
            };
            if !more {
                if self.made == 0 {
                    return Err(self.items.fault(self.tally.nothing()));
                }
                return Ok(false);
            }
            let header = std::mem::take(&mut self.header);
            self.tally.row(!header);
            match self.understand(entry) {
                Ok(true) => {
                    self.made += 1;
                    self.empty += u64::from(entry.output_tokens == 0);
                    return Ok(true);
                }
                Ok(false) => {}
                Err(fault) if header => return Err(self.items.fault(fault)),
                Err(fault) => self.tally.faulty(self.items.fault(fault), self.items.line())?,
            }
            self.tally.refusal().map_err(|fault| self.items.fault(fault))?;
        }
    }
    fn clock(&self) -> Clock {
        self.rows.clock()
    }
    fn place(&self) -> String {
        self.items.place()
    }
    fn account(&self) -> Account {
        let mut account = self.tally.account();
        account.unknown_fields.extend(self.rows.unknown_fields());
        (account.sessions, account.tenants) = (self.rows.names(), self.rows.tenants());
        account
    }
    fn notes(&self) -> Vec<String> {
        let mut notes = self.account().notes();
        notes.extend(self.rows.notes());
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
mod interchange_tests;
#[cfg(test)]
mod tests;
