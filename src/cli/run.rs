//! `baseload run`: the main job.
use super::{Exit, Format, gate, printer};
use crate::experiment::folder::ResultFolder;
use crate::experiment::summary::Summary;
use crate::experiment::{self, Experiment, Perf, RunError, RunOptions};
use crate::{catalog, report};
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use serde::Serialize;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

/// Replay a trace under every policy of an experiment and compare them
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Examples:\n  baseload run experiments/quickstart.toml\n  baseload run experiments/quickstart.toml \
--set pool.chat.replicas=4 --format markdown\n  baseload run                 # lists the experiments it finds"
)]
pub struct Args {
    /// Experiment file; without one, the experiments found are listed with their questions
    experiment: Option<PathBuf>,
    /// Form of the output
    #[arg(long, value_enum, default_value = "table")]
    format: Format,
    /// Result folder [default: results/NAME]
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

/// Facts older than this are said to be old.
const OLD_DAYS: i64 = 90;

pub fn run(args: &Args) -> Result<(), Exit> {
    let Some(path) = &args.experiment else { return list() };
    if args.jobs == Some(0) {
        return Err("--jobs 0: at least 1 simulation must run at a time".to_string().into());
    }
    let mut sets = args.sets.clone();
    sets.extend(args.seed.map(|s| format!("seed={s}")));
    let exp = experiment::resolve(experiment::load(path, &sets)?, path)?;
    if args.dry_run {
        return dry_run(&exp, args.format);
    }
    let baseline = args.baseline.as_ref().map(|p| gate::read(p)).transpose()?;
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    let jobs = args.jobs.unwrap_or(cores);
    let per_policy = requests_of(&exp, args.quiet)?;
    if !args.quiet && args.format == Format::Table {
        let n = per_policy.map_or_else(|| "all".into(), thousands);
        let plural = |n: usize, one: &str, many: &str| format!("{n} {}", if n == 1 { one } else { many });
        let policies = plural(exp.policies.len(), "policy", "policies");
        printer::out(&format!("{policies} x {n} requests, {}", plural(jobs, "job", "jobs")));
    }
    let target = args.out.clone().unwrap_or_else(|| Path::new("results").join(&exp.file.name));
    let folder = ResultFolder::create(&target)?;
    let (summary, perf, wall) = simulate(&exp, args, jobs, per_policy, folder.path())?;
    write(&folder, &exp, &summary, &perf, wall, jobs)?;
    let target = folder.finish()?;
    match args.format {
        Format::Json => printer::json(&summary)?,
        Format::Markdown => printer::out(&report::markdown(&summary)),
        Format::Table => {
            printer::out(&report::terminal(&summary));
            if !args.quiet {
                printer::out(&report::warnings(&summary, old_facts(&exp).as_slice()));
                printer::out(&format!(
                    "\nResults: {}  (open {})",
                    target.display(),
                    target.join("report.html").display()
                ));
                printer::out(&format!("Next: baseload run {} --set slo.ttft=1s", path.display()));
            }
        }
    }
    match baseline {
        Some(baseline) => gate::compare(&baseline, &summary, &exp.gate),
        None => Ok(()),
    }
}

fn thousands(n: u64) -> String {
    experiment::summary::thousands(n)
}

/// How many requests a policy will see. Where the source cannot say, it is read once for the people who watch; `quiet`
/// runs do without.
fn requests_of(exp: &Experiment, quiet: bool) -> Result<Option<u64>, String> {
    let (origin, options) = experiment::trace_of(exp)?;
    let mut source = origin.open(&exp.class_names(), &options)?;
    let mut count = source.total();
    if count.is_none() && !quiet {
        let mut n = 0;
        while source.peek()?.is_some() {
            source.next();
            n += 1;
        }
        count = Some(n);
    }
    Ok(count)
}

fn simulate(
    exp: &Experiment,
    args: &Args,
    jobs: usize,
    per_policy: Option<u64>,
    folder: &Path,
) -> Result<(Summary, Perf, Duration), Exit> {
    let stop = Arc::new(AtomicBool::new(false));
    let flag = stop.clone();
    // A second handler cannot be set in one process; the tests of this room never set two.
    ctrlc::set_handler(move || flag.store(true, Ordering::Relaxed)).map_err(|e| format!("Ctrl-C handler: {e}"))?;
    let progress = AtomicU64::new(0);
    let bar = bar(args.quiet, per_policy.map(|n| n * exp.policies.len() as u64));
    let options = RunOptions { jobs, records: (!args.no_records).then_some(folder), progress: &progress, stop: &stop };
    #[expect(clippy::disallowed_methods, reason = "perf.json measures the wall clock; nothing compared depends on it")]
    let started = std::time::Instant::now();
    let done = AtomicBool::new(false);
    let result = std::thread::scope(|scope| {
        scope.spawn(|| {
            while !done.load(Ordering::Relaxed) {
                bar.set_position(progress.load(Ordering::Relaxed));
                std::thread::sleep(Duration::from_millis(50));
            }
        });
        let _done = SetAtEnd(&done);
        experiment::run(exp, &options)
    });
    bar.finish_and_clear();
    let (summary, perf) = result.map_err(|e| match e {
        RunError::Interrupted => Exit::Interrupted,
        RunError::Fault(message) => message.into(),
    })?;
    Ok((summary, perf, started.elapsed()))
}

/// Sets its flag when it goes, in a panic too: the thread that waits for the flag must not outlive the simulations.
struct SetAtEnd<'a>(&'a AtomicBool);

impl Drop for SetAtEnd<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

fn bar(quiet: bool, total: Option<u64>) -> ProgressBar {
    let target = if quiet { ProgressDrawTarget::hidden() } else { ProgressDrawTarget::stderr() };
    let bar = ProgressBar::with_draw_target(total, target);
    let template = "{bar:30} {human_pos}/{human_len} requests  {per_sec}  ETA {eta}";
    if let Ok(style) = ProgressStyle::with_template(template) {
        bar.set_style(style);
    }
    bar
}

#[derive(Serialize)]
struct Manifest<'a> {
    baseload_version: &'a str,
    format: u32,
    seed: u64,
    experiment: &'a experiment::file::ExperimentFile,
}

#[derive(Serialize)]
struct PerfFile {
    #[serde(flatten)]
    perf: Perf,
    jobs: usize,
    wall_s: f64,
    requests_per_wall_s: f64,
}

fn write(
    folder: &ResultFolder,
    exp: &Experiment,
    summary: &Summary,
    perf: &Perf,
    wall: Duration,
    jobs: usize,
) -> Result<(), String> {
    fn text(value: &impl Serialize) -> Result<String, String> {
        serde_json::to_string_pretty(value).map(|t| t + "\n").map_err(|e| e.to_string())
    }
    let manifest = Manifest {
        baseload_version: env!("CARGO_PKG_VERSION"),
        format: summary.format,
        seed: exp.file.seed,
        experiment: &exp.file,
    };
    let wall_s = wall.as_secs_f64();
    let perf =
        PerfFile { perf: perf.clone(), jobs, wall_s, requests_per_wall_s: perf.requests as f64 / wall_s.max(1e-9) };
    let command: Vec<String> = std::env::args().collect();
    folder.write("summary.json", &text(summary)?)?;
    folder.write("manifest.json", &text(&manifest)?)?;
    folder.write("perf.json", &text(&perf)?)?;
    folder.write("run.json", &text(&serde_json::json!({ "command": command }))?)?;
    folder.write("report.html", &report::html(summary))
}

/// Names the facts that are more than 90 days old today.
fn old_facts(exp: &Experiment) -> Option<String> {
    let today = today();
    let mut old: Vec<String> = Vec::new();
    for (what, date) in &exp.dated_facts {
        if let Some(days) = catalog::age_days(date, &today).filter(|d| *d > OLD_DAYS) {
            let fact = format!("{what} ({date}, {days} days)");
            if !old.contains(&fact) {
                old.push(fact);
            }
        }
    }
    (!old.is_empty()).then(|| format!("facts more than {OLD_DAYS} days old: {}", old.join(", ")))
}

fn today() -> String {
    #[expect(clippy::disallowed_methods, reason = "how old a price is depends on today; it is printed, never compared")]
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
    catalog::date_of_days((since.as_secs() / 86_400) as i64)
}

fn dry_run(exp: &Experiment, format: Format) -> Result<(), Exit> {
    let resolved = toml::to_string(&exp.file).map_err(|e| e.to_string())?;
    if format == Format::Json {
        let pools: serde_json::Map<String, serde_json::Value> =
            exp.pools.iter().map(|p| (p.name.clone(), serde_json::json!(p.plan))).collect();
        return Ok(printer::json(&serde_json::json!({ "experiment": exp.file, "memory": pools }))?);
    }
    printer::out(&resolved);
    for pool in &exp.pools {
        let gib = |bytes: u64| bytes as f64 / (1u64 << 30) as f64;
        let p = &pool.plan;
        printer::out(&format!("# pool {}: {}", pool.name, pool.title));
        printer::out(&format!(
            "#   GPU {:.2} GiB, budget {:.2}: weights {:.2}, activations {:.2}, CUDA graphs {:.2}, other {:.2}, KV {:.2}",
            gib(p.per_gpu_total_bytes),
            gib(p.budget_bytes),
            gib(p.weights_bytes),
            gib(p.activations_bytes),
            gib(p.cuda_graphs_bytes),
            gib(p.other_bytes),
            gib(p.kv_pool_bytes)
        ));
        printer::out(&format!(
            "#   {} blocks of {} tokens = {} tokens = {} sequences of 8k",
            thousands(p.num_blocks),
            p.block_size,
            thousands(p.kv_tokens),
            p.sequences_of_8k
        ));
    }
    Ok(())
}

fn list() -> Result<(), Exit> {
    let mut found: Vec<PathBuf> = Vec::new();
    for folder in [".", "experiments"] {
        let Ok(entries) = std::fs::read_dir(folder) else { continue };
        found.extend(entries.flatten().map(|e| e.path()).filter(|p| p.extension().is_some_and(|e| e == "toml")));
    }
    found.sort();
    let mut any = false;
    for path in found {
        if let Ok(file) = experiment::load(&path, &[])
            && !file.policy.is_empty()
        {
            any = true;
            printer::out(&format!("{}\n    {}", path.strip_prefix("./").unwrap_or(&path).display(), file.question));
        }
    }
    if !any {
        return Err("no experiments here (*.toml, experiments/*.toml); give the file".to_string().into());
    }
    Ok(())
}
