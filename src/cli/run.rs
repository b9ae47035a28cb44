//! `baseload run`: the main job.
use super::artefacts::Clock;
use super::facts::CatalogArgs;
use super::perf::{Meter, PerfFile};
use super::stop::Stop;
use super::{Exit, Format, artefacts, dry_run, gate, list, printer};
use crate::experiment::folder::{RUN, ResultFolder};
use crate::experiment::manifest::Manifest;
use crate::experiment::summary::Summary;
use crate::experiment::{self, Experiment, RunOptions, Settings, Traffic};
use crate::report;
use baseload_core::catalog;
use baseload_core::engine::EngineMode;
use baseload_core::types::Fault;
use baseload_core::types::numbers::thousands;
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressState, ProgressStyle};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

/// Replay a trace under every policy of an experiment and compare them
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Examples:\n  baseload run experiments/quickstart.toml\n  baseload run experiments/quickstart.toml \
\\\n    --set pool.chat.replicas=4 --format markdown\n  baseload run                 # lists the experiments it finds"
)]
pub struct Args {
    /// Experiment file; without one, the experiments found are listed with their questions
    experiment: Option<PathBuf>,
    /// Form of the output
    #[arg(long, value_enum, default_value = "table")]
    format: Format,
    /// Result folder; one that holds a result of an experiment of this name is replaced, and files that are not ours
    /// stay in it [default: results/NAME, with what --set, --seed and --catalog change behind the name]
    #[arg(long)]
    out: Option<PathBuf>,
    /// Seed, instead of the experiment's
    #[arg(long)]
    seed: Option<u64>,
    /// Simulations at a time [default: the machine's cores]
    #[arg(long)]
    jobs: Option<usize>,
    /// Set a key of the experiment, typed like TOML; repeatable
    #[arg(long = "set", value_name = "PATH.TO.KEY=VALUE")]
    sets: Vec<String>,
    /// Write no request, attempt and series files
    #[arg(long)]
    no_records: bool,
    /// Take every engine step by itself; same result, slower (a check of the simulator)
    #[arg(long, help_heading = "Checks of the simulator")]
    no_strides: bool,
    /// How KV blocks are kept; same result (a check of the simulator)
    #[arg(long, value_enum, default_value = "fast", help_heading = "Checks of the simulator")]
    kv_pool: KvPoolKind,
    /// Also print what users saw over time: share within the SLO, worst stretch, money to endpoints; always printed
    /// where there are [outages]
    #[arg(long)]
    timeline: bool,
    #[command(flatten)]
    catalog: CatalogArgs,
    /// Older name of --catalog
    #[arg(long, value_name = "FILE", hide_short_help = true)]
    prices: Option<PathBuf>,
    /// Print the result only
    #[arg(long)]
    quiet: bool,
    /// Print the resolved experiment and each pool's memory account, and stop
    #[arg(long)]
    dry_run: bool,
    /// Compare with this summary.json by the experiment's [gate]; exit 1 when something got worse
    #[arg(long, value_name = "FILE")]
    baseline: Option<PathBuf>,
}

/// How KV blocks are kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
enum KvPoolKind {
    /// Runs of blocks that live and die together.
    Fast,
    /// Every block by itself, as vLLM keeps them.
    Reference,
}

/// Facts older than this are said to be old.
const OLD_DAYS: i64 = 90;

pub fn run(args: &Args) -> Result<(), Exit> {
    let Some(path) = &args.experiment else { return list::run() };
    if args.jobs == Some(0) {
        return Err(super::no_jobs().into());
    }
    let mut sets = args.sets.clone();
    if let Some(seed) = args.seed {
        // TOML's integers end there, and the manifest must be able to repeat it.
        let too_large =
            |_| Fault::at("--seed", format!("it is {seed}")).hint(format!("a seed is at most {}", i64::MAX));
        let seed = i64::try_from(seed).map_err(too_large)?;
        sets.push(format!("seed={seed}"));
    }
    let own: Vec<PathBuf> = args.catalog.files.iter().chain(&args.prices).cloned().collect();
    let settings = Settings { sets, catalogs: own.clone(), ..Settings::default() };
    let exp = Experiment::load_with(path, &settings)?;
    if args.dry_run {
        return dry_run::run(&exp, args.format);
    }
    let baseline = args.baseline.as_ref().map(|p| gate::read(p)).transpose()?;
    let stop = Stop::on_ctrl_c()?;
    let clock = Clock::start();
    let jobs = args.jobs.unwrap_or_else(|| std::thread::available_parallelism().map_or(1, usize::from));
    let traffic = Traffic::of(&exp, stop.flag())?;
    let manifest = Manifest::of(&exp)?;
    let target = args.out.clone().unwrap_or_else(|| Path::new("results").join(exp.result_name(&own)));
    let folder = ResultFolder::create(RUN, &exp.name, &target)?;
    stop.removes(folder.scrap());
    if !args.quiet && args.format == Format::Table {
        printer::out(&what_will_happen(&exp, traffic.total(), jobs));
        if folder.replaces() {
            printer::out(&format!("{}: replaces the result of `{}` that is there", target.display(), exp.name));
        }
    }
    let (summary, perf) = simulate(&exp, &traffic, args, jobs, folder.path(), stop.flag())?;
    artefacts::write(&folder, &manifest, &summary, &perf, &clock)?;
    let target = folder.finish()?;
    match args.format {
        Format::Json => printer::json(&summary)?,
        Format::Markdown => printer::out(&report::markdown(&summary)),
        Format::Table => {
            printer::out(&report::terminal(&summary));
            if args.timeline || exp.has_outages() {
                printer::out(&report::timeline(&summary));
            }
            if !args.quiet {
                printer::out(&report::warnings(&summary, old_facts(&exp, &clock.today()).as_slice()));
                printer::out(&what_next(&exp, path, &own, &target));
            }
        }
    }
    if !summary.failed.is_empty() {
        return Err(some_failed(&summary, &target).into());
    }
    match baseline {
        Some(baseline) => gate::compare(&baseline, &summary, &exp.gate),
        None => Ok(()),
    }
}

/// Some policies failed; the others have their result.
fn some_failed(summary: &Summary, target: &Path) -> Fault {
    let said: Vec<String> = summary.failed.iter().map(|(name, why)| format!("policy {name}: {why}")).collect();
    let whole = if summary.policies.len() == 1 { "the other policy is whole" } else { "the other policies are whole" };
    Fault::new(said.join("\n")).hint(format!("{whole} in {}", target.display()))
}

fn what_will_happen(exp: &Experiment, per_policy: Option<u64>, jobs: usize) -> String {
    let plural = |n: usize, one: &str, many: &str| format!("{n} {}", if n == 1 { one } else { many });
    let policies = plural(exp.policies.len(), "policy", "policies");
    let n = per_policy.map_or_else(|| "all".into(), thousands);
    format!("{policies} x {n} requests, {}", plural(jobs, "job", "jobs"))
}

/// Last lines of a run: where the result lies, and a next command, this experiment with half the TTFT objective.
fn what_next(exp: &Experiment, path: &Path, own: &[PathBuf], target: &Path) -> String {
    let half = match exp.slo[0].map(|t| t.0 / 2_000_000) {
        None => "2s".into(),
        Some(ms) if ms % 1000 == 0 => format!("{}s", ms / 1000),
        Some(ms) => format!("{}ms", ms.max(1)),
    };
    let own: String = own.iter().map(|p| format!(" --catalog {}", p.display())).collect();
    format!(
        "\nResults: {}\nReport:  {}\nNext:    baseload run {}{own} --set slo.ttft={half}",
        target.display(),
        target.join("report.html").display(),
        path.display()
    )
}

fn simulate(
    exp: &Experiment,
    traffic: &Traffic,
    args: &Args,
    jobs: usize,
    folder: &Path,
    stop: &AtomicBool,
) -> Result<(Summary, PerfFile), Exit> {
    let progress = AtomicU64::new(0);
    let bar = bar(args.quiet, traffic.total().map(|n| n * exp.policies.len() as u64));
    let meter = Meter::start();
    let options = RunOptions {
        jobs,
        records: (!args.no_records).then_some(folder),
        progress: &progress,
        stop,
        mode: EngineMode { strides: !args.no_strides, reference_pool: args.kv_pool == KvPoolKind::Reference },
        watch: &meter,
    };
    let done = AtomicBool::new(false);
    let result = std::thread::scope(|scope| {
        let ticker = scope.spawn(|| {
            while !done.load(Ordering::Relaxed) {
                bar.set_position(progress.load(Ordering::Relaxed));
                std::thread::park_timeout(Duration::from_millis(50));
            }
        });
        let _end = AtEnd { done: &done, ticker: ticker.thread() };
        let result = experiment::run(exp, traffic, &options);
        meter.stop();
        result
    });
    bar.finish_and_clear();
    let (summary, counts) = result?;
    Ok((summary, meter.finish(counts, jobs)))
}

/// Ends the progress thread when it goes, in a panic too: that thread must not outlive the simulations.
pub(super) struct AtEnd<'a> {
    pub done: &'a AtomicBool,
    pub ticker: &'a std::thread::Thread,
}

impl Drop for AtEnd<'_> {
    fn drop(&mut self) {
        self.done.store(true, Ordering::Relaxed);
        self.ticker.unpark();
    }
}

fn bar(quiet: bool, total: Option<u64>) -> ProgressBar {
    let target = if quiet { ProgressDrawTarget::hidden() } else { ProgressDrawTarget::stderr() };
    let bar = ProgressBar::with_draw_target(total, target);
    let rate = |state: &ProgressState, out: &mut dyn std::fmt::Write| {
        let _ = write!(out, "{}/s", thousands(state.per_sec() as u64));
    };
    if let Ok(style) = ProgressStyle::with_template("{bar:30} {human_pos}/{human_len} requests  {rate}  ETA {eta}") {
        bar.set_style(style.with_key("rate", rate));
    }
    bar
}

/// Names the facts that are more than 90 days old today.
fn old_facts(exp: &Experiment, today: &str) -> Option<String> {
    let mut old: Vec<String> = Vec::new();
    for (what, date) in &exp.dated_facts {
        if let Some(days) = catalog::age_days(date, today).filter(|d| *d > OLD_DAYS) {
            let fact = format!("{what} ({date}, {days} days)");
            if !old.contains(&fact) {
                old.push(fact);
            }
        }
    }
    (!old.is_empty()).then(|| format!("facts more than {OLD_DAYS} days old: {}", old.join(", ")))
}
