//! Reads trace files: one file a format, each yielding entries (`types::Entries`).
//!
//! Formats of one line an entry implement [`Rows`] and are read by [`RowReader`]; the others read [`Lines`] themselves.
//! Must hold: nothing is guessed; a fault is `NAME:LINE: what is wrong; what would be right`; only one line (or one
//! session, where a line is one) is held.
mod azure;
mod lines;
mod mooncake;
mod own_csv;
mod own_jsonl;

use super::{Format, detect};
use crate::types::{Entries, Entry};
pub use lines::Lines;
use std::io::{BufRead, Cursor, Read};

/// A trace's bytes.
pub type Reader = Box<dyn BufRead + Send>;

/// Understands the lines of one format. Errors are `what is wrong; what would be right`.
trait Rows: Send {
    /// Fills a blank `entry` from a line without its end, not blank. `false`: a header.
    fn row(&mut self, line: &str, entry: &mut Entry) -> Result<bool, String>;
}

/// An opened trace.
pub struct Opened {
    /// The format it is read as.
    pub format: Format,
    /// Its entries.
    pub entries: Box<dyn Entries>,
}

/// Opens a trace of any known format that is one text. `name` is for messages; `classes` are the experiment's, in order.
///
/// # Errors
/// `NAME:LINE: what is wrong; what would be right`.
pub fn open(reader: Reader, name: &str, classes: &[String]) -> Result<Opened, String> {
    let mut reader = reader;
    let mut first = Vec::new();
    reader.read_until(b'\n', &mut first).map_err(|e| format!("{name}:1: cannot be read: {e}"))?;
    let format = detect(&String::from_utf8_lossy(&first), name)?;
    let whole: Reader = Box::new(Cursor::new(first).chain(reader));
    Ok(open_as(format, whole, name, classes))
}

/// Opens a trace whose format is said.
pub fn open_as(format: Format, reader: Reader, name: &str, classes: &[String]) -> Opened {
    let rows: Box<dyn Rows> = match format {
        Format::Azure => Box::new(azure::Azure::default()),
        Format::Mooncake => Box::new(mooncake::Mooncake),
        Format::OwnCsv => Box::new(own_csv::OwnCsv::new(classes)),
        Format::OwnJsonl => Box::new(own_jsonl::OwnJsonl::new(classes)),
        Format::Generator => panic!("generator-is-no-text: a specification is parsed whole, by GenerateSpec"),
    };
    Opened { format, entries: Box::new(RowReader::new(Lines::new(reader, name), rows)) }
}

/// Entries of a text that has one a line, numbered from 0.
struct RowReader {
    lines: Lines,
    rows: Box<dyn Rows>,
    made: u64,
    /// Requests whose output is 0 tokens.
    empty: u64,
}

impl RowReader {
    fn new(lines: Lines, rows: Box<dyn Rows>) -> RowReader {
        RowReader { lines, rows, made: 0, empty: 0 }
    }
}

impl Entries for RowReader {
    fn next(&mut self, entry: &mut Entry) -> Result<bool, String> {
        loop {
            if !self.lines.advance()? {
                if self.made == 0 {
                    return Err(self.lines.fault("the trace has no requests; it needs at least one"));
                }
                return Ok(false);
            }
            entry.clear();
            if !self.rows.row(self.lines.text(), entry).map_err(|e| self.lines.fault(e))? {
                continue;
            }
            checked(entry).map_err(|e| self.lines.fault(e))?;
            entry.id = self.made;
            self.made += 1;
            self.empty += u64::from(entry.output_tokens == 0);
            return Ok(true);
        }
    }
    fn place(&self) -> String {
        self.lines.place()
    }
    fn notes(&self) -> Vec<String> {
        zero_outputs(self.empty).into_iter().collect()
    }
}

/// Says how many answers were empty, where any were.
fn zero_outputs(count: u64) -> Option<String> {
    (count > 0).then(|| format!("{count} requests have 0 output tokens; they are kept and replayed with 1"))
}

/// What every format must keep.
///
/// # Errors
/// What is wrong; what would be right.
fn checked(entry: &Entry) -> Result<(), String> {
    if entry.prompt_tokens == 0 {
        return Err("the request has 0 prompt tokens; it needs at least 1".into());
    }
    let content: u64 = entry.content.iter().map(|r| u64::from(r.len)).sum();
    if content > u64::from(entry.prompt_tokens) {
        return Err(format!(
            "its content is {content} tokens but its prompt {}; the content may not be longer",
            entry.prompt_tokens
        ));
    }
    Ok(())
}

/// A whole number of tokens, or what is wrong with it.
fn tokens(text: &str, column: &str) -> Result<u32, String> {
    let text = text.trim();
    if text.starts_with('-') {
        return Err(format!("{column} is {text}, a negative number; it must be at least 1"));
    }
    text.parse().map_err(|_| format!("{column} is `{text}`; it must be a whole number of tokens"))
}

/// A count of tokens that JSON gave as any whole number.
fn count(value: i64, key: &str) -> Result<u32, String> {
    if value < 0 {
        return Err(format!("{key} is {value}, a negative number; it must be at least 1"));
    }
    u32::try_from(value).map_err(|_| format!("{key} is {value}; it must be under 2^32"))
}

/// Index of a class name.
fn class_of(name: &str, classes: &[String]) -> Result<u16, String> {
    if name.is_empty() {
        return Ok(u16::MAX);
    }
    classes.iter().position(|c| c == name).map(|i| i as u16).ok_or_else(|| {
        let known = if classes.is_empty() { "the experiment has none".into() } else { classes.join(", ") };
        format!("class `{name}` is not in the experiment; known classes: {known}")
    })
}

#[cfg(test)]
mod tests;
