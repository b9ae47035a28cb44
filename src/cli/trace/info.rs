//! `baseload trace info`: what a trace holds.
use crate::cli::sheet::Sheet;
use crate::cli::{Exit, Format, printer};
use crate::experiment::open_trace;
use crate::experiment::summary::thousands;
use crate::trace::{self, Quantiles, Replay, SourceOptions, TraceStats};
use std::path::PathBuf;

/// Count, span, rate, burstiness, token quantiles and prefix sharing of a trace
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Example:\n  baseload trace info my-trace.csv\n\nRecognises Azure 2023 CSV, Mooncake JSONL and \
this project's own CSV and JSONL (traces/README.md), each also gzipped; \
            and a generator's spec (.toml), which it draws with seed 1."
)]
pub struct Args {
    /// The file
    file: PathBuf,
    /// Form of the output
    #[arg(long, value_enum, default_value = "table")]
    format: Format,
}

pub fn run(args: &Args) -> Result<(), Exit> {
    let options = SourceOptions::default();
    let opened = open_trace(&args.file, None, &[], &options)?;
    let kind = opened.format.name();
    let mut source = Replay::new(trace::prepare(opened, &options), &options)?;
    let stats = TraceStats::of(&mut source)?;
    let (facts, tokens) = sheets(kind, &stats);
    match args.format {
        Format::Json => printer::json(&serde_json::json!({ "format": kind, "stats": stats }))?,
        Format::Table => printer::out(&format!("{}\n{}", facts.text(), tokens.text())),
        Format::Markdown => printer::out(&format!("{}\n{}", facts.markdown(), tokens.markdown())),
    }
    Ok(())
}

/// What the trace is, and how long its prompts and answers are.
fn sheets(kind: &str, s: &TraceStats) -> (Sheet, Sheet) {
    let shared = s
        .shared_prefix
        .map_or_else(|| "unknown (no identities)".into(), |x| format!("{:.1} % of prompt tokens", x * 100.0));
    let mut facts = Sheet::new("", &["trace", "value"], 2);
    for (name, value) in [
        ("format", kind.to_string()),
        ("requests", thousands(s.count)),
        ("span", format!("{:.1} s", s.span_s)),
        ("rate", format!("{:.3} requests/s", s.rate_per_s)),
        ("inter-arrival CV", format!("{:.2}", s.gap_cv)),
        ("prefix sharing", shared),
    ] {
        facts.row(vec![name.into(), value]);
    }
    if kind == trace::Format::Generator.name() {
        facts.row(vec!["drawn with".into(), "seed 1".into()]);
    }
    if kind == trace::Format::Mooncake.name() {
        facts.row(vec!["arrivals".into(), "published in 3-second buckets; spread over each, seed 1".into()]);
    }
    let mut tokens = Sheet::new("", &["tokens", "mean", "p50", "p90", "p99", "max"], 1);
    let mut row = |what: &str, q: &Quantiles| {
        let mut cells = vec![what.to_string(), format!("{:.0}", q.mean)];
        cells.extend([q.p50, q.p90, q.p99, q.max].map(|n| n.to_string()));
        tokens.row(cells);
    };
    row("prompt", &s.prompt_tokens);
    row("output", &s.output_tokens);
    (facts, tokens)
}
