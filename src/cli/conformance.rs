//! `baseload conformance`: golden schedules of the real vLLM against the scheduler that simulations use.
use super::{Exit, Format, printer};
use crate::experiment::open_text;
use crate::report::Sheet;
use baseload_core::engine::conformance::{Case, Feature, Label, Mismatch};
use baseload_core::types::{TraceFault, wrong};
use serde::Serialize;
use serde::de::IgnoredAny;
use std::collections::BTreeMap;
use std::io::BufRead;
use std::path::{Path, PathBuf};

/// Replay schedules recorded from the real vLLM, and compare every field of every step
///
/// Each case runs twice through the scheduler that simulations use: step by step, and with strides up to the next arrival,
/// each expanded before comparing. A case that uses what is not built counts under that feature's name, neither exact nor
/// different; of several such features the first counts. Exit 1 when anything differs.
#[derive(Debug, clap::Args)]
#[command(after_help = "Example:\n  baseload conformance tests/golden/*.jsonl.gz tests/golden/families/*.jsonl.gz\n\n\
The recordings are of vLLM 0.32 (profile vllm-0.32, the default).")]
pub struct Args {
    /// Recordings, one JSON object a line; .jsonl or .jsonl.gz
    #[arg(required = true)]
    files: Vec<PathBuf>,
    /// Form of the output
    #[arg(long, value_enum, default_value = "table")]
    format: Format,
}

/// What the replay of some cases came to.
#[derive(Debug, Default, Serialize)]
struct Counts {
    /// All cases: exact ones, others, and those under `needs`.
    cases: usize,
    cases_exact: usize,
    /// Steps of the cases that were replayed.
    steps: usize,
    /// Steps before the first difference of their case.
    steps_exact: usize,
    strided_cases_exact: usize,
    first_mismatch: Option<Mismatch>,
    /// Cases that were not replayed, by what they need.
    needs: BTreeMap<&'static str, usize>,
}

/// Counts of everything, and by family in the order of appearance.
#[derive(Debug, Default)]
struct Report {
    all: Counts,
    families: Vec<(String, Counts)>,
}

pub fn run(args: &Args) -> Result<(), Exit> {
    let mut report = Report::default();
    for path in &args.files {
        replay_file(path, &mut report)?;
    }
    match args.format {
        Format::Json => printer::json(&report.all)?,
        Format::Table => printer::out(&format!("{}\n{}", by_family(&report).text(), totals(&report.all))),
        Format::Markdown => printer::out(&format!("{}\n{}", by_family(&report).markdown(), totals(&report.all))),
    }
    if report.all.first_mismatch.is_none() { Ok(()) } else { Err(Exit::Worse) }
}

/// What a line of a recording asks for.
enum Recorded {
    Needs(Feature),
    Built(Box<Case>),
}

fn replay_file(path: &Path, report: &mut Report) -> Result<(), TraceFault> {
    let before = report.all.cases;
    let name = path.display().to_string();
    for (line, number) in open_text(path)?.lines().zip(1..) {
        let here = |fault: TraceFault| fault.in_file(&name).on_line(number);
        let line = line.map_err(|e| here(TraceFault::unreadable(e)))?;
        if line.trim().is_empty() {
            continue;
        }
        let (label, recorded) = read(&line).map_err(here)?;
        let counts = match recorded {
            Recorded::Needs(feature) => {
                Counts { cases: 1, needs: BTreeMap::from([(feature.name(), 1)]), ..Counts::default() }
            }
            Recorded::Built(case) => replay(&case),
        };
        report.add(family(&label), counts);
    }
    if report.all.cases == before {
        return Err(
            TraceFault::of(name, "it holds no case, so it would prove nothing").hint("see tests/golden/README.md")
        );
    }
    Ok(())
}

/// Reads a line only as far as it says that it can be replayed.
fn read(line: &str) -> Result<(Label, Recorded), TraceFault> {
    let wrong = |e: serde_json::Error| wrong!("{e}").hint("a line is one recorded case (see tests/golden/README.md)");
    let label: Label = serde_json::from_str(line).map_err(wrong)?;
    let mut need = label.need()?;
    if need.is_none() {
        let unread: Case<IgnoredAny> = serde_json::from_str(line).map_err(wrong)?;
        unread.check()?;
        need = unread.need();
    }
    let recorded = match need {
        Some(feature) => Recorded::Needs(feature),
        None => Recorded::Built(serde_json::from_str(line).map_err(wrong)?),
    };
    Ok((label, recorded))
}

fn replay(case: &Case) -> Counts {
    let (single, strided) = (case.replay(false), case.replay(true));
    let steps_exact = match &single {
        Ok(()) => case.steps.len(),
        Err(mismatch) => case.steps.iter().take_while(|s| s.step < mismatch.step).count(),
    };
    Counts {
        cases: 1,
        cases_exact: usize::from(single.is_ok()),
        steps: case.steps.len(),
        steps_exact,
        strided_cases_exact: usize::from(strided.is_ok()),
        first_mismatch: single.err().or(strided.err()).map(|mismatch| *mismatch),
        needs: BTreeMap::new(),
    }
}

/// What comes before the seed in a case's name: `priority-tight` of `priority-tight-52001-003`; names without a seed begin with
/// their family.
fn family(label: &Label) -> String {
    let parts: Vec<&str> = label.case.split('-').collect();
    let seed = parts.iter().position(|part| !part.is_empty() && part.bytes().all(|b| b.is_ascii_digit()));
    let family = parts[..seed.unwrap_or(1).max(1)].join("-");
    if label.engine == "vllm" { family } else { format!("{} {family}", label.engine) }
}

impl Report {
    fn add(&mut self, family: String, counts: Counts) {
        self.all.add(&counts);
        match self.families.iter_mut().find(|(name, _)| *name == family) {
            Some((_, sum)) => sum.add(&counts),
            None => self.families.push((family, counts)),
        }
    }
}

impl Counts {
    fn add(&mut self, more: &Counts) {
        self.cases += more.cases;
        self.cases_exact += more.cases_exact;
        self.steps += more.steps;
        self.steps_exact += more.steps_exact;
        self.strided_cases_exact += more.strided_cases_exact;
        self.first_mismatch = self.first_mismatch.take().or_else(|| more.first_mismatch.clone());
        for (name, cases) in &more.needs {
            *self.needs.entry(name).or_default() += cases;
        }
    }

    fn needed(&self) -> usize {
        self.needs.values().sum()
    }

    fn needs_text(&self) -> String {
        self.needs.iter().map(|(name, cases)| format!("{name} {cases}")).collect::<Vec<_>>().join(", ")
    }
}

fn by_family(report: &Report) -> Sheet {
    let head = ["family", "not built", "cases", "exact", "with strides", "steps", "exact steps"];
    let mut sheet = Sheet::new("", &head, 2);
    for (name, c) in &report.families {
        let numbers = [c.cases, c.cases_exact, c.strided_cases_exact, c.steps, c.steps_exact];
        let cells = [name.clone(), c.needs_text()].into_iter().chain(numbers.iter().map(usize::to_string));
        sheet.row(cells.collect());
    }
    sheet
}

fn totals(c: &Counts) -> String {
    let replayed = c.cases - c.needed();
    let mut sheet = Sheet::new("", &["", ""], 2).wrapping();
    let mut line = |what: &str, text: String| sheet.row(vec![what.into(), text]);
    line("cases exact", format!("{} of {replayed}", c.cases_exact));
    line("  with strides", format!("{} of {replayed}", c.strided_cases_exact));
    line("steps exact", format!("{} of {}", c.steps_exact, c.steps));
    if !c.needs.is_empty() {
        line("not replayed", format!("{} that need what is not built: {}", c.needed(), c.needs_text()));
    }
    let Some(m) = &c.first_mismatch else { return sheet.text() };
    line("first mismatch", format!("case {}, step {}, {}", m.case, m.step, m.field));
    format!("{}  expected {}\n  got      {}\n", sheet.text(), m.expected, m.got)
}
