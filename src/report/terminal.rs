//! The summary as plain text of at most 80 columns.
//!
//! May import: experiment, tables. Must keep true: no line is wider than [`WIDTH`] for names up to 16 characters of
//! width one; longer names are cut, never the numbers.
use super::prose::{WIDTH, wrapped};
use super::sheet::Sheet;
use super::table::{Cell, Policy, Table, tables};
use crate::experiment::summary::Summary;

/// Renders the summary for a terminal (no colours, so that stdout compares byte for byte).
pub fn terminal(summary: &Summary) -> String {
    let t = tables(summary);
    let mut out = String::new();
    for table in [&t.service, &t.money, &t.bounds] {
        out.push_str(&sheet(table, &t.policies).text());
        out.push('\n');
    }
    for line in &t.legend {
        out.push_str(&wrapped(line, WIDTH, 2));
    }
    if !t.legend.is_empty() {
        out.push('\n');
    }
    out.push_str(&wrapped(&summary.verdict, WIDTH, 0));
    out
}

/// What the reader should know about the numbers, once: the summary's warnings, then `more`. Empty where all is well.
pub fn warnings(summary: &Summary, more: &[String]) -> String {
    let said = summary.warnings.iter().chain(more).map(|w| wrapped(&format!("warning: {w}"), WIDTH, 2));
    said.map(|text| format!("\n{}", text.trim_end())).collect()
}

fn sheet(table: &Table, policies: &[Policy]) -> Sheet {
    let heads = table.columns.iter().map(|column| column.short.join("\n"));
    let head: Vec<String> = std::iter::once(format!("{}\n\npolicy", table.title)).chain(heads).collect();
    let mut sheet = Sheet::new("", &head, 1).ruled().cutting();
    // Where a mark occurs, every number keeps its place free so that digits stay aligned.
    let marked: Vec<bool> = (0..table.columns.len()).map(|c| table.rows.iter().any(|row| row[c].best)).collect();
    for (policy, row) in policies.iter().zip(&table.rows) {
        let dagger = if policy.dagger { "†" } else { "" };
        let over = if policy.overloaded { "\n  overloaded" } else { "" };
        let cell = |(cell, marked): (&Cell, &bool)| match (cell.best, marked) {
            (true, _) => format!("{}*", cell.short),
            (false, true) => format!("{} ", cell.short),
            (false, false) => cell.short.clone(),
        };
        let cells = row.iter().zip(&marked).map(cell);
        sheet.row(std::iter::once(format!("{}{dagger}{over}", policy.name)).chain(cells).collect());
    }
    sheet
}

#[cfg(test)]
mod tests {
    use super::super::prose::width;
    use super::super::sample::{sample, widest};
    use super::*;

    #[test]
    fn no_line_is_wider_than_80_columns() {
        for summary in [sample(), widest()] {
            let text = terminal(&summary);
            for line in text.lines() {
                assert!(width(line) <= WIDTH, "{} columns: {line}\n{text}", width(line));
            }
        }
        let text = terminal(&widest());
        assert!(text.contains("sixteen-chars-00"), "{text}");
    }

    #[test]
    fn marks_and_labels_are_shown() {
        let text = terminal(&sample());
        assert!(text.contains("spot-only†") && text.contains("\n  overloaded\n"), "{text}");
        assert!(text.contains("17,964*"), "{text}");
        let said = warnings(&sample(), &["prices are old".to_owned()]);
        assert_eq!(said.matches("\nwarning: ").count(), sample().warnings.len() + 1, "{said}");
        assert_eq!(text.matches("* best of").count(), 1);
    }
}
