//! `baseload trace fit`: describes a trace by a generator's specification.
use super::compare::sheet;
use super::input::Input;
use crate::cli::{Exit, printer};
use crate::experiment::write_whole;
use baseload_trace::{Classes, Limits, SourceOptions};
use std::path::PathBuf;

/// Describe a trace by a generator's specification: its statistics, without its rows
#[derive(Debug, clap::Args)]
#[command(after_help = "Example:\n  baseload trace fit my-trace.jsonl -o my-traffic.toml\n\n\
What the specification tells of a trace stands in traces/README.md: read it before you share one. Where sessions have no \
absolute start, `arrivals.rate` is a number to be set by you.")]
pub struct Args {
    /// A trace in any known format, or a folder of ServeGen client profiles
    file: PathBuf,
    #[command(flatten)]
    input: Input,
    /// The specification to write
    #[arg(short, long)]
    output: PathBuf,
    /// Seed of what is drawn while fitting; the specification can be drawn with any
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Only the first so many requests
    #[arg(long)]
    limit: Option<u64>,
    /// Put entries in order of arrival first
    #[arg(long)]
    sort: bool,
    /// A line of comment for the head of the specification, such as its source and licence; can be given again
    #[arg(long)]
    note: Vec<String>,
}

pub fn run(args: &Args) -> Result<(), Exit> {
    let options = SourceOptions { seed: args.seed, limit: args.limit, sort: args.sort, ..SourceOptions::default() };
    let mut entries = baseload_trace::prepare(args.input.open(&args.file, &Classes::any(), &options)?, &options);
    let fitted = baseload_trace::fit(&mut *entries, &options)?;
    let name = args.file.file_name().map_or_else(|| args.file.display().to_string(), |n| n.to_string_lossy().into());
    let mut head = args.note.clone();
    head.push(format!("Made by `baseload trace fit {name}` (seed {}); what it tells: traces/README.md.", args.seed));
    if fitted.trace.rate_per_s.is_none() {
        head.push("When sessions start is not known: arrivals.rate is an example, set your own.".into());
    }
    let text = baseload_trace::to_toml(&fitted.spec, &head);
    write_whole(&args.output, &text)?;
    let rows = baseload_trace::rows(&fitted.trace, &fitted.generated, &Limits::default());
    let mut out = sheet(&rows, ["the trace", "the specification"]).text();
    for note in entries.notes() {
        out.push_str(&format!("note: {note}\n"));
    }
    printer::out(&out);
    Ok(())
}
