//! A whole CSV of measurements, held in memory: columns by name, faults with file, line and column.
use baseload_core::types::{TraceFault, wrong};
use baseload_trace::read::Csv;
use std::io::BufRead;

/// A table that was read.
pub struct Table {
    name: String,
    columns: Vec<String>,
    rows: Vec<(u64, Vec<String>)>,
}

/// A row of it.
pub struct Row<'a> {
    table: &'a Table,
    /// Its line in the file.
    pub line: u64,
    fields: &'a [String],
}

impl Table {
    /// Reads all of `text`, whose header must have the columns `needed`.
    ///
    /// # Errors
    /// With the column that is missing, or the line that is torn.
    pub fn read(text: impl BufRead, name: &str, needed: &[&str]) -> Result<Table, TraceFault> {
        let mut csv = Csv::open(text, name)?;
        let columns = csv.columns().to_vec();
        if let Some(missing) = needed.iter().find(|c| !columns.is_empty() && !columns.iter().any(|have| have == *c)) {
            let fault = wrong!("column `{missing}` is missing");
            return Err(csv.fault(fault.hint(format!("the header has {}", columns.join(", ")))));
        }
        let mut rows = Vec::new();
        while csv.advance()? {
            rows.push((csv.line(), csv.fields().iter().map(str::to_owned).collect()));
        }
        if rows.is_empty() {
            let hint = format!("wanted are the columns {}", needed.join(", "));
            return Err(TraceFault::of(name, "no rows below a header").hint(hint));
        }
        Ok(Table { name: name.to_owned(), columns, rows })
    }
    /// Its rows in order.
    pub fn rows(&self) -> impl Iterator<Item = Row<'_>> {
        self.rows.iter().map(|(line, fields)| Row { table: self, line: *line, fields })
    }
}

impl Row<'_> {
    /// The text of a column, empty where the table has none of that name.
    pub fn text(&self, column: &str) -> &str {
        let at = self.table.columns.iter().position(|c| c == column);
        at.map_or("", |i| self.fields[i].as_str())
    }
    /// `what` is wrong with the row.
    pub fn fault(&self, what: impl Into<String>) -> TraceFault {
        self.at(TraceFault::new(what))
    }
    /// A fault of the row, at its place.
    pub fn at(&self, fault: TraceFault) -> TraceFault {
        fault.in_file(&self.table.name).on_line(self.line)
    }
    fn wrong(&self, column: &str, right: &str) -> TraceFault {
        self.fault(format!("{column} is `{}`", self.text(column))).hint(format!("it must be {right}"))
    }
    /// A number above zero.
    ///
    /// # Errors
    /// With file, line and column, as for all of these.
    pub fn positive(&self, column: &str) -> Result<f64, TraceFault> {
        match self.text(column).parse::<f64>() {
            Ok(v) if v.is_finite() && v > 0.0 => Ok(v),
            _ => Err(self.wrong(column, "a number above 0")),
        }
    }
    /// A number from zero.
    ///
    /// # Errors
    /// As [`Row::positive`].
    pub fn number(&self, column: &str) -> Result<f64, TraceFault> {
        match self.text(column).parse::<f64>() {
            Ok(v) if v.is_finite() && v >= 0.0 => Ok(v),
            _ => Err(self.wrong(column, "a number from 0")),
        }
    }
    /// A number above zero, `None` where the field is empty.
    ///
    /// # Errors
    /// As [`Row::positive`].
    pub fn maybe(&self, column: &str) -> Result<Option<f64>, TraceFault> {
        if self.text(column).is_empty() { Ok(None) } else { self.positive(column).map(Some) }
    }
    /// A whole number from 1, however many decimal zeros it has.
    ///
    /// # Errors
    /// As [`Row::positive`].
    pub fn count(&self, column: &str) -> Result<u32, TraceFault> {
        match self.text(column).parse::<f64>() {
            Ok(v) if v >= 1.0 && v <= f64::from(u32::MAX) && v == v.floor() => Ok(v as u32),
            _ => Err(self.wrong(column, "a whole number from 1")),
        }
    }
    /// All of it, to be hashed.
    pub fn whole(&self) -> String {
        self.fields.join(",")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_are_found_by_name_and_faults_name_line_and_column() {
        let t = Table::read("a,b\n1, 2.0\n-1,nan\n".as_bytes(), "t.csv", &["b", "a"]).unwrap();
        let rows: Vec<Row<'_>> = t.rows().collect();
        assert_eq!((rows[0].positive("a").unwrap(), rows[0].count("b").unwrap()), (1.0, 2));
        let said = |wrong: Result<f64, TraceFault>| wrong.unwrap_err().to_string();
        assert_eq!(said(rows[1].positive("a")), "t.csv:3: a is `-1`; it must be a number above 0");
        assert_eq!(said(rows[1].number("b")), "t.csv:3: b is `nan`; it must be a number from 0");
        assert_eq!((rows[0].text("c"), rows[0].maybe("c").unwrap()), ("", None));
        let e = Table::read("a,b\n1,2\n".as_bytes(), "t.csv", &["a", "ttft_us"]).err().unwrap().to_string();
        assert_eq!(e, "t.csv:1: column `ttft_us` is missing; the header has a, b");
        let e = Table::read("a,b\n1\n".as_bytes(), "t.csv", &[]).err().unwrap().to_string();
        assert_eq!(e, "t.csv:2: the line is torn: 1 fields; the header has 2");
        let e = Table::read("a,b\n1,\"2\n".as_bytes(), "t.csv", &[]).err().unwrap().to_string();
        assert!(e.starts_with("t.csv:2: a quote does not close; "), "{e}");
        let t = Table::read("a,b\n1,\"a, \"\"b\"\"\"\n".as_bytes(), "t.csv", &[]).unwrap();
        assert_eq!(t.rows().next().unwrap().text("b"), "a, \"b\"");
    }
}
