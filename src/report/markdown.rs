//! The summary as Markdown, for notes and pull requests.
//!
//! May import: experiment, tables. Must keep true: text from the experiment file cannot break the page.
use super::sheet::Sheet;
use super::table::{Policy, Table, tables};
use crate::experiment::summary::Summary;

/// Renders the summary as Markdown.
pub fn markdown(summary: &Summary) -> String {
    let t = tables(summary);
    let mut out = format!("# {}\n\n", escape(&summary.name));
    for text in [&summary.question, &summary.verdict] {
        if !text.is_empty() {
            out.push_str(&format!("{}\n\n", one_line(text)));
        }
    }
    for table in [&t.service, &t.money, &t.bounds] {
        out.push_str(&sheet(table, &t.policies).markdown());
        out.push('\n');
    }
    for line in &t.legend {
        out.push_str(&format!("- {}\n", line.replace('*', "\\*")));
    }
    if !summary.warnings.is_empty() {
        out.push_str("\n**Warnings**\n\n");
        for warning in &summary.warnings {
            out.push_str(&format!("- {}\n", one_line(warning)));
        }
    }
    out
}

fn sheet(table: &Table, policies: &[Policy]) -> Sheet {
    let head = table.columns.iter().map(|column| match column.unit.as_str() {
        "" => column.long.clone(),
        unit => format!("{} ({unit})", column.long),
    });
    let head: Vec<String> = std::iter::once("policy".to_owned()).chain(head).collect();
    let mut sheet = Sheet::new(table.title, &head, 1);
    for (policy, row) in policies.iter().zip(&table.rows) {
        let dagger = if policy.dagger { " †" } else { "" };
        let over = if policy.overloaded { " (overloaded)" } else { "" };
        let cells = row.iter().map(|cell| format!("{}{}", cell.full, if cell.best { " \\*" } else { "" }));
        sheet.row(std::iter::once(format!("{}{dagger}{over}", escape(&policy.name))).chain(cells).collect());
    }
    sheet
}

fn one_line(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// Text as itself where Markdown would see a mark; pipes are the table's.
fn escape(text: &str) -> String {
    let mut out = String::new();
    for c in one_line(text).chars() {
        if matches!(c, '*' | '_' | '`' | '<' | '[' | '\\') {
            out.push('\\');
        }
        out.push(c);
    }
    out
}

#[cfg(test)]
mod tests {
    use super::super::sample::sample;
    use super::*;

    #[test]
    fn tables_have_as_many_cells_as_columns_whatever_the_names() {
        let mut s = sample();
        s.policies[0].name = "a|b\nc".into();
        let text = markdown(&s);
        assert!(text.contains("| a\\|b c "));
        for line in text.lines().filter(|l| l.starts_with('|')) {
            let pipes = line.replace("\\|", "").matches('|').count();
            assert!([13, 8, 9].contains(&pipes), "{pipes}: {line}");
        }
        assert!(text.contains("| spot-only † ") && text.contains("(overloaded)") && text.contains("17,964 \\*"));
    }
}
