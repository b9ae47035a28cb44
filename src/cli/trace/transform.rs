//! `baseload trace transform`: a part, another rate, other lengths, copies, labels; in the order given.
use super::input::{Input, format_of};
use super::output::{Job, put};
use crate::cli::Exit;
use crate::experiment::format::Origin;
use crate::experiment::{LONGEST_TOML, ReadFile, read_text};
use baseload_core::types::{Fault, TraceFault};
use baseload_trace::transform::check;
use baseload_trace::{Format, SourceOptions, Transform};
use serde::Deserialize;
use std::path::{Path, PathBuf};

/// Change a trace: cut, thin, scale, repeat, superpose, relabel, anonymise
#[derive(Debug, clap::Args)]
#[command(after_help = "Example:\n  baseload trace transform day.parquet rush.parquet \\\n    \
-t 'slice = { from = \"9h\", to = \"10h\" }' -t 'scale_rate = { times = 3 }'\n\n\
All transforms stand in traces/README.md; in an experiment they are [trace] transform.")]
pub struct Args {
    /// The trace
    input: PathBuf,
    /// The file to write (.parquet, .csv, .jsonl); one that is there is replaced
    output: PathBuf,
    #[command(flatten)]
    how: Input,
    /// A transform as TOML, NAME = { KEYS }; can be given again, and they apply in the order given
    #[arg(short, long = "transform", value_name = "TRANSFORM", value_parser = parse)]
    transforms: Vec<Transform>,
    /// A TOML file with transform = [{ ... }, ...], applied before those given here
    #[arg(long, value_name = "FILE")]
    from: Option<PathBuf>,
    /// What to write, instead of what OUT's ending says
    #[arg(long, value_name = "FORMAT", value_parser = format_of)]
    output_format: Option<Format>,
    /// Seed of what is drawn
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Put requests in order of arrival first; holds the whole trace
    #[arg(long)]
    sort: bool,
}

/// One transform, written as in an experiment.
fn parse(text: &str) -> Result<Transform, Fault> {
    let hint = || format!("write NAME = {{ KEYS }}, NAME one of {}", Transform::NAMES.join(", "));
    toml::from_str(text).map_err(|e| Fault::new(e.message()).hint(hint()))
}

/// A file of transforms.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct List {
    transform: Vec<Transform>,
}

pub fn run(args: &Args) -> Result<(), Exit> {
    let mut transforms = Vec::new();
    let mut folder = Path::new("");
    if let Some(path) = &args.from {
        let name = path.display().to_string();
        let text = read_text(path, LONGEST_TOML)?;
        let list: List = toml::from_str(&text).map_err(|e| TraceFault::toml(&name, &text, &e))?;
        let origin = Origin { files: vec![ReadFile { path: path.clone(), text: text.into() }], sets: Vec::new() };
        check(&list.transform).map_err(|faults| origin.located(faults.under("transform")))?;
        transforms.extend(list.transform);
        folder = path.parent().unwrap_or(folder);
    }
    check(&args.transforms).map_err(|faults| faults.under("--transform"))?;
    transforms.extend(args.transforms.iter().cloned());
    if transforms.is_empty() {
        return Err(Fault::new("no transform is given").hint("give -t 'NAME = { KEYS }' or --from FILE").into());
    }
    put(&Job {
        input: &args.input,
        how: &args.how,
        output: &args.output,
        format: args.output_format,
        options: SourceOptions { seed: args.seed, sort: args.sort, ..SourceOptions::default() },
        transforms: &transforms,
        folder,
    })
}
