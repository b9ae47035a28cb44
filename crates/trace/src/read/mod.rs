//! Reads trace files: one file a format, each yielding entries (`types::Entries`).
//!
//! Formats of one line an entry implement [`Rows`] and are read by [`RowReader`]; those of several entries a line or
//! JSON element implement [`Sessions`] and are read by [`SessionReader`].
//! Must hold: nothing is guessed; a fault is `NAME:LINE: what is wrong; what would be right`; only one line (or one
//! session, where a line is one) is held.
use baseload_core::types::{TraceFault, wrong};
mod azure;
pub(super) mod bailian;
mod burstgpt;
mod claude;
mod copilot;
mod csv;
mod elements;
mod lines;
mod litellm;
mod lmcache;
mod mapped;
pub(super) mod mooncake;
mod otlp;
mod own_csv;
mod own_jsonl;
mod parse;
mod servegen;
mod sessions;
mod sharegpt;
mod vllm_bench;

use super::{Format, detect};
use baseload_core::types::{Classes, Clock, ColumnMap, Entries, Entry, IdSet};
pub(super) use csv::split as split_csv;
pub use lines::Lines;
use parse::{checked, zero_outputs};
pub use servegen::{GapFamily, ServeGenClient, ServeGenLengths, ServeGenWindow};
use sessions::{Items, SessionReader, Sessions};
use std::io::{BufRead, Cursor, Read};

/// A trace's bytes.
pub type Reader = Box<dyn BufRead + Send>;

/// Understands the lines of one format. Errors are `what is wrong; what would be right`.
trait Rows: Send {
    /// Fills a blank `entry` from a line without its end, not blank. `false`: a header, or what is no request.
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

/// Bytes of a file that are looked at to recognise it.
const HEAD_BYTES: u64 = 64 * 1024;

/// An opened trace.
pub struct Opened {
    /// The format it is read as.
    pub format: Format,
    /// Its entries.
    pub entries: Box<dyn Entries>,
}

/// How a trace is to be read.
#[derive(Debug, Clone)]
pub struct How<'a> {
    /// What it is said to be; else its content says it.
    pub format: Option<Format>,
    /// The names of its columns, with the map's own name for messages. Overrides the format.
    pub columns: Option<(&'a ColumnMap, &'a str)>,
    /// What class names are accepted.
    pub classes: Classes,
}

/// Opens a trace of any known format that is one text. `name` is for messages; `classes` are the experiment's, in order.
///
/// # Errors
/// `NAME:LINE: what is wrong; what would be right`.
pub fn open(reader: Reader, name: &str, classes: &[String]) -> Result<Opened, TraceFault> {
    open_with(reader, name, &How { format: None, columns: None, classes: Classes::known(classes) })
}

/// Opens a text through a column map; `map_name` is the map's file, for messages.
///
/// # Errors
/// `NAME:LINE: what is wrong; what would be right`.
pub fn open_with_map(
    map: &ColumnMap,
    map_name: &str,
    reader: Reader,
    name: &str,
    classes: &[String],
) -> Result<Opened, TraceFault> {
    open_with(reader, name, &How { format: None, columns: Some((map, map_name)), classes: Classes::known(classes) })
}

/// Opens a trace that is one text.
///
/// # Errors
/// `NAME:LINE: what is wrong; what would be right`.
pub fn open_with(mut reader: Reader, name: &str, how: &How) -> Result<Opened, TraceFault> {
    let mut head = Vec::new();
    let torn = reader.by_ref().take(HEAD_BYTES).read_to_end(&mut head).err();
    if let Some(torn) = torn.as_ref().filter(|_| head.is_empty()) {
        return Err(TraceFault::unreadable(torn).on_line(1).in_file(name));
    }
    let text = String::from_utf8_lossy(&head);
    let text = text.trim_start_matches('\u{feff}').trim_start();
    let first = text.lines().next().unwrap_or("").to_string();
    let format = match (how.columns, how.format) {
        (Some(_), _) => Format::Columns,
        (None, Some(format)) => format,
        (None, None) => detect(text, name)?,
    };
    let rest: Reader = match torn {
        None => reader,
        // What was read before the tear is read again, so that the fault names its line.
        Some(torn) => Box::new(std::io::BufReader::new(Torn(Some(torn)))),
    };
    let json = first.starts_with('{');
    let reader: Reader = Box::new(Cursor::new(head).chain(rest));
    let several = |items: Items, sessions: Box<dyn Sessions>| -> Result<Opened, TraceFault> {
        Ok(Opened { format, entries: Box::new(SessionReader::new(items, sessions)) })
    };
    let rows: Box<dyn Rows> = match format {
        Format::Azure => Box::new(azure::Azure::new(false)),
        Format::AzureMultimodal => Box::new(azure::Azure::new(true)),
        Format::BurstGpt => Box::new(burstgpt::BurstGpt::default()),
        Format::Mooncake => Box::new(mooncake::Mooncake),
        Format::Bailian => Box::new(bailian::Bailian::default()),
        Format::LmCache => Box::new(lmcache::LmCache::default()),
        Format::LiteLlm => Box::new(litellm::LiteLlm::new(!json)),
        Format::OwnCsv => Box::new(own_csv::OwnCsv::new(&how.classes, &first)),
        Format::OwnJsonl => Box::new(own_jsonl::OwnJsonl::new(&how.classes, &first)),
        Format::Columns => {
            let (map, map_name) = how
                .columns
                .ok_or_else(|| wrong!("{name}:1: its columns are not known; give a column map (--columns)"))?;
            Box::new(mapped::Mapped::new(map, map_name, &how.classes, json))
        }
        Format::Claude => return several(Items::lines(reader, name), Box::<claude::Claude>::default()),
        Format::Copilot => return several(Items::lines(reader, name), Box::<copilot::Copilot>::default()),
        Format::ShareGpt => return several(Items::elements(reader, name), Box::<sharegpt::ShareGpt>::default()),
        Format::Otlp => return several(Items::elements(reader, name), Box::<otlp::Otlp>::default()),
        Format::VllmBench => {
            return Ok(Opened { format, entries: Box::new(vllm_bench::VllmBench::new(reader, name)) });
        }
        Format::Generator | Format::ServeGen | Format::Parquet => {
            return Err(wrong!("{name}:1: {} is no text; it must be {}", format.name(), format.looks_like()));
        }
    };
    Ok(Opened { format, entries: Box::new(RowReader::new(Lines::new(reader, name), rows)) })
}

/// Nothing but a fault.
struct Torn(Option<std::io::Error>);

impl Read for Torn {
    fn read(&mut self, _: &mut [u8]) -> std::io::Result<usize> {
        self.0.take().map_or(Ok(0), Err)
    }
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

impl RowReader {
    fn new(lines: Lines, rows: Box<dyn Rows>) -> RowReader {
        RowReader { lines, rows, made: 0, empty: 0, ids: IdSet::default() }
    }
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
            notes.push("ids are too far apart to check all of them for duplicates".into());
        }
        notes
    }
}

#[cfg(test)]
mod format_tests;
#[cfg(test)]
mod tests;
