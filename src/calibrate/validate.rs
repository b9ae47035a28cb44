//! Scoring: each kind's files are read, the step time is found, the protocol simulated, the errors grouped.
use super::kinds::requests::RequestRun;
use super::kinds::{
    bench_serve, engine_steps, fleet, inferencex, llmservingsim, ml_energy, routing, static_batch, vllm_requests,
    vllm_stages, warn,
};
use super::measurements::{Input, Kind, Options};
use super::refit::cross_validate;
use super::score::{Group, Scores};
use super::served_by::{of_something_else, served_by};
use super::setup::Setup;
use baseload_core::catalog::{Catalog, Profile};
use baseload_core::fleet::{StepTimeSource, curves_of};
use baseload_core::types::{Fault, TraceFault, wrong};

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
        Some(p) => Err(of_something_else(p, name, &of)),
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
