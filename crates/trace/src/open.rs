//! Opens traces: which reader, and what it is given.
use super::SourceOptions;
use super::head::Head;
use super::read::COLUMNS;
use super::registry::{Format, Readers};
use super::unopened::{Alone, Columns, Files, Reader, Strictness, Unopened};
use baseload_core::types::{Classes, ColumnMap, Entries, TraceFault};
use std::io::{Cursor, Read};

/// Bytes of a file that are looked at to recognise it.
const HEAD_BYTES: u64 = 64 * 1024;

/// An opened trace.
pub struct Opened {
    /// The format it is read as.
    pub format: Format,
    /// Entries of the trace.
    pub entries: Box<dyn Entries>,
}

/// How a trace is to be read.
#[derive(Debug, Clone)]
pub struct How<'a> {
    /// Readers that there are.
    pub readers: Readers,
    /// What it is said to be; else its content says it.
    pub format: Option<Format>,
    /// The names of its columns, with the map's own name for messages. Overrides the format.
    pub columns: Option<Columns<'a>>,
    /// What class names are accepted.
    pub classes: Classes,
    /// What becomes of rows that are no requests.
    pub strictness: Strictness,
}

impl How<'_> {
    /// A trace is known by its content alone, with the embedded readers.
    pub fn by_content(classes: Classes) -> How<'static> {
        How { readers: Readers::embedded(), format: None, columns: None, classes, strictness: Strictness::default() }
    }
}

/// Opens a trace of any known format that is one text. `name` is for messages; `classes` are the experiment's, in order.
///
/// # Errors
/// `NAME:LINE: what is wrong; what would be right`.
pub fn open(reader: Reader, name: &str, classes: &[String]) -> Result<Opened, TraceFault> {
    open_with(reader, name, &How::by_content(Classes::known(classes)))
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
    let how = How::by_content(Classes::known(classes));
    open_with(reader, name, &How { columns: Some((map, map_name)), ..how })
}

/// Opens a trace that is one text.
///
/// # Errors
/// `NAME:LINE: what is wrong; what would be right`.
pub fn open_with(reader: Reader, name: &str, how: &How<'_>) -> Result<Opened, TraceFault> {
    open_with_options(reader, name, how, &SourceOptions::default())
}

/// Opens a trace that is one text, with what readers ask of the options.
///
/// # Errors
/// `NAME:LINE: what is wrong; what would be right`.
pub fn open_with_options(
    reader: Reader,
    name: &str,
    how: &How<'_>,
    options: &SourceOptions,
) -> Result<Opened, TraceFault> {
    opened(Some(reader), &Alone(name), how, options)
}

/// Opens a trace of any form that lies in files; one that is drawn is drawn by the options.
///
/// # Errors
/// `NAME:LINE: what is wrong; what would be right`.
pub fn open_in(files: &dyn Files, how: &How<'_>, options: &SourceOptions) -> Result<Opened, TraceFault> {
    opened(files.trace()?, files, how, options)
}

fn opened(
    mut reader: Option<Reader>,
    files: &dyn Files,
    how: &How<'_>,
    options: &SourceOptions,
) -> Result<Opened, TraceFault> {
    let name = &files.name();
    let mut bytes = Vec::new();
    let torn = reader.as_mut().and_then(|reader| reader.by_ref().take(HEAD_BYTES).read_to_end(&mut bytes).err());
    if let Some(torn) = torn.as_ref().filter(|_| bytes.is_empty()) {
        return Err(TraceFault::unreadable(torn).on_line(1).in_file(name));
    }
    let head = if reader.is_some() { Head::new(name, &bytes) } else { Head::of_folder(name) };
    let format = match (how.columns, how.format) {
        (Some(_), _) => COLUMNS,
        (None, Some(format)) => format,
        (None, None) => how.readers.recognise(&head, name)?,
    };
    let text = reader.map(|reader| -> Reader {
        let rest: Reader = match torn {
            None => reader,
            // What was read before the tear is read again, so that the fault names its line.
            Some(torn) => Box::new(std::io::BufReader::new(Torn(Some(torn)))),
        };
        Box::new(Cursor::new(bytes.clone()).chain(rest))
    });
    let (classes, columns, strictness) = (&how.classes, how.columns, how.strictness);
    let headed = format.headed;
    let trace = Unopened { name, head: &head, classes, columns, options, files, strictness, headed, text };
    let entries = (format.open)(trace)?;
    Ok(Opened { format, entries })
}

/// Nothing but a fault.
struct Torn(Option<std::io::Error>);

impl Read for Torn {
    fn read(&mut self, _: &mut [u8]) -> std::io::Result<usize> {
        self.0.take().map_or(Ok(0), Err)
    }
}
