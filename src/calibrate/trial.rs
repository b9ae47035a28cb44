//! One measured run as a simulation: its requests, how they were sent, the engine that served them.
//!
//! Must keep true: it goes through `sim::simulate`, like every other run; a prediction knows no more of the run than
//! its requests, how they were sent, and the engine's settings.
use baseload_core::engine::EngineMode;
use baseload_core::fleet::ReplicaType;
use baseload_core::gateway::{ASSUMED_PREFILL_TOKENS_PER_S, Resilience, Routing};
use baseload_core::latency::Features;
use baseload_core::sim::{PoolSpec, SimStats, WorldSpec, simulate};
use baseload_core::types::{
    AttemptRecord, BatchShape, ClassSpec, Content, DecodeLaw, Femtos, GapRun, NO_SESSION, Outcome, PlaceMap,
    RecordSink, Request, RequestRecord, SeriesRow, SimTime, Source, StepTime, TraceFault, wrong,
};
use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

/// One request that was sent.
#[derive(Debug, Clone, PartialEq)]
pub struct Sent {
    /// When its client sent it; in a closed loop only its place in the order counts.
    pub at: SimTime,
    /// Prompt tokens.
    pub prompt: u32,
    /// Tokens it generated.
    pub output: u32,
    /// Prompt identity, where it is known.
    pub content: Option<Content>,
}

/// How requests were sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Loop {
    /// At recorded instants.
    Open,
    /// In order, so many in flight.
    Closed(u32),
}

/// What lies between client and engine.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Lags {
    /// Send to engine.
    pub arrival: SimTime,
    /// Time added to `arrival` for each 1,000 prompt tokens.
    pub arrival_per_1000_tokens: SimTime,
    /// Engine's token to client.
    pub token: SimTime,
}

impl Lags {
    /// Send to engine of a prompt of so many tokens.
    pub fn arrival_of(&self, prompt: u32) -> SimTime {
        SimTime(self.arrival.0 + self.arrival_per_1000_tokens.0 * u64::from(prompt) / 1_000)
    }
}

/// A run to simulate.
#[derive(Debug, Clone)]
pub struct Trial {
    /// Requests in the order in which they were sent.
    pub requests: Vec<Sent>,
    /// How requests are sent.
    pub sending: Loop,
    /// Lags between client and engine.
    pub lags: Lags,
}

/// What became of a request, as its client saw it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Timing {
    /// Sent.
    pub sent: SimTime,
    /// First token.
    pub first: SimTime,
    /// Last token.
    pub done: SimTime,
}

impl Timing {
    /// Send to first token, seconds.
    pub fn ttft_s(&self) -> f64 {
        self.first.since(self.sent).as_secs_f64()
    }
    /// Send to last token, seconds.
    pub fn e2e_s(&self) -> f64 {
        self.done.since(self.sent).as_secs_f64()
    }
}

/// A step that the simulated engine took.
#[derive(Debug, Clone, Copy)]
pub struct Logged {
    /// What the step did.
    pub features: Features,
    /// From.
    pub start: Femtos,
    /// To.
    pub end: Femtos,
}

/// How a trial went.
#[derive(Debug, Clone, Default)]
pub struct Played {
    /// By request.
    pub timings: Vec<Timing>,
    /// Gaps between tokens.
    pub gaps: Vec<GapRun>,
    /// Steps taken.
    pub steps: u64,
    /// The steps taken, one by one, where asked for.
    pub log: Vec<Logged>,
    /// By request: the replica that served it.
    pub replicas: Vec<u32>,
    /// By request: prompt tokens that it found in a prefix cache.
    pub cached: Vec<u32>,
}

/// Plays a trial with strides, keeping no steps.
///
/// # Errors
/// A request that the engine can never hold, with its number.
pub fn play(trial: &Trial, replica: &Arc<ReplicaType>) -> Result<Played, TraceFault> {
    let replicas = std::slice::from_ref(replica);
    run(trial, replicas, Routing::least_outstanding(), EngineMode::default(), &Arc::default())
}

/// Plays a trial on several replicas, each a type of its own, behind a router that sends what arrives.
/// Loads are scraped every second, as everywhere.
///
/// # Errors
/// As [`play`]; more than 64 replicas.
pub fn play_fleet(trial: &Trial, replicas: &[Arc<ReplicaType>], routing: Routing) -> Result<Played, TraceFault> {
    if replicas.is_empty() || replicas.len() > 64 {
        return Err(wrong!("{} replicas", replicas.len()).hint("a fleet that is measured has 1 to 64"));
    }
    run(trial, replicas, routing, EngineMode::default(), &Arc::default())
}

/// Plays a trial step by step and keeps each step.
///
/// # Errors
/// As [`play`].
pub fn play_logged(trial: &Trial, replica: &ReplicaType) -> Result<Played, TraceFault> {
    let now = Arc::new(AtomicU64::new(0));
    let log = Arc::new(Log { inner: replica.step_time.clone(), now: now.clone(), steps: Mutex::new(Vec::new()) });
    let mode = EngineMode { strides: false, ..EngineMode::default() };
    let replicas = [Arc::new(replica.clone().with_step_time(log.clone()))];
    let mut played = run(trial, &replicas, Routing::least_outstanding(), mode, &now)?;
    played.log = std::mem::take(&mut *log.steps.lock().expect("log-whole: one thread plays a trial"));
    Ok(played)
}

/// One replica as a pool of its own, so that each may be a type of its own.
fn pool(replica: &Arc<ReplicaType>, mode: EngineMode) -> PoolSpec {
    PoolSpec {
        name: "measured".into(),
        replicas: 1,
        replica: replica.clone(),
        mode,
        assumed_prefill_tokens_per_s: ASSUMED_PREFILL_TOKENS_PER_S,
    }
}

/// Simulates replicas behind a router, fed by `source`; `scrape` is interval and delay of the loads that the router sees.
pub(super) fn simulate_fleet(
    replicas: &[Arc<ReplicaType>],
    routing: Routing,
    scrape: (SimTime, SimTime),
    mode: EngineMode,
    source: &mut dyn Source,
    sink: &mut impl RecordSink,
) -> Result<SimStats, TraceFault> {
    let spec = WorldSpec {
        seed: 1,
        replicate: 0,
        pools: replicas.iter().map(|r| pool(r, mode)).collect(),
        endpoints: Vec::new(),
        routing,
        resilience: Resilience::none(),
        scrape,
        kv_event_delay: SimTime::ZERO,
        classes: vec![(ClassSpec::default(), 1_000_000)],
        failures: None,
        slo: [None; 3],
        sample_every: SimTime::from_secs(1),
        answers: PlaceMap::default(),
    };
    let (progress, stop) = (AtomicU64::new(0), AtomicBool::new(false));
    simulate(&spec, source, sink, &progress, &stop).map_err(|e| wrong!("{e}"))
}

fn run(
    trial: &Trial,
    replicas: &[Arc<ReplicaType>],
    routing: Routing,
    mode: EngineMode,
    now: &Arc<AtomicU64>,
) -> Result<Played, TraceFault> {
    let mut source = TrialSource::new(trial, now.clone());
    let n = trial.requests.len();
    let mut sink = Results {
        timings: vec![None; n],
        gaps: Vec::new(),
        lags: trial.lags,
        replicas: vec![u32::MAX; n],
        cached: vec![0; n],
    };
    let scrape = (SimTime::from_secs(1), SimTime::ZERO);
    let stats = simulate_fleet(replicas, routing, scrape, mode, &mut source, &mut sink)?;
    let kv = replicas[0].kv;
    let whole = |(i, t): (usize, Option<Timing>)| {
        let r = &trial.requests[i];
        t.ok_or_else(|| {
            let (blocks, of, most) = (kv.num_blocks, kv.block_size, kv.max_model_len);
            let fault =
                wrong!("request {i} ({} prompt and {} output tokens) can never run in this engine", r.prompt, r.output);
            fault.hint(format!("it has {blocks} blocks of {of} tokens and takes sequences of at most {most}"))
        })
    };
    let timings = sink.timings.into_iter().enumerate().map(whole).collect::<Result<Vec<_>, _>>()?;
    let Results { gaps, replicas, cached, .. } = sink;
    Ok(Played { timings, gaps, steps: stats.engine_steps, log: Vec::new(), replicas, cached })
}

/// Yields the requests as they reach the engine.
struct TrialSource<'a> {
    trial: &'a Trial,
    /// Instant at the engine, and the request.
    due: BinaryHeap<Reverse<(SimTime, usize)>>,
    /// Closed loop: the next to be sent.
    next: usize,
    now: Arc<AtomicU64>,
}

impl<'a> TrialSource<'a> {
    fn new(trial: &'a Trial, now: Arc<AtomicU64>) -> TrialSource<'a> {
        let mut this = TrialSource { trial, due: BinaryHeap::new(), next: 0, now };
        let first = match trial.sending {
            Loop::Open => trial.requests.len(),
            Loop::Closed(users) => (users.max(1) as usize).min(trial.requests.len()),
        };
        for i in 0..first {
            let at = if trial.sending == Loop::Open { trial.requests[i].at } else { SimTime::ZERO };
            this.due.push(Reverse((at + trial.lags.arrival_of(trial.requests[i].prompt), i)));
        }
        this.next = first;
        this
    }
}

impl Source for TrialSource<'_> {
    fn peek(&mut self) -> Result<Option<SimTime>, TraceFault> {
        Ok(self.due.peek().map(|Reverse((at, _))| *at))
    }
    fn next(&mut self) -> Request {
        let Reverse((arrival, i)) = self.due.pop().expect("source-peeked: there is a next one");
        self.now.store(arrival.0, Ordering::Relaxed);
        let sent = &self.trial.requests[i];
        let index = i as u64;
        Request {
            index,
            arrival,
            tenant: 0,
            session: NO_SESSION,
            class: 0,
            prompt_tokens: sent.prompt,
            output_tokens: sent.output,
            max_output_tokens: sent.output,
            priority: 0,
            content: sent.content.clone().unwrap_or_else(|| Content::private(index, sent.prompt)),
        }
    }
    fn finished(&mut self, _session: u64, at: SimTime, _outcome: Outcome) {
        if self.trial.sending != Loop::Open && self.next < self.trial.requests.len() {
            let lags = self.trial.lags;
            let prompt = self.trial.requests[self.next].prompt;
            self.due.push(Reverse((at + lags.token + lags.arrival_of(prompt), self.next)));
            self.next += 1;
        }
    }
    fn total(&self) -> Option<u64> {
        Some(self.trial.requests.len() as u64)
    }
}

struct Results {
    timings: Vec<Option<Timing>>,
    gaps: Vec<GapRun>,
    lags: Lags,
    replicas: Vec<u32>,
    cached: Vec<u32>,
}

impl RecordSink for Results {
    fn attempt(&mut self, record: &AttemptRecord) {
        self.replicas[record.request as usize] = record.replica.map_or(u32::MAX, |r| r.0);
        self.cached[record.request as usize] = record.cached_tokens;
    }
    fn request(&mut self, r: &RequestRecord) {
        let Some(ttft) = r.ttft.filter(|_| r.outcome == Outcome::Completed) else { return };
        self.timings[r.index as usize] = Some(Timing {
            sent: r.arrival.since(self.lags.arrival_of(r.prompt_tokens)),
            first: r.arrival + ttft + self.lags.token,
            done: r.ended + self.lags.token,
        });
    }
    fn gaps(&mut self, run: &GapRun) {
        self.gaps.push(*run);
    }
    fn wants_series(&self) -> bool {
        false
    }
    fn series(&mut self, _row: &SeriesRow) {}
}

/// A step time that notes what it is asked. A step starts when the one before it ends, or, on an idle engine, at the
/// arrival that woke it.
struct Log {
    inner: Arc<dyn StepTime>,
    now: Arc<AtomicU64>,
    steps: Mutex<Vec<Logged>>,
}

impl StepTime for Log {
    fn batch(&self, shape: &BatchShape<'_>) -> Femtos {
        let lasts = self.inner.batch(shape);
        let mut steps = self.steps.lock().expect("log-whole: one thread plays a trial");
        let woken = Femtos::from_time(SimTime(self.now.load(Ordering::Relaxed)));
        let start = steps.last().map_or(woken, |s| s.end.max(woken));
        steps.push(Logged { features: Features::of(shape), start, end: start + lasts });
        lasts
    }
    fn decode(&self, rows: u32, ctx_sum: u64) -> DecodeLaw {
        self.inner.decode(rows, ctx_sum)
    }
}

/// A replica of an engine's settings, of which the catalogue knows nothing.
#[cfg(test)]
pub(super) fn served(engine: baseload_core::engine::VllmConfig, step_time: Arc<dyn StepTime>) -> Arc<ReplicaType> {
    let limits = baseload_core::engine::EngineLimits {
        max_rows: engine.max_num_seqs,
        most_rows: engine.max_num_seqs,
        most_tokens: engine.max_num_batched_tokens.into(),
        cached_block: None,
        by_priority: false,
    };
    let facts = baseload_core::types::BackendFacts {
        internal: true,
        capability: baseload_core::types::Capability::Small,
        max_context_tokens: engine.max_model_len,
        deferred: false,
    };
    Arc::new(ReplicaType::made_by(move |mode| engine.clone().scheduler(mode), limits, facts, step_time))
}

#[cfg(test)]
mod tests {
    use super::*;
    use baseload_core::engine::VllmConfig;
    use baseload_core::latency::Constant;

    fn trial(sending: Loop) -> Trial {
        let sent = |ms: u64| Sent { at: SimTime::from_millis(ms), prompt: 10, output: 3, content: None };
        Trial {
            requests: vec![sent(0), sent(5), sent(500)],
            sending,
            lags: Lags { arrival: SimTime::from_millis(2), token: SimTime::from_millis(1), ..Lags::default() },
        }
    }

    /// 10 ms a step, nothing else; synchronous.
    fn ten_ms() -> Arc<ReplicaType> {
        let step = Constant { base_fs: 10_000_000_000_000, ..Constant::default() };
        served(VllmConfig { async_scheduling: false, ..VllmConfig::default() }, Arc::new(step))
    }

    #[test]
    fn recorded_starts_are_kept_and_lags_are_added() {
        let played = play(&trial(Loop::Open), &ten_ms()).unwrap();
        let ms = |t: SimTime| t.0 / 1_000_000;
        let seen: Vec<_> = played.timings.iter().map(|t| (ms(t.sent), ms(t.first), ms(t.done))).collect();
        // The second one reaches the engine at 7 ms, during the first step (2 to 12 ms).
        assert_eq!(seen, [(0, 13, 33), (5, 23, 43), (500, 513, 533)]);
    }

    #[test]
    fn a_longer_prompt_takes_longer_to_the_engine_and_may_be_overtaken() {
        let mut t = trial(Loop::Open);
        t.requests[0].prompt = 9;
        t.lags.arrival_per_1000_tokens = SimTime::from_millis(700);
        let played = play(&t, &ten_ms()).unwrap();
        let ms = |t: SimTime| t.0 as f64 / 1e6;
        let seen: Vec<_> = played.timings.iter().map(|t| (ms(t.sent), ms(t.first))).collect();
        // 2 ms and 0.7 ms a token: the engine has them at 8.3, 14 and 509 ms.
        assert_eq!(seen, [(0.0, 19.3), (5.0, 29.3), (500.0, 520.0)]);
        t.requests[0].prompt = 30;
        let played = play(&t, &ten_ms()).unwrap();
        let seen: Vec<_> = played.timings.iter().map(|t| (ms(t.sent), ms(t.first))).collect();
        // At 23 ms, when the second one's prompt is in its step from 14 to 24 ms.
        assert_eq!(seen[..2], [(0.0, 35.0), (5.0, 25.0)]);
    }

    #[test]
    fn a_closed_loop_sends_when_an_answer_is_back() {
        let played = play(&trial(Loop::Closed(1)), &ten_ms()).unwrap();
        let sent: Vec<u64> = played.timings.iter().map(|t| t.sent.0 / 1_000_000).collect();
        assert_eq!(sent, [0, 33, 66]);
    }

    #[test]
    fn a_logged_trial_has_the_same_timings_and_every_step_at_its_place() {
        let plain = play(&trial(Loop::Open), &ten_ms()).unwrap();
        let logged = play_logged(&trial(Loop::Open), &ten_ms()).unwrap();
        assert_eq!((plain.timings, plain.steps), (logged.timings, logged.log.len() as u64));
        let starts: Vec<u128> = logged.log.iter().map(|s| s.start.0 / 1_000_000_000_000).collect();
        assert_eq!(starts, [2, 12, 22, 32, 502, 512, 522]);
        assert_eq!(logged.log[1].features, Features { rows: 1, context: 10, chunks: 1, tokens: 10, pairs: 66 });
    }

    #[test]
    fn what_can_never_run_is_named() {
        let mut t = trial(Loop::Open);
        t.requests[1].prompt = 1_000_000;
        let e = play(&t, &ten_ms()).unwrap_err().to_string();
        assert!(e.starts_with("request 1 (1000000 prompt"), "{e}");
    }
}
