//! Reads trace files line by line. `Rows` understands one line of a format; `FileSource` does what all formats share.
//!
//! Must hold: times never go backwards, tokens are at least 1, and only one line (one bucket when spreading) is held.
mod azure;
mod mooncake;
mod own_csv;
mod own_jsonl;

use super::{Format, SourceOptions, detect};
use crate::random::{StreamFamily, StreamKey, dist::uniform01};
use crate::types::{Content, ContentId, NO_SESSION, Outcome, Request, Run, SimTime, Source};
use std::collections::VecDeque;
use std::io::{BufRead, Cursor, Read};

/// A trace's bytes.
pub type Reader = Box<dyn BufRead + Send>;

/// One line of a trace, before what all formats share is applied.
struct Row {
    /// Nanoseconds on the trace's own clock.
    at_ns: i128,
    prompt_tokens: u32,
    output_tokens: u32,
    tenant: u32,
    session: u64,
    class: u16,
    max_output_tokens: Option<u32>,
    priority: i32,
    /// Leading named runs; the rest of the prompt is private.
    named: Vec<Run>,
}

impl Row {
    fn new(at_ns: i128, prompt_tokens: u32, output_tokens: u32) -> Row {
        Row {
            at_ns,
            prompt_tokens,
            output_tokens,
            tenant: 0,
            session: NO_SESSION,
            class: u16::MAX,
            max_output_tokens: None,
            priority: 0,
            named: Vec::new(),
        }
    }
}

/// Understands the lines of one format. Errors are `what is wrong; what would be right`.
trait Rows: Send {
    /// A line without its end, not blank. `None`: a header.
    fn row(&mut self, line: &str) -> Result<Option<Row>, String>;
}

/// Opens a trace of any known format. `name` is for messages; `classes` are the experiment's, in order.
///
/// # Errors
/// `NAME:LINE: what is wrong; what would be right`.
pub fn open(reader: Reader, name: &str, classes: &[String], options: &SourceOptions) -> Result<FileSource, String> {
    let mut reader = reader;
    let mut first = Vec::new();
    reader.read_until(b'\n', &mut first).map_err(|e| format!("{name}:1: cannot be read: {e}"))?;
    let format = detect(&String::from_utf8_lossy(&first), name)?;
    let whole: Reader = Box::new(Cursor::new(first).chain(reader));
    open_as(format, whole, name, classes, options)
}

/// Opens a trace whose format is said.
///
/// # Errors
/// As [`open`].
pub fn open_as(
    format: Format,
    reader: Reader,
    name: &str,
    classes: &[String],
    options: &SourceOptions,
) -> Result<FileSource, String> {
    options.check().map_err(|e| format!("{name}: {e}"))?;
    let (rows, bucket_ns): (Box<dyn Rows>, u64) = match format {
        Format::Azure => (Box::new(azure::Azure::default()), 0),
        Format::Mooncake => (Box::new(mooncake::Mooncake), mooncake::BUCKET_NS),
        Format::OwnCsv => (Box::new(own_csv::OwnCsv::new(classes)), 0),
        Format::OwnJsonl => (Box::new(own_jsonl::OwnJsonl::new(classes)), 0),
    };
    Ok(FileSource {
        reader,
        name: name.into(),
        format,
        line: 0,
        buffer: Vec::new(),
        rows,
        options: options.clone(),
        spread: StreamKey { seed: options.seed, replicate: options.replicate, name: "trace.bucket" }.family(),
        bucket_ns: if options.spread_buckets { bucket_ns } else { 0 },
        first_ns: None,
        last_ns: 0,
        ahead: None,
        ready: VecDeque::new(),
        made: 0,
        failed: None,
    })
}

/// A trace file as a source.
pub struct FileSource {
    reader: Reader,
    name: String,
    format: Format,
    line: u64,
    buffer: Vec<u8>,
    rows: Box<dyn Rows>,
    options: SourceOptions,
    /// Where in its bucket a request falls.
    spread: StreamFamily,
    bucket_ns: u64,
    first_ns: Option<i128>,
    last_ns: u64,
    /// The first row of the next bucket, with its time since the first.
    ahead: Option<(u64, Row)>,
    ready: VecDeque<Request>,
    made: u64,
    failed: Option<String>,
}

impl FileSource {
    /// The format it is read as.
    pub fn format(&self) -> Format {
        self.format
    }

    fn at_line(&self, what: impl std::fmt::Display) -> String {
        format!("{}:{}: {what}", self.name, self.line.max(1))
    }

    /// The next row and its nanoseconds since the first.
    fn row(&mut self) -> Result<Option<(u64, Row)>, String> {
        loop {
            self.buffer.clear();
            let read = self.reader.read_until(b'\n', &mut self.buffer);
            self.line += 1;
            if read.map_err(|e| self.at_line(format!("cannot be read: {e}")))? == 0 {
                if self.first_ns.is_none() {
                    return Err(self.at_line("the trace has no requests; it needs at least one"));
                }
                return Ok(None);
            }
            let Ok(text) = std::str::from_utf8(&self.buffer) else {
                return Err(self.at_line("the line is not UTF-8 text; traces are plain text"));
            };
            let text = if self.line == 1 { text.trim_start_matches('\u{feff}') } else { text };
            let text = text.trim_end_matches(['\n', '\r']);
            if text.trim().is_empty() {
                continue;
            }
            let parsed = self.rows.row(text);
            let Some(row) = parsed.map_err(|e| self.at_line(e))? else { continue };
            return self.placed(row).map(Some).map_err(|e| self.at_line(e));
        }
    }

    /// Checks what every format must keep and finds the row's time since the first.
    fn placed(&mut self, row: Row) -> Result<(u64, Row), String> {
        for (what, tokens) in [("prompt", row.prompt_tokens), ("output", row.output_tokens)] {
            if tokens == 0 {
                return Err(format!("the request has 0 {what} tokens; it needs at least 1"));
            }
        }
        let named: u64 = row.named.iter().map(|r| u64::from(r.len)).sum();
        if named > u64::from(row.prompt_tokens) {
            return Err(format!(
                "its content is {named} tokens but its prompt {}; the content may not be longer",
                row.prompt_tokens
            ));
        }
        let first = *self.first_ns.get_or_insert(row.at_ns);
        let since = row.at_ns - first;
        if since < i128::from(self.last_ns) {
            let back = (i128::from(self.last_ns) - since) as f64 / 1e9;
            return Err(format!(
                "time goes back by {back} s from the request before; requests must be in order of arrival"
            ));
        }
        self.last_ns = u64::try_from(since).map_err(|_| "it arrives over 584 years after the first".to_string())?;
        Ok((self.last_ns, row))
    }

    fn push(&mut self, at_ns: u64, row: Row) {
        let index = self.made;
        self.made += 1;
        let mut runs = row.named;
        let named: u32 = runs.iter().map(|r| r.len).sum();
        let content = if runs.is_empty() {
            Content::private(index, row.prompt_tokens)
        } else {
            if named < row.prompt_tokens {
                runs.push(Run { id: ContentId::Private(index), start: 0, len: row.prompt_tokens - named });
            }
            Content::from(runs)
        };
        self.ready.push_back(Request {
            index,
            arrival: SimTime(self.options.scaled(at_ns)),
            tenant: row.tenant,
            session: row.session,
            class: row.class,
            prompt_tokens: row.prompt_tokens,
            output_tokens: row.output_tokens,
            max_output_tokens: row
                .max_output_tokens
                .unwrap_or(self.options.default_max_output_tokens.max(row.output_tokens)),
            priority: row.priority,
            content,
        });
    }

    fn fill(&mut self) -> Result<(), String> {
        if !self.ready.is_empty() || self.options.limit.is_some_and(|limit| self.made >= limit) {
            return Ok(());
        }
        let Some((start, row)) = (match self.ahead.take() {
            Some(row) => Some(row),
            None => self.row()?,
        }) else {
            return Ok(());
        };
        if self.bucket_ns == 0 {
            self.push(start, row);
            return Ok(());
        }
        let mut bucket = vec![row];
        let mut width = self.bucket_ns;
        while let Some((at, row)) = self.row()? {
            if at != start {
                width = width.min(at - start);
                self.ahead = Some((at, row));
                break;
            }
            bucket.push(row);
        }
        let offset = |i: u64| (uniform01(&mut self.spread.at(i, 0)) * width as f64) as u64;
        let mut offsets: Vec<u64> = (0..bucket.len() as u64).map(|i| offset(self.made + i)).collect();
        offsets.sort_unstable();
        for (offset, row) in offsets.into_iter().zip(bucket) {
            self.push(start + offset, row);
        }
        Ok(())
    }
}

impl Source for FileSource {
    fn peek(&mut self) -> Result<Option<SimTime>, String> {
        if let Some(error) = &self.failed {
            return Err(error.clone());
        }
        if let Err(error) = self.fill() {
            self.failed = Some(error.clone());
            return Err(error);
        }
        if self.options.limit.is_some_and(|limit| self.ready.front().is_some_and(|r| r.index >= limit)) {
            self.ready.clear();
        }
        Ok(self.ready.front().map(|r| r.arrival))
    }
    fn next(&mut self) -> Request {
        self.ready.pop_front().expect("source-peeked: next is called only after peek said there is a request")
    }
    fn finished(&mut self, _session: u64, _at: SimTime, _outcome: Outcome) {}
    fn total(&self) -> Option<u64> {
        None
    }
}

/// A whole number of tokens, or what is wrong with it.
fn tokens(text: &str, column: &str) -> Result<u32, String> {
    let text = text.trim();
    if text.starts_with('-') {
        return Err(format!("{column} is {text}, a negative number; it must be at least 1"));
    }
    text.parse().map_err(|_| format!("{column} is `{text}`; it must be a whole number of tokens"))
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
