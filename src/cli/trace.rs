//! `baseload trace info`: what a trace file holds.
use super::sheet::Sheet;
use super::{Exit, Format, printer};
use crate::experiment::open_text;
use crate::experiment::summary::thousands;
use crate::trace::{self, GenerateSpec, Generator, Quantiles, SourceOptions, TraceStats};
use std::path::PathBuf;

/// Look at traces
#[derive(Debug, clap::Args)]
#[command(after_help = "Example:\n  baseload trace info traces/support-desk.toml")]
pub struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, clap::Subcommand)]
enum Command {
    /// Count, span, rate, burstiness, token quantiles and prefix sharing of a trace file
    #[command(
        after_help = "Example:\n  baseload trace info my-trace.csv\n\nRecognises Azure 2023 CSV, Mooncake JSONL and \
this project's own CSV and JSONL (traces/README.md), each also gzipped; \
            and a generator's spec (.toml), which it draws with seed 1."
    )]
    Info {
        /// The file
        file: PathBuf,
        /// Form of the output
        #[arg(long, value_enum, default_value = "table")]
        format: Format,
    },
}

pub fn run(args: &Args) -> Result<(), Exit> {
    let Command::Info { file, format } = &args.command;
    let name = file.display().to_string();
    let options = SourceOptions::default();
    let (kind, stats) = if file.extension().is_some_and(|e| e == "toml") {
        let text = std::fs::read_to_string(file).map_err(|e| format!("{name}: {e}"))?;
        let spec = GenerateSpec::parse(&text, &name)?;
        let stats = TraceStats::of(&mut Generator::new(&spec, &options)?).map_err(|e| format!("{name}: {e}"))?;
        ("generated, seed 1", stats)
    } else {
        let mut source = trace::open(open_text(file)?, &name, &[], &options)?;
        (source.format().name(), TraceStats::of(&mut source)?)
    };
    let (facts, tokens) = sheets(kind, &stats);
    match format {
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
