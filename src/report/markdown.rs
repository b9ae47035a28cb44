//! The summary as Markdown, for notes and pull requests.
//!
//! May import: experiment, tables. Must keep true: text from the experiment file cannot break the page.
use super::markup::{markdown as escape, markdown_prose};
use super::sheet::Sheet;
use super::table::{Policy, Table, tables};
use crate::experiment::summary::Summary;

/// Renders the summary as Markdown.
pub fn markdown(summary: &Summary) -> String {
    let t = tables(summary);
    let mut out = format!("# {}\n\n", escape(&summary.name));
    for text in [escape(&summary.question), markdown_prose(&summary.verdict)] {
        if !text.is_empty() {
            out.push_str(&format!("{text}\n\n"));
        }
    }
    for table in [&t.service, &t.money, &t.bounds] {
        out.push_str(&sheet(table, &t.policies).markdown());
        out.push('\n');
    }
    for line in &t.legend {
        out.push_str(&format!("- {}\n", escape(line)));
    }
    if !summary.warnings.is_empty() {
        out.push_str("\n**Warnings**\n\n");
        for warning in &summary.warnings {
            out.push_str(&format!("- {}\n", markdown_prose(warning)));
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
        let cells = row.iter().map(|cell| format!("{}{}", cell.full, if cell.best { " *" } else { "" }));
        sheet.row(std::iter::once(format!("{}{dagger}{over}", policy.name)).chain(cells).collect());
    }
    sheet
}

#[cfg(test)]
mod tests {
    use super::super::sample::sample;
    use super::*;

    #[test]
    fn tables_have_as_many_cells_as_columns_whatever_the_names() {
        let mut s = sample();
        s.policies[0].name = "a|b\nc".into();
        s.question = "# own <img src=x> \u{1b}[2J?".into();
        s.warnings = vec!["`a|b` has *some* [x](y)".into()];
        let text = markdown(&s);
        assert!(text.contains("| a\\|b c "));
        assert!(text.contains("\n\\# own \\<img src=x> \\\\u001b\\[2J?\n"), "{text}");
        assert!(text.contains("\n- `a|b` has \\*some\\* \\[x](y)\n"), "{text}");
        for line in text.lines().filter(|l| l.starts_with('|')) {
            let pipes = line.replace("\\|", "").matches('|').count();
            assert!([13, 8, 9].contains(&pipes), "{pipes}: {line}");
        }
        assert!(text.contains("| spot-only † ") && text.contains("(overloaded)") && text.contains("17,964 \\*"));
    }
}
