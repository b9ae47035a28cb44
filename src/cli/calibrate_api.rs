//! `baseload calibrate api`: measured API calls to a profile of latency.
use super::artefacts::Clock;
use super::facts::CatalogArgs;
use super::validate_api::of_model;
use super::{Exit, measured, printer};
use crate::calibrate::{ApiCalls, ApiRecipe, api_profile, read_api_calls};
use crate::experiment::write_whole;
use crate::report::Sheet;
use baseload_core::catalog::{ApiProfile, Catalog, age_days, undated};
use baseload_core::types::numbers::{decimals, percent};
use baseload_core::types::{Fault, TraceFault};
use std::path::PathBuf;

/// Fit the latency of a bought API to your own calls
///
/// From a CSV of calls (model, in_tokens, out_tokens, api_time_s; where known prefix_seen_tokens, ttft_s, dup_group) or from
/// results of ray-project/llmperf (JSON), each also gzipped, to a profile of one model at one provider. The profile says how
/// good its quantiles are on folds that it has not seen; an experiment takes it as [endpoint.NAME] latency = "FILE.toml".
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Example:\n  baseload calibrate api calls.csv.gz --model claude-opus-4-5 --measured 2026-11 --out mine.toml"
)]
pub struct Args {
    /// Files of calls
    #[arg(required = true)]
    pub files: Vec<PathBuf>,
    /// File that the profile is written to
    #[arg(long, short, value_name = "FILE")]
    pub out: PathBuf,
    /// The model, where the files have several or do not say it
    #[arg(long)]
    pub model: Option<String>,
    /// Who sells it; the catalogue's provider of such models where absent
    #[arg(long)]
    pub provider: Option<String>,
    /// The profile's name; PROVIDER/MODEL where absent
    #[arg(long)]
    pub name: Option<String>,
    /// When the calls were made: a day, a month, a year or a range such as 2026-03..2026-11
    #[arg(long, value_name = "DATE", default_value = "unknown")]
    pub measured: String,
    /// Where the calls are from, in words; the names of the files where absent
    #[arg(long, value_name = "TEXT")]
    pub source: Option<String>,
    #[command(flatten)]
    pub catalog: CatalogArgs,
}

pub fn run(args: &Args) -> Result<(), Exit> {
    let today = Clock::start().today();
    if args.measured != "unknown" && age_days(&args.measured, &today).is_none() {
        let hint = "it must be a date such as 2026-11-23, 2026-11, 2026 or 2026-03..2026-11";
        return Err(Fault::at("--measured", format!("it is `{}`", args.measured)).hint(hint).into());
    }
    let catalog = &args.catalog.read()?.catalog;
    let calls = one_model(catalog, args)?;
    let model = args.model.clone().unwrap_or_else(|| undated(&calls.model).to_owned());
    let provider = provider(catalog, args.provider.as_deref().or(calls.provider.as_deref()), &model)?;
    let recipe = ApiRecipe {
        name: args.name.clone(),
        provider,
        model,
        measured: args.measured.clone(),
        date: today,
        source: args.source.clone().unwrap_or_else(|| calls.files.join(", ")),
    };
    let profile = api_profile(&calls, &recipe)?;
    let text = printer::toml_text(&profile)?;
    // No profile is written that an experiment would refuse.
    let in_seconds = |fault: TraceFault| TraceFault::new(fault.to_string()).hint("is api_time_s in seconds?");
    ApiProfile::parse(&text, "fitted profile").map_err(in_seconds)?;
    write_whole(&args.out, &text)?;
    printer::out(&format!("{}\nProfile: {}\n", said(&profile), args.out.display()));
    Ok(())
}

fn one_model(catalog: &Catalog, args: &Args) -> Result<ApiCalls, Fault> {
    let all = read_api_calls(catalog, measured::open(&args.files)?)?;
    // Files of llmperf do not name their model; of the others --model picks one.
    let all = match &args.model {
        Some(_) if all.len() == 1 && all[0].provider.is_some() => all,
        model => of_model(all, model.as_deref())?,
    };
    let named: Vec<String> = all.iter().map(|c| format!("{} ({} calls)", c.model, c.calls.len())).collect();
    let mut all = all.into_iter();
    match (all.next(), all.next()) {
        (Some(one), None) => Ok(one),
        (None, _) => Err(Fault::new("the files have no calls").hint("a profile needs some")),
        _ => Err(Fault::new(format!("the calls are of several models: {}", named.join(", "))).hint("give --model")),
    }
}

/// The provider that is given, or whose models in the catalogue all begin as this one does.
fn provider(catalog: &Catalog, given: Option<&str>, model: &str) -> Result<String, Fault> {
    if let Some(provider) = given {
        return Ok(provider.to_owned());
    }
    let family = |m: &str| m.split('-').next().unwrap_or_default().to_owned();
    let prices = &catalog.api_prices;
    let mut sellers: Vec<&str> =
        prices.iter().filter(|p| family(&p.model) == family(model)).map(|p| p.provider.as_str()).collect();
    sellers.dedup();
    match sellers.as_slice() {
        [one] => Ok((*one).to_owned()),
        _ => Err(Fault::new(format!("the files do not say who sells {model}")).hint("give --provider")),
    }
}

/// A profile in words and tables.
fn said(p: &ApiProfile) -> String {
    let mut numbers =
        Sheet::new("", &["time", "base", "1,000 prompt", "uncached", "1,000 output", "p50", "p90", "p99"], 1);
    for (name, t) in [("E2E", &p.e2e), ("TTFT", &p.ttft)] {
        let mut cells = vec![name.to_owned(), format!("{} s", decimals(t.base_s, 3))];
        let per = [t.s_per_1000_prompt_tokens, t.s_per_1000_uncached_tokens, t.s_per_1000_output_tokens];
        cells.extend(per.map(|s| format!("{} ms", decimals(s * 1e3, 1))));
        let middle = &t.knot[t.knot.len() / 2];
        let at = |level: f64| t.levels.iter().position(|l| *l == level).map_or(f64::NAN, |i| middle.factors[i]);
        cells.extend([0.5, 0.9, 0.99].map(|l| format!("x {}", decimals(at(l), 2))));
        numbers.row(cells);
    }
    let mut scores = Sheet::new("", &["held out", "calls", "loss p50", "p90", "p99", "below p50", "p90", "p99"], 1);
    for (name, s) in [("E2E", &p.scores.e2e), ("TTFT", &p.scores.ttft)] {
        let Some(s) = s else { continue };
        let (r, c) = (s.pinball_ratio, s.coverage);
        let mut cells = vec![name.to_owned(), s.calls.to_string()];
        cells.extend([r.p50, r.p90, r.p99].map(|v| decimals(v, 3)));
        cells.extend([c.p50, c.p90, c.p99].map(percent));
        scores.row(cells);
    }
    let d = &p.data;
    let mut out = format!(
        "{}: {} calls in {} groups, {} streamed; measured {}\n\n{}\n{}",
        p.name,
        d.calls,
        d.groups,
        d.streamed,
        p.measured,
        numbers.text(),
        scores.text()
    );
    if !p.note.is_empty() {
        out.push_str(&format!("note: {}\n", p.note));
    }
    out
}
