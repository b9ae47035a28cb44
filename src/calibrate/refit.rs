//! Cross-validation: what engine runs say of the analytic step time is fitted again without the rows that are scored.
//!
//! The catalogue's numbers are of two kinds (`catalog/data/step_times.toml`): those of kernel tables, which no row of
//! InferenceX has seen, stay; those of engine runs (`NUMBERS` below) are fitted here on the TPOT of the rows that are
//! left (and on E2E of runs that are known request by request, where such are given), through the simulator, from a start
//! that no row has seen either. TTFT is scored and not fitted: what lies
//! before the engine is not part of a step. Rows go in and out by whole groups, or by whole models.
//!
//! Method: damped least squares of the logarithm of predicted over measured, outliers weighted down (soft L1 from 5 %
//! on), derivatives by differences of 3 %. Must keep true: nothing of the rows that are scored reaches the fit; the same
//! rows give the same numbers whatever the number of threads.
use super::descent::{Bottom, Problem, Rules, descend};
use super::hash;
use super::kinds::inferencex::{Point, score};
use super::kinds::requests::RequestRun;
use super::measurements::{Kind, Options, Split};
use super::score::{Group, Scores};
use super::served_by::served_by;
use baseload_core::catalog::{Catalog, NUMBERS as NAMES, StepTimeFile, StepTimeRow};
use baseload_core::fleet::StepTimeSource;
use baseload_core::types::{Fault, TraceFault, wrong};
use rayon::prelude::*;
use std::sync::Arc;

/// A number that engine runs say.
#[derive(Clone, Copy)]
struct Number {
    dtype: &'static str,
    name: &'static str,
    /// Where the search starts: a guess from kernels and data sheets, made before any fit.
    start: f64,
    least: f64,
    most: f64,
    /// Size of a step that matters.
    scale: f64,
}

const fn number(dtype: &'static str, name: &'static str, [start, least, most, scale]: [f64; 4]) -> Number {
    Number { dtype, name, start, least, most, scale }
}

/// What is fitted. Shares of the experts in MXFP4 start where kernels alone are, those of FP8 where BF16's are.
const NUMBERS: [Number; 10] = [
    number("bf16", "linear_compute_share", [0.75, 0.4, 1.0, 0.1]),
    number("bf16", "link_share", [0.55, 0.1, 3.0, 0.3]),
    number("bf16", "all_reduce_latency_us", [6.0, 0.0, 40.0, 3.0]),
    number("bf16", "layer_overhead_us", [25.0, 0.0, 100.0, 10.0]),
    number("bf16", "host_step_us", [500.0, 0.0, 5_000.0, 300.0]),
    number("bf16", "host_sequence_us", [30.0, 0.0, 100.0, 10.0]),
    number("fp8", "linear_compute_share", [0.75, 0.3, 1.0, 0.1]),
    number("fp8", "memory_share", [0.85, 0.4, 1.1, 0.1]),
    number("mxfp4", "expert_compute_share", [0.29, 0.05, 0.8, 0.1]),
    number("mxfp4", "expert_memory_share", [0.61, 0.2, 1.4, 0.2]),
];
/// How they are fitted. A prior so weak decides only what rows leave open; of the rounds six or seven are usual.
const RULES: Rules = Rules { soft: 0.05, most: 2.0, prior: 0.005, least_gain: 1e-3, rounds: 12 };
/// Difference that a derivative is taken over, a share of the value.
const DIFFERENCE: f64 = 0.03;
/// What is fitted of runs that are known request by request, and how much one counts: it stands for thousands of requests.
const RUN_METRICS: [&str; 3] = ["e2e_p50_s", "e2e_p90_s", "e2e_p99_s"];
const RUN_WEIGHT: f64 = 4.0;

/// Points of one group.
struct Rows {
    name: String,
    model: String,
    points: Vec<Point>,
}

/// Fits without each part of the rows, and scores that part.
///
/// # Errors
/// Rows of several GPUs; a model that no row is of; a part without which nothing is left to fit; more parts than groups.
pub fn cross_validate(
    catalog: &Catalog,
    points: &[Point],
    runs: &[RequestRun],
    split: &Split,
) -> Result<Scores, TraceFault> {
    let gpu = one_gpu(catalog, points)?;
    for run in runs {
        // Said before any fit: a run without a model or on another GPU.
        let (.., by) = served_by(catalog, Kind::VllmRequests, run, &Options::default())?;
        if catalog.gpu_in(&run.name).is_some_and(|g| g.id != gpu) {
            let what = format!("{by}, and the rows are of {gpu}");
            return Err(TraceFault::of(&run.name, what).hint("leave it out"));
        }
    }
    let (groups, notes) = by_group(catalog, points);
    if groups.is_empty() {
        return Err(wrong!("no row can be predicted: {}", notes.join("; ")));
    }
    let mut scores = Scores { kind: "inferencex", notes, ..Scores::default() };
    for (what, is_out) in parts(catalog, &groups, split)? {
        let (out, left): (Vec<&Rows>, Vec<&Rows>) = groups.iter().partition(|g| is_out(g));
        let train: Vec<Point> = left.iter().flat_map(|g| g.points.iter().cloned()).collect();
        let fit = fit(catalog, &train, runs, &gpu).map_err(|fault| fault.of_part(&what))?;
        let test: Vec<Point> = out.iter().flat_map(|g| g.points.iter().cloned()).collect();
        let part = score(catalog, &test, &refitted(catalog, &gpu, &fit.values));
        scores.groups.extend(part.groups);
        scores.apart.extend(part.apart);
        scores.trivial.extend(trivial(catalog, &out, &train));
        scores.notes.push(format!("{what}: {}", fit.text()));
    }
    Ok(scores)
}

fn one_gpu(catalog: &Catalog, points: &[Point]) -> Result<String, TraceFault> {
    let mut ids: Vec<&str> = points.iter().filter_map(|p| catalog.gpu_in(p.gpu())).map(|g| g.id.as_str()).collect();
    ids.dedup();
    match ids.as_slice() {
        [] => Err(wrong!("no row is of a GPU of the catalogue").hint("`baseload catalog gpus` lists them")),
        [one] => Ok((*one).to_owned()),
        [one, other, ..] => {
            Err(wrong!("rows are of several GPUs, {one} and {other}").hint("a fit is of one; give a file each"))
        }
    }
}

/// The points by the group that they are scored in, and why others are not.
fn by_group(catalog: &Catalog, points: &[Point]) -> (Vec<Rows>, Vec<String>) {
    let scored: Vec<Scores> =
        points.par_iter().map(|p| score(catalog, std::slice::from_ref(p), &StepTimeSource::Analytic)).collect();
    let mut groups: Vec<Rows> = Vec::new();
    for (p, s) in points.iter().zip(&scored) {
        let Some(name) = s.groups.iter().chain(s.apart.iter().map(|a| &a.0)).map(|g| &g.name).next() else { continue };
        match groups.iter_mut().find(|g| g.name == *name) {
            Some(group) => group.points.push(p.clone()),
            None => {
                let named = name.rsplit_once(" tp").map_or(name.as_str(), |(model, _)| model);
                let model = catalog.model(named).map_or_else(|_| named.to_owned(), |m| m.id.clone());
                groups.push(Rows { name: name.clone(), model, points: vec![p.clone()] });
            }
        }
    }
    let unpredictable: Vec<Point> = points
        .iter()
        .zip(&scored)
        .filter(|(_, s)| s.groups.is_empty() && s.apart.is_empty())
        .map(|(p, _)| p.clone())
        .collect();
    (groups, score(catalog, &unpredictable, &StepTimeSource::Analytic).notes)
}

type Part = (String, Box<dyn Fn(&Rows) -> bool>);

/// What is left out in turn: its name, and which groups are in it.
fn parts(catalog: &Catalog, groups: &[Rows], split: &Split) -> Result<Vec<Part>, Fault> {
    let without = |model: String| -> Part { (format!("without {model}"), Box::new(move |g: &Rows| g.model == model)) };
    let mut models: Vec<String> = groups.iter().map(|g| g.model.clone()).collect();
    models.sort();
    models.dedup();
    let parts: Vec<Part> = match split {
        Split::Folds(n) => {
            let n = *n;
            if n < 2 || n as usize > groups.len() {
                let fault = Fault::at("--folds", format!("it is {n}"));
                return Err(fault.hint(format!("give 2 to {}, the number of groups", groups.len())));
            }
            let fold = move |g: &Rows| u64::from_str_radix(&hash::of(&g.name)[..8], 16).unwrap_or(0) % u64::from(n);
            let part = |f: u32| -> Part {
                (format!("without fold {}", f + 1), Box::new(move |g: &Rows| fold(g) == u64::from(f)))
            };
            (0..n).map(part).filter(|(_, is_out)| groups.iter().any(is_out)).collect()
        }
        Split::Model(name) => {
            let id = catalog.model(name).map_or(name.as_str(), |m| m.id.as_str());
            if !models.iter().any(|m| m == id) {
                let fault = Fault::at("--leave-out", format!("no row is of {name}"));
                return Err(fault.hint(format!("there are rows of {}", models.join(", "))));
            }
            vec![without(id.to_owned())]
        }
        Split::EachModel => models.iter().cloned().map(without).collect(),
    };
    match parts.iter().find(|(_, is_out)| groups.iter().all(is_out)) {
        Some((what, _)) => Err(Fault::new(format!("{what} no row is left to fit")).hint("give rows of more models")),
        None => Ok(parts),
    }
}

/// The trivial baseline of groups that are out: the nearest row of those that are left, scaled.
fn trivial(catalog: &Catalog, out: &[&Rows], train: &[Point]) -> Vec<Group> {
    let of = |rows: &&Rows| {
        let near = score(catalog, &[train, &rows.points].concat(), &StepTimeSource::Analytic);
        near.trivial.into_iter().find(|g| g.name == rows.name)
    };
    out.par_iter().map(of).collect::<Vec<_>>().into_iter().flatten().collect()
}

/// Rows of the catalogue's form that say these numbers; what they do not say is the catalogue's.
fn refitted(catalog: &Catalog, gpu: &str, values: &[f64]) -> StepTimeSource {
    let mut file = StepTimeFile::default();
    for (n, value) in NUMBERS.iter().zip(values) {
        let at = file.step_time.iter().position(|r| r.dtype == n.dtype).unwrap_or_else(|| {
            let row = StepTimeRow { gpu: gpu.to_owned(), dtype: n.dtype.to_owned(), ..StepTimeRow::default() };
            file.step_time.push(row);
            file.step_time.len() - 1
        });
        for (name, slot) in NAMES.iter().zip(file.step_time[at].numbers_mut()) {
            if *name == n.name {
                *slot = Some(*value);
            }
        }
    }
    // Formats of which nothing is fitted keep the catalogue's rows.
    let rest = catalog.step_times.iter().filter(|r| r.speaks_for(gpu));
    for row in rest {
        if !file.step_time.iter().any(|r| r.dtype == row.dtype) {
            file.step_time.push(StepTimeRow { gpu: gpu.to_owned(), ..row.clone() });
        }
    }
    StepTimeSource::Rows(Arc::new(("refitted".into(), file)))
}

/// How far the rows' predictions are off, by the numbers of [`NUMBERS`].
struct Refit<'a> {
    catalog: &'a Catalog,
    points: &'a [Point],
    runs: &'a [RequestRun],
    gpu: &'a str,
}

impl Problem for Refit<'_> {
    /// Logarithms of predicted over measured TPOT, and of quantiles of runs beside them. What a run cannot be predicted by
    /// is no number, which no step downhill has.
    fn residuals(&self, values: &[f64]) -> Vec<f64> {
        let source = refitted(self.catalog, self.gpu, values);
        let scored = score(self.catalog, self.points, &source);
        let pairs = scored.groups.iter().flat_map(|g| &g.pairs).filter(|p| p.metric == "tpot_s");
        let mut all: Vec<f64> = pairs.map(|p| libm::log(p.predicted / p.measured)).collect();
        let options = Options { source, ..Options::default() };
        for run in self.runs {
            let group = served_by(self.catalog, Kind::VllmRequests, run, &options)
                .and_then(|(replica, lags, _)| run.score(&replica, lags))
                .unwrap_or_default();
            for metric in RUN_METRICS {
                let pair = group.pairs.iter().find(|p| p.metric == metric);
                all.push(pair.map_or(f64::NAN, |p| RUN_WEIGHT * libm::log(p.predicted / p.measured)));
            }
        }
        all
    }

    /// By differences, upwards where there is room.
    fn slopes(&self, values: &[f64], now: &[f64]) -> Vec<Vec<f64>> {
        let slope = |(i, n): (usize, &Number)| {
            let by = DIFFERENCE * values[i].abs().max(n.scale);
            let by = if values[i] + by > n.most { -by } else { by };
            let mut at = values.to_vec();
            at[i] += by;
            let per_unit = by / n.scale;
            self.residuals(&at).iter().zip(now).map(|(b, a)| (b - a) / per_unit).collect()
        };
        NUMBERS.par_iter().enumerate().map(slope).collect()
    }

    fn moved(&self, values: &[f64], by: &[f64]) -> Vec<f64> {
        let next = |((n, v), by): ((&Number, &f64), &f64)| (v - by * n.scale).clamp(n.least, n.most);
        NUMBERS.iter().zip(values).zip(by).map(next).collect()
    }

    fn away(&self, values: &[f64]) -> Vec<f64> {
        NUMBERS.iter().zip(values).map(|(n, v)| (v - n.start) / n.scale).collect()
    }
}

struct Fit {
    values: Vec<f64>,
    rows: usize,
    /// Numbers that the rows say nothing of.
    open: Vec<usize>,
}

impl Fit {
    fn text(&self) -> String {
        let shown = |i: usize| {
            let (n, v) = (&NUMBERS[i], self.values[i]);
            let kept = if self.open.contains(&i) { " (no row says it)" } else { "" };
            let kept = if v == n.least || v == n.most { " (its bound)" } else { kept };
            format!("{} {} {:.3}{kept}", n.dtype, n.name, v)
        };
        let all: Vec<String> = (0..NUMBERS.len()).map(shown).collect();
        format!("fitted on {} rows: {}", self.rows, all.join(", "))
    }
}

fn fit(catalog: &Catalog, points: &[Point], runs: &[RequestRun], gpu: &str) -> Result<Fit, TraceFault> {
    let refit = Refit { catalog, points, runs, gpu };
    let start = NUMBERS.map(|n| n.start);
    let before = refit.residuals(&start);
    let rows = before.len() - runs.len() * RUN_METRICS.len();
    if rows <= NUMBERS.len() {
        return Err(wrong!("{rows} rows cannot tell {} numbers", NUMBERS.len()).hint("give more"));
    }
    if before.iter().any(|r| !r.is_finite()) {
        return Err(wrong!("a run beside the rows cannot be predicted on {gpu}").hint("leave it out"));
    }
    let Bottom { x: mut values, open, .. } = descend(&refit, &start, &RULES);
    // FP8 has no rows: products come as near to twice the peak and half the bytes as they do in BF16.
    for (i, n) in NUMBERS.iter().enumerate().filter(|(i, n)| open.contains(i) && n.dtype == "fp8") {
        let bf16 = NUMBERS.iter().position(|b| b.dtype == "bf16" && b.name == n.name);
        let of_catalog = catalog.step_time(gpu, "bf16").and_then(|r| r.memory_share);
        values[i] = bf16.map(|b| values[b]).or(of_catalog).unwrap_or(n.start);
    }
    Ok(Fit { values, rows, open })
}

#[cfg(test)]
#[path = "refit_tests.rs"]
mod tests;
