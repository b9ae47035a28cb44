//! `baseload calibrate`: measurements to a profile.
use super::artefacts::Clock;
use super::facts::CatalogArgs;
use super::{Exit, calibrate_api, calibrate_kernels, engine_settings, measured, printer};
use crate::calibrate::{self, Fit, Kind, Recipe};
use crate::experiment::write_whole;
use crate::report::Sheet;
use baseload_core::catalog::Catalog;
use baseload_core::types::Fault;
use baseload_core::types::numbers::{decimals, percent, percent_signed};
use clap::ValueEnum;
use clap::builder::PossibleValue;
use std::path::PathBuf;

/// What the files hold: measurements of engines, or kernel tables.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum From {
    Measured(Kind),
    Kernels,
}

impl ValueEnum for From {
    fn value_variants<'a>() -> &'a [From] {
        const ALL: [From; Kind::ALL.len() + 1] = {
            let mut all = [From::Kernels; Kind::ALL.len() + 1];
            let mut i = 0;
            while i < Kind::ALL.len() {
                all[i] = From::Measured(Kind::ALL[i].0);
                i += 1;
            }
            all
        };
        &ALL
    }
    fn to_possible_value(&self) -> Option<PossibleValue> {
        Some(match self {
            From::Measured(kind) => PossibleValue::new(kind.name()),
            From::Kernels => PossibleValue::new("kernels"),
        })
    }
}

/// Fit a step-time profile to your own measurements
///
/// From recorded steps (engine-steps), or through the simulator from timings of requests (vllm-bench-serve,
/// vllm-requests, llmservingsim), to a profile of one model on one machine; or from kernel tables (kernels: Parquet
/// files or a folder of them) to the numbers of a GPU's analytic step time, for all models. The profile says what it was
/// fitted on and how far off it is on what was held back; data that cannot tell a coefficient are refused by its name.
/// The subcommand api fits the latency of bought APIs instead.
#[derive(Debug, clap::Args)]
#[command(
    args_conflicts_with_subcommands = true,
    subcommand_negates_reqs = true,
    after_help = "Examples:\n  baseload calibrate --kind vllm-bench-serve rate1.json conc4.json --out mine.toml\n  \
baseload calibrate --kind kernels tables/h100_sxm --gpu h100-sxm --dtype bf16 --out kernels.toml\n\n\
Coefficients for --with and --without: step, first-sequences, sequence, context, prefill, prefill-token, prefill-pair, frontend,\nfrontend-token."
)]
pub struct Args {
    #[command(subcommand)]
    what: Option<What>,
    #[command(flatten)]
    steps: Option<StepArgs>,
}

/// What is calibrated beside step times.
#[derive(Debug, clap::Subcommand)]
enum What {
    Api(calibrate_api::Args),
}

/// Measurements of engines.
#[derive(Debug, clap::Args)]
pub struct StepArgs {
    /// What the files hold
    #[arg(long, value_enum)]
    kind: From,
    /// Files of measurements, each also gzipped; of kernels also a folder
    #[arg(required = true)]
    files: Vec<PathBuf>,
    /// File that the profile is written to
    #[arg(long, short, value_name = "FILE")]
    out: PathBuf,
    /// Name of the profile; the file's where absent
    #[arg(long)]
    name: Option<String>,
    /// The machine: an id of the catalogue, or a name of your own
    #[arg(long, default_value = "cpu")]
    gpu: String,
    /// The model, where the files do not say it
    #[arg(long)]
    model: Option<String>,
    /// Type of weights, where the files do not say it
    #[arg(long)]
    dtype: Option<String>,
    /// GPUs that share each layer
    #[arg(long, value_name = "N")]
    tensor_parallel: Option<u32>,
    #[arg(long, value_name = "KEY=VALUE", help = engine_settings::help("A setting of the engine that the files do not say"))]
    engine: Vec<String>,
    /// Version of the engine, where the files do not say it
    #[arg(long, value_name = "VERSION")]
    engine_version: Option<String>,
    /// A coefficient to fit beside the usual ones; repeatable
    #[arg(long, value_name = "COEFFICIENT")]
    with: Vec<String>,
    /// A coefficient to leave at zero; repeatable
    #[arg(long, value_name = "COEFFICIENT")]
    without: Vec<String>,
    // Written out: clap finds no optional group whose own part is a group.
    /// Facts of your own (models, GPUs, APIs, rents, people), laid over the catalog's; repeatable
    #[arg(long = "catalog", value_name = "FILE")]
    catalog: Vec<PathBuf>,
}

pub fn run(args: &Args) -> Result<(), Exit> {
    match (&args.what, &args.steps) {
        (Some(What::Api(args)), _) => calibrate_api::run(args),
        (None, Some(args)) => steps(args),
        (None, None) => {
            Err(Fault::new("nothing to calibrate").hint("give --kind and files, or the subcommand api").into())
        }
    }
}

fn steps(args: &StepArgs) -> Result<(), Exit> {
    let catalog = &CatalogArgs { files: args.catalog.clone() }.read()?.catalog;
    let kind = match args.kind {
        From::Measured(Kind::Inferencex) => return frontend(catalog, args),
        From::Measured(Kind::Api) => {
            let fault = Fault::at("--kind", "calls of APIs have a subcommand of their own");
            return Err(fault.hint("baseload calibrate api FILE --out PROFILE.toml").into());
        }
        From::Measured(kind) => kind,
        From::Kernels => {
            let other = [
                ("--name", args.name.is_some()),
                ("--model", args.model.is_some()),
                ("--tensor-parallel", args.tensor_parallel.is_some()),
                ("--engine", !args.engine.is_empty()),
                ("--engine-version", args.engine_version.is_some()),
                ("--with", !args.with.is_empty()),
                ("--without", !args.without.is_empty()),
            ];
            if let Some((option, _)) = other.iter().find(|o| o.1) {
                let what = "kernel tables are of a GPU and a number format, not of a model or an engine";
                return Err(Fault::at(*option, what).hint("leave it out").into());
            }
            return calibrate_kernels::run(catalog, &args.files, &args.gpu, args.dtype.as_deref(), &args.out);
        }
    };
    let stem = args.out.file_stem().map(|s| s.to_string_lossy().into_owned()).unwrap_or_default();
    let mut engine = engine_settings::parse(&args.engine)?;
    engine.version = args.engine_version.clone().unwrap_or_default();
    let recipe = Recipe {
        name: args.name.clone().unwrap_or(stem),
        date: Clock::start().today(),
        gpu: args.gpu.clone(),
        model: args.model.clone(),
        dtype: args.dtype.clone(),
        tensor_parallel: args.tensor_parallel,
        engine,
        with: args.with.clone(),
        without: args.without.clone(),
    };
    let Fit { profile, notes } = calibrate::calibrate(catalog, kind, measured::open(&args.files)?, &recipe)?;
    let text = printer::toml_text(&profile)?;
    write_whole(&args.out, &text)?;

    let mut numbers = Sheet::new("", &["coefficient", "value", "each"], 1);
    let (s, f) = (profile.step, profile.frontend.unwrap_or_default());
    for (name, seconds, each) in [
        ("step", s.step_s, "step"),
        ("first-sequences", s.first_sequences_s, "of the first 8 sequences"),
        ("sequence", s.sequence_s, "decoding sequence"),
        ("context", s.context_s_per_1000, "1,000 context tokens"),
        ("prefill", s.prefill_s, "prefill chunk"),
        ("prefill-token", s.prefill_token_s, "prefill token"),
        ("prefill-pair", s.prefill_pair_s_per_million, "million token pairs"),
        ("frontend", f.arrival_s + f.token_s, "request, outside steps"),
        ("frontend-token", f.arrival_s_per_1000_prompt_tokens / 1e3, "prompt token, outside steps"),
    ] {
        numbers.row(vec![name.into(), format!("{} ms", decimals(seconds * 1e3, 4)), each.into()]);
    }
    let mut errors = Sheet::new("", &["held back", "metric", "n", "median", "p90"], 2);
    for h in &profile.held_back {
        errors.row(vec![h.group.clone(), h.metric.clone(), h.n.to_string(), percent(h.median_ape), percent(h.p90_ape)]);
    }
    let mut out = format!("{}: {}\n\n{}\n{}", profile.name, profile.source, numbers.text(), errors.text());
    notes.iter().for_each(|n| out.push_str(&format!("note: {n}\n")));
    out.push_str(&format!("\nProfile: {}\n", args.out.display()));
    printer::out(&out);
    Ok(())
}

/// Rows of closed loops are of many models: what is fitted to them is what lies before the engine.
fn frontend(catalog: &Catalog, args: &StepArgs) -> Result<(), Exit> {
    let fit = calibrate::fit_frontend(catalog, measured::open(&args.files)?, &Clock::start().today())?;
    let mut errors = Sheet::new("", &["held out", "n", "TTFT median", "p90", "bias"], 1);
    for (name, e) in &fit.held_out {
        errors.row(vec![
            name.clone(),
            e.n.to_string(),
            percent(e.median_ape),
            percent(e.p90_ape),
            percent_signed(e.bias),
        ]);
    }
    let (ms, us) = (fit.row.arrival_s * 1e3, fit.row.arrival_s_per_1000_prompt_tokens * 1e3);
    let (ms, us) = (decimals(ms, 2), decimals(us, 2));
    let rows = std::collections::BTreeMap::from([("frontend", vec![fit.row])]);
    let text = printer::toml_text(&rows)?;
    write_whole(&args.out, &text)?;
    printer::out(&format!(
        "before the engine: {ms} ms a request and {us} us a prompt token\n\n{}\nRow of the catalogue: {}\n",
        errors.text(),
        args.out.display()
    ));
    Ok(())
}
