//! Reads trace files: one file a format, each yielding entries (`types::Entries`).
//!
//! Formats of one line an entry implement [`Rows`] and are read by [`RowReader`]; the others read [`Lines`] themselves.
//! Must hold: nothing is guessed; a fault is `NAME:LINE: what is wrong; what would be right`; only one line (or one
//! session, where a line is one) is held.
mod azure;
mod claude;
mod lines;
mod lmcache;
mod mooncake;
mod own_csv;
mod own_jsonl;
mod parse;
mod servegen;
mod sessions;

use super::{Format, detect};
use crate::types::{Clock, Entries, Entry};
pub use lines::Lines;
use parse::{checked, zero_outputs};
pub use servegen::{GapFamily, ServeGenClient, ServeGenLengths, ServeGenWindow};
use sessions::{SessionReader, Sessions};
use std::io::{BufRead, Cursor, Read};

/// A trace's bytes.
pub type Reader = Box<dyn BufRead + Send>;

/// Understands the lines of one format. Errors are `what is wrong; what would be right`.
trait Rows: Send {
    /// Fills a blank `entry` from a line without its end, not blank. `false`: a header.
    fn row(&mut self, line: &str, entry: &mut Entry) -> Result<bool, String>;
    /// What times count from.
    fn clock(&self) -> Clock {
        Clock::Common
    }
    /// What people should know of the rows so far.
    fn notes(&self) -> Vec<String> {
        Vec::new()
    }
}

/// Bytes of a file that are looked at to recognise it.
const HEAD_BYTES: u64 = 64 * 1024;

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
    let mut head = Vec::new();
    let torn = reader.by_ref().take(HEAD_BYTES).read_to_end(&mut head);
    let format = detect(&String::from_utf8_lossy(&head), name).map_err(|e| match &torn {
        Ok(_) => e,
        Err(torn) => format!("{name}:1: cannot be read: {torn}; the file is torn or not what it seems"),
    })?;
    let rest: Reader = match torn {
        Ok(_) => reader,
        // What was read before the tear is read again, so that the fault names its line.
        Err(torn) => Box::new(std::io::BufReader::new(Torn(Some(torn)))),
    };
    Ok(open_as(format, Box::new(Cursor::new(head).chain(rest)), name, classes))
}

/// Nothing but a fault.
struct Torn(Option<std::io::Error>);

impl Read for Torn {
    fn read(&mut self, _: &mut [u8]) -> std::io::Result<usize> {
        self.0.take().map_or(Ok(0), Err)
    }
}

/// Opens a trace whose format is said.
pub fn open_as(format: Format, reader: Reader, name: &str, classes: &[String]) -> Opened {
    let sessions = |sessions: Box<dyn Sessions>, reader| Opened {
        format,
        entries: Box::new(SessionReader::new(Lines::new(reader, name), sessions)),
    };
    let rows: Box<dyn Rows> = match format {
        Format::Azure => Box::new(azure::Azure::default()),
        Format::Mooncake => Box::new(mooncake::Mooncake),
        Format::LmCache => Box::new(lmcache::LmCache::default()),
        Format::Claude => return sessions(Box::new(claude::Claude::default()), reader),
        Format::OwnCsv => Box::new(own_csv::OwnCsv::new(classes)),
        Format::OwnJsonl => Box::new(own_jsonl::OwnJsonl::new(classes)),
        Format::Generator | Format::ServeGen => {
            panic!("generator-is-no-text: a specification is parsed whole, by GenerateSpec and ServeGenClient")
        }
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
    fn clock(&self) -> Clock {
        self.rows.clock()
    }
    fn place(&self) -> String {
        self.lines.place()
    }
    fn notes(&self) -> Vec<String> {
        let mut notes = self.rows.notes();
        notes.extend(zero_outputs(self.empty));
        notes
    }
}

#[cfg(test)]
mod tests;
