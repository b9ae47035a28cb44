//! Plain CSV with a header: columns by name, faults with file, line and column.
use std::io::BufRead;

/// A table that was read.
pub struct Table {
    name: String,
    columns: Vec<String>,
    rows: Vec<(u64, csv::StringRecord)>,
}

/// A row of it.
pub struct Row<'a> {
    table: &'a Table,
    /// Its line in the file.
    pub line: u64,
    record: &'a csv::StringRecord,
}

impl Table {
    /// Reads all of `text`, whose header must have the columns `needed`.
    ///
    /// # Errors
    /// With the column that is missing, or the line that is torn.
    pub fn read(text: impl BufRead, name: &str, needed: &[&str]) -> Result<Table, String> {
        let mut reader = csv::ReaderBuilder::new().from_reader(text);
        let columns: Vec<String> = match reader.headers() {
            Ok(h) => h.iter().map(|c| c.trim_start_matches('\u{feff}').trim().to_owned()).collect(),
            Err(e) => return Err(format!("{name}:1: {e}")),
        };
        if let Some(missing) = needed.iter().find(|c| !columns.iter().any(|have| have == *c)) {
            let have = columns.join(", ");
            return Err(format!("{name}:1: column `{missing}` is missing; the header has {have}"));
        }
        let mut rows = Vec::new();
        for record in reader.records() {
            let record = record.map_err(|e| format!("{name}: {e}"))?;
            rows.push((record.position().map_or(0, csv::Position::line), record));
        }
        if rows.is_empty() {
            return Err(format!("{name}: no rows below the header"));
        }
        Ok(Table { name: name.to_owned(), columns, rows })
    }
    /// Its rows in order.
    pub fn rows(&self) -> impl Iterator<Item = Row<'_>> {
        self.rows.iter().map(|(line, record)| Row { table: self, line: *line, record })
    }
}

impl Row<'_> {
    /// The text of a column, empty where the table has none of that name.
    pub fn text(&self, column: &str) -> &str {
        let at = self.table.columns.iter().position(|c| c == column);
        at.and_then(|i| self.record.get(i)).unwrap_or("").trim()
    }
    fn wrong(&self, column: &str, right: &str) -> String {
        format!("{}:{}: {column} is `{}`; it must be {right}", self.table.name, self.line, self.text(column))
    }
    /// A number above zero.
    ///
    /// # Errors
    /// With file, line and column, as for all of these.
    pub fn positive(&self, column: &str) -> Result<f64, String> {
        match self.text(column).parse::<f64>() {
            Ok(v) if v.is_finite() && v > 0.0 => Ok(v),
            _ => Err(self.wrong(column, "a number above 0")),
        }
    }
    /// A number from zero.
    ///
    /// # Errors
    /// As [`Row::positive`].
    pub fn number(&self, column: &str) -> Result<f64, String> {
        match self.text(column).parse::<f64>() {
            Ok(v) if v.is_finite() && v >= 0.0 => Ok(v),
            _ => Err(self.wrong(column, "a number from 0")),
        }
    }
    /// A number above zero, `None` where the field is empty.
    ///
    /// # Errors
    /// As [`Row::positive`].
    pub fn maybe(&self, column: &str) -> Result<Option<f64>, String> {
        if self.text(column).is_empty() { Ok(None) } else { self.positive(column).map(Some) }
    }
    /// A whole number from 1, however many decimal zeros it has.
    ///
    /// # Errors
    /// As [`Row::positive`].
    pub fn count(&self, column: &str) -> Result<u32, String> {
        match self.text(column).parse::<f64>() {
            Ok(v) if v >= 1.0 && v <= f64::from(u32::MAX) && v == v.floor() => Ok(v as u32),
            _ => Err(self.wrong(column, "a whole number from 1")),
        }
    }
    /// All of it, to be hashed.
    pub fn whole(&self) -> String {
        self.record.iter().map(str::trim).collect::<Vec<_>>().join(",")
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
        assert_eq!(rows[1].positive("a").unwrap_err(), "t.csv:3: a is `-1`; it must be a number above 0");
        assert_eq!(rows[1].number("b").unwrap_err(), "t.csv:3: b is `nan`; it must be a number from 0");
        assert_eq!((rows[0].text("c"), rows[0].maybe("c").unwrap()), ("", None));
        let e = Table::read("a,b\n1,2\n".as_bytes(), "t.csv", &["a", "ttft_us"]).err().unwrap();
        assert_eq!(e, "t.csv:1: column `ttft_us` is missing; the header has a, b");
        assert!(Table::read("a,b\n1\n".as_bytes(), "t.csv", &[]).is_err(), "a torn line");
    }
}
