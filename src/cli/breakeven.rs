//! `baseload breakeven`: from which volume on owning pays.
use super::facts::CatalogArgs;
use super::stop::Stop;
use super::{Exit, printer};
use crate::experiment::breakeven::{self, BreakEven, Kind, Options};
use crate::experiment::folder::{BREAK_EVEN, ResultFolder};
use crate::experiment::{Experiment, Settings};
use crate::report;
use baseload_core::types::{Fault, numbers};
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

/// Simulate all-API, all-self-hosted and hybrid at many volumes, and find where the cheaper one changes
#[derive(Debug, clap::Args)]
#[command(after_help = "Lines: all-API keeps no replicas; all-self-hosted buys only what own GPUs may not serve;\na \
hybrid keeps replicas and buys by choice. At each volume an own fleet has the\nfewest replicas that meet the SLO, a \
hybrid the number at which it costs least.\n\nExamples:\n  baseload breakeven experiments/quickstart.toml\n  baseload \
breakeven experiments/quickstart.toml --from 1 --to 100 \\\n    --points 5 --hybrid cost-aware --out results/breakeven")]
pub struct Args {
    /// Experiment file
    experiment: PathBuf,
    /// Policy of the all-API line [default: the first that keeps no replicas]
    #[arg(long, value_name = "POLICY")]
    api: Option<String>,
    /// Policy of the all-self-hosted line [default: the first that buys only what it must]
    #[arg(long, value_name = "POLICY")]
    own: Option<String>,
    /// Policy of the hybrid line [default: the first that buys by choice]
    #[arg(long, value_name = "POLICY")]
    hybrid: Option<String>,
    /// Lowest volume, times the trace's
    #[arg(long, value_name = "TIMES", default_value_t = 0.1)]
    from: f64,
    /// Highest volume, times the trace's
    #[arg(long, value_name = "TIMES", default_value_t = 10.0)]
    to: f64,
    /// Volumes, evenly spaced by factor
    #[arg(long, value_name = "N", default_value_t = 9)]
    points: u32,
    /// Share of requests that must meet the SLO for a fleet to count as large enough
    #[arg(long, value_name = "SHARE", default_value_t = 0.99)]
    target: f64,
    /// How exactly crossings are found, as a share of the volume
    #[arg(long, value_name = "SHARE", default_value_t = 0.02)]
    tolerance: f64,
    /// Form of the output
    #[arg(long, value_enum, default_value = "table")]
    format: Form,
    /// Folder for breakeven.json and breakeven.html; one that holds those of an experiment of this name is replaced, and
    /// files that are not ours stay in it; none is written unless given
    #[arg(long)]
    out: Option<PathBuf>,
    /// Simulations at a time [default: the machine's cores]
    #[arg(long)]
    jobs: Option<usize>,
    /// Set a key of the experiment, typed like TOML; repeatable
    #[arg(long = "set", value_name = "PATH.TO.KEY=VALUE")]
    sets: Vec<String>,
    #[command(flatten)]
    catalog: CatalogArgs,
    /// Print the result only
    #[arg(long)]
    quiet: bool,
}

/// Form of the output.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
enum Form {
    /// For people.
    Table,
    /// For programs.
    Json,
}

/// Most volumes of a grid.
const MOST_POINTS: u32 = 200;
/// Highest volume: that of the transform `volume`.
const MOST_TIMES: f64 = 1_000.0;

/// A number of an option that cannot be.
fn is(option: &str, number: impl std::fmt::Display) -> Fault {
    Fault::at(option, format!("it is {number}"))
}

fn check(args: &Args) -> Result<(), Fault> {
    let above_zero = |key: &str, v: f64| match v.is_finite() && v > 0.0 && v <= MOST_TIMES {
        true => Ok(()),
        false => Err(is(key, v).hint(format!("a volume is above 0 and at most {MOST_TIMES} times the trace's"))),
    };
    above_zero("--from", args.from)?;
    above_zero("--to", args.to)?;
    if args.from >= args.to {
        return Err(is("--from", args.from).hint(format!("it must be below --to, which is {}", args.to)));
    }
    if !(2..=MOST_POINTS).contains(&args.points) {
        let hint = format!("a line needs 2 volumes at least, and {MOST_POINTS} at most");
        return Err(is("--points", args.points).hint(hint));
    }
    if !(args.target > 0.0 && args.target <= 1.0) {
        return Err(is("--target", args.target).hint("a share is above 0 and at most 1, such as 0.99"));
    }
    if !(0.001..1.0).contains(&args.tolerance) {
        return Err(is("--tolerance", args.tolerance).hint("a share from 0.001 to 1, such as 0.02"));
    }
    if args.jobs == Some(0) {
        return Err(super::no_jobs());
    }
    let grid = breakeven::volumes(args.from, args.to, args.points);
    if grid.windows(2).any(|w| w[0] >= w[1]) {
        let what = format!("{} are too many between {} and {}", args.points, args.from, args.to);
        return Err(Fault::at("--points", what).hint("volumes have four digits"));
    }
    Ok(())
}

pub fn run(args: &Args) -> Result<(), Exit> {
    check(args)?;
    let settings = Settings { sets: args.sets.clone(), catalogs: args.catalog.files.clone(), ..Settings::default() };
    let exp = Experiment::load_with(&args.experiment, &settings)?;
    let named = [args.api.as_deref(), args.own.as_deref(), args.hybrid.as_deref()];
    let lines = breakeven::choose(&exp, &named)?.iter().flatten().count() as u64;
    let stop = Stop::on_ctrl_c()?;
    let folder = args.out.as_ref().map(|out| ResultFolder::create(BREAK_EVEN, &exp.name, out)).transpose()?;
    folder.iter().for_each(|folder| stop.removes(folder.scrap()));
    let replaces = folder.as_ref().is_some_and(ResultFolder::replaces);
    let found = simulate(&exp, args, named, lines, stop.flag())?;
    let json = printer::json_text(&found)? + "\n";
    let written = match folder {
        None => None,
        Some(folder) => {
            folder.write(BREAK_EVEN.known_by, &json)?;
            folder.write("breakeven.html", &report::breakeven_page(&found))?;
            Some(folder.finish()?)
        }
    };
    match args.format {
        Form::Json => printer::out(&json),
        Form::Table => {
            printer::out(&report::breakeven_terminal(&found));
            if let (Some(out), false) = (written, args.quiet) {
                let former = if replaces { ", in place of the one that was there" } else { "" };
                printer::out(&format!(
                    "\nResult: {}{former}\nReport: {}",
                    out.join(BREAK_EVEN.known_by).display(),
                    out.join("breakeven.html").display()
                ));
            }
        }
    }
    Ok(())
}

fn simulate(
    exp: &Experiment,
    args: &Args,
    named: [Option<&str>; Kind::ALL.len()],
    lines: u64,
    stop: &AtomicBool,
) -> Result<BreakEven, Exit> {
    let (progress, done, ended) = (AtomicU64::new(0), AtomicU64::new(0), AtomicBool::new(false));
    let volumes = breakeven::volumes(args.from, args.to, args.points);
    let options = Options {
        named,
        volumes: &volumes,
        target: args.target,
        tolerance: args.tolerance,
        jobs: args.jobs.unwrap_or_else(|| std::thread::available_parallelism().map_or(1, usize::from)),
        progress: &progress,
        done: &done,
        stop,
    };
    let bar = bar(args.quiet, lines * volumes.len() as u64);
    let result = std::thread::scope(|scope| {
        let ticker = scope.spawn(|| {
            while !ended.load(Ordering::Relaxed) {
                bar.set_position(done.load(Ordering::Relaxed));
                let requests = numbers::thousands(progress.load(Ordering::Relaxed));
                bar.set_message(format!("{requests} requests"));
                std::thread::park_timeout(Duration::from_millis(50));
            }
        });
        let _end = super::run::AtEnd { done: &ended, ticker: ticker.thread() };
        breakeven::run(exp, &options)
    });
    bar.finish_and_clear();
    Ok(result?)
}

/// Points of the grid; the crossings come when it is full.
fn bar(quiet: bool, total: u64) -> ProgressBar {
    let target = if quiet { ProgressDrawTarget::hidden() } else { ProgressDrawTarget::stderr() };
    let bar = ProgressBar::with_draw_target(Some(total), target);
    if let Ok(style) = ProgressStyle::with_template("{bar:30} {pos}/{len} points, then crossings  {msg}  {elapsed}") {
        bar.set_style(style);
    }
    bar
}
