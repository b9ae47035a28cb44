//! One simulation of a break-even: a policy with so many replicas at a volume, and what its own GPUs were asked to do.
//!
//! May import: economics, sim, trace, the resolved experiment. Must keep true: the month is that of the window at x1, at
//! every volume; the same volume, policy and replicas give the same numbers.
use super::super::inputs::{TraceOrigin, find};
use super::super::resolve::{Experiment, ResolvedPolicy};
use super::super::run::{Collector, Oracle, RunError, nothing_comes};
use super::super::verdict::summary::PolicySummary;
use baseload_core::economics::{FleetRates, MONTH, OwnWork};
use baseload_core::engine::EngineMode;
use baseload_core::sim::{SimError, simulate};
use baseload_core::types::{
    AttemptRecord, BatchShape, Fault, GapRun, Outcome, Place, PrefillChunk, RecordSink, RequestRecord, SeriesRow,
    SimTime, StepTime, TokenPrice, key,
};
use baseload_trace::transform::{Slice, Volume};
use baseload_trace::{Play, SourceOptions, Transform};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

/// Width of the busiest stretch.
const STRETCH: SimTime = SimTime::from_secs(300);
/// How late copies of the trace are at most.
const SHIFT: SimTime = SimTime::from_secs(5);

/// The trace at x1, read once.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct AtOne {
    /// Requests.
    pub requests: u64,
    /// First arrival.
    pub first: SimTime,
    /// Last arrival.
    pub last: SimTime,
    /// Mean prompt tokens.
    pub prompt: f64,
    /// Mean output tokens.
    pub output: f64,
    /// Mean tokens in the KV cache of a request while it decodes, over its decode steps.
    pub context: f64,
}

impl AtOne {
    /// First to last arrival.
    pub fn window(&self) -> SimTime {
        self.last.since(self.first)
    }
    /// Requests a second.
    pub fn requests_per_s(&self) -> f64 {
        self.requests as f64 / self.window().as_secs_f64()
    }
}

/// What all simulations of a break-even share.
pub struct Bench<'a> {
    exp: &'a Experiment,
    origin: TraceOrigin,
    options: SourceOptions,
    /// The trace at x1.
    pub at_one: AtOne,
    progress: &'a AtomicU64,
    stop: &'a AtomicBool,
}

/// What came out.
#[derive(Debug, Clone)]
pub struct Measured {
    /// The policy's summary.
    pub summary: PolicySummary,
    /// What own GPUs were asked to do.
    pub work: OwnWork,
    /// What the source had to say.
    pub notes: Vec<String>,
}

impl<'a> Bench<'a> {
    /// Reads the trace once.
    ///
    /// # Errors
    /// A trace that has no volume: users in a closed loop; the reader's own.
    pub fn new(exp: &'a Experiment, progress: &'a AtomicU64, stop: &'a AtomicBool) -> Result<Bench<'a>, RunError> {
        let fault = |key: &str, what: &str, hint: &str| RunError::from(exp.located(Fault::at(key, what).hint(hint)));
        let origin = find(&exp.trace).map_err(|faults| exp.located(faults.under("trace")))?;
        let options = exp.trace.options.clone();
        if exp.trace.is_of_users() {
            let users = Fault::at(key!["trace", "users"], "so many users send as much as they are answered");
            let hint = "there is no volume to change: give arrivals: a trace, generate or arrivals_per_s";
            return Err(exp.located(users.hint(hint)).into());
        }
        for (key, given) in [
            ("max_concurrency", exp.trace.options.max_concurrency.is_some()),
            ("warmup_requests", exp.trace.warmup_requests > 0),
        ] {
            if given {
                let fault =
                    Fault::at(key!["trace", key], "a volume is of a trace whose arrivals wait for nobody, all of it");
                return Err(exp.located(fault.hint("leave it out")).into());
            }
        }
        if exp.quality.is_some() {
            let what = "a table's rows are those of the trace's requests, so there is none for another volume";
            return Err(fault("quality", what, "leave [quality] and its columns out, or give shares"));
        }
        let at_one = read(exp, &origin, &options, stop)?;
        if at_one.window() == SimTime::ZERO {
            return Err(fault("trace", "all requests arrive at one instant", "a month needs two instants at least"));
        }
        Ok(Bench { exp, origin, options, at_one, progress, stop })
    }

    /// Whether the month is that of the window at x1: in a closed loop it is each simulation's own.
    fn open(&self) -> bool {
        self.options.play == Play::Open
    }

    /// Simulates `policy` at `volume`.
    ///
    /// # Errors
    /// As [`super::super::run()`].
    pub fn simulate(&self, policy: &ResolvedPolicy, volume: f64) -> Result<Measured, RunError> {
        let spec = self.exp.world(policy, 0, EngineMode { strides: true, reference_pool: false });
        // A limit is of the trace as it is, not of its copies.
        let (more, limit) = match (volume == 1.0, self.options.limit) {
            (true, limit) => (Vec::new(), limit),
            (false, limit) => {
                let cut = limit.map(|take| Transform::Slice(Slice { take: Some(take), ..Slice::default() }));
                let times = Transform::Volume(Volume { times: volume, shift: SHIFT });
                (cut.into_iter().chain([times]).collect(), None)
            }
        };
        let options = SourceOptions { limit, ..self.options.clone() };
        let source = self.origin.clone().then(more).open(&self.exp.class_names(), &options);
        let mut source = source.map_err(|why| self.exp.unplayable(why))?;
        let mut sink = Tally::new(Collector::of(&spec).with_oracle(Oracle::of_latencies(&spec)));
        let stats = simulate(&spec, source.as_mut(), &mut sink, self.progress, self.stop);
        let mut stats = stats.map_err(|e| match e {
            SimError::Interrupted => RunError::Interrupted,
            error => RunError::Simulation { policy: format!("{} at x{volume}", policy.name), error },
        })?;
        if stats.requests == 0 {
            let what = format!("at x{volume} no request is left of the trace");
            return Err(Fault::at("--from", what).hint("give more").into());
        }
        if self.open() {
            stats.first_arrival = self.at_one.first;
            stats.last_arrival = self.at_one.last;
        }
        let summary = sink.collector.summary(self.exp, policy, &stats)?;
        let work = sink.work(stats.last_arrival.since(stats.first_arrival));
        Ok(Measured { summary, work, notes: source.notes() })
    }

    /// What the fleet of `policy` can do at most, by its engines' step times and the requests' mean lengths.
    pub fn rates(&self, policy: &ResolvedPolicy) -> FleetRates {
        let mut rates = FleetRates {
            usd_per_hour: 0.0,
            full_batch_tokens_per_s: 0.0,
            kv_limited_tokens_per_s: 0.0,
            prompt_tokens_per_s: 0.0,
        };
        for (at, replicas) in policy.pools.iter().filter(|(_, replicas)| *replicas > 0) {
            let pool = &self.exp.pools[*at];
            let (replica, n) = (&pool.replica, f64::from(*replicas));
            let (limits, step) = (replica.limits, replica.step_time.as_ref());
            rates.usd_per_hour += n * f64::from(replica.gpus) * pool.rent().as_f64();
            let held = (replica.kv.tokens() as f64 / self.at_one.context.max(1.0)) as u32;
            // Paper's full batch knows no memory, only the engine's own limit of sequences.
            let full = limits.max_rows.max(1);
            rates.full_batch_tokens_per_s += n * self.tokens_per_s(step, full);
            rates.kv_limited_tokens_per_s += n * self.tokens_per_s(step, full.min(held).max(1));
            // A prompt comes in chunks no larger than a step.
            let chunk = (limits.most_tokens.min(u64::from(u32::MAX)) as u32).min(self.at_one.prompt as u32).max(1);
            let one = [PrefillChunk { context: 0, tokens: chunk }];
            let fs = step.batch(&BatchShape { prefill: &one, decode_rows: 0, decode_ctx_sum: 0 }).0;
            rates.prompt_tokens_per_s += n * f64::from(chunk) / (fs.max(1) as f64 / 1e15);
        }
        rates
    }

    /// Output tokens a second of pure decode steps of so many sequences of the mean context.
    fn tokens_per_s(&self, step: &dyn StepTime, sequences: u32) -> f64 {
        let contexts = (f64::from(sequences) * self.at_one.context) as u64;
        let fs = step.batch(&BatchShape { prefill: &[], decode_rows: sequences, decode_ctx_sum: contexts }).0;
        f64::from(sequences) / (fs.max(1) as f64 / 1e15)
    }

    /// List price of the mean request at the cheapest endpoint of `policy`: its name, and US$ a month at x1. Nothing is
    /// cached, retried or refused.
    pub fn naive_api(&self, policy: &ResolvedPolicy) -> Option<(String, f64)> {
        let a_month = self.at_one.requests_per_s() * MONTH.as_secs_f64();
        let of = |at: &usize| {
            let spec = &self.exp.endpoints[*at].spec;
            let usd = |price: TokenPrice, tokens: f64| price.of(1_000_000).as_f64() * tokens / 1e6;
            let request = usd(spec.price.input, self.at_one.prompt) + usd(spec.price.output, self.at_one.output);
            (spec.name.clone(), request * a_month)
        };
        policy.endpoints.iter().map(of).min_by(|a, b| a.1.total_cmp(&b.1))
    }
}

/// Reads the trace as it is, whatever becomes of its requests.
fn read(exp: &Experiment, origin: &TraceOrigin, options: &SourceOptions, stop: &AtomicBool) -> Result<AtOne, RunError> {
    let options = SourceOptions { play: Play::Open, ..options.clone() };
    let mut source = origin.open(&exp.class_names(), &options).map_err(|why| exp.unplayable(why))?;
    let (mut n, mut first, mut last) = (0u64, None, SimTime::ZERO);
    let [mut prompt, mut output, mut context] = [0.0f64; 3];
    while source.peek()?.is_some() {
        let request = source.next();
        let (p, o) = (f64::from(request.prompt_tokens), f64::from(request.output_tokens));
        n += 1;
        first.get_or_insert(request.arrival);
        last = request.arrival;
        prompt += p;
        output += o;
        context += o * (p + o / 2.0);
        if stop.load(Ordering::Relaxed) {
            return Err(RunError::Interrupted);
        }
    }
    if n == 0 {
        return Err(exp.located(nothing_comes()).into());
    }
    let mean = |sum: f64| sum / n as f64;
    Ok(AtOne {
        requests: n,
        first: first.unwrap_or(SimTime::ZERO),
        last,
        prompt: mean(prompt),
        output: mean(output),
        context: context / output.max(1.0),
    })
}

/// Counts what own GPUs did beside what a summary has.
struct Tally {
    collector: Collector,
    /// Tokens of completed requests: output, output by own GPUs, prompt computed by own GPUs.
    tokens: [u64; 3],
    /// Output tokens by five minutes of arrival.
    stretches: Vec<u64>,
}

impl Tally {
    fn new(collector: Collector) -> Tally {
        Tally { collector, tokens: [0; 3], stretches: Vec::new() }
    }

    fn work(&self, window: SimTime) -> OwnWork {
        let seconds = window.as_secs_f64();
        let per_s = |n: u64| n as f64 / seconds;
        // The last stretch may be cut short by the end of the window, and would look idle.
        let whole = ((window.0 / STRETCH.0) as usize).min(self.stretches.len());
        let most = self.stretches[..whole].iter().copied().max().unwrap_or(0) as f64 / STRETCH.as_secs_f64();
        let mean = self.stretches.iter().sum::<u64>() as f64 / seconds;
        OwnWork {
            output_tokens_per_s: per_s(self.tokens[0]),
            own_output_tokens_per_s: per_s(self.tokens[1]),
            own_prompt_tokens_per_s: per_s(self.tokens[2]),
            busiest: if mean > 0.0 { (most / mean).max(1.0) } else { 1.0 },
        }
    }
}

impl RecordSink for Tally {
    fn attempt(&mut self, record: &AttemptRecord) {
        self.collector.attempt(record);
    }
    fn request(&mut self, record: &RequestRecord) {
        self.collector.request(record);
        if record.outcome == Outcome::Completed {
            let output = u64::from(record.output_tokens);
            self.tokens[0] += output;
            if matches!(record.backend, Some(Place::Pool(_))) {
                self.tokens[1] += output;
                self.tokens[2] += u64::from(record.prompt_tokens.saturating_sub(record.cached_tokens));
            }
            let at = (record.arrival.0 / STRETCH.0) as usize;
            if self.stretches.len() <= at {
                self.stretches.resize(at + 1, 0);
            }
            self.stretches[at] += output;
        }
    }
    // Gaps between tokens and the series are in no line of a break-even.
    fn gaps(&mut self, _: &GapRun) {}
    fn wants_series(&self) -> bool {
        false
    }
    fn series(&mut self, _: &SeriesRow) {}
}
