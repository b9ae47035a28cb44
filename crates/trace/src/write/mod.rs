//! Writes traces as text: our own schema, and published formats as far as they can say it.
//!
//! Must hold: what an entry has and the format has no place for is counted and said; what would be wrong in the format
//! is an error.
use baseload_core::types::{TraceFault, wrong};
mod own;
mod published;
mod source;

pub use source::write_csv;

use crate::registry::Format;
use baseload_core::types::{Clock, Entry};
use std::collections::BTreeMap;

/// Turns entries into lines of one format.
trait Lines: Send {
    /// The header, if the format has one.
    fn header(&self) -> Option<String> {
        None
    }
    /// Appends the entry's line without its end. `Err`: `what is wrong; what would be right`.
    fn line(&mut self, entry: &Entry, classes: &[String], lost: &mut Lost, out: &mut String) -> Result<(), TraceFault>;
}

/// What had no place, by what it is, with how many requests had it.
#[derive(Debug, Default)]
struct Lost(BTreeMap<&'static str, u64>);

impl Lost {
    fn note(&mut self, any: bool, what: &'static str) {
        if any {
            *self.0.entry(what).or_default() += 1;
        }
    }
}

/// Writes one trace as text, entry by entry.
pub struct TextWriter {
    /// Name of the format, and whether it is our own.
    name: &'static str,
    own: bool,
    lines: Box<dyn Lines>,
    lost: Lost,
    row: u64,
    line: String,
}

/// A format that can be written as text.
struct Writable {
    /// The format's name.
    name: &'static str,
    /// Whether it is our own, which can say any clock and numbers requests as they are.
    own: bool,
    make: fn(Clock) -> Box<dyn Lines>,
}

const WRITABLE: [Writable; 6] = [
    Writable { name: "baseload-csv", own: true, make: |clock| Box::new(own::Csv { clock }) },
    Writable { name: "baseload-jsonl", own: true, make: |clock| Box::new(own::Jsonl { clock }) },
    Writable { name: "azure", own: false, make: |_| Box::new(published::Azure) },
    Writable { name: "burstgpt", own: false, make: |_| Box::<published::BurstGpt>::default() },
    Writable { name: "mooncake", own: false, make: |_| Box::<published::Mooncake>::default() },
    Writable { name: "bailian", own: false, make: |_| Box::<published::Bailian>::default() },
];

impl TextWriter {
    /// Names of the formats that it can write.
    pub fn formats() -> [&'static str; 6] {
        WRITABLE.map(|format| format.name)
    }

    /// A writer of `format`, of entries whose times are of `clock`.
    ///
    /// # Errors
    /// A format that cannot be written, or cannot say such times.
    pub fn new(format: Format, clock: Clock) -> Result<TextWriter, TraceFault> {
        let Some(writable) = WRITABLE.iter().find(|w| w.name == format.name) else {
            let known = TextWriter::formats().join(", ");
            return Err(
                wrong!("{} cannot be written", format.name).hint(format!("what can is {known}, baseload-parquet"))
            );
        };
        if !writable.own && !matches!(clock, Clock::Common | Clock::Zero) {
            return Err(wrong!("{} must say when requests arrive, and this trace does not", format.name)
                .hint("write baseload-csv, -jsonl or -parquet"));
        }
        let lines = (writable.make)(clock);
        Ok(TextWriter {
            name: format.name,
            own: writable.own,
            lines,
            lost: Lost::default(),
            row: 0,
            line: String::new(),
        })
    }

    /// Writes an entry; the first one after the header. `classes` are the names that its class is an index of.
    ///
    /// # Errors
    /// What the format cannot say; that `out` cannot be written.
    pub fn write(&mut self, entry: &Entry, classes: &[String], out: &mut dyn std::io::Write) -> Result<(), TraceFault> {
        let failed = |e: std::io::Error| wrong!("the trace cannot be written: {e}");
        self.line.clear();
        if self.row == 0
            && let Some(header) = self.lines.header()
        {
            self.line.push_str(&header);
            self.line.push('\n');
        }
        if !self.own {
            self.lost.note(entry.id != self.row, "number (id); requests are numbered anew");
        }
        self.row += 1;
        self.lines.line(entry, classes, &mut self.lost, &mut self.line)?;
        self.line.push('\n');
        out.write_all(self.line.as_bytes()).map_err(failed)
    }

    /// What was lost so far, a sentence each.
    pub fn notes(&self) -> Vec<String> {
        let say = |(what, count): (&&str, &u64)| {
            format!("{} has no place for a request's {what} ({count} had one)", self.name)
        };
        self.lost.0.iter().map(say).collect()
    }
}
