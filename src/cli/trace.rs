//! `baseload trace info`: what a trace file holds.
use super::{Exit, Format, printer};
use crate::experiment::open_text;
use crate::trace::{self, GenerateSpec, Generator, SourceOptions, TraceStats};
use std::path::PathBuf;

/// Look at traces
#[derive(Debug, clap::Args)]
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
        ("generated, seed 1", TraceStats::of(&mut Generator::new(&spec, &options)?)?)
    } else {
        let mut source = trace::open(open_text(file)?, &name, &[], &options)?;
        (source.format().name(), TraceStats::of(&mut source)?)
    };
    match format {
        Format::Json => printer::json(&serde_json::json!({ "format": kind, "stats": stats }))?,
        Format::Table | Format::Markdown => printer::out(&text(kind, &stats)),
    }
    Ok(())
}

fn text(kind: &str, s: &TraceStats) -> String {
    let tokens = |what: &str, q: &trace::Quantiles| {
        format!("| {what} | {:.0} | {} | {} | {} | {} |", q.mean, q.p50, q.p90, q.p99, q.max)
    };
    let shared = s
        .shared_prefix
        .map_or_else(|| "unknown (no identities)".into(), |x| format!("{:.1} % of prompt tokens", x * 100.0));
    [
        format!("format           {kind}"),
        format!("requests         {}", crate::experiment::summary::thousands(s.count)),
        format!("span             {:.1} s", s.span_s),
        format!("rate             {:.3} requests/s", s.rate_per_s),
        format!("inter-arrival CV {:.2}", s.gap_cv),
        format!("prefix sharing   {shared}"),
        String::new(),
        "| tokens | mean | p50 | p90 | p99 | max |".into(),
        "|---|---|---|---|---|---|".into(),
        tokens("prompt", &s.prompt_tokens),
        tokens("output", &s.output_tokens),
    ]
    .join("\n")
}
