//! CSV with quotes, read by the names in its header.

use baseload_core::types::{TraceFault, wrong};
/// Fields of a record. A quoted one may have commas, line ends, and quotes written twice.
///
/// # Errors
/// A quote that does not close, or text beside one.
pub(crate) fn split(record: &str, fields: &mut Vec<String>) -> Result<(), TraceFault> {
    fields.clear();
    if !record.contains('"') {
        fields.extend(record.split(',').map(|f| f.trim().to_string()));
        return Ok(());
    }
    let mut rest = record;
    loop {
        let start = rest.trim_start();
        let (field, tail) = match start.strip_prefix('"') {
            Some(quoted) => {
                let (mut field, mut left) = (String::new(), quoted);
                loop {
                    let at =
                        left.find('"').ok_or("a quote does not close; the line is torn or its quotes are wrong")?;
                    field.push_str(&left[..at]);
                    left = &left[at + 1..];
                    match left.strip_prefix('"') {
                        Some(more) => {
                            field.push('"');
                            left = more;
                        }
                        None => break,
                    }
                }
                (field, left.trim_start())
            }
            None => {
                let end = start.find(',').unwrap_or(start.len());
                (start[..end].trim_end().to_string(), &start[end..])
            }
        };
        fields.push(field);
        match tail.strip_prefix(',') {
            Some(more) => rest = more,
            None if tail.is_empty() => return Ok(()),
            None => return Err("text stands beside a quoted field; a field is quoted as a whole".into()),
        }
    }
}

/// Whether a quote is open at the end of `text`.
pub(super) fn open(text: &str) -> bool {
    text.bytes().filter(|&b| b == b'"').count() % 2 == 1
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
    /// Reads a header. The first `needed` of `known` must be there; case does not matter.
    ///
    /// # Errors
    /// The column that is unknown, missing or twice there.
    pub(super) fn read(&mut self, fields: &[String], known: &[&str], needed: usize) -> Result<(), TraceFault> {
        self.places = vec![None; known.len()];
        for (place, name) in fields.iter().enumerate() {
            let found = known.iter().position(|k| k.eq_ignore_ascii_case(name));
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
    /// Refuses a row of another width.
    ///
    /// # Errors
    /// Both widths.
    pub(super) fn fits(&self, fields: usize) -> Result<(), TraceFault> {
        if fields == self.columns.len() {
            return Ok(());
        }
        Err(wrong!("the line is torn: {fields} fields; the header has {}", self.columns.len()))
    }
    /// The field of the known name `k`; empty where the file has no such column.
    pub(super) fn of<'a>(&self, fields: &'a [String], k: usize) -> &'a str {
        self.places[k].and_then(|place| fields.get(place)).map_or("", String::as_str)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quoted_fields_hold_commas_quotes_and_line_ends() {
        let mut fields = Vec::new();
        split("a, \"b,\n\"\"c\"\"\" ,,d", &mut fields).unwrap();
        assert_eq!(fields, ["a", "b,\n\"c\"", "", "d"]);
        split("\"\",x", &mut fields).unwrap();
        assert_eq!(fields, ["", "x"]);
        assert!(split("\"a", &mut fields).is_err() && split("\"a\"b,c", &mut fields).is_err());
        assert!(open("a,\"b") && !open("a,\"b\""));
    }
}
