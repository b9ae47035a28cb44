//! `baseload conformance`: golden schedules of the real vLLM against the scheduler that simulations use.
use super::{Exit, Format, printer};
use crate::experiment::open_text;
use baseload_core::engine::conformance::{Case, Mismatch};
use serde::Serialize;
use std::io::BufRead;
use std::path::{Path, PathBuf};

/// Replay schedules recorded from the real vLLM, and compare every field of every step
///
/// Each case runs twice through the scheduler that simulations use: step by step, and with strides up to the next arrival,
/// each expanded before comparing. Exit 1 when anything differs.
#[derive(Debug, clap::Args)]
#[command(after_help = "Example:\n  baseload conformance tests/golden/*.jsonl.gz\n\nThe recordings are of vLLM 0.32 \
(profile vllm-0.32, the default).")]
pub struct Args {
    /// Recordings, one JSON object a line; .jsonl or .jsonl.gz
    #[arg(required = true)]
    files: Vec<PathBuf>,
    /// Form of the output
    #[arg(long, value_enum, default_value = "table")]
    format: Format,
}

#[derive(Debug, Default, Serialize)]
struct Report {
    cases: usize,
    cases_exact: usize,
    steps: usize,
    steps_exact: usize,
    strided_cases_exact: usize,
    first_mismatch: Option<Mismatch>,
}

pub fn run(args: &Args) -> Result<(), Exit> {
    let mut report = Report::default();
    for path in &args.files {
        replay_file(path, &mut report)?;
    }
    match args.format {
        Format::Json => printer::json(&report)?,
        Format::Table | Format::Markdown => printer::out(&text(&report)),
    }
    if report.first_mismatch.is_none() { Ok(()) } else { Err(Exit::Worse) }
}

fn replay_file(path: &Path, report: &mut Report) -> Result<(), String> {
    let before = report.cases;
    for (number, line) in open_text(path)?.lines().enumerate() {
        let place = format!("{}:{}", path.display(), number + 1);
        let line = line.map_err(|e| format!("{place}: {e}"))?;
        if line.trim().is_empty() {
            continue;
        }
        let case: Case = serde_json::from_str(&line)
            .map_err(|e| format!("{place}: {e}; a line is one recorded case (see tests/golden/README.md)"))?;
        case.check().map_err(|e| format!("{place}: {e}"))?;
        let check = |result: Result<(), Box<Mismatch>>, report: &mut Report| match result {
            Ok(()) => case.steps.len(),
            Err(mismatch) => {
                let exact = case.steps.iter().take_while(|s| s.step < mismatch.step).count();
                report.first_mismatch.get_or_insert(*mismatch);
                exact
            }
        };
        let exact = check(case.replay(false), report);
        let strided = check(case.replay(true), report);
        report.cases += 1;
        report.steps += case.steps.len();
        report.steps_exact += exact;
        report.cases_exact += usize::from(exact == case.steps.len());
        report.strided_cases_exact += usize::from(strided == case.steps.len());
    }
    if report.cases == before {
        return Err(format!(
            "{}: it holds no case, so it would prove nothing (see tests/golden/README.md)",
            path.display()
        ));
    }
    Ok(())
}

fn text(r: &Report) -> String {
    let mut lines = vec![
        format!("cases exact     {} of {}", r.cases_exact, r.cases),
        format!("  with strides  {} of {}", r.strided_cases_exact, r.cases),
        format!("steps exact     {} of {}", r.steps_exact, r.steps),
    ];
    if let Some(m) = &r.first_mismatch {
        lines.push(format!(
            "first mismatch  case {}, step {}, {}\n  expected {}\n  got      {}",
            m.case, m.step, m.field, m.expected, m.got
        ));
    }
    lines.join("\n")
}
