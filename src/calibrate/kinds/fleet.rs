//! `fleet`: a recorded fleet of engines behind one router (JSON lines; form: docs/validation.md).
//!
//! Source: recordings of two vLLM 0.32.0 engines made for this project (data/calibration/vllm032_cpu_fleet, read
//! 2026-11-24). Protocol: the simulated router sends the recorded arrivals by its policy; only the draws of `random` are
//! the recording's. Of the run a prediction knows one speed factor a replica, the median of measured over predicted step
//! durations, as with `engine-steps`, and nothing else. What the measured router and its engines' loops take between an
//! arrival and the engine (1 to 3 ms) is no part of it.
use super::super::hash::Hasher;
use super::super::lines;
use super::super::order::{Order, Ordered};
use super::super::routers::Router;
use super::super::score::Group;
use super::super::trial::{Lags, Loop, Played, Sent, Trial, play_fleet};
use super::engine_steps::{EngineLine, Shape, features, not_empty, recorded, rising, speed};
use baseload_core::catalog::{Catalog, MeasuredEngine, StepCoefficients};
use baseload_core::latency::Features;
use baseload_core::numeric::mean;
use baseload_core::types::{Content, ContentId, Run, SimTime, TraceFault, wrong};
use serde::Deserialize;
use std::collections::{BTreeMap, BTreeSet};
use std::io::BufRead;
use std::sync::Arc;

/// Two policies are told apart where what was measured differs by more than this share.
const APART: f64 = 0.3;
/// What the order of policies is judged by.
const ORDERED: [&str; 2] = ["ttft_mean_s", "e2e_p90_s"];

/// One recorded run of a fleet.
#[derive(Debug, Clone)]
pub struct FleetRun {
    /// Policy and load, as groups are named.
    pub name: String,
    /// Workload and rate: runs of equal ones are compared with each other.
    pub load: String,
    /// The router's policy, as recorded.
    pub policy: String,
    /// The router's policy, as simulated.
    pub router: Router,
    /// Shape of the model, as a name.
    pub model: String,
    /// Type of weights.
    pub dtype: String,
    /// Settings of each engine.
    pub engine: MeasuredEngine,
    /// What arrived.
    pub trial: Trial,
    /// By request: its group.
    pub groups: Arc<[u64]>,
    /// By request: the replica it went to.
    pub choices: Arc<[u32]>,
    /// By request: arrival to first token and to finish, seconds.
    pub measured: Vec<(f64, f64)>,
    /// By request: prompt tokens found in a prefix cache.
    pub cached: Vec<u32>,
    /// By replica, its steps: what each did, and how long it took, seconds.
    pub steps: Vec<Vec<(Features, f64)>>,
    /// Hash of the whole file.
    pub hash: String,
}

#[derive(Deserialize)]
#[serde(tag = "kind", rename_all = "lowercase")]
enum Line {
    Run(RunLine),
    Request(RequestLine),
    Step(StepLine),
}

#[derive(Deserialize)]
struct RunLine {
    name: String,
    rate: f64,
    policy: String,
    replicas: u32,
    #[serde(default)]
    vllm: String,
    scheduling: String,
    model: Shape,
    engine: EngineLine,
    workload: Workload,
}

#[derive(Deserialize)]
struct Workload {
    prefix_tokens: u32,
}

#[derive(Deserialize)]
struct RequestLine {
    id: String,
    arrival_s: f64,
    replica: u32,
    group: u64,
    prompt_len: u32,
    output_len: u32,
    first_token_s: f64,
    finish_s: f64,
    cached: u32,
}

#[derive(Deserialize)]
struct StepLine {
    replica: u32,
    start_s: f64,
    end_s: f64,
    batch: Vec<(String, u32, u32)>,
}

/// Reads one run.
///
/// # Errors
/// With file and line: a missing key, a policy that no router has, a replica that is none, a step of an unknown request.
pub fn read(text: impl BufRead, name: &str) -> Result<FleetRun, TraceFault> {
    let (mut head, mut requests, mut steps) = (None, Vec::new(), Vec::<Vec<(Features, f64)>>::new());
    let mut prompts: BTreeMap<String, u32> = BTreeMap::new();
    let hash = lines::read(text, name, "a line of kind fleet is a run, a request or a step", |line: Line| {
        let line = match line {
            Line::Run(run) => {
                if head.is_some() {
                    return Err(wrong!("a second line of kind `run`").hint("a recording has one, and it comes first"));
                }
                let router = router(&run)?;
                steps.resize(run.replicas as usize, Vec::new());
                head = Some((run, router));
                return Ok(());
            }
            other => other,
        };
        let Some((run, _)) = &head else {
            return Err(wrong!("a recording starts with a line of kind `run`"));
        };
        match line {
            Line::Request(r) => {
                check(&r, run.replicas).map_err(|fault| fault.of_part(format!("request {}", r.id)))?;
                prompts.insert(r.id.clone(), r.prompt_len);
                requests.push(r);
            }
            Line::Step(s) => {
                let duration = s.end_s - s.start_s;
                if !(duration > 0.0 && s.start_s.is_finite()) {
                    let fault = wrong!("a step from {} to {} s", s.start_s, s.end_s);
                    return Err(fault.hint("its duration must be above 0"));
                }
                let of = steps.get_mut(s.replica as usize).ok_or_else(|| no_replica(s.replica, run.replicas))?;
                of.push((features(&s.batch, &prompts)?, duration));
            }
            Line::Run(_) => {}
        }
        Ok(())
    })?;
    let Some((head, router)) = head else {
        return Err(TraceFault::of(name, "no line of kind `run`").hint("a recording starts with one"));
    };
    if requests.is_empty() || steps.iter().all(Vec::is_empty) {
        let none = if requests.is_empty() { "request" } else { "step" };
        return Err(TraceFault::of(name, format!("no line of kind `{none}`")).hint("a recording has at least one"));
    }
    Ok(run_of(&head, router, requests, steps, hash))
}

fn router(run: &RunLine) -> Result<Router, TraceFault> {
    if run.replicas == 0 || run.replicas > 64 {
        return Err(wrong!("replicas is {}", run.replicas).hint("it must be 1 to 64"));
    }
    Router::named(&run.policy).ok_or_else(|| {
        let known: Vec<&str> = Router::ALL.iter().map(|(_, n)| *n).collect();
        let fault = wrong!("policy `{}` is not one that can be replayed", run.policy);
        fault.hint(format!("there are {}", known.join(", ")))
    })
}

fn no_replica(replica: u32, replicas: u32) -> TraceFault {
    wrong!("replica {replica}").hint(format!("the run has {replicas}, from 0"))
}

fn check(r: &RequestLine, replicas: u32) -> Result<(), TraceFault> {
    rising([r.arrival_s, r.first_token_s, r.finish_s])?;
    not_empty(r.prompt_len, r.output_len)?;
    if r.cached > r.prompt_len {
        let fault = wrong!("cached is {} of a prompt of {} tokens", r.cached, r.prompt_len);
        return Err(fault.hint("no more is cached than there is"));
    }
    if r.replica >= replicas { Err(no_replica(r.replica, replicas)) } else { Ok(()) }
}

fn run_of(
    head: &RunLine,
    router: Router,
    mut requests: Vec<RequestLine>,
    steps: Vec<Vec<(Features, f64)>>,
    hash: String,
) -> FleetRun {
    requests.sort_by(|a, b| a.arrival_s.total_cmp(&b.arrival_s));
    let sent = |(i, r): (usize, &RequestLine)| Sent {
        at: SimTime::from_secs_f64(r.arrival_s),
        prompt: r.prompt_len,
        output: r.output_len,
        content: Some(prompt(i as u64, r.group, head.workload.prefix_tokens, r.prompt_len)),
    };
    let engine = head.engine.measured(&head.vllm, &head.scheduling);
    // What may differ between recordings whose policies cannot be compared.
    let mut arrivals = Hasher::default();
    requests.iter().for_each(|r| arrivals.line(&format!("{} {} {}", r.arrival_s, r.group, r.prompt_len)));
    FleetRun {
        name: format!("{} {}/s {}", head.name, head.rate, head.policy),
        load: format!("{} {}/s {:?} {}", head.name, head.rate, engine.num_gpu_blocks, arrivals.finish()),
        policy: head.policy.clone(),
        router,
        model: head.model.name(),
        dtype: head.model.dtype.clone(),
        trial: Trial {
            requests: requests.iter().enumerate().map(sent).collect(),
            sending: Loop::Open,
            lags: Lags::default(),
        },
        engine,
        groups: requests.iter().map(|r| r.group).collect(),
        choices: requests.iter().map(|r| r.replica).collect(),
        measured: requests.iter().map(|r| (r.first_token_s - r.arrival_s, r.finish_s - r.arrival_s)).collect(),
        cached: requests.iter().map(|r| r.cached).collect(),
        steps,
        hash,
    }
}

/// A prompt of its group's prefix and text of its own.
pub(super) fn prompt(index: u64, group: u64, prefix: u32, tokens: u32) -> Content {
    let shared = prefix.min(tokens);
    let parts = [(ContentId::Named(group), shared), (ContentId::Private(index), tokens - shared)];
    let runs = parts.into_iter().filter(|(_, len)| *len > 0).map(|(id, len)| Run { id, start: 0, len });
    Content::from(runs.collect::<Vec<_>>())
}

/// How a run was predicted: the group, and the speed factor of each replica.
///
/// # Errors
/// The simulation's.
pub fn score(
    catalog: &Catalog,
    run: &FleetRun,
    step: &StepCoefficients,
    as_sent: bool,
) -> Result<(Group, Vec<f64>), TraceFault> {
    let speeds: Vec<f64> = run.steps.iter().map(|s| speed(s, step)).collect();
    let replica = |&speed: &f64| recorded(catalog, &run.model, &run.engine, step, speed);
    let replicas = speeds.iter().map(replica).collect::<Result<Vec<_>, _>>();
    let replicas = replicas.map_err(|fault| TraceFault::from(fault).in_file(&run.name))?;
    let routing = match as_sent {
        true => Router::recorded(run.choices.clone()),
        false => run.router.routing(run.groups.clone(), run.choices.clone()),
    };
    let played = play_fleet(&run.trial, &replicas, routing).map_err(|fault| fault.in_file(&run.name))?;
    Ok((compare(run, &played), speeds))
}

fn compare(run: &FleetRun, played: &Played) -> Group {
    let mut group = Group { name: run.name.clone(), n: run.measured.len() as u64, ..Group::default() };
    let ttft: Vec<f64> = played.timings.iter().map(|t| t.ttft_s()).collect();
    let e2e: Vec<f64> = played.timings.iter().map(|t| t.e2e_s()).collect();
    let (first, done): (Vec<f64>, Vec<f64>) = run.measured.iter().copied().unzip();
    let prompts: u64 = run.trial.requests.iter().map(|r| u64::from(r.prompt)).sum();
    let share = |cached: &[u32]| cached.iter().map(|&c| u64::from(c)).sum::<u64>() as f64 / prompts as f64;
    group.add_share("cached_share", share(&played.cached), share(&run.cached));
    for (metric, predicted, measured) in [("ttft_mean_s", &ttft, &first), ("e2e_mean_s", &e2e, &done)] {
        group.add(metric, mean(predicted).unwrap_or(f64::NAN), mean(measured).unwrap_or(f64::NAN));
    }
    group.add_quantiles(&[("e2e_p90_s", 0.9)], &e2e, &done);
    group
}

/// Judges the order of policies at each load.
pub fn order(runs: &[FleetRun], groups: &[Group]) -> Order {
    let mut order = Order::default();
    let loads: BTreeSet<&str> = runs.iter().map(|r| r.load.as_str()).collect();
    for load in loads {
        for metric in ORDERED {
            let of = |(run, group): (&FleetRun, &Group)| {
                let pair = group.pairs.iter().find(|p| p.metric == metric)?;
                Some(Ordered { policy: run.policy.clone(), predicted: pair.predicted, measured: pair.measured })
            };
            let here = runs.iter().zip(groups).filter(|(r, _)| r.load == load);
            let place = runs.iter().find(|r| r.load == load).map_or("", |r| r.name.trim_end_matches(&r.policy).trim());
            order.judge(place, metric, &here.filter_map(of).collect::<Vec<_>>(), 1.0 + APART);
        }
    }
    order
}

#[cfg(test)]
#[path = "fleet_tests.rs"]
mod tests;
