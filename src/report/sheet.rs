//! The one table of text: aligned for a terminal, with sources as numbered notes, or Markdown in full.
//!
//! May import: nothing but how words are wrapped and escaped. Must keep true: a line ends where its last character stands; columns are two
//! spaces apart, one where two would be wider than the terminal; Markdown has real pipes, and no cell can break it.
use super::markup::{markdown, markdown_cell};
use super::prose::{WIDTH, broken, cut, width, wrapped};
use baseload_core::types::shown::visible;

/// Columns of a table that says nothing of its width.
pub const WIDE: usize = 100;

/// A table, its rows and where they are from.
pub struct Sheet {
    title: String,
    head: Vec<String>,
    /// Whether a column begins at one place, as words do; the others end there, as numbers do.
    left: Vec<bool>,
    rows: Vec<Row>,
    width: usize,
    /// Longer words go on in another line of text, where there is a `/` or a space to break at.
    longest_word: usize,
    ruled: bool,
    cuts: bool,
    wraps: bool,
}

struct Row {
    cells: Vec<String>,
    /// Date and source; tables of what is measured have none.
    origin: Option<(String, String)>,
}

impl Sheet {
    /// An empty sheet whose first `words` columns hold words. A heading may have several lines; where all are empty there is no
    /// line of headings.
    pub fn new<S: AsRef<str>>(title: impl Into<String>, head: &[S], words: usize) -> Sheet {
        Sheet {
            title: title.into(),
            head: head.iter().map(|name| name.as_ref().to_owned()).collect(),
            left: (0..head.len()).map(|column| column < words).collect(),
            rows: Vec::new(),
            width: WIDE,
            longest_word: usize::MAX,
            ruled: false,
            cuts: false,
            wraps: false,
        }
    }
    /// A column more that holds words.
    pub fn left(mut self, column: usize) -> Sheet {
        self.left[column] = true;
        self
    }
    /// For terminals of [`WIDTH`] columns: words longer than this are broken in text.
    pub fn narrow(mut self, longest_word: usize) -> Sheet {
        (self.width, self.longest_word) = (WIDTH, longest_word);
        self
    }
    /// For terminals of [`WIDTH`] columns, with a line below the headings.
    pub fn ruled(mut self) -> Sheet {
        (self.width, self.ruled) = (WIDTH, true);
        self
    }
    /// Cuts the first column in text where the table would be too wide; never the others.
    pub fn cutting(mut self) -> Sheet {
        self.cuts = true;
        self
    }
    /// For terminals of [`WIDTH`] columns, the last of which is prose, wrapped in text to what the others leave.
    pub fn wrapping(mut self) -> Sheet {
        (self.width, self.wraps) = (WIDTH, true);
        self
    }
    /// Adds a row.
    pub fn row(&mut self, cells: Vec<String>) {
        self.rows.push(Row { cells: shown(cells), origin: None });
    }
    /// Adds a fact: a row with its date and source.
    pub fn fact(&mut self, cells: Vec<String>, date: &str, source: &str) {
        self.rows.push(Row { cells: shown(cells), origin: Some((date.into(), source.into())) });
    }

    /// The sheet as aligned text; sources stand below, numbered.
    pub fn text(&self) -> String {
        let (mut rows, left, sources) = self.laid_out();
        let gap = self.gap(&rows);
        let mut widths = widths(&rows);
        if self.cuts
            && let Some(first) = widths.first().copied()
        {
            let most = first.saturating_sub(total(&widths, gap).saturating_sub(self.width));
            widths[0] = most;
            for row in &mut rows {
                row[0] = row[0].lines().map(|line| cut(line, most)).collect::<Vec<_>>().join("\n");
            }
        }
        if self.wraps
            && let Some(last) = widths.len().checked_sub(1)
        {
            let room = self.width.saturating_sub(total(&widths[..last], gap) + gap);
            rows.iter_mut().for_each(|row| row[last] = wrapped(&row[last], room, 0).trim_end().to_owned());
        }
        let mut out = if self.title.is_empty() { String::new() } else { format!("{}\n", self.title) };
        for (i, row) in rows.iter().enumerate() {
            let lines = row.iter().map(|cell| cell.lines().count()).max().unwrap_or(0).max(1);
            for at in 0..lines {
                let cell = |(column, cell): (usize, &String)| {
                    padded(cell.lines().nth(at).unwrap_or(""), widths[column], left[column])
                };
                let line = row.iter().enumerate().map(cell).collect::<Vec<_>>().join(&" ".repeat(gap));
                let line = line.trim_end();
                // No line of headings is empty: a unit alone stands right below a short name.
                if i > 0 || !line.is_empty() {
                    out.push_str(&format!("{line}\n"));
                }
            }
            if i == 0 && self.ruled {
                out.push_str(&format!("{}\n", "─".repeat(total(&widths, gap))));
            }
        }
        for (i, source) in sources.iter().enumerate() {
            let number = format!("{:>3} ", i + 1);
            out.push_str(&wrapped(&format!("{number}{source}"), self.width, number.len()));
        }
        out
    }

    /// Whether the text is no wider than its terminal, with nothing cut.
    pub fn fits(&self) -> bool {
        total(&widths(&self.laid_out().0), 1) <= self.width
    }

    /// Headings and cells of text, which columns hold words, and the sources in the order of their numbers.
    fn laid_out(&self) -> (Vec<Vec<String>>, Vec<bool>, Vec<&str>) {
        let mut sources: Vec<&str> = Vec::new();
        let (mut head, mut left) = (self.head.clone(), self.left.clone());
        if self.has_origins() {
            head.extend(["date".to_owned(), "#".to_owned()]);
            left.extend([true, false]);
        }
        let mut rows = vec![head];
        for row in &self.rows {
            let mut cells = row.cells.clone();
            let words = cells.iter_mut().zip(&self.left).filter(|(_, left)| **left);
            words.for_each(|(cell, _)| *cell = broken(cell, self.longest_word));
            if let Some((date, source)) = &row.origin {
                let at = sources.iter().position(|s| s == source).unwrap_or_else(|| {
                    sources.push(source);
                    sources.len() - 1
                });
                cells.extend([date.clone(), (at + 1).to_string()]);
            }
            rows.push(cells);
        }
        (rows, left, sources)
    }

    fn has_origins(&self) -> bool {
        self.rows.iter().any(|row| row.origin.is_some())
    }

    /// Spaces between columns.
    fn gap(&self, rows: &[Vec<String>]) -> usize {
        if self.wraps || total(&widths(rows), 2) <= self.width { 2 } else { 1 }
    }

    /// The sheet as Markdown, sources in full.
    pub fn markdown(&self) -> String {
        let (mut head, mut left) = (self.head.clone(), self.left.clone());
        if self.has_origins() {
            head.extend(["date".to_owned(), "source".to_owned()]);
            left.extend([true, true]);
        }
        let rows = self.rows.iter().map(|row| {
            let cells = row.cells.iter().chain(row.origin.iter().flat_map(|(date, source)| [date, source]));
            cells.map(|cell| markdown_cell(cell)).collect::<Vec<String>>()
        });
        let head: Vec<String> = head.iter().map(|name| markdown_cell(name)).collect();
        let rows: Vec<Vec<String>> = std::iter::once(head).chain(rows).collect();
        let widths: Vec<usize> = widths(&rows).into_iter().map(|w| w.max(1)).collect();
        let mut out = if self.title.is_empty() { String::new() } else { format!("## {}\n\n", markdown(&self.title)) };
        for (i, row) in rows.iter().enumerate() {
            let cells = row.iter().enumerate().map(|(column, cell)| padded(cell, widths[column], left[column]));
            out.push_str(&format!("| {} |\n", cells.collect::<Vec<_>>().join(" | ")));
            if i == 0 {
                let rule = |(w, left): (&usize, &bool)| {
                    let dashes = "-".repeat(w + 1);
                    if *left { format!(":{dashes}") } else { format!("{dashes}:") }
                };
                out.push_str(&format!("|{}|\n", widths.iter().zip(&left).map(rule).collect::<Vec<_>>().join("|")));
            }
        }
        out
    }
}

/// Cells with nothing hidden in them, so that their widths are those that are seen.
fn shown(cells: Vec<String>) -> Vec<String> {
    cells.into_iter().map(|cell| visible(&cell).into_owned()).collect()
}

fn padded(cell: &str, width: usize, left: bool) -> String {
    // `format!` takes no width above 65,535, and a cell may be as long as a text of somebody's own.
    let fill = " ".repeat(width.saturating_sub(cell.chars().count()));
    if left { format!("{cell}{fill}") } else { format!("{fill}{cell}") }
}

/// What each column needs: its widest line.
fn widths(rows: &[Vec<String>]) -> Vec<usize> {
    let columns = rows.iter().map(Vec::len).max().unwrap_or(0);
    let widest = |cell: &String| cell.lines().map(width).max().unwrap_or(0);
    let of = |column: usize| rows.iter().filter_map(|row| row.get(column)).map(widest).max().unwrap_or(0);
    (0..columns).map(of).collect()
}

/// Columns of a whole line.
fn total(widths: &[usize], gap: usize) -> usize {
    widths.iter().sum::<usize>() + gap * widths.len().saturating_sub(1)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(cells: &[&str]) -> Vec<String> {
        cells.iter().map(|c| (*c).to_owned()).collect()
    }

    fn sheet() -> Sheet {
        let mut sheet = Sheet::new("Things", &["id", "size"], 1);
        sheet.fact(row(&["a|b", "1"]), "2026", "somewhere");
        sheet.fact(row(&["c", "1000"]), "2026-05", "elsewhere");
        sheet.fact(row(&["d", "20"]), "2026", "somewhere");
        sheet
    }

    #[test]
    fn text_is_aligned_and_names_each_source_once() {
        let want = "Things\nid   size  date     #\na|b     1  2026     1\nc    1000  2026-05  2\nd      20  2026     1\n  1 somewhere\n  2 elsewhere\n";
        assert_eq!(sheet().text(), want);
        assert_eq!(Sheet::new("", &["id"], 1).text(), "id\n");
    }

    #[test]
    fn a_narrow_sheet_breaks_long_words_in_text_only() {
        let mut sheet = Sheet::new("", &["id", "n"], 1).narrow(4);
        sheet.row(row(&["abc/def", "1"]));
        assert_eq!(sheet.text(), "id    n\nabc/  1\ndef\n");
        assert!(sheet.markdown().contains("abc/def"));
    }

    #[test]
    fn markdown_aligns_its_columns_and_escapes_pipes() {
        let text = sheet().markdown();
        let lines: Vec<&str> = text.lines().collect();
        assert_eq!(lines[..2], ["## Things", ""]);
        assert_eq!(lines[2], "| id   | size | date    | source    |");
        assert_eq!(lines[3], "|:-----|-----:|:--------|:----------|");
        assert_eq!(lines[4], "| a\\|b |    1 | 2026    | somewhere |");
        assert!(lines[2..].iter().all(|l| l.replace("\\|", "").matches('|').count() == 5), "{text}");
    }

    #[test]
    fn a_ruled_sheet_has_headings_of_several_lines_without_empty_ones() {
        let mut sheet = Sheet::new("", &["Money\n\npolicy", "own\n\n%"], 1).ruled();
        sheet.row(row(&["a\n  overloaded", "95.7"]));
        assert_eq!(
            sheet.text(),
            "Money          own\npolicy           %\n──────────────────\na             95.7\n  overloaded\n"
        );
    }

    #[test]
    fn what_is_too_wide_moves_together_and_then_cuts_names_alone() {
        let mut sheet = Sheet::new("", &["name", "n"], 1).ruled().cutting();
        sheet.row(row(&[&"x".repeat(76), "123"]));
        assert!(sheet.fits());
        assert!(sheet.text().ends_with(&format!("{} 123\n", "x".repeat(76))));
        sheet.row(row(&[&"y".repeat(90), "7"]));
        assert!(!sheet.fits());
        let text = sheet.text();
        assert!(text.lines().all(|line| line.chars().count() <= WIDTH), "{text}");
        assert!(text.ends_with(&format!("{}…   7\n", "y".repeat(75))), "{text}");
    }

    #[test]
    fn prose_is_wrapped_beside_its_names() {
        let mut sheet = Sheet::new("", &["", ""], 2).wrapping();
        sheet.row(row(&["key", &"word ".repeat(16)]));
        sheet.row(row(&["other", "short"]));
        let text = sheet.text();
        let (first, second) = ("word ".repeat(14), "word ".repeat(2));
        let want = format!("key    {}\n       {}\nother  short\n", first.trim_end(), second.trim_end());
        assert_eq!(text, want);
    }
}
