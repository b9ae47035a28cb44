//! `baseload trace info`: what a trace holds.
use super::info_text;
use super::input::{Input, untried};
use crate::cli::{Exit, Format, printer};
use crate::experiment::write_whole;
use crate::report::trace_page;
use baseload_trace::{BLOCK_TOKENS, Classes, SourceOptions, TraceStats};
use std::path::PathBuf;

/// Rate, burstiness, token quantiles, tenants, sessions and prefix hits of a trace
///
/// Prefix hits: the share of all prompt tokens that a prefix cache of a size has. LRU over full blocks, each known by
/// the block before it and its own tokens; a request looks all its blocks up, then uses them from the last to the
/// first, as vLLM frees them; its last token is always computed. Exact up to 20 million distinct blocks, beyond that
/// from a sample of them, and said so. Memory does not grow with the number of requests.
#[derive(Debug, clap::Args)]
#[command(after_help = "Example:\n  baseload trace info my-trace.csv --html my-trace.html")]
pub struct Args {
    /// The file: a trace in any known format (baseload trace formats), plain, gzip or zstd, or a generator's spec (.toml),
    /// drawn with seed 1
    file: PathBuf,
    /// Form of the output
    #[arg(long, value_enum, default_value = "table")]
    format: Format,
    #[command(flatten)]
    input: Input,
    /// Put the requests in order of arrival first; holds them all in memory
    #[arg(long)]
    sort: bool,
    /// Tokens of a block of the prefix cache
    #[arg(long, value_name = "N", default_value_t = BLOCK_TOKENS, value_parser = clap::value_parser!(u32).range(1..))]
    block_tokens: u32,
    /// Write a page with charts, too, which opens without a network
    #[arg(long, value_name = "PAGE")]
    html: Option<PathBuf>,
}

pub fn run(args: &Args) -> Result<(), Exit> {
    let options = SourceOptions { sort: args.sort, ..SourceOptions::default() };
    let opened = args.input.open(&args.file, &Classes::any(), &options)?;
    let (kind, drawn) = (opened.format.name, opened.format.drawn);
    let untried = untried(opened.format);
    let mut stats = TraceStats::of(&mut baseload_trace::prepare(opened, &options), args.block_tokens)?;
    stats.notes.extend(untried);
    if drawn {
        stats.notes.push("drawn with seed 1".into());
    }
    if let Some(path) = &args.html {
        let name = args.file.file_name().unwrap_or(args.file.as_os_str()).to_string_lossy();
        write_whole(path, &trace_page(&name, kind, &stats))?;
    }
    match args.format {
        Format::Json => printer::json(&serde_json::json!({ "format": kind, "stats": stats }))?,
        Format::Table => printer::out(&info_text::table(kind, &stats)),
        Format::Markdown => printer::out(&info_text::markdown(kind, &stats)),
    }
    if let (Some(path), false) = (&args.html, args.format == Format::Json) {
        printer::out(&format!("\nPage: {}", path.display()));
    }
    Ok(())
}
