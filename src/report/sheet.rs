//! A titled table for `catalog` and `trace info`: aligned text with sources as numbered notes, or Markdown in full.
//!
//! Must keep true: text is at most [`WIDTH`] columns wide for what the catalogue holds (a test says so); Markdown has
//! real pipes, and no cell can break it.
use super::columns;
use crate::report;

/// Columns that text needs at most.
pub const WIDTH: usize = 100;
/// The same of a narrow sheet.
pub const NARROW: usize = 80;

/// A table, its rows and where they are from.
pub struct Sheet {
    title: &'static str,
    head: Vec<&'static str>,
    /// Columns of words, aligned left; the others are numbers.
    words: usize,
    rows: Vec<Row>,
    /// Longer words go on in another line of text, where there is a `/` or a space to break at.
    longest_word: usize,
}

struct Row {
    cells: Vec<String>,
    /// Date and source; tables of what is measured have none.
    origin: Option<(String, String)>,
}

impl Sheet {
    /// An empty sheet whose first `words` columns hold words.
    pub fn new(title: &'static str, head: &[&'static str], words: usize) -> Sheet {
        Sheet { title, head: head.to_vec(), words, rows: Vec::new(), longest_word: usize::MAX }
    }
    /// For terminals of [`NARROW`] columns: words longer than this are broken in text.
    pub fn narrow(mut self, longest_word: usize) -> Sheet {
        self.longest_word = longest_word;
        self
    }
    /// Adds a row.
    pub fn row(&mut self, cells: Vec<String>) {
        self.rows.push(Row { cells, origin: None });
    }
    /// Adds a fact: a row with its date and source.
    pub fn fact(&mut self, cells: Vec<String>, date: &str, source: &str) {
        self.rows.push(Row { cells, origin: Some((date.into(), source.into())) });
    }

    /// As aligned text; sources stand below, numbered.
    pub fn text(&self) -> String {
        let mut sources: Vec<&str> = Vec::new();
        let mut head = self.head.clone();
        if self.rows.iter().any(|r| r.origin.is_some()) {
            head.extend(["date", "#"]);
        }
        let rows: Vec<Vec<String>> = self
            .rows
            .iter()
            .map(|row| {
                let mut cells = row.cells.clone();
                cells.iter_mut().take(self.words).for_each(|cell| *cell = broken(cell, self.longest_word));
                if let Some((date, source)) = &row.origin {
                    let at = sources.iter().position(|s| s == source).unwrap_or_else(|| {
                        sources.push(source);
                        sources.len() - 1
                    });
                    cells.extend([date.clone(), (at + 1).to_string()]);
                }
                cells
            })
            .collect();
        let mut out = String::new();
        if !self.title.is_empty() {
            out.push_str(&format!("{}\n", self.title));
        }
        let left = self.left(&head);
        let wide = columns::aligned(&head, &rows, &left, 2);
        let width = if self.longest_word == usize::MAX { WIDTH } else { NARROW };
        let fits = wide.lines().all(|line| line.chars().count() <= width);
        out.push_str(&if fits { wide } else { columns::aligned(&head, &rows, &left, 1) });
        for (i, source) in sources.iter().enumerate() {
            let number = format!("{:>3} ", i + 1);
            out.push_str(&report::wrapped(&format!("{number}{source}"), width, number.len()));
        }
        out
    }

    /// As Markdown, sources in full.
    pub fn markdown(&self) -> String {
        let mut head = self.head.clone();
        if self.rows.iter().any(|r| r.origin.is_some()) {
            head.extend(["date", "source"]);
        }
        let rows: Vec<Vec<String>> = self
            .rows
            .iter()
            .map(|row| {
                let cells = row.cells.iter().chain(row.origin.iter().flat_map(|(d, s)| [d, s]));
                cells.map(|c| c.replace('|', "\\|").replace(['\n', '\r'], " ")).collect()
            })
            .collect();
        let title = if self.title.is_empty() { String::new() } else { format!("## {}\n\n", self.title) };
        format!("{title}{}", columns::markdown(&head, &rows, self.left(&head)))
    }

    /// Whether a column of this head is one of words.
    fn left(&self, head: &[&str]) -> impl Fn(usize) -> bool {
        let left: Vec<bool> =
            head.iter().enumerate().map(|(i, name)| i < self.words || *name == "date" || *name == "source").collect();
        move |column| left[column]
    }
}

/// A cell in lines of at most `most` columns, where that can be.
fn broken(cell: &str, most: usize) -> String {
    let mut out = String::new();
    let mut line = 0;
    for part in cell.split_inclusive(['/', ' ']) {
        let long = part.trim_end().chars().count();
        if line > 0 && line + long > most {
            out.truncate(out.trim_end().len());
            out.push('\n');
            line = 0;
        }
        out.push_str(part);
        line += part.chars().count();
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sheet() -> Sheet {
        let mut sheet = Sheet::new("Things", &["id", "size"], 1);
        sheet.fact(vec!["a|b".into(), "1".into()], "2026", "somewhere");
        sheet.fact(vec!["c".into(), "1000".into()], "2026-05", "elsewhere");
        sheet.fact(vec!["d".into(), "20".into()], "2026", "somewhere");
        sheet
    }

    #[test]
    fn text_is_aligned_and_names_each_source_once() {
        let want = "Things\nid   size  date     #\na|b     1  2026     1\nc    1000  2026-05  2\nd      20  2026     1\n  1 somewhere\n  2 elsewhere\n";
        assert_eq!(sheet().text(), want);
    }

    #[test]
    fn a_narrow_sheet_breaks_long_words_in_text_only() {
        assert_eq!(broken("together/meta-llama/Llama-3.3-70B", 20), "together/meta-llama/\nLlama-3.3-70B");
        assert_eq!(broken("Tier 1 (old scheme)", 16), "Tier 1 (old\nscheme)");
        assert_eq!((broken("unbreakable", 4), broken("a/b", 9)), ("unbreakable".into(), "a/b".into()));
        let mut sheet = Sheet::new("", &["id"], 1).narrow(4);
        sheet.row(vec!["abc/def".into()]);
        assert_eq!(sheet.text(), "id\nabc/\ndef\n");
        assert!(sheet.markdown().contains("abc/def"));
    }

    #[test]
    fn markdown_has_a_rule_and_escaped_pipes() {
        let text = sheet().markdown();
        let lines: Vec<&str> = text.lines().collect();
        assert_eq!(lines[0], "## Things");
        assert!(lines[3].starts_with("|--"), "{text}");
        assert!(lines[4].contains("a\\|b") && lines[4].contains("somewhere"), "{text}");
        assert!(lines[2..].iter().all(|l| l.replace("\\|", "").matches('|').count() == 5), "{text}");
    }
}
