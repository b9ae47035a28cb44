//! From files of measurements to a profile: fit on all of them, error on parts held back.
//!
//! A part that is held back is a whole run where there are several; of a single one its last fifth. Two runs of requests
//! seldom tell all coefficients alone, so of these the last fifth of each is held back.
use super::COLUMNS;
use super::fit::{FROM_REQUESTS, FROM_STEPS, Observed, Wanted, from_requests, from_steps};
use super::hash;
use super::kinds::engine_steps::{self, EngineRun};
use super::kinds::requests::RequestRun;
use super::kinds::{bench_serve, llmservingsim, vllm_requests};
use super::machine;
use super::measurements::{Input, Kind};
use super::replica::MeasuredReplica;
use super::score::{Group, errors};
use super::trial::play;
use baseload_core::catalog::{Catalog, Frontend, HeldBack, MeasuredEngine, Profile, ProfileData, StepCoefficients};
use baseload_core::fleet::{ReplicaType, StepTimeSource};
use baseload_core::latency::Fitted;
use baseload_core::types::{Fault, TraceFault, wrong};
use std::sync::Arc;

/// Name of a profile, and what of it the files do not say.
#[derive(Debug, Clone, Default)]
pub struct Recipe {
    /// Name of the profile.
    pub name: String,
    /// Date of the fit.
    pub date: String,
    /// The machine.
    pub gpu: String,
    /// Model, where the files do not say it.
    pub model: Option<String>,
    /// Type of weights, where the files do not say it.
    pub dtype: Option<String>,
    /// GPUs that share each layer.
    pub tensor_parallel: Option<u32>,
    /// Settings of the engine that the files do not say.
    pub engine: MeasuredEngine,
    /// Coefficients to fit beyond the usual ones.
    pub with: Vec<String>,
    /// Coefficients to leave at zero.
    pub without: Vec<String>,
}

/// A fitted profile, and how well it fits.
#[derive(Debug, Clone)]
pub struct Fit {
    /// The profile.
    pub profile: Profile,
    /// What people should know.
    pub notes: Vec<String>,
}

fn wanted(base: Wanted, r: &Recipe) -> Result<Wanted, Fault> {
    let mut wanted = base;
    for (names, value) in [(&r.with, true), (&r.without, false)] {
        for name in names {
            let at = COLUMNS.iter().position(|c| c == name).ok_or_else(|| {
                baseload_core::catalog::unknown("coefficient", name, COLUMNS.into_iter(), "baseload calibrate --help")
            })?;
            wanted[at] = value;
        }
    }
    Ok(wanted)
}

/// Fits a profile.
///
/// # Errors
/// A file that does not read; files that do not belong together; data that cannot tell a coefficient.
pub fn calibrate(catalog: &Catalog, kind: Kind, inputs: Vec<Input>, recipe: &Recipe) -> Result<Fit, TraceFault> {
    let names: Vec<String> = inputs.iter().map(|i| i.name.clone()).collect();
    match kind {
        Kind::EngineSteps => {
            let runs =
                inputs.into_iter().map(|i| engine_steps::read(i.text, &i.name)).collect::<Result<Vec<_>, _>>()?;
            steps_profile(catalog, &runs, names, recipe)
        }
        Kind::VllmBenchServe | Kind::VllmRequests | Kind::LlmServingSim => {
            let read = |i: Input| match kind {
                Kind::VllmBenchServe => bench_serve::read(i.text, &i.name),
                Kind::VllmRequests => vllm_requests::read(i.text, &i.name, i.beside.as_deref()),
                _ => llmservingsim::read(i.text, &i.name, i.beside.as_deref()),
            };
            let runs = inputs.into_iter().map(read).collect::<Result<Vec<_>, _>>()?;
            requests_profile(catalog, kind, &runs, names, recipe)
        }
        // Kernel tables (layout of data/kernels) become numbers of the catalogue in `latency`, not coefficients of a
        // fitted step; where they are to be fitted from here too, their arm stands beside these.
        _ => {
            let fault = wrong!("{} has one figure a row, from many models", kind.name());
            Err(fault.hint("a profile is fitted from engine-steps, vllm-bench-serve, vllm-requests or llmservingsim"))
        }
    }
}

/// The value that all of `all` have in common.
fn same<'a, T>(all: &'a [T], what: &str, get: impl Fn(&'a T) -> &'a str) -> Result<&'a str, TraceFault> {
    let first = all.first().map(&get).unwrap_or_default();
    match all.iter().map(get).find(|v| *v != first) {
        Some(other) => Err(wrong!("the files are of several {what}s, {first} and {other}").hint("a profile is of one")),
        None => Ok(first),
    }
}

fn data(kind: Kind, files: Vec<String>, rows: Vec<String>) -> Result<ProfileData, TraceFault> {
    for (i, row) in rows.iter().enumerate() {
        if let Some(j) = rows[..i].iter().position(|r| r == row) {
            let fault = wrong!("{} and {} hold the same data", files[j], files[i]);
            return Err(fault.hint("give each file once"));
        }
    }
    Ok(ProfileData { kind: kind.name().to_owned(), hash: hash::of_all(&rows), files, rows })
}

fn held_back(part: &str, group: &Group) -> Vec<HeldBack> {
    let round = |v: f64| (v * 1e4).round() / 1e4;
    let row = |(metric, e): (&'static str, super::Errors)| HeldBack {
        group: part.to_owned(),
        metric: metric.to_owned(),
        n: e.n,
        median_ape: round(e.median_ape),
        p90_ape: round(e.p90_ape),
    };
    errors(group.pairs.iter()).into_iter().map(row).collect()
}

fn steps_profile(catalog: &Catalog, runs: &[EngineRun], files: Vec<String>, r: &Recipe) -> Result<Fit, TraceFault> {
    let wanted = wanted(FROM_STEPS, r)?;
    let model = same(runs, "model", |x| x.model.as_str())?;
    let dtype = same(runs, "type", |x| x.dtype.as_str())?;
    let version = same(runs, "engine version", |x| x.version.as_str())?;
    let data = data(Kind::EngineSteps, files, runs.iter().map(|x| x.hash.clone()).collect())?;
    let refs: Vec<&EngineRun> = runs.iter().collect();
    let step = from_steps(&refs, &wanted)?;
    let (mut errors, mut notes) = (Vec::new(), Vec::new());
    if let [only] = runs {
        let cut = only.steps.len() - only.steps.len() / 5;
        let mut first = only.clone();
        first.steps.truncate(cut);
        let part = from_steps(&[&first], &wanted)?;
        let speed = engine_steps::speed(&only.steps, &part);
        let mut group = Group::default();
        for (f, s) in &only.steps[cut..] {
            group.add("step_s", Fitted::new(&part, speed).price(f).as_secs_f64(), *s);
        }
        errors.extend(held_back(&format!("last fifth of {}", only.name), &group));
    } else {
        for (i, run) in runs.iter().enumerate() {
            let others: Vec<&EngineRun> = refs.iter().enumerate().filter(|(j, _)| *j != i).map(|(_, x)| *x).collect();
            match from_steps(&others, &wanted) {
                Ok(part) => errors.extend(held_back(&run.name, &engine_steps::score(catalog, run, &part)?.0)),
                Err(why) => notes.push(format!("{} could not be held back: {why}", run.name)),
            }
        }
    }
    let mut engine = runs[0].engine.clone();
    for run in &runs[1..] {
        let e = &run.engine;
        engine.num_gpu_blocks = engine.num_gpu_blocks.filter(|v| Some(*v) == e.num_gpu_blocks);
        engine.max_model_len = engine.max_model_len.filter(|v| Some(*v) == e.max_model_len);
        engine.settings.retain(|key, value| e.settings.get(key) == Some(value));
    }
    engine.version = version.to_owned();
    let source = format!("non-negative least squares on {} steps of {} runs", steps(runs), runs.len());
    let profile = profile(catalog, r, source, model, dtype, engine, step, None, data, errors);
    Ok(Fit { profile, notes })
}

fn steps(runs: &[EngineRun]) -> usize {
    runs.iter().map(|x| x.steps.len()).sum()
}

fn requests_profile(
    catalog: &Catalog,
    kind: Kind,
    runs: &[RequestRun],
    files: Vec<String>,
    r: &Recipe,
) -> Result<Fit, TraceFault> {
    let wanted = wanted(FROM_REQUESTS, r)?;
    let model = match &r.model {
        Some(name) => name.as_str(),
        None => same(runs, "model", |x| x.model.as_str())?,
    };
    if model.is_empty() {
        return Err(wrong!("the files do not say their model").hint("give --model"));
    }
    let data = data(kind, files, runs.iter().map(|x| x.hash.clone()).collect())?;
    let settings = |run: &RequestRun| run.engine.overlaid(&r.engine);
    let seen = |run| -> Result<Observed<'_>, Fault> {
        let replica = replica(catalog, r, model, settings(run))?;
        Ok(Observed { run, replica, first: run.requests.len() })
    };
    let whole = runs.iter().map(seen).collect::<Result<Vec<_>, _>>()?;
    let fit = from_requests(&whole, &wanted)?;
    let (mut errors, mut notes) = (Vec::new(), Vec::new());
    let predict = |o: &Observed<'_>, part: &super::fit::FromRequests| {
        let replica = ReplicaType::clone(&o.replica).with_step_time(Arc::new(Fitted::new(&part.step, 1.0)));
        play(&o.run.trial(part.lags()), &Arc::new(replica))
            .map(|p| p.timings.iter().map(|t| (t.ttft_s(), t.e2e_s())).collect::<Vec<_>>())
    };
    if whole.len() < 3 {
        let cut = |o: &Observed<'_>| o.first - o.first / 5;
        let firsts: Vec<Observed<'_>> = whole.iter().map(|o| Observed { first: cut(o), ..o.clone() }).collect();
        let part = from_requests(&firsts, &wanted)?;
        for o in &whole {
            let group = o.run.compare(&predict(o, &part)?, cut(o));
            errors.extend(held_back(&format!("last fifth of {}", o.run.name), &group));
        }
    } else {
        for (i, o) in whole.iter().enumerate() {
            let others: Vec<Observed<'_>> =
                whole.iter().enumerate().filter(|(j, _)| *j != i).map(|(_, x)| x.clone()).collect();
            match from_requests(&others, &wanted) {
                Ok(part) => errors.extend(held_back(&o.run.name, &o.run.compare(&predict(o, &part)?, 0))),
                Err(why) => notes.push(format!("{} could not be held back: {why}", o.run.name)),
            }
        }
    }
    notes.push(
        "timings at a client show the two legs of the frontend only as a sum: it stands as frontend.arrival_s"
            .to_owned(),
    );
    let n: usize = runs.iter().map(|x| x.requests.len()).sum();
    let source = format!("non-negative least squares through the simulator on {n} requests of {} runs", runs.len());
    let dtype = r.dtype.clone().unwrap_or_else(|| "bfloat16".into());
    let (engine, frontend) = (settings(&runs[0]), Some(fit.frontend));
    Ok(Fit { profile: profile(catalog, r, source, model, &dtype, engine, fit.step, frontend, data, errors), notes })
}

/// The GPU as the catalogue names it, or as the recipe does.
fn gpu_of(catalog: &Catalog, r: &Recipe) -> String {
    catalog.gpu(&r.gpu).map_or_else(|_| r.gpu.clone(), |g| g.id.clone())
}

/// The model as the catalogue names it, or as the files do.
fn model_of(catalog: &Catalog, model: &str) -> String {
    catalog.model(model).map_or_else(|_| model.to_owned(), |m| m.id.clone())
}

/// The replica that requests were sent to; its step time is what is fitted.
fn replica(catalog: &Catalog, r: &Recipe, model: &str, engine: MeasuredEngine) -> Result<Arc<ReplicaType>, Fault> {
    let replica = MeasuredReplica {
        tensor_parallel: r.tensor_parallel.unwrap_or(1),
        weights: r.dtype.as_deref().and_then(machine::weights_dtype),
        ..MeasuredReplica::of(model_of(catalog, model), gpu_of(catalog, r), engine)
    };
    replica.resolve(catalog, StepTimeSource::Coefficients(StepCoefficients::default(), 1.0))
}

#[expect(clippy::too_many_arguments, reason = "the parts of a profile, each named where it is made")]
fn profile(
    catalog: &Catalog,
    r: &Recipe,
    source: String,
    model: &str,
    dtype: &str,
    engine: MeasuredEngine,
    step: StepCoefficients,
    frontend: Option<Frontend>,
    data: ProfileData,
    held_back: Vec<HeldBack>,
) -> Profile {
    Profile {
        version: 1,
        name: r.name.clone(),
        date: r.date.clone(),
        source,
        gpu: gpu_of(catalog, r),
        model: model_of(catalog, model),
        dtype: r.dtype.clone().unwrap_or_else(|| dtype.to_owned()),
        tensor_parallel: r.tensor_parallel.unwrap_or(1),
        engine,
        step,
        frontend,
        data,
        held_back,
    }
}
