//! The summary as plain text of at most 80 columns.
//!
//! May import: experiment, tables. Must keep true: no line is wider than [`WIDTH`] for names up to 16 characters of
//! width one; longer names are cut, never the numbers.
use super::table::{Policy, Table, tables};
use crate::experiment::summary::Summary;

/// Columns that the output needs at most.
pub const WIDTH: usize = 80;

/// Renders the summary for a terminal (no colours, so that stdout compares byte for byte).
pub fn terminal(summary: &Summary) -> String {
    let t = tables(summary);
    let mut out = String::new();
    for table in [&t.service, &t.money, &t.bounds] {
        render(&mut out, table, &t.policies);
        out.push('\n');
    }
    for line in &t.legend {
        wrap(&mut out, line, 2);
    }
    if !t.legend.is_empty() {
        out.push('\n');
    }
    wrap(&mut out, &summary.verdict, 0);
    out
}

/// What the reader should know about the numbers, once: the summary's warnings, then `more`. Empty where all is well.
pub fn warnings(summary: &Summary, more: &[String]) -> String {
    let mut out = String::new();
    for warning in summary.warnings.iter().chain(more) {
        out.push('\n');
        wrap(&mut out, &format!("warning: {warning}"), 2);
        out.pop();
    }
    out
}

fn width(text: &str) -> usize {
    text.chars().count()
}

fn render(out: &mut String, table: &Table, policies: &[Policy]) {
    let columns = table.columns.len();
    let widths: Vec<usize> = (0..columns)
        .map(|c| {
            let cells = table.rows.iter().map(|row| width(&row[c].short) + usize::from(row[c].best)).max().unwrap_or(0);
            // Where a mark occurs, every number keeps its place free so that digits stay aligned.
            let marked = usize::from(table.rows.iter().any(|row| row[c].best));
            let numbers = table.rows.iter().map(|row| width(&row[c].short)).max().unwrap_or(0) + marked;
            let head = table.columns[c].short.iter().map(|h| width(h)).max().unwrap_or(0);
            cells.max(numbers).max(head)
        })
        .collect();
    let numbers: usize = widths.iter().sum();
    let gap = if numbers + 2 * columns + 19 <= WIDTH { 2 } else { 1 };
    let names: Vec<String> =
        policies.iter().map(|p| format!("{}{}", p.name, if p.dagger { "†" } else { "" })).collect();
    let over = policies.iter().any(|p| p.overloaded);
    let wish = names.iter().map(|n| width(n)).max().unwrap_or(0).max(if over { 12 } else { 6 });
    let first = wish.min(WIDTH.saturating_sub(numbers + gap * columns));
    for (line, head) in [table.title, "", "policy"].into_iter().enumerate() {
        if head.is_empty() && table.columns.iter().all(|c| c.short[line].is_empty()) {
            continue;
        }
        let cells = table.columns.iter().map(|c| (c.short[line].clone(), false));
        push_line(out, &cut(head, first), first, cells, &widths, gap, table);
    }
    let total = first + numbers + gap * columns;
    out.push_str(&"─".repeat(total));
    out.push('\n');
    for ((row, name), policy) in table.rows.iter().zip(&names).zip(policies) {
        let cells = row.iter().map(|c| (c.short.clone(), c.best));
        push_line(out, &cut(name, first), first, cells, &widths, gap, table);
        if policy.overloaded {
            out.push_str("  overloaded\n");
        }
    }
}

fn push_line(
    out: &mut String,
    name: &str,
    first: usize,
    cells: impl Iterator<Item = (String, bool)>,
    widths: &[usize],
    gap: usize,
    table: &Table,
) {
    let mut line = format!("{name:<first$}");
    for (c, ((text, best), width)) in cells.zip(widths).enumerate() {
        let marked = table.rows.iter().any(|row| row[c].best);
        let is_head = !table.rows.iter().any(|row| row[c].short == text);
        let mark = match (marked, best, is_head) {
            (_, true, _) => "*",
            (true, false, false) => " ",
            _ => "",
        };
        let text = format!("{text}{mark}");
        line.push_str(&" ".repeat(gap));
        line.push_str(&format!("{text:>width$}"));
    }
    out.push_str(line.trim_end());
    out.push('\n');
}

fn cut(text: &str, most: usize) -> String {
    if width(text) <= most {
        return text.to_owned();
    }
    // The dagger survives a cut.
    let tail = if text.ends_with('†') { "…†" } else { "…" };
    let kept: String = text.chars().take(most.saturating_sub(width(tail))).collect();
    format!("{kept}{tail}")
}

fn wrap(out: &mut String, text: &str, indent: usize) {
    out.push_str(&wrapped(text, WIDTH, indent));
}

/// `text` wrapped at words to `columns`, continuation lines indented; leading spaces stay.
pub fn wrapped(text: &str, columns: usize, indent: usize) -> String {
    let lead = text.len() - text.trim_start().len();
    let mut out = " ".repeat(lead);
    let mut at = lead;
    let mut first = true;
    for word in text.split_whitespace() {
        if !first && at + 1 + width(word) > columns {
            out.push('\n');
            out.push_str(&" ".repeat(indent));
            at = indent;
        } else if !first {
            out.push(' ');
            at += 1;
        }
        first = false;
        out.push_str(word);
        at += width(word);
    }
    out.push('\n');
    out
}

#[cfg(test)]
mod tests {
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
