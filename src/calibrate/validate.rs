//! Scoring: each kind's files are read, the step time is found, the protocol simulated, the errors grouped.
use super::fit::lags;
use super::kinds::requests::RequestRun;
use super::kinds::{
    bench_serve, engine_steps, fleet, inferencex, llmservingsim, ml_energy, routing, static_batch, vllm_requests,
    vllm_stages, warn,
};
use super::refit::{Split, cross_validate};
use super::replica::MeasuredReplica;
use super::score::{Group, Scores};
use super::setup::Setup;
use super::trial::Lags;
use baseload_core::catalog::{Catalog, FrontendRow, MeasuredEngine, Profile};
use baseload_core::fleet::{ReplicaType, StepTimeSource, curves_of};
use baseload_core::types::{Fault, TraceFault, wrong};
use std::io::BufRead;
use std::sync::Arc;

/// What a file of measurements holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// TTFT and TPOT of closed loops, a row a point.
    Inferencex,
    /// A CSV row a request, open loop.
    VllmRequests,
    /// Median inter-token latency at a batch size.
    MlEnergy,
    /// A static batch a row.
    StaticBatch,
    /// A result of `vllm bench serve`.
    VllmBenchServe,
    /// LLMServingSim's recording of a vLLM run.
    LlmServingSim,
    /// Stages of constant rate, a row a stage.
    VllmStages,
    /// A recorded engine, step by step.
    EngineSteps,
    /// A recorded fleet of engines behind a router.
    Fleet,
    /// Routing policies measured on a fleet, a row a policy and rate.
    Routing,
    /// Calls of bought APIs.
    Api,
}

impl Kind {
    /// All of them with their names.
    pub const ALL: [(Kind, &'static str); 11] = [
        (Kind::Inferencex, "inferencex"),
        (Kind::VllmRequests, "vllm-requests"),
        (Kind::MlEnergy, "ml-energy"),
        (Kind::StaticBatch, "static-batch"),
        (Kind::VllmBenchServe, "vllm-bench-serve"),
        (Kind::LlmServingSim, "llmservingsim"),
        (Kind::VllmStages, "vllm-stages"),
        (Kind::EngineSteps, "engine-steps"),
        (Kind::Fleet, "fleet"),
        (Kind::Routing, "routing"),
        (Kind::Api, "api"),
    ];
    /// Its name.
    pub fn name(self) -> &'static str {
        Kind::ALL.iter().find(|(k, _)| *k == self).map_or("", |(_, name)| name)
    }
}

/// A file, opened.
pub struct Input {
    /// Its name, for messages and groups.
    pub name: String,
    /// What it holds, unpacked.
    pub text: Box<dyn BufRead + Send>,
    /// Text of the settings file that lies beside it, where there is one.
    pub beside: Option<String>,
}

/// What is known beside the files.
#[derive(Debug, Clone, Default)]
pub struct Options {
    /// The profile that is asked for.
    pub profile: Option<Profile>,
    /// The analytic step time of this GPU is asked for: an id of the catalogue.
    pub analytic: Option<String>,
    /// Rows or kernel tables that step times are to come from in place of the catalogue's.
    pub source: StepTimeSource,
    /// Fit what engine runs say again, without the rows that are scored.
    pub split: Option<Split>,
    /// Runs of `vllm-requests` that join such a fit.
    pub also: Vec<RequestRun>,
    /// Score rows that the profile was fitted on.
    pub seen: bool,
    /// Send each request where it went in the recording, to tell the router's error from the engines' (fleet).
    pub recorded_choices: bool,
    /// `key.path=value` for the set-up of a fleet (routing).
    pub set: Vec<String>,
    /// Model, where the files do not say it.
    pub model: Option<String>,
    /// GPU, where the files do not say it.
    pub gpu: Option<String>,
    /// Settings of the engine that the files do not say.
    pub engine: MeasuredEngine,
}

/// Scores the files.
///
/// # Errors
/// A file that does not read; no profile or machine for it; a profile for something else; rows that the profile was
/// fitted on.
pub fn validate(catalog: &Catalog, kind: Kind, inputs: Vec<Input>, o: &Options) -> Result<Scores, TraceFault> {
    let mut scores = predicted(catalog, kind, inputs, o)?;
    scores.kind = kind.name();
    if scores.groups.is_empty() && scores.apart.is_empty() {
        return Err(wrong!("nothing could be predicted: {}", scores.notes.join("; ")));
    }
    scores.notes.extend(borrowed(catalog, &o.source));
    Ok(scores)
}

/// What rows do not say, for each number format that they have.
fn borrowed(catalog: &Catalog, source: &StepTimeSource) -> Vec<String> {
    let StepTimeSource::Rows(rows) = source else { return Vec::new() };
    let of = |row: &baseload_core::catalog::StepTimeRow| {
        let gpu = catalog.gpu(&row.gpu).ok()?;
        curves_of(catalog, &rows.0, &rows.1, gpu, baseload_core::memory::WeightsDtype::parse(&row.dtype)?).ok()?.1
    };
    let mut notes: Vec<String> = rows.1.step_time.iter().filter_map(of).collect();
    notes.dedup();
    notes
}

/// Refuses options that are not of the files' kind.
fn of_kind(kind: Kind, o: &Options) -> Result<(), Fault> {
    let name = kind.name();
    if o.split.is_some() && kind != Kind::Inferencex {
        let what = "--folds and --leave-out fit on rows of inferencex; files of";
        return Err(Fault::new(format!("{what} {name} are scored whole")).hint("leave them out"));
    }
    if o.recorded_choices && kind != Kind::Fleet {
        let what = format!("only files of fleet record them, not {name}");
        return Err(Fault::at("--recorded-choices", what).hint("leave it out"));
    }
    Ok(())
}

fn predicted(catalog: &Catalog, kind: Kind, inputs: Vec<Input>, o: &Options) -> Result<Scores, TraceFault> {
    of_kind(kind, o)?;
    Ok(match kind {
        Kind::EngineSteps => engine_step_scores(catalog, inputs, o)?,
        Kind::Fleet => fleet_scores(catalog, inputs, o)?,
        Kind::Routing => routing_scores(catalog, inputs, o)?,
        Kind::Api => return Err(wrong!("calls of APIs have quantiles and no errors").hint("api_scores scores them")),
        Kind::VllmBenchServe => request_scores(catalog, kind, inputs, o, |i| bench_serve::read(i.text, &i.name))?,
        Kind::VllmRequests => {
            request_scores(catalog, kind, inputs, o, |i| vllm_requests::read(i.text, &i.name, i.beside.as_deref()))?
        }
        Kind::LlmServingSim => {
            request_scores(catalog, kind, inputs, o, |i| llmservingsim::read(i.text, &i.name, i.beside.as_deref()))?
        }
        Kind::Inferencex => {
            let points = all(catalog, inputs, o, |i| inferencex::read(i.text, &i.name), |p| (&p.hash, p.gpu()))?;
            match &o.split {
                Some(split) => cross_validate(catalog, &points, &o.also, split)?,
                None => inferencex::score(catalog, &points, &o.source),
            }
        }
        Kind::MlEnergy => ml_energy::score(
            catalog,
            &all(catalog, inputs, o, |i| ml_energy::read(i.text, &i.name), |p| (&p.hash, p.gpu()))?,
            &o.source,
        ),
        Kind::StaticBatch => static_batch::score(
            catalog,
            &all(catalog, inputs, o, |i| static_batch::read(catalog, i.text, &i.name), |p| (&p.hash, p.gpu()))?,
            &o.source,
        ),
        Kind::VllmStages => vllm_stages::score(
            catalog,
            &all(catalog, inputs, o, |i| vllm_stages::read(catalog, i.text, &i.name), |p| (&p.hash, p.gpu()))?,
            &o.source,
        ),
    })
}

/// All rows of all files of a kind that only the analytic step time predicts.
fn all<T>(
    catalog: &Catalog,
    inputs: Vec<Input>,
    o: &Options,
    read: impl Fn(Input) -> Result<Vec<T>, TraceFault>,
    facts: impl Fn(&T) -> (&String, &str),
) -> Result<Vec<T>, TraceFault> {
    let mut rows = Vec::new();
    for input in inputs {
        let name = input.name.clone();
        let read = read(input)?;
        let own = |r: &&T| o.analytic.as_ref().is_some_and(|a| catalog.gpu_in(facts(r).1).is_none_or(|g| g.id != *a));
        if let (Some(gpu), Some(other)) = (&o.analytic, read.iter().find(own)) {
            let fault = wrong!("profile {gpu} is of that GPU; {name} has rows of {}", facts(other).1);
            return Err(fault.hint("leave --profile out"));
        }
        rows.extend(read);
    }
    if let Some(p) = &o.profile {
        for row in &rows {
            unseen(p, facts(row).0, "a row", o.seen)?;
        }
        let what = "files of this kind hold many models, which only the analytic step time predicts";
        return Err(wrong!("profile {} is of {}; {what}", p.name, p.of_what()).hint("leave --profile out"));
    }
    Ok(rows)
}

/// Refuses what the profile was fitted on.
fn unseen(profile: &Profile, hash: &str, what: &str, seen: bool) -> Result<(), TraceFault> {
    if seen || !profile.data.rows.iter().any(|r| r == hash) {
        return Ok(());
    }
    let fault = wrong!("profile {} was fitted on {what}: its score there says nothing", profile.name);
    Err(fault.hint("give other data, or --seen to score it all the same"))
}

fn refuse(profile: &Profile, name: &str, of: &str) -> TraceFault {
    let fault = wrong!("profile {} is of {}; {name} is of {of}", profile.name, profile.of_what());
    fault.hint("give a profile for that")
}

/// Refuses rows and kernel tables for recordings of engines, whose model no kernel tables are of.
fn no_other_source(inputs: &[Input], o: &Options) -> Result<(), TraceFault> {
    match (o.source.what(), inputs.first()) {
        (Some(what), Some(input)) => {
            let name = &input.name;
            let fault = wrong!("{what} price kernels of a GPU of the catalogue; {name} is of a model that has none");
            Err(fault.hint("give a profile of `baseload calibrate --kind engine-steps`"))
        }
        _ => Ok(()),
    }
}

/// The profile of a recorded engine's model and type.
fn recorded_by<'a>(name: &str, model: &str, dtype: &str, o: &'a Options) -> Result<&'a Profile, TraceFault> {
    let fits = |p: &Profile| p.model == model && p.dtype == dtype;
    let of = format!("{model} in {dtype}");
    match &o.profile {
        Some(p) if fits(p) => Ok(p),
        Some(p) => Err(refuse(p, name, &of)),
        None if o.analytic.is_some() => {
            let gpu = o.analytic.as_deref().unwrap_or_default();
            Err(wrong!("profile {gpu} is of that GPU; {name} is of {of}").hint("leave --profile out"))
        }
        None => Profile::embedded().iter().find(|p| fits(p)).ok_or_else(|| {
            let hint = "make one with `baseload calibrate`, and give it with --profile";
            TraceFault::of(name, format!("no profile is of {of}")).hint(hint)
        }),
    }
}

fn engine_step_scores(catalog: &Catalog, inputs: Vec<Input>, o: &Options) -> Result<Scores, TraceFault> {
    no_other_source(&inputs, o)?;
    let mut scores = Scores::default();
    for input in inputs {
        let run = engine_steps::read(input.text, &input.name)?;
        let profile = recorded_by(&input.name, &run.model, &run.dtype, o)?;
        unseen(profile, &run.hash, &input.name, o.seen)?;
        let (group, speed) = engine_steps::score(catalog, &run, &profile.step)?;
        scores.notes.push(format!("{}: profile {}, speed factor {speed:.3}", run.name, profile.name));
        scores.groups.push(group);
    }
    Ok(scores)
}

fn fleet_scores(catalog: &Catalog, inputs: Vec<Input>, o: &Options) -> Result<Scores, TraceFault> {
    no_other_source(&inputs, o)?;
    let mut scores = Scores { figures: true, ..Scores::default() };
    let mut runs = Vec::new();
    for input in inputs {
        let run = fleet::read(input.text, &input.name)?;
        let profile = recorded_by(&input.name, &run.model, &run.dtype, o)?;
        unseen(profile, &run.hash, &input.name, o.seen)?;
        let (group, speeds) = fleet::score(catalog, &run, &profile.step, o.recorded_choices)?;
        let speeds: Vec<String> = speeds.iter().map(|s| format!("{s:.3}")).collect();
        scores.notes.push(format!("{}: profile {}, speed factors {}", run.name, profile.name, speeds.join(" ")));
        scores.groups.push(group);
        runs.push(run);
    }
    let order = fleet::order(&runs, &scores.groups);
    if o.recorded_choices {
        scores.notes.push("the router's choices are the recording's".into());
    }
    scores.order = Some(order);
    Ok(scores)
}

fn routing_scores(catalog: &Catalog, inputs: Vec<Input>, o: &Options) -> Result<Scores, TraceFault> {
    if let Some(p) = &o.profile {
        let what = "a set-up says its model and GPU, whose analytic step time predicts";
        return Err(wrong!("profile {} is of {}; {what}", p.name, p.of_what()).hint("leave --profile out"));
    }
    let mut set = o.set.clone();
    set.extend(o.model.iter().map(|m| format!("fleet.model={m}")));
    set.extend(o.gpu.iter().chain(&o.analytic).map(|g| format!("fleet.gpu={g}")));
    let mut scores = Scores { figures: true, ..Scores::default() };
    for input in inputs {
        let measured = routing::read(input.text, &input.name)?;
        let setup = match &input.beside {
            Some(text) => Setup::parse(text, "the set-up", &set)?,
            None => Setup::published(&measured.setup, &input.name, &set)?,
        };
        routing::score(catalog, &measured, &setup, &o.engine, &o.source, &mut scores)?;
    }
    Ok(scores)
}

/// The replica that served a run of requests, what lay before it, and by what it is predicted.
pub(super) fn served_by(
    catalog: &Catalog,
    kind: Kind,
    run: &RequestRun,
    o: &Options,
) -> Result<(Arc<ReplicaType>, Lags, String), TraceFault> {
    let settings = run.engine.overlaid(&o.engine);
    let named = |p: &Profile| {
        let same =
            |a: &str, b: &str| a == b || matches!((catalog.model(a), catalog.model(b)), (Ok(x), Ok(y)) if x.id == y.id);
        let model = o.model.as_deref().unwrap_or(&run.model);
        let machine = o.gpu.as_deref().map(|g| catalog.gpu_in(g).map_or(g, |x| x.id.as_str()));
        (model.is_empty() || same(&p.model, model)) && machine.is_none_or(|g| g == p.gpu)
    };
    let profile = match &o.profile {
        Some(p) if named(p) => Some(p),
        Some(p) => {
            let gpu = o.gpu.as_deref().map(|g| format!(" on {g}")).unwrap_or_default();
            return Err(refuse(p, &run.name, &format!("{}{gpu}", o.model.as_deref().unwrap_or(&run.model))));
        }
        // A profile is found without being asked for only where the file itself names its model and no GPU of the
        // catalogue: measurements on those are the analytic step time's.
        None if o.analytic.is_none()
            && o.source.what().is_none()
            && !run.model.is_empty()
            && catalog.model(&run.model).is_err() =>
        {
            Profile::embedded().iter().find(|p| named(p))
        }
        None => None,
    };
    let of_run = |fault: Fault| TraceFault::from(fault).in_file(&run.name);
    let wrong = |what: &str, hint: &str| TraceFault::of(&run.name, what).hint(hint);
    if let Some(p) = profile {
        let measured = MeasuredReplica::profiled(p, p.engine.overlaid(&settings));
        let replica = measured.resolve(catalog, StepTimeSource::Profile(Arc::new(p.clone()))).map_err(of_run)?;
        return Ok((replica, lags(&p.frontend.unwrap_or_default()), format!("profile {}", p.name)));
    }
    let name = o.model.as_deref().unwrap_or(&run.model);
    if name.is_empty() {
        return Err(wrong("the file does not say its model", "give --model, or --profile"));
    }
    let model = catalog
        .model(name)
        .map_err(|e| wrong(&format!("{e}; no profile is of it either"), "give --model, or --profile"))?;
    let said = o.analytic.as_deref().or(o.gpu.as_deref()).unwrap_or(&run.name);
    let gpu = catalog
        .gpu_in(said)
        .ok_or_else(|| wrong("neither the file nor its name says a GPU of the catalogue", "give --gpu"))?;
    let tp = run.tensor_parallel.unwrap_or(1);
    let measured = MeasuredReplica { tensor_parallel: tp, ..MeasuredReplica::of(&model.id, &gpu.id, settings) };
    let replica = measured.resolve(catalog, o.source.clone()).map_err(of_run)?;
    let frontend = catalog.frontend(kind.name()).map(FrontendRow::frontend).unwrap_or_default();
    let ms = (frontend.arrival_s + frontend.token_s) * 1e3;
    let by = o.source.what().unwrap_or_else(|| "analytic".to_owned());
    let by = format!("{by}, {} on {tp} x {}, {ms:.1} ms before the engine", model.id, gpu.id);
    Ok((replica, lags(&frontend), by))
}

fn request_scores(
    catalog: &Catalog,
    kind: Kind,
    inputs: Vec<Input>,
    o: &Options,
    read: impl Fn(Input) -> Result<RequestRun, TraceFault>,
) -> Result<Scores, TraceFault> {
    let runs = inputs.into_iter().map(read).collect::<Result<Vec<_>, _>>()?;
    let mut scores = Scores { kind: kind.name(), ..Scores::default() };
    for run in &runs {
        if let Some(p) = &o.profile {
            unseen(p, &run.hash, &run.name, o.seen)?;
        }
        let (replica, lags, by) = served_by(catalog, kind, run, o)?;
        scores.groups.push(run.score(&replica, lags)?);
        scores.notes.push(format!("{}: {by}", run.name));
        warn(&mut scores.notes, &replica);
    }
    let figures: Vec<Group> = runs.iter().map(|r| r.compare(&r.measured, 0)).collect();
    for (i, run) in runs.iter().enumerate() {
        let apart = |j: &usize| libm::log(runs[*j].load() / run.load()).abs();
        let others = (0..runs.len())
            .filter(|&j| j != i && std::mem::discriminant(&runs[j].sending) == std::mem::discriminant(&run.sending));
        if let Some(near) = others.min_by(|a, b| apart(a).total_cmp(&apart(b))) {
            let mut group = Group { name: run.name.clone(), n: run.measured.len() as u64, ..Group::default() };
            for (own, there) in figures[i].pairs.iter().zip(&figures[near].pairs) {
                group.add(own.metric, there.measured, own.measured);
            }
            scores.trivial.push(group);
        }
    }
    Ok(scores)
}
