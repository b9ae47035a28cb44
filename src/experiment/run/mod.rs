//! Runs every policy of an experiment in parallel, one simulation a task, and gathers the summary.
mod backlog;
mod beside;
mod claim;
mod collect;
pub mod folder;
mod halting;
mod histogram;
pub mod manifest;
mod oracle;
mod own_files;
mod result_name;
mod timeline;
mod traffic;
mod whole_file;
mod window;

pub use beside::Scrap;
pub use claim::Claim;
pub use collect::Collector;
pub use oracle::Oracle;
pub use traffic::Traffic;
pub use whole_file::{WholeFile, write_whole};

use super::format::FileFaults;
use super::resolve::{Experiment, ResolvedPolicy};
use super::verdict::rank::verdict;
use super::verdict::summary::{FORMAT, FallsBehind, PolicySummary, SloSummary, Summary};
use baseload_core::engine::EngineMode;
use baseload_core::sim::{SimError, SimStats, simulate};
use baseload_core::types::{Fault, Faults, SimTime, TraceFault, key, numbers};
use halting::Halting;
use indexmap::IndexMap;
use rayon::prelude::*;
use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicU64};

/// How to run.
pub struct RunOptions<'a> {
    /// Threads.
    pub jobs: usize,
    /// Where records go; none are kept without.
    pub records: Option<&'a Path>,
    /// Arrivals so far, over all simulations.
    pub progress: &'a AtomicU64,
    /// Set to stop.
    pub stop: &'a AtomicBool,
    /// How engines are simulated.
    pub mode: EngineMode,
    /// Told when a simulation begins and ends, on the thread that runs it. `&()` does not care.
    pub watch: &'a dyn Watch,
}

/// Looks on from outside: this room has no clock, whoever measures one has.
pub trait Watch: Sync {
    /// A simulation begins on this thread.
    fn begins(&self) {}
    /// A simulation that began on this thread ended, its source opened and its summary made.
    fn ends(&self) {}
}

impl Watch for () {}

/// Tells of the end when it goes, however the simulation ended.
struct Watched<'a>(&'a dyn Watch);

impl<'a> Watched<'a> {
    fn new(watch: &'a dyn Watch) -> Watched<'a> {
        watch.begins();
        Watched(watch)
    }
}

impl Drop for Watched<'_> {
    fn drop(&mut self) {
        self.0.ends();
    }
}

/// Why a run ended without a summary.
#[derive(Debug, thiserror::Error)]
pub enum RunError {
    /// Ctrl-C.
    #[error("interrupted; nothing was written")]
    Interrupted,
    /// The experiment cannot be run.
    #[error(transparent)]
    Experiment(#[from] FileFaults),
    /// The trace cannot be read, or results not be written.
    #[error(transparent)]
    File(#[from] TraceFault),
    /// A simulation ended early.
    #[error("policy {policy}: {error}")]
    Simulation {
        /// The policy that was simulated.
        policy: String,
        /// Why the simulation ended early.
        error: SimError,
    },
    /// What was asked for cannot be.
    #[error(transparent)]
    Asked(#[from] Fault),
}

/// Counts that are not compared.
#[derive(Debug, Clone, Default, serde::Serialize)]
pub struct Perf {
    /// Requests over all simulations.
    pub requests: u64,
    /// Engine steps.
    pub engine_steps: u64,
    /// Runs of equal engine steps that were taken at once.
    pub strides: u64,
    /// Engine steps that were taken one by one.
    pub batch_changes: u64,
    /// Events.
    pub events: u64,
}

/// A policy's results, what was counted, the arrivals' window, and what its source has to say.
type Simulated = (PolicySummary, SimStats, SimTime, Vec<String>);

/// Replays the trace under every policy. One that fails in its simulation or its figures leaves those of the others as
/// they are: it stands in [`Summary::failed`] and has no records.
///
/// # Errors
/// A fault of the trace, of writing records, an interruption; the first policy's where all fail.
pub fn run(exp: &Experiment, traffic: &Traffic, options: &RunOptions<'_>) -> Result<(Summary, Perf), RunError> {
    let pool = rayon::ThreadPoolBuilder::new().num_threads(options.jobs).build();
    let pool = pool.map_err(|e| Fault::at("--jobs", format!("{}: {e}", options.jobs)))?;
    let results: Vec<Result<Simulated, RunError>> = pool.install(|| {
        let each = exp.policies.par_iter().with_max_len(1); // long simulations are stolen one by one
        each.map(|policy| simulated(exp, policy, traffic, options)).collect()
    });
    let mut perf = Perf::default();
    let (mut policies, mut lost) = (Vec::new(), Vec::new());
    let mut window = SimTime::ZERO;
    let mut notes = Vec::new();
    let results = exp.policies.iter().zip(results).map(|(policy, result)| (policy.name.as_str(), result));
    for (name, result) in results {
        let (policy, stats, arrivals, said) = match result {
            Ok(simulated) => simulated,
            Err(error) => {
                lost.push((name, error));
                continue;
            }
        };
        notes = said;
        perf.requests += stats.requests;
        perf.engine_steps += stats.engine_steps;
        perf.strides += stats.strides;
        perf.batch_changes += stats.batch_changes;
        perf.events += stats.events;
        window = window.max(arrivals);
        policies.push(policy);
    }
    let failed = failed(lost, policies.is_empty())?;
    let seconds = |t: Option<SimTime>| t.map(SimTime::as_secs_f64);
    let slo = SloSummary { ttft_s: seconds(exp.slo[0]), tpot_s: seconds(exp.slo[1]), e2e_s: seconds(exp.slo[2]) };
    let mut warnings = exp.warnings.clone();
    warnings.extend(notes.into_iter().map(|n| format!("trace: {n}")));
    warnings.extend(failed.iter().map(|(name, why)| format!("{name} failed and has no numbers: {why}")));
    warnings.extend(policies.iter().filter_map(|p| scaled_from_answers(p, window)));
    for policy in policies.iter().filter(|p| p.overloaded) {
        let FallsBehind { arrived_per_s, ended_per_s } =
            policy.falls_behind.expect("falls-behind: an overloaded policy says by how much");
        let [arrived, ended] = [arrived_per_s, ended_per_s].map(|n| numbers::decimals(n, 2));
        warnings.push(format!(
            "{} is overloaded: of {arrived} requests/s in the last half of the arrivals it ended {ended}, so that waits grow for \
             as long as they go on",
            policy.name
        ));
    }
    let summary = Summary {
        format: FORMAT,
        name: exp.name.clone(),
        question: exp.question.clone(),
        seed: exp.seed,
        requests: policies.first().map_or(0, |p| p.requests),
        window_s: window.as_secs_f64(),
        verdict: verdict(&policies, &slo),
        slo,
        policies,
        failed,
        warnings,
    };
    Ok((summary, perf))
}

/// Why each of the `lost` policies failed.
///
/// # Errors
/// What fails a whole run: what cannot be written before an interruption, which it may have caused; the first one where
/// `all` policies are lost.
fn failed(lost: Vec<(&str, RunError)>, all: bool) -> Result<IndexMap<String, String>, RunError> {
    let mut failed = IndexMap::new();
    let mut whole = None;
    for (name, error) in lost {
        let said = match &error {
            RunError::Experiment(faults) => {
                // Without their places: a summary does not depend on where its experiment lies.
                faults.all().iter().map(|located| located.fault.to_string()).collect::<Vec<_>>().join("\n")
            }
            RunError::Simulation { error, .. } => error.to_string(),
            RunError::Asked(fault) => fault.to_string(),
            RunError::File(_) => {
                whole = Some(error);
                break;
            }
            RunError::Interrupted => {
                whole = whole.or(Some(error));
                continue;
            }
        };
        failed.insert(name.to_string(), said);
        whole = whole.or(all.then_some(error));
    }
    whole.map_or(Ok(failed), Err)
}

/// What a reader of a bill should know whose month is not that of the arrivals' window.
fn scaled_from_answers(policy: &PolicySummary, window: SimTime) -> Option<String> {
    let other = policy.api_usd_per_month > 0.0 && policy.billed_s != window.as_secs_f64();
    let why = if policy.burst {
        "all requests came before a typical one could be answered"
    } else {
        "requests waited for answers to earlier ones"
    };
    other.then(|| {
        format!(
            "{}: {why}, so a month's API spend is scaled from the {} to the last answer, as if such loads followed each other",
            policy.name,
            numbers::span(policy.billed_s)
        )
    })
}

/// Simulates one policy, and says what came of it. A policy that fails leaves no records.
fn simulated(
    exp: &Experiment,
    policy: &ResolvedPolicy,
    traffic: &Traffic,
    options: &RunOptions<'_>,
) -> Result<Simulated, RunError> {
    let simulated = simulation(exp, policy, traffic, options);
    #[cfg(feature = "frames")]
    if let (Err(_), Some(folder)) = (&simulated, options.records) {
        crate::frames::RecordWriter::forget(folder, &policy.name);
    }
    simulated
}

fn simulation(
    exp: &Experiment,
    policy: &ResolvedPolicy,
    traffic: &Traffic,
    options: &RunOptions<'_>,
) -> Result<Simulated, RunError> {
    let _watched = Watched::new(options.watch);
    let spec = exp.world(policy, 0, options.mode);
    let mut source = traffic.source(exp)?;
    let mut collector = Collector::of(&spec).with_oracle(Oracle::new(&spec)).with_quality(exp.quality.as_ref());
    collector = collector.with_warmup(exp.trace.warmup_requests);
    #[cfg(feature = "frames")]
    if let Some(folder) = options.records {
        let names = crate::frames::Names {
            classes: exp.class_names(),
            pools: policy.pools.iter().map(|(i, _)| exp.pools[*i].name.clone()).collect(),
            endpoints: policy.endpoints.iter().map(|i| exp.endpoints[*i].name.clone()).collect(),
        };
        let writer = crate::frames::RecordWriter::create(folder, &policy.name, 0, names);
        collector = collector.with_writer(writer?);
    }
    let mut sink = Halting { collector: &mut collector, stop: options.stop };
    let stats = simulate(&spec, source.as_mut(), &mut sink, options.progress, options.stop);
    if let Some(fault) = collector.fault.take() {
        return Err(fault.into());
    }
    let stats = stats.map_err(|error| match error {
        SimError::Interrupted => RunError::Interrupted,
        error => RunError::Simulation { policy: policy.name.clone(), error },
    })?;
    if stats.requests == 0 {
        return Err(exp.located(nothing_comes()).into());
    }
    if stats.requests <= exp.trace.warmup_requests {
        let what = format!("it is {}, and the trace has {} requests", exp.trace.warmup_requests, stats.requests);
        return Err(exp
            .located(Fault::at(key!["trace", "warmup_requests"], what).hint("leave some to be counted"))
            .into());
    }
    if let Some(fault) = collector.missing_row() {
        return Err(exp.located(fault).into());
    }
    collector.close()?;
    let arrivals = collector.arrivals(&stats);
    let summary = collector.summary(exp, policy, &stats).map_err(Faults::from);
    Ok((summary.map_err(|faults| exp.located(faults))?, stats, arrivals, source.notes()))
}

/// The fault of a trace without requests.
pub(super) fn nothing_comes() -> Fault {
    Fault::at("trace", "it yields no requests").hint("a comparison needs at least one")
}

impl Experiment {
    /// Runs it on all cores and keeps no records.
    ///
    /// # Errors
    /// As [`run`].
    pub fn run(&self) -> Result<Summary, RunError> {
        let (progress, stop) = (AtomicU64::new(0), AtomicBool::new(false));
        let options = RunOptions {
            jobs: std::thread::available_parallelism().map_or(1, usize::from),
            records: None,
            progress: &progress,
            stop: &stop,
            mode: EngineMode::default(),
            watch: &(),
        };
        let traffic = Traffic::of(self, &stop)?;
        run(self, &traffic, &options).map(|(summary, _)| summary)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn simulation(policy: &str) -> RunError {
        let error = SimError::Livelock { at_s: "1".into(), event: "e".into() };
        RunError::Simulation { policy: policy.into(), error }
    }

    #[test]
    fn a_policy_fails_alone_and_what_cannot_be_written_fails_the_run() {
        let lost = vec![("b", simulation("b")), ("a", RunError::Asked(Fault::at("k", "no")))];
        let told = failed(lost, false).unwrap();
        assert_eq!(told.keys().collect::<Vec<_>>(), ["b", "a"], "in the order of the file");
        assert!(told["b"].starts_with("more than 1,000 events at 1 s"), "{}", told["b"]);
        assert_eq!(told["a"], "k: no");
        let first = failed(vec![("b", simulation("b")), ("a", simulation("a"))], true).unwrap_err();
        assert!(first.to_string().starts_with("policy b: "), "{first}");
        let full = || RunError::File(TraceFault::of("x", "No space left"));
        let disk = failed(vec![("b", RunError::Interrupted), ("a", full())], true).unwrap_err();
        assert!(matches!(disk, RunError::File(_)), "what stopped the others is said: {disk}");
        let stopped = failed(vec![("b", RunError::Interrupted), ("a", simulation("a"))], false).unwrap_err();
        assert!(matches!(stopped, RunError::Interrupted));
    }
}
