//! Tables of measured answers: a CSV with a header, a row a request, 1 where an answer was above the bar, else 0. Only the
//! columns that are asked for are looked at.
use super::read::{Csv, Reader};
use baseload_core::types::{TraceFault, wrong};

/// A table whose header was read.
pub struct QualityTable {
    csv: Csv,
}

impl QualityTable {
    /// Reads the header; `name` is for messages.
    ///
    /// # Errors
    /// `NAME:LINE: what is wrong; what would be right`.
    pub fn open(reader: Reader, name: &str) -> Result<QualityTable, TraceFault> {
        let csv = Csv::open(reader, name)?;
        if csv.columns().is_empty() {
            return Err(csv.fault(TraceFault::new("the table is empty").hint("it needs a header and a row a request")));
        }
        Ok(QualityTable { csv })
    }

    /// Names in its header.
    pub fn columns(&self) -> &[String] {
        self.csv.columns()
    }

    /// The outcomes of these columns (indices into [`QualityTable::columns`]), each by row.
    ///
    /// # Errors
    /// A value that is neither 0 nor 1, a torn line, no rows: `NAME:LINE: what is wrong; what would be right`.
    pub fn read(self, wanted: &[usize]) -> Result<Vec<Vec<bool>>, TraceFault> {
        let mut csv = self.csv;
        let mut out = vec![Vec::new(); wanted.len()];
        let mut rows = 0u64;
        while csv.advance()? {
            for (column, out) in wanted.iter().zip(&mut out) {
                out.push(match csv.fields().of(*column) {
                    "0" => false,
                    "1" => true,
                    other => {
                        let name = &csv.columns()[*column];
                        return Err(csv.fault(wrong!("{name} is `{other}`").hint("it must be 1 (above the bar) or 0")));
                    }
                });
            }
            rows += 1;
        }
        if rows == 0 {
            return Err(csv.fault(TraceFault::new("the table has no rows").hint("it needs one a request")));
        }
        Ok(out)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Cursor;

    fn read(text: &str, column: &str) -> Result<Vec<bool>, TraceFault> {
        let table = QualityTable::open(Box::new(Cursor::new(text.to_string())), "q.csv")?;
        let at = table.columns().iter().position(|c| c == column).expect("the test names a column");
        Ok(table.read(&[at])?.remove(0))
    }

    #[test]
    fn columns_are_read_by_name_and_others_passed_over() {
        let text = "subject,chars,weak,strong\r\n\"a, b\",7,0,1\r\nlaw,9,1,x\r\n";
        assert_eq!(read(text, "weak").unwrap(), [false, true]);
        assert_eq!(read("strong\n1\n0\n1", "strong").unwrap(), [true, false, true]);
    }

    #[test]
    fn wrong_tables_name_file_and_line() {
        for (text, says) in [
            ("w\n1\n2\n", "q.csv:3: w is `2`; it must be 1 (above the bar) or 0"),
            ("w\n1\n\"\"\n", "q.csv:3: w is ``"),
            ("w,v\n1,0\n1\n", "q.csv:3: the line is torn: 1 fields; the header has 2"),
            ("w\n", "the table has no rows"),
        ] {
            let error = read(text, "w").unwrap_err().to_string();
            assert!(error.contains(says), "{error}");
        }
        let empty = QualityTable::open(Box::new(Cursor::new("")), "q.csv").err().unwrap();
        assert!(empty.to_string().contains("the table is empty"), "{empty}");
    }
}
