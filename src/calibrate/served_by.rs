//! Which replica served a run of requests: the profile or the machine that files and options name.
use super::fit::lags;
use super::kinds::requests::RequestRun;
use super::measurements::{Kind, Options};
use super::replica::MeasuredReplica;
use super::trial::Lags;
use baseload_core::catalog::{Catalog, FrontendRow, Profile};
use baseload_core::fleet::{ReplicaType, StepTimeSource};
use baseload_core::types::{Fault, TraceFault, wrong};
use std::sync::Arc;

/// The fault of a profile that is of something else than the file `name`, which is of `of`.
pub(super) fn of_something_else(profile: &Profile, name: &str, of: &str) -> TraceFault {
    let fault = wrong!("profile {} is of {}; {name} is of {of}", profile.name, profile.of_what());
    fault.hint("give a profile for that")
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
            return Err(of_something_else(p, &run.name, &format!("{}{gpu}", o.model.as_deref().unwrap_or(&run.model))));
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
