//! `baseload trace convert`: a trace from one form into another, written beside its place and then put there.
use super::input::Input;
use super::output::{Job, put};
use crate::cli::Exit;
use baseload_trace::{Format, SourceOptions};
use std::path::{Path, PathBuf};

/// Write a trace in another format
#[derive(Debug, clap::Args)]
#[command(after_help = "Example:\n  baseload trace convert AzureLLMInferenceTrace_conv.csv azure.parquet\n\n\
OUT ends in .parquet, .csv or .jsonl for this project's own schema\n(traces/README.md); .gz or .zst behind compresses. \
--output-format also writes\nazure, burstgpt, mooncake and bailian. What a format has no place for is said.\n\n\
Readers of azure-multimodal, bailian, burstgpt, copilot, litellm, otlp and\nsharegpt are written to the description, \
not tried on the original.")]
pub struct Args {
    /// The trace
    input: PathBuf,
    /// The file to write; one that is there is replaced
    output: PathBuf,
    #[command(flatten)]
    how: Input,
    /// What to write, instead of what OUT's ending says
    #[arg(long, value_name = "FORMAT", value_parser = Format::of_name)]
    output_format: Option<Format>,
    /// Put requests in order of arrival first; holds the whole trace
    #[arg(long)]
    sort: bool,
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
