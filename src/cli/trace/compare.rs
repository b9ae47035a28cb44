//! `baseload trace compare`: two traces' figures side by side.
use super::input::Input;
use crate::cli::{Exit, Format, printer};
use crate::report::Sheet;
use baseload_core::types::Fault;
use baseload_core::types::numbers::{decimals, signed};
use baseload_trace::{Classes, Figures, Limits, Row, SourceOptions, Unit};
use std::path::{Path, PathBuf};

/// Rate, burstiness, token quantiles, prefix hits and sessions of two traces, and their differences
#[derive(Debug, clap::Args)]
#[command(after_help = "Example:\n  baseload trace compare my-trace.jsonl my-traffic.toml --require\n\n\
Prefix hits are those of an infinite cache that holds every prompt sent before and no answers, token by token. Where a trace \
does not say when its sessions start, rate and CV are not compared.")]
pub struct Args {
    /// A trace in any known format, a generator's specification (.toml), or a folder of ServeGen client profiles
    a: PathBuf,
    /// Trace that the first one is compared with
    b: PathBuf,
    /// Seed of what is drawn
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// How A is read; B is recognised by its content
    #[command(flatten)]
    input: Input,
    /// Only the first so many requests of each
    #[arg(long)]
    limit: Option<u64>,
    /// Put entries in order of arrival first
    #[arg(long)]
    sort: bool,
    /// Exit with 1 where a difference is above its limit: rate, cv and tokens in per cent, hit in points
    #[arg(long, value_name = "LIMITS", num_args = 0..=1, default_missing_value = "rate=2,cv=10,tokens=5,hit=2")]
    require: Option<String>,
    /// Form of the output
    #[arg(long, value_enum, default_value = "table")]
    format: Format,
}

pub fn run(args: &Args) -> Result<(), Exit> {
    let limits = limits(args.require.as_deref().unwrap_or(""))?;
    let options = SourceOptions { seed: args.seed, limit: args.limit, sort: args.sort, ..SourceOptions::default() };
    let (a, b) = (figures(&args.a, &args.input, &options)?, figures(&args.b, &Input::default(), &options)?);
    let rows = baseload_trace::rows(&a, &b, &limits);
    let names = ["A", "B"];
    match args.format {
        Format::Json => {
            let one = |r: &Row| {
                serde_json::json!({
                    "name": r.name, "a": r.a, "b": r.b, "difference": r.difference(),
                    "unit": if r.unit == Unit::Percent { "percent" } else { "points" },
                    "limit": r.limit, "holds": r.holds(),
                })
            };
            let rows: Vec<_> = rows.iter().map(one).collect();
            printer::json(&serde_json::json!({ "a": a, "b": b, "rows": rows }))?;
        }
        Format::Table => printer::out(&sheet(&rows, names).text()),
        Format::Markdown => printer::out(&sheet(&rows, names).markdown()),
    }
    if args.require.is_some() && rows.iter().any(|r| !r.holds()) { Err(Exit::Worse) } else { Ok(()) }
}

fn figures(path: &Path, input: &Input, options: &SourceOptions) -> Result<Figures, Exit> {
    let mut entries = baseload_trace::prepare(input.open(path, &Classes::any(), options)?, options);
    let figures = match options.limit {
        None => Figures::of(&mut *entries)?,
        Some(most) => Figures::first(&mut *entries, most)?,
    };
    Ok(figures)
}

/// `rate=2,cv=10,tokens=5,hit=2`; what is left out keeps the default.
fn limits(text: &str) -> Result<Limits, Fault> {
    let mut limits = Limits::default();
    for part in text.split(',').map(str::trim).filter(|p| !p.is_empty()) {
        let number = part.split_once('=').and_then(|(k, v)| Some((k.trim(), v.trim().parse::<f64>().ok()?)));
        match number.filter(|n| n.1 >= 0.0) {
            Some(("rate", n)) => limits.rate = n,
            Some(("cv", n)) => limits.cv = n,
            Some(("tokens", n)) => limits.tokens = n,
            Some(("hit", n)) => limits.hit = n,
            _ => {
                let fault = Fault::at("--require", format!("`{part}` is no limit"));
                return Err(fault.hint("write such as rate=2,cv=10,tokens=5,hit=2"));
            }
        }
    }
    Ok(limits)
}

/// Figures side by side.
pub(super) fn sheet(rows: &[Row], names: [&'static str; 2]) -> Sheet {
    let mut sheet = Sheet::new("", &["figure", names[0], names[1], "difference", "at most", ""], 1);
    for row in rows {
        let value = |v: Option<f64>| v.map_or_else(|| "-".into(), |v| decimals(v, row.digits));
        let unit = if row.unit == Unit::Percent { "%" } else { "points" };
        let difference = row.difference().map_or_else(|| "-".into(), |d| format!("{} {unit}", signed(d)));
        let limit = row.limit.map_or_else(String::new, |l| format!("{l} {unit}"));
        let verdict = match row.limit {
            Some(_) if !row.holds() => "off",
            Some(_) if row.a.is_some() => "holds",
            _ => "",
        };
        sheet.row(vec![row.name.into(), value(row.a), value(row.b), difference, limit, verdict.into()]);
    }
    sheet
}
