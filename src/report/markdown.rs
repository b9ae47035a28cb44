//! The summary as Markdown, for notes and pull requests.
//!
//! May import: experiment, tables. Must keep true: text from the experiment file cannot break the table.
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
        push_table(&mut out, table, &t.policies);
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

fn push_table(out: &mut String, table: &Table, policies: &[Policy]) {
    out.push_str(&format!("## {}\n\n| policy |", table.title));
    for column in &table.columns {
        let unit = if column.unit.is_empty() { String::new() } else { format!(" ({})", column.unit) };
        out.push_str(&format!(" {}{unit} |", column.long));
    }
    out.push_str("\n|:--|");
    out.push_str(&"--:|".repeat(table.columns.len()));
    for (policy, row) in policies.iter().zip(&table.rows) {
        let dagger = if policy.dagger { " †" } else { "" };
        let over = if policy.overloaded { " (overloaded)" } else { "" };
        out.push_str(&format!("\n| {}{dagger}{over} |", escape(&policy.name)));
        for cell in row {
            out.push_str(&format!(" {}{} |", cell.full, if cell.best { " \\*" } else { "" }));
        }
    }
    out.push_str("\n\n");
}

fn one_line(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

fn escape(text: &str) -> String {
    let mut out = String::new();
    for c in one_line(text).chars() {
        if matches!(c, '|' | '*' | '_' | '`' | '<' | '[' | '\\') {
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
        assert!(text.contains("| a\\|b c |"));
        for line in text.lines().filter(|l| l.starts_with('|')) {
            let pipes = line.replace("\\|", "").matches('|').count();
            assert!([13, 8, 9].contains(&pipes), "{pipes}: {line}");
        }
        assert!(text.contains("| spot-only † |") && text.contains("(overloaded)") && text.contains("17,964 \\*"));
    }
}
