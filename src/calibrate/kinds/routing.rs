//! `routing`: routing policies measured on a fleet, a row a policy and rate; the fleet stands in a set-up.
//!
//! Source: llm-d/llm-d-kv-cache-manager's benchmark of 2025 (data/calibration/llmd_routing_llama70b_4pods.csv, read
//! 2026-11-24). Protocol: stages of constant rate one after the other, as `experiments/published/*.toml` say and assume.
//! Judged: the order of policies, where each collapses, and one ratio. Throughput and gaps are printed.
use super::super::collapse::{collapse, ratio};
use super::super::fit::lags;
use super::super::ladder::climb;
use super::super::machine;
use super::super::order::{Order, Ordered};
use super::super::replica::MeasuredReplica;
use super::super::score::{Group, Scores};
use super::super::setup::Setup;
use super::super::table::{Row, Table};
use super::super::trial::Lags;
use baseload_core::catalog::{Catalog, FrontendRow, MeasuredEngine};
use baseload_core::fleet::{ReplicaType, StepTimeSource};
use baseload_core::memory::{BLOCK_SIZE, UTILIZATION_UP_TO_2025};
use baseload_core::numeric::{mean, quantile};
use baseload_core::types::{Fault, TraceFault, key};
use std::io::BufRead;
use std::sync::Arc;

/// Two policies are told apart where one's p90 TTFT is at least so many times the other's.
const APART: f64 = 2.0;
/// What a rate's row begins its section with.
const RATE: &str = "QPS =";

/// A policy at a rate.
#[derive(Debug, Clone, PartialEq)]
pub struct Point {
    /// Requests a second.
    pub rate: f64,
    /// The policy.
    pub policy: String,
    /// Mean time to first token, seconds.
    pub ttft_mean_s: f64,
    /// 90th percentile of the times to first token, s.
    pub ttft_p90_s: f64,
    /// Mean gap between tokens, seconds, if the file says one.
    pub itl_mean_s: Option<f64>,
    /// Output tokens a second of the fleet.
    pub out_tok_s: f64,
}

/// A measurement.
#[derive(Debug, Clone, PartialEq)]
pub struct Measured {
    /// The file.
    pub name: String,
    /// The set-up's name.
    pub setup: String,
    /// Rows of the file; summaries over rates are left out.
    pub points: Vec<Point>,
}

/// Reads a measurement.
///
/// # Errors
/// With file, line and column; rows of several set-ups; a policy twice at a rate, or not at every rate.
pub fn read(text: impl BufRead, name: &str) -> Result<Measured, TraceFault> {
    let columns = ["setup", "section", "policy", "out_tok_s", "ttft_p90_s", "ttft_mean_s"];
    let table = Table::read(text, name, &columns)?;
    let mut read = Measured { name: name.to_owned(), setup: String::new(), points: Vec::new() };
    for row in table.rows() {
        let setup = row.text("setup");
        if read.setup.is_empty() {
            read.setup = setup.to_owned();
        } else if read.setup != setup {
            let fault = row.fault(format!("setup is `{setup}`, before it `{}`", read.setup));
            return Err(fault.hint("give a file of one"));
        }
        let Some(rate) = row.text("section").strip_prefix(RATE) else { continue };
        let point = point(&row, rate.trim())?;
        if read.points.iter().any(|p| p.policy == point.policy && p.rate == point.rate) {
            let fault = row.fault(format!("{} at {} is there twice", point.policy, point.rate));
            return Err(fault.hint("leave one row out"));
        }
        read.points.push(point);
    }
    if read.points.is_empty() {
        let what = format!("no row whose section is `{RATE} RATE`");
        return Err(TraceFault::of(name, what).hint("at least one must be"));
    }
    for policy in read.policies() {
        let missing = read.rates().into_iter().find(|&r| read.at(policy, r).is_none());
        if let Some(rate) = missing {
            let what = format!("no row of {policy} at {RATE} {rate}, which other policies have");
            return Err(TraceFault::of(name, what).hint("add one, or leave theirs out"));
        }
    }
    Ok(read)
}

fn point(row: &Row<'_>, rate: &str) -> Result<Point, TraceFault> {
    let parsed = rate.parse::<f64>().ok().filter(|r| r.is_finite() && *r > 0.0);
    let no_rate = || row.fault(format!("section is `{RATE} {rate}`")).hint("the rate must be a number above 0");
    Ok(Point {
        rate: parsed.ok_or_else(no_rate)?,
        policy: row.text("policy").to_owned(),
        ttft_mean_s: row.positive("ttft_mean_s")?,
        ttft_p90_s: row.positive("ttft_p90_s")?,
        itl_mean_s: (!row.text("itl_mean_s").is_empty()).then(|| row.positive("itl_mean_s")).transpose()?,
        out_tok_s: row.positive("out_tok_s")?,
    })
}

impl Measured {
    /// Rates, the lowest first.
    fn rates(&self) -> Vec<f64> {
        let mut rates: Vec<f64> = self.points.iter().map(|p| p.rate).collect();
        rates.sort_by(f64::total_cmp);
        rates.dedup();
        rates
    }
    fn policies(&self) -> Vec<&str> {
        let mut policies: Vec<&str> = Vec::new();
        for p in &self.points {
            if !policies.contains(&p.policy.as_str()) {
                policies.push(&p.policy);
            }
        }
        policies
    }
    fn at(&self, policy: &str, rate: f64) -> Option<&Point> {
        self.points.iter().find(|p| p.policy == policy && p.rate == rate)
    }
}

/// The pods and what lies before them, and a note that says so.
fn fleet(
    catalog: &Catalog,
    setup: &Setup,
    engine: &MeasuredEngine,
    source: &StepTimeSource,
) -> Result<(Vec<Arc<ReplicaType>>, Lags, String), Fault> {
    let f = &setup.fleet;
    let model = catalog.model(&f.model).map_err(|e| Fault::from(e).under(key!["fleet", "model"]))?;
    let gpu = catalog.gpu(&f.gpu).map_err(|e| Fault::from(e).under(key!["fleet", "gpu"]))?;
    let weights = machine::checkpoint_dtype(catalog, &model.hf_id, &f.weights)
        .ok_or_else(|| machine::unknown_format("fleet.weights", &f.weights))?;
    let said = MeasuredEngine {
        version: f.vllm.clone(),
        num_gpu_blocks: f.kv_tokens_per_pod.map(|t| t / BLOCK_SIZE + 1),
        ..MeasuredEngine::default()
    };
    let pod = MeasuredReplica {
        tensor_parallel: f.gpus_per_pod,
        weights: Some(weights),
        utilization: UTILIZATION_UP_TO_2025,
        ..MeasuredReplica::of(&model.id, &gpu.id, said.overlaid(engine))
    };
    let pod = pod.resolve(catalog, source.clone())?;
    let row = match &f.frontend {
        Some(kind) => Some(catalog.frontend(kind).ok_or_else(|| {
            let what = format!("the catalogue has none of the kind `{kind}`");
            Fault::at(key!["fleet", "frontend"], what).hint("leave it out for none")
        })?),
        None => None,
    };
    let note = format!(
        "{} pods of {} x {}, {}, {} KV blocks of {}, at most {} sequences and {} tokens a step{}",
        f.pods,
        f.gpus_per_pod,
        gpu.id,
        model.id,
        pod.kv.num_blocks,
        pod.kv.block_size,
        pod.limits.max_rows,
        pod.limits.most_tokens,
        if pod.plan_options.concurrent_batches > 1 { "" } else { ", steps not overlapped" }
    );
    let frontend = row.map(FrontendRow::frontend).unwrap_or_default();
    Ok((vec![pod; f.pods as usize], lags(&frontend), note))
}

/// Simulates the set-up and compares.
///
/// # Errors
/// A policy that the set-up has not, a model or GPU that the catalogue has not, the simulation's.
pub fn score(
    catalog: &Catalog,
    measured: &Measured,
    setup: &Setup,
    engine: &MeasuredEngine,
    source: &StepTimeSource,
    scores: &mut Scores,
) -> Result<(), TraceFault> {
    let of_setup = |fault: Fault| TraceFault::from(fault).in_file(&measured.name);
    let (replicas, lags, note) = fleet(catalog, setup, engine, source).map_err(of_setup)?;
    scores.notes.push(note);
    super::warn(&mut scores.notes, &replicas[0]);
    let rates = measured.rates();
    let policies = measured.policies();
    for &seconds in &setup.stages.seconds {
        let place = format!("{seconds} s stages");
        let mut p90s: Vec<Vec<Ordered>> = Vec::new();
        for policy in &policies {
            let routing = setup.routing(policy).map_err(of_setup)?;
            let stages = climb(setup, seconds, &rates, &replicas, lags, routing);
            let stages = stages.map_err(|fault| fault.in_file(&measured.name))?;
            let mut figures = Vec::new();
            for (&rate, stage) in rates.iter().zip(&stages) {
                let Some(m) = measured.at(policy, rate) else { continue };
                let p90 = quantile(&stage.ttft_s, 0.9).unwrap_or(f64::NAN);
                let name = format!("{place}, {rate}/s, {policy}");
                let mut group = Group { name, n: stage.ttft_s.len() as u64, ..Group::default() };
                group.add("ttft_mean_s", mean(&stage.ttft_s).unwrap_or(f64::NAN), m.ttft_mean_s);
                group.add("ttft_p90_s", p90, m.ttft_p90_s);
                group.add("itl_mean_s", stage.itl_mean_s, m.itl_mean_s.unwrap_or(f64::NAN));
                group.add("out_tok_s", stage.out_tok_s, m.out_tok_s);
                scores.groups.push(group);
                figures.push(Ordered { policy: (*policy).to_owned(), predicted: p90, measured: m.ttft_p90_s });
            }
            p90s.push(figures);
        }
        judge(&place, &rates, &p90s, setup, scores);
    }
    Ok(())
}

/// `p90s`: by policy, by rate.
fn judge(place: &str, rates: &[f64], p90s: &[Vec<Ordered>], setup: &Setup, scores: &mut Scores) {
    let order = scores.order.get_or_insert_with(Order::default);
    for (i, rate) in rates.iter().enumerate() {
        let here: Vec<Ordered> = p90s.iter().map(|p| p[i].clone()).collect();
        order.judge(&format!("{place}, {rate}/s"), "ttft_p90_s", &here, APART);
    }
    let mut above = f64::INFINITY;
    for figures in p90s {
        let Some(policy) = figures.first().map(|f| f.policy.as_str()) else { continue };
        let (simulated, measured): (Vec<f64>, Vec<f64>) = figures.iter().map(|f| (f.predicted, f.measured)).unzip();
        let c = collapse(&format!("{place}, {policy}"), rates, &simulated, &measured);
        if setup.ratio.as_ref().is_some_and(|r| r.to == policy) {
            above = c.measured.unwrap_or(f64::INFINITY);
        }
        scores.collapse.push(c);
    }
    let Some(r) = &setup.ratio else { return };
    let of = |policy: &str, i: usize| p90s.iter().map(|p| &p[i]).find(|f| f.policy == policy);
    for (i, rate) in rates.iter().enumerate().filter(|(_, rate)| **rate > above) {
        if let (Some(over), Some(under)) = (of(&r.of, i), of(&r.to, i)) {
            scores.ratios.push(ratio(&format!("{place}, {rate}/s, "), over, under));
        }
    }
}

#[cfg(test)]
#[path = "routing_tests.rs"]
mod tests;
