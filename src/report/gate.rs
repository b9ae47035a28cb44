//! What the gate found as Markdown, for a CI summary or a comment.
//!
//! May import: experiment. Must keep true: it says in its first line whether the gate passed.
use super::markup::markdown_prose;
use super::sheet::Sheet;
use crate::experiment::gate::{GateReport, GateVerdict};
use baseload_core::types::numbers;

/// Renders what the gate found.
pub fn gate_markdown(found: &GateReport) -> String {
    let worse = found.rows.iter().filter(|row| row.verdict == GateVerdict::Worse).count();
    let mut out = match worse {
        0 => format!("**Gate passed**: {} metrics within tolerance.\n\n", found.rows.len()),
        n => format!("**Gate failed**: {n} of {} metrics worse than allowed.\n\n", found.rows.len()),
    };
    let head = ["metric", "baseline", "candidate", "change", "tolerance", "verdict"];
    let mut sheet = Sheet::new("", &head, 1).left(5);
    for row in &found.rows {
        let value = |v: Option<f64>| v.map_or("none".into(), numbers::plain);
        sheet.row(vec![
            row.metric.clone(),
            value(row.baseline),
            value(row.candidate),
            row.change_percent.map_or("–".into(), |change| format!("{} %", numbers::signed(change))),
            row.tolerance.to_string(),
            row.verdict.name().into(),
        ]);
    }
    out.push_str(&sheet.markdown());
    found.notes.iter().for_each(|note| out.push_str(&format!("\nNote: {}\n", markdown_prose(note))));
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::experiment::gate::{GateRow, Tolerance};

    #[test]
    fn markdown_says_what_failed() {
        let row = |metric: &str, candidate, change, tolerance, verdict| GateRow {
            metric: metric.into(),
            baseline: Some(1.2),
            candidate,
            change_percent: change,
            tolerance,
            verdict,
        };
        let found = GateReport {
            rows: vec![
                row("a|b.ttft_p99_s", Some(1.5), Some(25.0), Tolerance::Relative(0.05), GateVerdict::Worse),
                row("own.goodput_share", None, None, Tolerance::Absolute(0.01), GateVerdict::Within),
            ],
            notes: vec!["the seeds differ: 1 in the baseline, 2 here".into()],
        };
        let text = gate_markdown(&found);
        assert!(text.starts_with("**Gate failed**: 1 of 2"), "{text}");
        assert!(
            text.contains("| a\\|b.ttft_p99_s   |      1.2 |       1.5 | +25.00 % |       5 % | WORSE   |"),
            "{text}"
        );
        assert!(
            text.contains("| own.goodput_share |      1.2 |      none |        – |      0.01 | within  |"),
            "{text}"
        );
        assert!(text.ends_with("\nNote: the seeds differ: 1 in the baseline, 2 here\n"), "{text}");
    }
}
