//! Runs every policy of an experiment in parallel, one simulation a task, and gathers the summary.
mod collect;
pub mod folder;
mod histogram;
pub mod manifest;
mod oracle;
mod timeline;
mod whole_file;

pub use collect::Collector;
pub use oracle::Oracle;
pub use whole_file::{WholeFile, write_whole};

use super::format::FileError;
use super::inputs::{TraceOrigin, play_of};
use super::resolve::Experiment;
use super::verdict::rank::verdict;
use super::verdict::summary::{FORMAT, PolicySummary, SloSummary, Summary};
use baseload_core::engine::EngineMode;
use baseload_core::sim::{SimError, SimStats, simulate};
use baseload_core::types::SimTime;
use baseload_trace::SourceOptions;
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
    /// It ended, its source opened and its summary made.
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
    /// Anything else, in words.
    #[error("{0}")]
    Fault(String),
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

/// The trace of an experiment, found.
///
/// # Errors
/// As [`TraceOrigin::find`], and options that no source can follow, at their place in the file.
pub fn trace_of(exp: &Experiment) -> Result<(TraceOrigin, SourceOptions), FileError> {
    let t = &exp.file.trace;
    let fault = |e: String| exp.file.origin.fault(&e);
    let play = play_of(t).map_err(fault)?;
    let options = SourceOptions {
        seed: exp.file.seed,
        replicate: 0,
        rate_scale: t.rate_scale,
        limit: t.limit,
        default_max_output_tokens: t.default_max_output_tokens,
        spread_buckets: t.spread_buckets,
        sort: t.sort,
        play,
    };
    options.check().map_err(|e| fault(format!("trace.{e}")))?;
    Ok((TraceOrigin::find(t, &exp.folder).map_err(fault)?, options))
}

/// A policy's results, what was counted, and what its source has to say.
type Simulated = (PolicySummary, SimStats, Vec<String>);

/// Replays the trace under every policy.
///
/// # Errors
/// A fault of the trace, of writing records, or an interruption.
pub fn run(exp: &Experiment, options: &RunOptions<'_>) -> Result<(Summary, Perf), RunError> {
    let (origin, source_options) = trace_of(exp).map_err(|e| RunError::Fault(e.into()))?;
    let pool = rayon::ThreadPoolBuilder::new().num_threads(options.jobs).build();
    let pool = pool.map_err(|e| RunError::Fault(format!("--jobs {}: {e}", options.jobs)))?;
    let results: Vec<Result<Simulated, RunError>> = pool.install(|| {
        let each = exp.policies.par_iter().with_max_len(1); // long simulations are stolen one by one
        each.map(|policy| {
            let _watched = Watched::new(options.watch);
            let spec = exp.world(policy, 0, options.mode);
            let mut source = origin.open(&exp.class_names(), &source_options).map_err(RunError::Fault)?;
            let mut collector = Collector::new(policy.endpoints.len())
                .with_oracle(Oracle::new(&spec))
                .with_quality(exp.quality.as_ref());
            #[cfg(feature = "frames")]
            if let Some(folder) = options.records {
                let names = crate::frames::Names {
                    classes: exp.class_names(),
                    pools: policy.pools.iter().map(|(i, _)| exp.pools[*i].name.clone()).collect(),
                    endpoints: policy.endpoints.iter().map(|i| exp.endpoints[*i].name.clone()).collect(),
                };
                let writer = crate::frames::RecordWriter::create(folder, &policy.name, 0, names);
                collector = collector.with_writer(writer.map_err(RunError::Fault)?);
            }
            let stats = simulate(&spec, source.as_mut(), &mut collector, options.progress, options.stop);
            let stats = stats.map_err(|e| match e {
                SimError::Interrupted => RunError::Interrupted,
                other => RunError::Fault(format!("policy {}: {other}", policy.name)),
            })?;
            if stats.requests == 0 {
                let message = "trace: it yields no requests; a comparison needs at least one";
                return Err(RunError::Fault(exp.file.origin.fault(message).into()));
            }
            if let Some(message) = collector.missing_row() {
                return Err(RunError::Fault(exp.file.origin.fault(&message).into()));
            }
            collector.close().map_err(RunError::Fault)?;
            let summary = collector.summary(exp, policy, &stats).map_err(RunError::Fault)?;
            Ok((summary, stats, source.notes()))
        })
        .collect()
    });
    let mut perf = Perf::default();
    let mut policies = Vec::new();
    let mut window = SimTime::ZERO;
    let mut notes = Vec::new();
    for result in results {
        let (policy, stats, said) = result?;
        notes = said;
        perf.requests += stats.requests;
        perf.engine_steps += stats.engine_steps;
        perf.strides += stats.strides;
        perf.batch_changes += stats.batch_changes;
        perf.events += stats.events;
        window = window.max(stats.last_arrival.since(stats.first_arrival));
        policies.push(policy);
    }
    let seconds = |t: Option<SimTime>| t.map(SimTime::as_secs_f64);
    let slo = SloSummary { ttft_s: seconds(exp.slo[0]), tpot_s: seconds(exp.slo[1]), e2e_s: seconds(exp.slo[2]) };
    let mut warnings = exp.warnings.clone();
    warnings.extend(notes.into_iter().map(|n| format!("trace: {n}")));
    for policy in policies.iter().filter(|p| p.overloaded) {
        warnings.push(format!("{} is overloaded: its queue still grew when the trace ended", policy.name));
    }
    let summary = Summary {
        format: FORMAT,
        name: exp.file.name.clone(),
        question: exp.file.question.clone(),
        seed: exp.file.seed,
        requests: policies.first().map_or(0, |p| p.requests),
        window_s: window.as_secs_f64(),
        verdict: verdict(&policies, &slo),
        slo,
        policies,
        warnings,
    };
    Ok((summary, perf))
}
