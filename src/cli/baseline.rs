//! `baseload baseline update`: replaces a committed baseline and shows what changed.
use super::{Exit, gate, printer};
use crate::experiment::summary::{METRICS, TimelineSummary};
use crate::experiment::write_whole;
use std::path::PathBuf;

/// Work with committed baselines
#[derive(Debug, clap::Args)]
#[command(after_help = "Example:\n  baseload baseline update experiments/baselines/quickstart.summary.json \\\n    \
results/quickstart")]
pub struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, clap::Subcommand)]
enum Command {
    /// Replace a baseline by a result's summary and show the change
    #[command(
        after_help = "Example:\n  baseload baseline update experiments/baselines/quickstart.summary.json \\\n    \
results/quickstart"
    )]
    Update {
        /// Baseline to write
        baseline: PathBuf,
        /// Result folder to take it from
        candidate: PathBuf,
    },
}

pub fn run(args: &Args) -> Result<(), Exit> {
    let Command::Update { baseline, candidate } = &args.command;
    let new_path = candidate.join("summary.json");
    let new = gate::read(&new_path)?;
    let old = if baseline.exists() { Some(gate::read(baseline)?) } else { None };
    let mut changed = 0;
    for policy in &new.policies {
        let before = old.as_ref().and_then(|o| o.policies.iter().find(|p| p.name == policy.name));
        for (metric, _) in METRICS {
            let (was, is) = (before.and_then(|p| p.metric(metric)), policy.metric(metric));
            if was != is && before.is_some() {
                changed += 1;
                printer::out(&format!("{}.{metric}: {} -> {}", policy.name, show(was), show(is)));
            }
        }
        if before.is_none() {
            changed += 1;
            printer::out(&format!("{}: new", policy.name));
        }
    }
    for gone in old.iter().flat_map(|o| &o.policies).filter(|p| !new.policies.iter().any(|n| n.name == p.name)) {
        changed += 1;
        printer::out(&format!("{}: gone", gone.name));
    }
    let mut kept = new;
    // Nothing of it is held against a baseline, and it would be most of the file.
    kept.policies.iter_mut().for_each(|p| p.timeline = TimelineSummary::default());
    let text = printer::json_text(&kept)?;
    write_whole(baseline, &(text + "\n"))?;
    let changes = if changed == 1 { "change" } else { "changes" };
    printer::out(&format!("{}: {changed} {changes}", baseline.display()));
    Ok(())
}

fn show(value: Option<f64>) -> String {
    value.map_or_else(|| "none".into(), |v| v.to_string())
}
