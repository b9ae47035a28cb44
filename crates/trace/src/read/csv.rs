//! CSV: the one place where records become fields, columns are found by name in a header, and tables are read. Only
//! `head.rs`, which formats need, splits a first line itself.
//!
//! The parser is the crate `csv`'s own, `csv-core`. Its `csv::Reader` is not used: it gives a parse whatever comes, so an
//! open quote takes the rest of a file into memory and is no error, `"a"b` is read as `ab`, and a fault of the reader has
//! no line. [`Lines`] frames the records instead, and what the parser forgives is refused here.
use super::parse::Unknown;
use super::{Lines, Reader};
use baseload_core::types::{TraceFault, wrong};
use std::io::BufRead;

/// Fields of a record of a format that has no quotes. It allocates nothing.
pub(crate) fn plain(record: &str) -> impl Iterator<Item = &str> {
    record.split(',').map(str::trim)
}

/// The fields of one record: their text end to end, and where each ends.
#[derive(Default)]
pub struct Fields {
    text: String,
    ends: Vec<usize>,
}

impl Fields {
    /// How many there are.
    pub fn count(&self) -> usize {
        self.ends.len()
    }
    /// Field `i`, from 0; empty where the record has fewer.
    pub fn of(&self, i: usize) -> &str {
        let start = if i == 0 { 0 } else { self.ends.get(i - 1).copied().unwrap_or(0) };
        self.ends.get(i).and_then(|end| self.text.get(start..*end)).unwrap_or("")
    }
    /// All of them, in order.
    pub fn iter(&self) -> impl Iterator<Item = &str> {
        (0..self.count()).map(|i| self.of(i))
    }
}

/// Splits records whose fields may be quoted: such a one may have commas, line ends, and quotes written twice.
pub(crate) struct Splitter {
    parser: csv_core::Reader,
}

impl Default for Splitter {
    fn default() -> Splitter {
        // A lone `\r` ends no record: lines end where `Lines` says.
        let parser = csv_core::ReaderBuilder::new().terminator(csv_core::Terminator::Any(b'\n')).build();
        Splitter { parser }
    }
}

const OPEN: &str = "a quote does not close; the line is torn or its quotes are wrong";
const BESIDE: &str = "text stands beside a quoted field; a field is quoted as a whole";

impl Splitter {
    /// Fields of a record. White space around one is none of it.
    ///
    /// # Errors
    /// A quote that does not close, or text beside one.
    pub(crate) fn split(&mut self, record: &str, fields: &mut Fields) -> Result<(), TraceFault> {
        fields.ends.clear();
        if !record.contains('"') {
            fields.text.clear();
            for field in plain(record) {
                fields.text.push_str(field);
                fields.ends.push(fields.text.len());
            }
            return Ok(());
        }
        let mut text = std::mem::take(&mut fields.text).into_bytes();
        // Unquoted text is no longer than the record; the rest is for the line end, and so that the parser never asks for room.
        text.resize(record.len() + 2, 0);
        self.parser.reset();
        let (mut rest, mut start) = (record, 0);
        loop {
            // The parser knows a quote only where it is a field's first character.
            rest = rest.trim_start();
            let (mut result, read, mut written) = match rest.as_bytes() {
                [] => (csv_core::ReadFieldResult::InputEmpty, 0, 0),
                bytes => self.parser.read_field(bytes, &mut text[start..]),
            };
            let last = matches!(result, csv_core::ReadFieldResult::InputEmpty);
            if last {
                let (end, _, more) = self.parser.read_field(b"\n", &mut text[start + written..]);
                (result, written) = (end, written + more);
            }
            if !matches!(result, csv_core::ReadFieldResult::Field { record_end } if record_end == last) {
                // A record that ends before its line does has a line end within a field that is not quoted.
                return Err(if last { OPEN } else { BESIDE }.into());
            }
            let raw = &rest[..read - usize::from(!last)];
            let whole = raw.trim_end();
            let end = start + written - (raw.len() - whole.len());
            if whole.starts_with('"') {
                // Quoted as a whole, it lost one quote at each end and one of each two within.
                let within = text[start..end].iter().filter(|b| **b == b'"').count();
                if !whole.ends_with('"') || whole.len() != 2 + (end - start) + within {
                    return Err(BESIDE.into());
                }
            }
            fields.ends.push(end);
            start = end;
            rest = &rest[read..];
            if last {
                break;
            }
        }
        text.truncate(start);
        fields.text = String::from_utf8(text).map_err(|_| "the line is not UTF-8 text; traces are plain text")?;
        Ok(())
    }
}

/// Where the columns of a format stand in a file.
#[derive(Default)]
pub(super) struct Header {
    /// For each column of the file, the index of its name among the known ones.
    columns: Vec<usize>,
    /// For each known name, where it stands.
    places: Vec<Option<usize>>,
}

impl Header {
    /// Reads a header. The first `needed` of `known` must be there; `alike` says what is a known name. Unknown names are counted
    /// in `strange`, or refused where there is no such.
    ///
    /// # Errors
    /// The column that is unknown, missing or twice there.
    pub(super) fn read<'a>(
        &mut self,
        fields: impl Iterator<Item = &'a str>,
        known: &[&str],
        needed: usize,
        alike: impl Fn(&str, &str) -> bool,
        mut strange: Option<&mut Unknown>,
    ) -> Result<(), TraceFault> {
        self.places = vec![None; known.len()];
        for (place, name) in fields.enumerate() {
            let found = known.iter().position(|k| alike(k, name));
            if let (None, Some(strange)) = (found, strange.as_deref_mut()) {
                strange.count(name);
                self.columns.push(usize::MAX);
                continue;
            }
            let found = found.ok_or_else(|| {
                wrong!(
                    "column `{name}` is unknown; known are {}; a file with others is read by a column map (--columns)",
                    known.join(", ")
                )
            })?;
            if self.places[found].replace(place).is_some() {
                return Err(wrong!("column `{name}` stands twice; it may stand once"));
            }
            self.columns.push(found);
        }
        match (0..needed).find(|&k| self.places[k].is_none()) {
            Some(k) => Err(wrong!("column `{}` is missing; the header needs it", known[k])),
            None => Ok(()),
        }
    }
    /// Whether one was read.
    pub(super) fn is_read(&self) -> bool {
        !self.columns.is_empty()
    }
    /// Whether it has the known name `k`.
    pub(super) fn has(&self, k: usize) -> bool {
        self.places.get(k).is_some_and(Option::is_some)
    }
    /// For each column of the file, the index of its name among the known ones.
    pub(super) fn columns(&self) -> &[usize] {
        &self.columns
    }
    /// Refuses a row of another width.
    ///
    /// # Errors
    /// Both widths.
    pub(super) fn fits(&self, fields: usize) -> Result<(), TraceFault> {
        fits(fields, self.columns.len())
    }
    /// The field of the known name `k`; empty where the file has no such column.
    pub(super) fn of<'a>(&self, fields: &'a Fields, k: usize) -> &'a str {
        self.places[k].map_or("", |place| fields.of(place))
    }
}

/// Refuses a row that is not as wide as its header.
///
/// # Errors
/// Both widths.
pub(super) fn fits(fields: usize, header: usize) -> Result<(), TraceFault> {
    if fields == header {
        return Ok(());
    }
    Err(wrong!("the line is torn: {fields} fields; the header has {header}"))
}

/// A table with a header, of which one row is held. A row is one line.
pub struct Csv<R: BufRead = Reader> {
    lines: Lines<R>,
    splitter: Splitter,
    columns: Vec<String>,
    fields: Fields,
}

impl<R: BufRead> Csv<R> {
    /// Reads the header; `name` is for messages.
    ///
    /// # Errors
    /// `NAME:LINE: what is wrong; what would be right`.
    pub fn open(reader: R, name: &str) -> Result<Csv<R>, TraceFault> {
        let (lines, splitter) = (Lines::new(reader, name), Splitter::default());
        let mut csv = Csv { lines, splitter, columns: Vec::new(), fields: Fields::default() };
        if csv.lines.advance()? {
            csv.split()?;
            csv.columns = csv.fields.iter().map(str::to_owned).collect();
        }
        Ok(csv)
    }
    fn split(&mut self) -> Result<(), TraceFault> {
        self.splitter.split(self.lines.text(), &mut self.fields).map_err(|e| self.lines.fault(e))
    }
    /// Names in the header; none where the text is empty.
    pub fn columns(&self) -> &[String] {
        &self.columns
    }
    /// Moves to the next row, `false` at the end. [`Csv::fields`] then has it.
    ///
    /// # Errors
    /// What cannot be read, or a row that is torn, with its line.
    pub fn advance(&mut self) -> Result<bool, TraceFault> {
        if !self.lines.advance()? {
            return Ok(false);
        }
        self.split()?;
        fits(self.fields.count(), self.columns.len()).map_err(|e| self.lines.fault(e))?;
        Ok(true)
    }
    /// Fields of the row last read.
    pub fn fields(&self) -> &Fields {
        &self.fields
    }
    /// The line of the row last read.
    pub fn line(&self) -> u64 {
        self.lines.line()
    }
    /// `NAME:LINE: what` of the line last read.
    pub fn fault(&self, what: impl Into<TraceFault>) -> TraceFault {
        self.lines.fault(what)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn split(record: &str) -> Result<Vec<String>, String> {
        let mut fields = Fields::default();
        Splitter::default().split(record, &mut fields).map_err(|e| e.to_string())?;
        Ok(fields.iter().map(str::to_owned).collect())
    }

    #[test]
    fn quoted_fields_hold_commas_quotes_and_line_ends() {
        assert_eq!(split("a, \"b,\n\"\"c\"\"\" ,,d").unwrap(), ["a", "b,\n\"c\"", "", "d"]);
        assert_eq!(split("\"\",x").unwrap(), ["", "x"]);
        assert_eq!(split("\" a \", 5\" ,\"ä\"").unwrap(), [" a ", "5\"", "ä"]);
        assert_eq!(split("a\rb,\"c\",").unwrap(), ["a\rb", "c", ""]);
        assert_eq!(split(" a , b,").unwrap(), ["a", "b", ""]);
    }

    #[test]
    fn quotes_that_the_parser_forgives_are_refused() {
        for (record, want) in [
            ("\"a", OPEN),
            ("a,\"", OPEN),
            ("a,\"b,c\"\"", OPEN),
            ("\"a\"b,c", BESIDE),
            ("\"a\"b\",c", BESIDE),
            ("\"a\"b\"c\"", BESIDE),
            ("\"a\" \"b\"", BESIDE),
            ("a\"b\nc\",d", BESIDE),
        ] {
            assert_eq!(split(record).unwrap_err(), want, "{record:?}");
        }
    }

    #[test]
    fn a_splitter_forgets_the_record_before() {
        let (mut splitter, mut fields) = (Splitter::default(), Fields::default());
        assert!(splitter.split("x,\"open", &mut fields).is_err());
        splitter.split("\"1\",2", &mut fields).unwrap();
        assert_eq!((fields.count(), fields.of(0), fields.of(1), fields.of(2)), (2, "1", "2", ""));
    }

    #[test]
    fn rows_have_their_line_past_blank_ones_and_byte_order_marks() {
        let text = "\u{feff}a,\"b\"\r\n\r\n1,2\r\n \n\"3\",\"4\"\n\n\n";
        let mut csv = Csv::open(text.as_bytes(), "t.csv").unwrap();
        assert_eq!(csv.columns(), ["a", "b"]);
        let mut rows = Vec::new();
        while csv.advance().unwrap() {
            rows.push((csv.line(), csv.fields().iter().collect::<Vec<_>>().join("|")));
        }
        assert_eq!(rows, [(3, "1|2".to_owned()), (5, "3|4".to_owned())]);
        let mut torn = Csv::open("a,b\n\n1\n".as_bytes(), "t.csv").unwrap();
        assert_eq!(torn.advance().unwrap_err().to_string(), "t.csv:3: the line is torn: 1 fields; the header has 2");
        let mut open = Csv::open("a,b\n1,\"2\n3,4\n".as_bytes(), "t.csv").unwrap();
        assert_eq!(open.advance().unwrap_err().to_string(), format!("t.csv:2: {OPEN}"));
    }
}
