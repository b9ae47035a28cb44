//! `baseload trace convert`: a trace from one form into another, written beside its place and then put there.
use super::input::{Input, format_of, untried_ones, writable};
use super::output::{Job, put};
use crate::cli::Exit;
use baseload_trace::{Format, SourceOptions};
use std::path::{Path, PathBuf};

/// Write a trace in another format
#[derive(Debug, clap::Args)]
#[command(after_help = after_help())]
pub struct Args {
    /// The trace
    input: PathBuf,
    /// The file to write; one that is there is replaced
    output: PathBuf,
    #[command(flatten)]
    how: Input,
    /// What to write, instead of what OUT's ending says
    #[arg(long, value_name = "FORMAT", value_parser = format_of)]
    output_format: Option<Format>,
    /// Put requests in order of arrival first; holds the whole trace
    #[arg(long)]
    sort: bool,
}

fn after_help() -> String {
    let own = format!(
        "OUT ends in .parquet, .csv or .jsonl for this project's own schema (traces/README.md); .gz or .zst behind compresses. \
         --output-format also writes {}. What a format has no place for is said.",
        writable()
    );
    format!(
        "Example:\n  baseload trace convert AzureLLMInferenceTrace_conv.csv azure.parquet\n\n{}\n{}",
        crate::report::wrapped(&own, 79, 0),
        untried_ones()
    )
}

pub fn run(args: &Args) -> Result<(), Exit> {
    put(&Job {
        input: &args.input,
        how: &args.how,
        output: &args.output,
        format: args.output_format,
        options: SourceOptions { sort: args.sort, ..SourceOptions::default() },
        transforms: &[],
        folder: Path::new(""),
    })
}
