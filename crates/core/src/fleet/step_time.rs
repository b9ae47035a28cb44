//! The step time of a replica, made of its source: the catalogue's curves, rows or a profile of somebody's own, kernels.
//!
//! Must keep true: a source speaks only for its own model, GPU and number format; what it cannot speak for is refused by a
//! reason, never taken from the catalogue instead.
use super::catalogued::Catalogued;
use super::{ReplicaSpec, StepTimeSource};
use crate::catalog::{Catalog, Gpu, Profile, StepTimeFile, StepTimeRow};
use crate::latency::{Analytic, AnalyticOptions, Curves, Fitted, LatencyError, Table};
use crate::memory::WeightsDtype;
use crate::types::{Fault, StepTime, TraceFault, wrong};
use std::sync::Arc;

/// The step time of a replica of `spec`, and a note of what it borrows; `on` are its model and GPU, where the catalogue has
/// both.
pub(super) fn resolve(
    spec: &ReplicaSpec,
    catalog: &Catalog,
    on: Option<Catalogued<'_>>,
    mut options: AnalyticOptions,
) -> Result<(Arc<dyn StepTime>, Option<String>), Fault> {
    let analytic = |options: &AnalyticOptions, Catalogued { model, gpu, .. }: Catalogued<'_>| {
        let made = Analytic::new(catalog, model, gpu, spec.tensor_parallel, options);
        made.map_err(|e| match e {
            LatencyError::Unknown(_) => Fault::at("gpu", e.to_string()),
            LatencyError::Options(_) => Fault::at("tensor_parallel", e.to_string()),
        })
    };
    let known =
        || on.ok_or_else(|| Fault::at("model", "only a profile tells steps of a machine that the catalogue has not"));
    match &spec.step_time {
        StepTimeSource::Analytic => Ok((Arc::new(analytic(&options, known()?)?), None)),
        StepTimeSource::Rows(rows) => {
            let curves = curves_of(catalog, &rows.0, &rows.1, known()?.gpu, options.weights);
            let (curves, note) = curves.map_err(|fault| fault.under("profile"))?;
            options.curves = Some(curves);
            Ok((Arc::new(analytic(&options, known()?)?), note))
        }
        StepTimeSource::Profile(profile) => {
            of_this(profile, spec, on)?;
            Ok((Arc::new(Fitted::new(&profile.step, 1.0)), None))
        }
        StepTimeSource::Coefficients(step, speed) => Ok((Arc::new(Fitted::new(step, *speed)), None)),
        StepTimeSource::Kernels(kernels) => {
            let Catalogued { model, gpu, weights, .. } = known()?;
            let of_these = |fault: TraceFault| Fault::from(fault.in_file(&kernels.name())).under("kernels");
            let tables = kernels.tables(catalog, gpu, weights, spec.formats.kv).map_err(of_these)?;
            let table = Table::new(catalog, model, gpu, spec.tensor_parallel, &tables, &options);
            Ok((Arc::new(table.map_err(|e| of_these(wrong!("{e}")))?), None))
        }
    }
}

/// Refuses a profile of something else.
fn of_this(profile: &Profile, spec: &ReplicaSpec, on: Option<Catalogued<'_>>) -> Result<(), Fault> {
    let (model, gpu) = on.map_or((&spec.model, &spec.gpu), |known| (&known.model.id, &known.gpu.id));
    if (&profile.model, &profile.gpu, profile.tensor_parallel) == (model, gpu, spec.tensor_parallel) {
        return Ok(());
    }
    let (of, this) = (profile.of_what(), format!("{model} on {} x {gpu}", spec.tensor_parallel));
    let what = format!("profile {} is of {of}; the pool is {this}", profile.name);
    Err(Fault::at("profile", what).hint("give a profile for that"))
}

/// The curves of `gpu` under a file of rows, and a note of what is borrowed, if anything.
///
/// # Errors
/// A file of another GPU or without the number format; a number that makes no sense.
pub fn curves_of(
    catalog: &Catalog,
    name: &str,
    file: &StepTimeFile,
    gpu: &Gpu,
    weights: WeightsDtype,
) -> Result<(Curves, Option<String>), Fault> {
    let of: Vec<&str> = file.step_time.iter().map(|r| r.dtype.as_str()).collect();
    let fits = |r: &StepTimeRow| r.speaks_for(&gpu.id);
    if let Some(row) = file.step_time.iter().find(|r| !fits(r)) {
        let what = format!("profile {name} is of {}; this is {}", row.gpu, gpu.id);
        return Err(Fault::new(what).hint("give a profile for that"));
    }
    if let Some(row) = file.step_time.iter().find(|r| WeightsDtype::parse(&r.dtype).is_none()) {
        let known = WeightsDtype::ALL.map(WeightsDtype::name).join(", ");
        let what = format!("profile {name}: dtype `{}` is not known", row.dtype);
        return Err(Fault::new(what).hint(format!("known are {known}")));
    }
    if !of.contains(&weights.name()) {
        let what = format!("profile {name} is of weights in {}; these are in {}", of.join(", "), weights.name());
        return Err(Fault::new(what).hint("add a row of that"));
    }
    let (curves, borrowed) = Curves::under(catalog, gpu, weights, &file.step_time)
        .map_err(|e| Fault::new(format!("profile {name}: {e}")))?;
    let note = borrowed.first().map(|(_, from)| {
        let names: Vec<&str> = borrowed.iter().map(|b| b.0).collect();
        format!("profile {name} says nothing of {}: taken from the catalogue's row of {from}", names.join(", "))
    });
    Ok((curves, note))
}
