//! The registry of trace readers: a row each, from which recognition, `--input-format`, help, schema and messages are made.
//!
//! A reader is a file of `read/` (or `generate/`, where it draws) that has a row, and a line of [`Readers::embedded`].
use super::aggregates;
use super::head::Head;
use super::unopened::Unopened;
use baseload_core::types::{Entries, TraceFault, wrong};
use std::fmt;

/// A trace format and its reader: a row of the registry. Rows of one name are equal.
#[derive(Clone, Copy)]
pub struct Format {
    /// Name of the format: in messages, of `--input-format` and of `trace.input_format`.
    pub name: &'static str,
    /// What a trace in it looks like, in a few words.
    pub looks_like: &'static str,
    /// What its reader was tried on.
    pub tried: Tried,
    /// What its traces say of their requests.
    pub carries: Carries,
    /// Whether a trace that begins so is of this format. No two of the embedded ones say so of one trace.
    pub recognises: fn(&Head<'_>) -> bool,
    /// Opens one.
    pub open: fn(Unopened<'_>) -> Result<Box<dyn Entries>, TraceFault>,
    /// A small trace in it, which tests recognise and read; empty where it is no text, or only a map tells what it is.
    pub example: &'static str,
    /// Whether its first line may be a header, so that no row is understood behind a faulty one.
    pub headed: bool,
    /// Whether its entries are drawn, with the seed of the options.
    pub drawn: bool,
    /// Width of the buckets that its published times stand in, ns; 0 where they are exact.
    pub bucket_ns: u64,
}

/// What the traces of a format say of their requests, where their source knew it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Carries {
    /// When they arrived.
    pub arrivals: bool,
    /// How many tokens they had; else these are estimated from text.
    pub tokens: bool,
    /// Which session they belong to.
    pub sessions: bool,
    /// Whose they are.
    pub tenants: bool,
    /// Prompt tokens that a cache had.
    pub cached: bool,
    /// When their first token came.
    pub ttft: bool,
    /// What they cost.
    pub cost: bool,
}

impl Carries {
    /// Tokens alone.
    pub const NONE: Carries = Carries {
        arrivals: false,
        tokens: true,
        sessions: false,
        tenants: false,
        cached: false,
        ttft: false,
        cost: false,
    };
    /// Tokens and arrivals.
    pub const ARRIVALS: Carries = Carries { arrivals: true, ..Carries::NONE };
    /// All but the cost.
    pub const ALL_BUT_COST: Carries =
        Carries { sessions: true, tenants: true, cached: true, ttft: true, ..Carries::ARRIVALS };

    /// What each is, with its name.
    pub fn named(self) -> [(&'static str, bool); 7] {
        [
            ("arrivals", self.arrivals),
            ("tokens", self.tokens),
            ("sessions", self.sessions),
            ("tenants", self.tenants),
            ("cached", self.cached),
            ("TTFT", self.ttft),
            ("cost", self.cost),
        ]
    }
}

/// What a reader was tried on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Tried {
    /// The format is our own, or the user's.
    Own,
    /// On originals: which.
    On(&'static str),
    /// On none: it was written to the format's description, and refuses what that does not have.
    Nothing,
}

impl Format {
    /// What most rows leave unsaid: no header, nothing drawn, exact times. It opens nothing.
    pub const PLAIN: Format = Format {
        name: "",
        looks_like: "",
        tried: Tried::Own,
        carries: Carries::NONE,
        recognises: |_| false,
        open: |trace| Err(wrong!("{}:1: no reader is known", trace.name).hint("give another --input-format")),
        example: "",
        headed: false,
        drawn: false,
        bucket_ns: 0,
    };
}

impl PartialEq for Format {
    fn eq(&self, other: &Format) -> bool {
        self.name == other.name
    }
}

impl Eq for Format {}

impl fmt::Debug for Format {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Format").field(&self.name).finish()
    }
}

/// Readers by name, in the order in which they are listed.
#[derive(Debug, Clone)]
pub struct Readers(pub(super) Vec<Format>);

impl Readers {
    /// These readers and `row`, which takes the place of one of the same name. It is asked before those that were
    /// there, so that it may know a special case of theirs.
    #[must_use]
    pub fn with(mut self, row: Format) -> Readers {
        self.0.retain(|known| known.name != row.name);
        self.0.push(row);
        self
    }

    /// Rows of all formats.
    pub fn rows(&self) -> &[Format] {
        &self.0
    }

    /// Names of all formats, with commas.
    pub fn names(&self) -> String {
        self.0.iter().map(|row| row.name).collect::<Vec<_>>().join(", ")
    }

    /// Names of formats whose readers were written to a description alone, by alphabet.
    pub fn untried(&self) -> Vec<&'static str> {
        let untried = self.0.iter().filter(|row| row.tried == Tried::Nothing);
        let mut names: Vec<&str> = untried.map(|row| row.name).collect();
        names.sort_unstable();
        names
    }

    /// The format of a name.
    ///
    /// # Errors
    /// Lists the known names.
    pub fn named(&self, name: &str) -> Result<Format, TraceFault> {
        let found = self.0.iter().find(|row| row.name == name).copied();
        found.ok_or_else(|| wrong!("format `{name}` is unknown").hint(format!("known are {}", self.names())))
    }

    /// The format of a trace that begins so.
    ///
    /// # Errors
    /// An empty text; lists the known formats.
    pub fn recognise(&self, head: &Head<'_>, name: &str) -> Result<Format, TraceFault> {
        if let Some(row) = self.0.iter().rev().find(|row| (row.recognises)(head)) {
            return Ok(*row);
        }
        if head.text().is_empty() && !head.is_folder() {
            return Err(wrong!("{name}:1: the trace is empty").hint("it needs at least one request"));
        }
        if let Some((what, instead)) = aggregates::named(head) {
            let what = format!("this is {what}, an aggregate and no trace");
            return Err(TraceFault::of(name, what).on_line(1).hint(instead));
        }
        let known: Vec<String> = self.0.iter().map(|row| format!("{} ({})", row.name, row.looks_like)).collect();
        let there = head.fields();
        let there = if there.is_empty() { String::new() } else { format!(": its rows have {}", there.join(", ")) };
        let map = "a column map reads any table or JSON rows (--columns, dotted names within objects)";
        Err(TraceFault::of(name, format!("this is no trace format that is known{there}"))
            .on_line(1)
            .hint(format!("{map}; known are {}", known.join(", "))))
    }
}

#[cfg(test)]
#[path = "registry_tests.rs"]
mod tests;
