//! Fits of the step-time coefficients: from recorded steps, and through the simulator from per-request timings.
//!
//! Must keep true: non-negative; the same data give the same coefficients; what the data cannot tell is refused by
//! name, never guessed.
//!
//! **From steps.** The squared error of each step's duration over that duration is minimised (between absolute errors,
//! which long steps rule, and relative ones), with large residuals counted linearly (iteratively reweighted). Each run has a speed of its
//! own, the median of measured over predicted, refitted in turn and not part of the result.
//!
//! **From requests.** The simulator says which steps lie between a request's arrival, its first and its last token, so
//! both spans are sums of step features. The sums are fitted, the run is simulated anew with the result, and so on:
//! queueing is observed, not assumed. TTFTs have two columns more, the frontend's: one a request, one a prompt token.
use super::kinds::engine_steps::EngineRun;
use super::kinds::requests::RequestRun;
use super::nnls::Normal;
use super::trial::{Lags, Logged, play_logged};
use baseload_core::catalog::{Frontend, StepCoefficients};
use baseload_core::fleet::ReplicaType;
use baseload_core::latency::{FIRST_ROWS, Features, Fitted};
use baseload_core::numeric::quantile;
use baseload_core::types::{SimTime, TraceFault, wrong};
use std::sync::Arc;

/// Columns: the coefficients of a step in the order of [`StepCoefficients`], and the frontend's two.
pub const COLUMNS: [&str; 9] = [
    "step",
    "first-sequences",
    "sequence",
    "context",
    "prefill",
    "prefill-token",
    "prefill-pair",
    "frontend",
    "frontend-token",
];
pub(super) const K: usize = COLUMNS.len();
/// Columns of the first sequences and of the frontend.
const FIRST: usize = 1;
pub(super) const FRONTEND: usize = 7;
pub(super) const FRONTEND_TOKEN: usize = 8;

/// Which columns are fitted; the others stay at zero.
pub type Wanted = [bool; K];

/// Columns that recorded steps tell.
pub const FROM_STEPS: Wanted = [true, true, true, true, true, true, true, false, false];
/// Columns that timings of requests tell, where nothing more is asked for: prompts of like lengths do not tell tokens
/// from chunks or pairs, nor what they cost before the engine from what they cost in it.
pub const FROM_REQUESTS: Wanted = [true, false, true, true, false, true, false, true, false];

/// Share of a column's square that must be its own, or the data do not tell it from the others.
const LEAST_OWN_SHARE: f64 = 1e-6;
/// Rounds of speeds against coefficients, and of simulation against fit.
const ROUNDS: u32 = 8;
/// Residuals above this quantile count linearly.
const LINEAR_ABOVE_STEPS: f64 = 0.9;
const LINEAR_ABOVE_REQUESTS: f64 = 0.8;

fn columns(f: &Features) -> [f64; K] {
    [
        1.0,
        f64::from(f.rows.min(FIRST_ROWS)),
        f64::from(f.rows),
        f.context as f64,
        f64::from(f.chunks),
        f.tokens as f64,
        f.pairs as f64,
        0.0,
        0.0,
    ]
}

/// Six significant digits: more than any measurement has.
fn rounded(v: f64) -> f64 {
    baseload_core::types::numbers::rounded(v, 6)
}

fn coefficients(x: &[f64; K]) -> StepCoefficients {
    StepCoefficients {
        step_s: rounded(x[0]),
        first_sequences_s: rounded(x[1]),
        sequence_s: rounded(x[2]),
        context_s_per_1000: rounded(x[3] * 1e3),
        prefill_s: rounded(x[4]),
        prefill_token_s: rounded(x[5]),
        prefill_pair_s_per_million: rounded(x[6] * 1e6),
    }
}

/// Timings at a client show the two legs only as a sum: it is given to the first.
pub(super) fn frontend(x: &[f64; K]) -> Frontend {
    Frontend {
        arrival_s: rounded(x[FRONTEND]),
        arrival_s_per_1000_prompt_tokens: rounded(x[FRONTEND_TOKEN] * 1e3),
        token_s: 0.0,
    }
}

/// A row of a problem: columns, what was measured, and the weight of its square.
pub(super) struct Row {
    pub columns: [f64; K],
    pub value: f64,
    pub weight: f64,
}

fn dot(a: &[f64; K], b: &[f64; K]) -> f64 {
    a.iter().zip(b).map(|(x, y)| x * y).sum()
}

/// Minimises over `x >= 0`; residuals above the quantile `linear_above` count linearly.
pub(super) fn robust(rows: &[Row], wanted: &Wanted, linear_above: f64) -> [f64; K] {
    let mut bend = vec![1.0; rows.len()];
    let mut x = [0.0; K];
    for _ in 0..4 {
        let mut normal = Normal::<K>::default();
        rows.iter().zip(&bend).for_each(|(r, b)| normal.add(&r.columns, r.value, r.weight * b));
        x = normal.solve_non_negative(wanted);
        let off: Vec<f64> = rows.iter().map(|r| (dot(&r.columns, &x) - r.value).abs() * r.weight.sqrt()).collect();
        let bound = quantile(&off, linear_above).unwrap_or(0.0);
        off.iter().zip(&mut bend).for_each(|(o, b)| *b = if *o > bound && *o > 0.0 { bound / o } else { 1.0 });
    }
    x
}

/// Refuses what the rows cannot tell.
fn identify(rows: &[Row], wanted: &Wanted) -> Result<(), TraceFault> {
    let count = wanted.iter().filter(|w| **w).count();
    if rows.len() < count {
        let n = rows.len();
        let fault = wrong!("{n} rows are fewer than the {count} coefficients that are to be fitted");
        return Err(fault.hint("give more data"));
    }
    let mut normal = Normal::<K>::default();
    rows.iter().for_each(|r| normal.add(&r.columns, r.value, r.weight));
    let shares = normal.own_shares(wanted);
    let lost: Vec<usize> = (0..K).filter(|&j| wanted[j] && shares[j] < LEAST_OWN_SHARE).collect();
    if lost.is_empty() {
        return Ok(());
    }
    let names = lost.iter().map(|&j| COLUMNS[j]).collect::<Vec<_>>().join(", ");
    let empty: Vec<&str> =
        lost.iter().filter(|&&j| rows.iter().all(|r| r.columns[j] == 0.0)).map(|&j| COLUMNS[j]).collect();
    let why = if empty.is_empty() {
        "they always vary together in these data".to_owned()
    } else {
        format!("{} never occurs in these data", empty.join(", "))
    };
    let hint = format!("add measurements that vary it, or leave it out with --without {}", COLUMNS[lost[0]]);
    Err(wrong!("the data cannot identify {names}: {why}").hint(hint))
}

/// Fits recorded steps of several runs.
///
/// # Errors
/// What the data cannot tell, by name.
pub fn from_steps(runs: &[&EngineRun], wanted: &Wanted) -> Result<StepCoefficients, TraceFault> {
    let mut wanted = *wanted;
    // Where no step has more sequences than count as the first ones, each costs the sum of the two parts.
    wanted[FIRST] &= runs.iter().flat_map(|r| &r.steps).any(|(f, _)| f.rows > FIRST_ROWS);
    let wanted = &wanted;
    let mut speeds = vec![1.0; runs.len()];
    let mut x = [0.0; K];
    for round in 0..ROUNDS {
        let mut rows = Vec::new();
        for (run, speed) in runs.iter().zip(&speeds) {
            rows.extend(run.steps.iter().map(|(f, seconds)| {
                let value = (seconds + run.pause_s) / speed;
                Row { columns: columns(f), value, weight: 1.0 / value }
            }));
        }
        if round == 0 {
            identify(&rows, wanted)?;
        }
        x = robust(&rows, wanted, LINEAR_ABOVE_STEPS);
        for (run, speed) in runs.iter().zip(&mut speeds) {
            let ratios: Vec<f64> = run.steps.iter().map(|(f, s)| (s + run.pause_s) / dot(&columns(f), &x)).collect();
            *speed = quantile(&ratios, 0.5).unwrap_or(1.0);
        }
        // The speeds' geometric mean is 1: the profile is of the machine at its usual speed.
        let mean = libm::exp(speeds.iter().map(|s| libm::log(*s)).sum::<f64>() / speeds.len() as f64);
        speeds.iter_mut().for_each(|s| *s /= mean);
    }
    Ok(coefficients(&x))
}

/// Sums of columns from the first step on, to be read at any instant.
struct Sums<'a> {
    log: &'a [Logged],
    before: Vec<[f64; K]>,
}

impl<'a> Sums<'a> {
    fn new(log: &'a [Logged]) -> Sums<'a> {
        let mut before = vec![[0.0; K]];
        for step in log {
            let (last, own) = (before[before.len() - 1], columns(&step.features));
            before.push(std::array::from_fn(|i| last[i] + own[i]));
        }
        Sums { log, before }
    }
    /// Columns of the work done until `at`, seconds; a step under way counts by its share of time.
    fn until(&self, at: SimTime) -> [f64; K] {
        let fs = u128::from(at.0) * 1_000_000;
        // Instants are published in whole nanoseconds, rounded down: a step that ends within this one has ended.
        let done = self.log.partition_point(|s| s.end.0 / 1_000_000 * 1_000_000 <= fs);
        let mut sum = self.before[done];
        if let Some(step) = self.log.get(done).filter(|s| s.start.0 < fs) {
            let share = (fs - step.start.0) as f64 / (step.end.0 - step.start.0) as f64;
            columns(&step.features).iter().zip(&mut sum).for_each(|(c, s)| *s += c * share);
        }
        sum
    }
}

/// A run to be fitted: on which engine, and how many of its requests count.
#[derive(Clone)]
pub struct Observed<'a> {
    /// The run.
    pub run: &'a RequestRun,
    /// The replica, whatever its step time.
    pub replica: Arc<ReplicaType>,
    /// Requests that count, from the first.
    pub first: usize,
}

fn rows_of(o: &Observed<'_>, step: &StepCoefficients, lags: Lags) -> Result<Vec<Row>, TraceFault> {
    let replica = ReplicaType::clone(&o.replica).with_step_time(Arc::new(Fitted::new(step, 1.0)));
    let played = play_logged(&o.run.trial(lags), &replica).map_err(|fault| fault.in_file(&o.run.name))?;
    let sums = Sums::new(&played.log);
    let between = |from: SimTime, to: SimTime| -> [f64; K] {
        let (a, b) = (sums.until(from), sums.until(to));
        std::array::from_fn(|i| b[i] - a[i])
    };
    let mut rows = Vec::new();
    for ((t, measured), request) in played.timings.iter().zip(&o.run.measured).zip(&o.run.requests).take(o.first) {
        let (first, done) = (t.first.since(lags.token), t.done.since(lags.token));
        let mut columns = between(t.sent + lags.arrival_of(request.prompt), first);
        (columns[FRONTEND], columns[FRONTEND_TOKEN]) = (1.0, f64::from(request.prompt));
        rows.push(Row { columns, value: measured.0, weight: 1.0 / (measured.0 * measured.0) });
        let rest = measured.1 - measured.0;
        if request.output > 1 && rest > 0.0 {
            rows.push(Row { columns: between(first, done), value: rest, weight: 1.0 / (rest * rest) });
        }
    }
    Ok(rows)
}

/// What timings of requests tell.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct FromRequests {
    /// Time of a step.
    pub step: StepCoefficients,
    /// Before and behind the engine.
    pub frontend: Frontend,
}

impl FromRequests {
    /// The frontend as lags of a trial.
    pub fn lags(&self) -> Lags {
        lags(&self.frontend)
    }
}

/// A frontend as lags of a trial.
pub fn lags(f: &Frontend) -> Lags {
    let [arrival, arrival_per_1000_tokens, token] =
        [f.arrival_s, f.arrival_s_per_1000_prompt_tokens, f.token_s].map(SimTime::from_secs_f64);
    Lags { arrival, arrival_per_1000_tokens, token }
}

/// A guess to simulate first: half of the least latencies for what is sure to be there.
fn guess(observed: &[Observed<'_>]) -> [f64; K] {
    let (mut gaps, mut tokens) = (Vec::new(), Vec::new());
    for o in observed {
        for ((ttft, e2e), r) in o.run.measured.iter().zip(&o.run.requests).take(o.first) {
            tokens.push(ttft / f64::from(r.prompt));
            if r.output > 1 {
                gaps.push((e2e - ttft) / f64::from(r.output - 1));
            }
        }
    }
    let low = |v: &[f64]| quantile(v, 0.1).unwrap_or(0.0);
    let mut x = [0.0; K];
    (x[0], x[5]) = (low(&gaps) * 0.7, low(&tokens) * 0.5);
    x[2] = x[0] * 0.02;
    if gaps.is_empty() {
        x[0] = 0.001;
    }
    x
}

/// Fits timings of requests through the simulator.
///
/// # Errors
/// What the data cannot tell, by name; the simulation's.
pub fn from_requests(observed: &[Observed<'_>], wanted: &Wanted) -> Result<FromRequests, TraceFault> {
    let mut x = guess(observed);
    let at = |x: &[f64; K]| FromRequests { step: coefficients(x), frontend: frontend(x) };
    for round in 1..=ROUNDS {
        let now = at(&x);
        let mut rows = Vec::new();
        for o in observed {
            rows.extend(rows_of(o, &now.step, now.lags())?);
        }
        if round == 2 {
            identify(&rows, wanted)?;
        }
        let new = robust(&rows, wanted, LINEAR_ABOVE_REQUESTS);
        let pace = if round < ROUNDS { 0.5 } else { 1.0 };
        x = std::array::from_fn(|i| x[i] + pace * (new[i] - x[i]));
    }
    Ok(at(&x))
}

#[cfg(test)]
mod tests {
    use super::super::replica::MeasuredReplica;
    use super::super::trial::{Loop, Sent, play};
    use super::*;
    use baseload_core::catalog::{Catalog, MeasuredEngine};
    use baseload_core::fleet::StepTimeSource;

    /// Requests that overlap, so that a prompt's cost in the engine is seen in the tokens of others.
    fn run(truth: &FromRequests, replica: &Arc<ReplicaType>) -> RequestRun {
        let sent = |i: u64| Sent {
            at: SimTime::from_millis(i * 90 + i % 7 * 11),
            prompt: 60 + (i * 397 % 1_500) as u32,
            output: 20 + (i % 5) as u32 * 4,
            content: None,
        };
        let mut run = RequestRun {
            name: "made up".into(),
            model: "m".into(),
            engine: MeasuredEngine::default(),
            tensor_parallel: None,
            requests: (0..150).map(sent).collect(),
            sending: Loop::Open,
            measured: Vec::new(),
            hash: String::new(),
        };
        let played = play(&run.trial(truth.lags()), replica).unwrap();
        run.measured = played.timings.iter().map(|t| (t.ttft_s(), t.e2e_s())).collect();
        run
    }

    #[test]
    fn a_frontend_that_grows_with_the_prompt_is_told_from_the_engine_where_it_is_asked_for() {
        let truth = FromRequests {
            step: StepCoefficients {
                step_s: 0.008,
                sequence_s: 0.000_3,
                context_s_per_1000: 0.000_2,
                prefill_token_s: 0.000_02,
                ..StepCoefficients::default()
            },
            frontend: Frontend { arrival_s: 0.006, arrival_s_per_1000_prompt_tokens: 0.012, token_s: 0.0 },
        };
        let engine = MeasuredEngine { num_gpu_blocks: Some(4_096), ..MeasuredEngine::default() }
            .with("async_scheduling", Some(true))
            .with("max_num_batched_tokens", Some(8_192));
        let replica = MeasuredReplica::of("m", "g", engine)
            .resolve(Catalog::embedded(), StepTimeSource::Coefficients(truth.step, 1.0))
            .unwrap();
        let run = run(&truth, &replica);
        let observed = [Observed { run: &run, replica, first: run.requests.len() }];
        let mut wanted = FROM_REQUESTS;
        wanted[FRONTEND_TOKEN] = true;
        let fit = from_requests(&observed, &wanted).unwrap();
        for (name, got, want) in [
            ("frontend", fit.frontend.arrival_s, 0.006),
            ("frontend-token", fit.frontend.arrival_s_per_1000_prompt_tokens, 0.012),
            ("prefill-token", fit.step.prefill_token_s, 0.000_02),
        ] {
            assert!((got / want - 1.0).abs() < 0.15, "{name}: fitted {got}, made with {want}: {fit:?}");
        }
        let plain = from_requests(&observed, &FROM_REQUESTS).unwrap();
        assert_eq!(plain.frontend.arrival_s_per_1000_prompt_tokens, 0.0);
    }
}
