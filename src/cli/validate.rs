//! `baseload validate`: predictions against measurements.
use super::facts::CatalogArgs;
use super::{Exit, Format, engine_settings, figures, measured, printer, validate_api};
use crate::calibrate::kinds::requests::RequestRun;
use crate::calibrate::kinds::vllm_requests;
use crate::calibrate::{self, Errors, Kernels, Kind, Metrics, Options, Scores, Split, Targets};
use crate::experiment::{LONGEST_TOML, read_text, write_whole};
use crate::report::Sheet;
use crate::{frames, report};
use baseload_core::catalog::{Catalog, Profile, StepTimeFile};
use baseload_core::fleet::StepTimeSource;
use baseload_core::types::numbers::{percent, percent_signed};
use baseload_core::types::{Fault, TraceFault};
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Predict measurements by simulating how they were taken, and print the errors
///
/// Each kind of file has its protocol: a closed loop, recorded starts, a static batch, a recorded engine. Errors are
/// shares of what was measured: median and 90th percentile of their size, and the mean with its sign (bias), by group
/// and overall, beside a trivial baseline. Exit 1 when --require names a target that is missed.
#[derive(Debug, clap::Args)]
#[command(after_help = "Example:\n  baseload validate --kind engine-steps busy.jsonl.gz --profile cpu.toml\n\n\
docs/validation.md has the figures of this version and the form of each kind of file.")]
pub struct Args {
    /// What the files hold
    #[arg(long, value_enum)]
    kind: Kind,
    /// Files of measurements, each also gzipped; a folder stands for its requests.jsonl
    #[arg(required = true)]
    files: Vec<PathBuf>,
    /// A profile: a file, or a name of the catalogue; a GPU's id stands for its analytic step time. Without it, the
    /// profile that the file's model and type say, else the analytic step time
    #[arg(long)]
    profile: Option<String>,
    /// Kernel tables to interpolate step times in: a folder or Parquet files; repeatable
    #[arg(long, value_name = "PATH", conflicts_with = "profile")]
    kernels: Vec<PathBuf>,
    /// Fit again without each of so many parts of the groups, and score that part (inferencex)
    #[arg(long, value_name = "N", conflicts_with_all = ["profile", "kernels", "leave_out"])]
    folds: Option<u32>,
    /// Fit again without the rows of a model, and score those; `each`: every model in turn (inferencex)
    #[arg(long, value_name = "MODEL", conflicts_with_all = ["profile", "kernels"])]
    leave_out: Option<String>,
    /// A run of vllm-requests that joins what --folds and --leave-out fit; repeatable
    #[arg(long, value_name = "FILE")]
    also: Vec<PathBuf>,
    /// Score data that the profile was fitted on
    #[arg(long)]
    seen: bool,
    /// Send each request where it went in the recording, to tell the router's error from the engines' (fleet)
    #[arg(long)]
    recorded_choices: bool,
    /// The fleet that was measured, and its policies (routing): a file like experiments/published/llmd-37-capacity.toml;
    /// without it, the published one that the measurement names. Given as FILE, it names its measurement itself
    #[arg(long, value_name = "FILE")]
    setup: Option<PathBuf>,
    /// A key of that set-up, such as fleet.pods=8; repeatable
    #[arg(long, value_name = "KEY=VALUE")]
    set: Vec<String>,
    /// Targets that must be met (TOML: [overall.METRIC] median_ape = 0.05)
    #[arg(long, value_name = "FILE")]
    require: Option<PathBuf>,
    /// Write a page with predicted against measured
    #[arg(long, value_name = "FILE")]
    html: Option<PathBuf>,
    /// The model, where the files do not say it
    #[arg(long)]
    model: Option<String>,
    /// The GPU, where the files do not say it
    #[arg(long)]
    gpu: Option<String>,
    #[arg(long, value_name = "KEY=VALUE", help = engine_settings::help("A setting of the engine that the files do not say"))]
    engine: Vec<String>,
    #[command(flatten)]
    catalog: CatalogArgs,
    /// Form of the output
    #[arg(long, value_enum, default_value = "table")]
    format: Format,
}

pub fn run(args: &Args) -> Result<(), Exit> {
    let catalog = &args.catalog.read()?.catalog;
    if args.kind == Kind::Api {
        return validate_api::run(&calls(catalog, args)?);
    }
    let targets = args.require.as_deref().map(targets).transpose()?;
    let analytic = args.profile.clone().filter(|name| catalog.gpu(name).is_ok());
    let (mut named, mut source) = (None, StepTimeSource::Analytic);
    if !args.kernels.is_empty() {
        source = StepTimeSource::Kernels(Arc::new(Kernels::new(frames::read_kernels(&args.kernels)?)));
    } else if let Some(name) = args.profile.as_deref().filter(|_| analytic.is_none()) {
        (named, source) = profile(name)?;
    }
    let leave_out = args.leave_out.as_deref().map(|model| match model {
        "each" => Split::EachModel,
        model => Split::Model(model.to_owned()),
    });
    let options = Options {
        profile: named,
        source,
        also: also(args)?,
        split: args.folds.map(Split::Folds).or(leave_out),
        analytic,
        seen: args.seen,
        recorded_choices: args.recorded_choices,
        set: args.set.clone(),
        model: args.model.clone(),
        gpu: args.gpu.clone(),
        engine: engine_settings::parse(&args.engine)?,
    };
    let scores = calibrate::validate(catalog, args.kind, inputs(args)?, &options)?;
    if let Some(path) = &args.html {
        let page = report::validation_page(&scores);
        write_whole(path, &page)?;
    }
    match args.format {
        Format::Json => printer::json(&scores)?,
        Format::Table => printer::out(&text(&scores, Sheet::text)),
        Format::Markdown => printer::out(&text(&scores, Sheet::markdown)),
    }
    let missed = targets.map(|t| t.missed(&scores)).unwrap_or_default();
    if missed.is_empty() {
        return Ok(());
    }
    missed.iter().for_each(|m| printer::error(&format!("missed: {m}")));
    Err(Exit::Worse)
}

/// What scores calls of APIs takes; options of engines are refused.
fn calls<'a>(catalog: &'a Catalog, args: &'a Args) -> Result<validate_api::Calls<'a>, Fault> {
    for (flag, given) in [
        ("--kernels", !args.kernels.is_empty()),
        ("--folds", args.folds.is_some()),
        ("--leave-out", args.leave_out.is_some()),
        ("--also", !args.also.is_empty()),
        ("--recorded-choices", args.recorded_choices),
        ("--setup", args.setup.is_some()),
        ("--set", !args.set.is_empty()),
        ("--require", args.require.is_some()),
        ("--html", args.html.is_some()),
        ("--gpu", args.gpu.is_some()),
        ("--engine", !args.engine.is_empty()),
    ] {
        if given {
            let fault = Fault::at(flag, "calls of APIs are scored on five folds of their groups");
            return Err(fault.hint("leave it out"));
        }
    }
    Ok(validate_api::Calls {
        catalog,
        files: &args.files,
        profile: args.profile.as_deref(),
        model: args.model.as_deref(),
        seen: args.seen,
        format: args.format,
    })
}

/// The measurements, each of routing with its set-up beside it where one is given.
fn inputs(args: &Args) -> Result<Vec<calibrate::Input>, TraceFault> {
    if args.kind == Kind::Routing {
        return args.files.iter().map(|f| measured::open_routing(f, args.setup.as_deref())).collect();
    }
    for (flag, given) in [("--setup", args.setup.is_some()), ("--set", !args.set.is_empty())] {
        if given {
            return Err(Fault::at(flag, "only --kind routing has a set-up").hint("leave it out").into());
        }
    }
    measured::open(&args.files)
}

/// The runs that join a fit.
fn also(args: &Args) -> Result<Vec<RequestRun>, TraceFault> {
    if !args.also.is_empty() && args.folds.is_none() && args.leave_out.is_none() {
        let fault = Fault::at("--also", "nothing is fitted without --folds or --leave-out");
        return Err(fault.hint("leave it out").into());
    }
    let read = |i: calibrate::Input| vllm_requests::read(i.text, &i.name, i.beside.as_deref());
    measured::open(&args.also)?.into_iter().map(read).collect()
}

/// A profile by file or by name: of one model, or rows of the catalogue's form.
fn profile(name: &str) -> Result<(Option<Profile>, StepTimeSource), TraceFault> {
    let path = Path::new(name);
    if !path.is_file() && !name.ends_with(".toml") {
        return Ok((Some(Profile::named(name)?.clone()), StepTimeSource::Analytic));
    }
    let text = read_text(path, LONGEST_TOML)?;
    if StepTimeFile::is(&text) {
        let rows = StepTimeFile::parse(&text, name)?;
        return Ok((None, StepTimeSource::Rows(Arc::new((name.to_owned(), rows)))));
    }
    Ok((Some(Profile::parse(&text, name)?), StepTimeSource::Analytic))
}

fn targets(path: &Path) -> Result<Targets, TraceFault> {
    let text = read_text(path, LONGEST_TOML)?;
    Targets::parse(&text, &path.display().to_string())
}

fn text(s: &Scores, render: impl Fn(&Sheet) -> String) -> String {
    if s.figures {
        return figures::text(s, render);
    }
    let head = ["group", "metric", "n", "median", "p90", "bias", "baseline"];
    let mut sheet = Sheet::new("", &head, 2);
    for g in &s.groups {
        let trivial = s.trivial.iter().find(|t| t.name == g.name);
        let trivial = trivial.map(|t| calibrate::errors(t.pairs.iter())).unwrap_or_default();
        rows(&mut sheet, &g.name, &calibrate::errors(g.pairs.iter()), &trivial);
    }
    let (_, trivial) = calibrate::whole(&s.trivial);
    rows(&mut sheet, "overall", &s.overall().1, &trivial);
    for (g, why) in &s.apart {
        rows(&mut sheet, &format!("({why}) {}", g.name), &calibrate::errors(g.pairs.iter()), &Metrics::default());
    }
    let mut out = render(&sheet);
    out.push_str("\nSizes and signs of the error over what was measured. baseline: the median of scaling the nearest\nother point by bandwidth; groups in brackets are not judged.\n");
    for note in &s.notes {
        out.push_str(&format!("{note}\n"));
    }
    out
}

fn rows(sheet: &mut Sheet, group: &str, metrics: &Metrics, trivial: &Metrics) {
    for (i, (metric, e)) in metrics.iter().enumerate() {
        let Errors { median_ape, p90_ape, bias, n } = *e;
        sheet.row(vec![
            if i == 0 { group.to_owned() } else { String::new() },
            (*metric).to_owned(),
            n.to_string(),
            percent(median_ape),
            percent(p90_ape),
            percent_signed(bias),
            trivial.get(metric).map_or_else(|| "-".into(), |t| percent(t.median_ape)),
        ]);
    }
}
