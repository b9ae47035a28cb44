//! `baseload gate`: did a policy get worse?
use super::facts::CatalogArgs;
use super::{Exit, printer};
use crate::experiment::gate::{GateRule, Tolerance, gate};
use crate::experiment::summary::Summary;
use crate::experiment::{Experiment, LONGEST_JSON, Settings, read_text};
use crate::report::gate_markdown;
use baseload_core::types::{Fault, TraceFault};
use indexmap::IndexMap;
use std::path::{Path, PathBuf};

/// Compare a result with a baseline by an experiment's [gate]; exit 1 when something got worse
#[derive(Debug, clap::Args)]
#[command(after_help = "Example:\n  baseload gate --experiment experiments/quickstart.toml \\\n    --baseline \
experiments/baselines/quickstart.summary.json \\\n    --candidate results/quickstart")]
pub struct Args {
    /// Baseline: a summary.json
    #[arg(long)]
    baseline: PathBuf,
    /// Candidate: a result folder
    #[arg(long)]
    candidate: PathBuf,
    /// Experiment file with the [gate]; the candidate's own manifest.json unless given
    #[arg(long)]
    experiment: Option<PathBuf>,
    #[command(flatten)]
    catalog: CatalogArgs,
}

/// What the gate needs of a manifest.
#[derive(serde::Deserialize)]
struct Manifest {
    experiment: Gated,
}

/// What it needs of the experiment there.
#[derive(serde::Deserialize)]
struct Gated {
    gate: IndexMap<String, GateRule>,
}

pub fn run(args: &Args) -> Result<(), Exit> {
    let settings = Settings { catalogs: args.catalog.files.clone(), ..Settings::default() };
    let given = args.experiment.as_ref().map(|path| Experiment::load_with(path, &settings)).transpose()?;
    let baseline = read(&args.baseline)?;
    let candidate = read(&args.candidate.join("summary.json"))?;
    let rules = match given {
        Some(experiment) => experiment.gate,
        None => {
            let path = args.candidate.join("manifest.json");
            let text = read_text(&path, LONGEST_JSON)?;
            let manifest: Manifest =
                serde_json::from_str(&text).map_err(|e| no_json(&path, &e).hint("give --experiment instead"))?;
            let rules = manifest.experiment.gate.iter().map(|(k, r)| r.tolerance().map(|t| (k.clone(), t)));
            rules.collect::<Result<Vec<_>, _>>()?
        }
    };
    compare(&baseline, &candidate, &rules)
}

/// Reads a `summary.json`.
pub fn read(path: &Path) -> Result<Summary, TraceFault> {
    const HINT: &str = "a baseline is a summary.json";
    let text = read_text(path, LONGEST_JSON).map_err(|e| e.hint(HINT))?;
    serde_json::from_str(&text).map_err(|e| no_json(path, &e).hint(HINT))
}

/// What is wrong with the JSON of a file, at its line.
fn no_json(path: &Path, e: &serde_json::Error) -> TraceFault {
    TraceFault::of(path.display(), e).on_line(e.line() as u64)
}

/// Prints the gate's table; `Exit::Worse` when it did not pass.
pub fn compare(baseline: &Summary, candidate: &Summary, rules: &[(String, Tolerance)]) -> Result<(), Exit> {
    if rules.is_empty() {
        return Err(Fault::at("gate", "it names no metric").hint("give one, or nothing would be compared").into());
    }
    let found = gate(baseline, candidate, rules)?;
    printer::out(&gate_markdown(&found));
    if found.passed() { Ok(()) } else { Err(Exit::Worse) }
}
