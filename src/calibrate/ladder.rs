//! A ladder of stages of constant rate as a simulation: each stage begins when the answers of the one before it are in.
//!
//! Must keep true: every stage goes through `sim::simulate` in one world, so caches are kept between stages.
use super::setup::{Questions, Setup};
use super::trial::{Lags, simulate_fleet};
use baseload_core::engine::EngineMode;
use baseload_core::fleet::ReplicaType;
use baseload_core::gateway::Routing;
use baseload_core::random::{self, dist};
use baseload_core::types::{
    AttemptRecord, Content, ContentId, GapRun, NO_SESSION, Outcome, RecordSink, Request, RequestRecord, Run, SeriesRow,
    SimTime, Source, TraceFault, wrong,
};
use std::sync::Arc;

/// What a stage showed.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Climbed {
    /// Times to first token, seconds, in the order of answers.
    pub ttft_s: Vec<f64>,
    /// Mean over requests of the mean gap between an answer's tokens, seconds.
    pub itl_mean_s: f64,
    /// Output tokens a second from the first arrival to the last answer.
    pub out_tok_s: f64,
    /// Share of prompt tokens that were cached.
    pub cached_share: f64,
}

/// Plays stages of so many seconds at these rates, requests a second; says how each went.
///
/// # Errors
/// A request that no engine can hold.
pub fn climb(
    setup: &Setup,
    seconds: u32,
    rates: &[f64],
    replicas: &[Arc<ReplicaType>],
    lags: Lags,
    routing: Routing,
) -> Result<Vec<Climbed>, TraceFault> {
    climb_in(EngineMode::default(), setup, (seconds, rates), replicas, lags, routing)
}

fn climb_in(
    mode: EngineMode,
    setup: &Setup,
    (seconds, rates): (u32, &[f64]),
    replicas: &[Arc<ReplicaType>],
    lags: Lags,
    routing: Routing,
) -> Result<Vec<Climbed>, TraceFault> {
    let scrape = (setup.scrape()?, SimTime::ZERO);
    let mut source = Stages::new(setup, seconds, rates);
    let mut sink = Sink { ends: source.ends.clone(), ..Sink::default() };
    sink.stages.resize(source.ends.len(), Tally::default());
    simulate_fleet(replicas, routing, scrape, mode, &mut source, &mut sink)?;
    if sink.unserved > 0 {
        let (w, kv) = (&setup.workload, replicas[0].kv);
        let tokens = w.prefix_tokens + w.question_tokens + w.output_tokens;
        let fault = wrong!("{} requests of {tokens} tokens can never run in the set-up's engine", sink.unserved);
        return Err(fault.hint(format!("it has {} blocks of {} tokens", kv.num_blocks, kv.block_size)));
    }
    let skip = usize::from(setup.stages.warm_up);
    let lag_s =
        (lags.arrival_of(setup.workload.prefix_tokens + setup.workload.question_tokens) + lags.token).as_secs_f64();
    Ok(sink.stages.into_iter().skip(skip).map(|t| t.climbed(lag_s)).collect())
}

/// Yields the requests of one stage after the other.
struct Stages<'a> {
    setup: &'a Setup,
    /// By stage: requests a second, and the index of the first request after it.
    rates: Vec<f64>,
    ends: Vec<u64>,
    order: Vec<u32>,
    stage: usize,
    /// When the stage began, and its first request.
    began: (SimTime, u64),
    next: u64,
    answered: u64,
}

impl<'a> Stages<'a> {
    fn new(setup: &'a Setup, seconds: u32, rates: &[f64]) -> Stages<'a> {
        let prompts = setup.workload.groups * setup.workload.prompts_per_group;
        let mut stages: Vec<(f64, u64)> = Vec::new();
        if setup.stages.warm_up {
            stages.push((rates[0], prompts.into()));
        }
        stages.extend(rates.iter().map(|&r| (r, ((r * f64::from(seconds)).round() as u64).max(1))));
        let mut order: Vec<u32> = (0..prompts).collect();
        let mut draws = random::stream(1, 0, "routing.order", 0, 0);
        for i in (1..order.len()).rev() {
            let j = (dist::uniform01(&mut draws) * (i + 1) as f64) as usize;
            order.swap(i, j.min(i));
        }
        let mut end = 0;
        let mut ends = Vec::new();
        for (_, n) in &stages {
            end += n;
            ends.push(end);
        }
        let rates = stages.into_iter().map(|(r, _)| r).collect();
        Stages { setup, rates, ends, order, stage: 0, began: (SimTime::ZERO, 0), next: 0, answered: 0 }
    }
    fn at(&self) -> SimTime {
        let (began, first) = self.began;
        began + SimTime::from_secs_f64((self.next - first) as f64 / self.rates[self.stage])
    }
}

impl Source for Stages<'_> {
    fn peek(&mut self) -> Result<Option<SimTime>, TraceFault> {
        Ok((self.stage < self.ends.len() && self.next < self.ends[self.stage]).then(|| self.at()))
    }
    fn next(&mut self) -> Request {
        let (index, arrival, w) = (self.next, self.at(), &self.setup.workload);
        let prompt = self.order[(index % self.order.len() as u64) as usize];
        self.next += 1;
        let group = u64::from(prompt / w.prompts_per_group);
        let question = match self.setup.stages.questions {
            Questions::Same => ContentId::Named(u64::from(w.groups + prompt)),
            Questions::New => ContentId::Private(index),
        };
        let parts = [(ContentId::Named(group), w.prefix_tokens), (question, w.question_tokens)];
        let runs: Vec<Run> =
            parts.into_iter().filter(|(_, len)| *len > 0).map(|(id, len)| Run { id, start: 0, len }).collect();
        Request {
            index,
            arrival,
            tenant: 0,
            session: NO_SESSION,
            class: 0,
            prompt_tokens: w.prefix_tokens + w.question_tokens,
            output_tokens: w.output_tokens,
            max_output_tokens: w.output_tokens,
            priority: 0,
            content: Content::from(runs),
        }
    }
    fn finished(&mut self, _session: u64, at: SimTime, _outcome: Outcome) {
        self.answered += 1;
        if self.answered == self.ends[self.stage] {
            self.began = (at, self.answered);
            self.stage += 1;
        }
    }
    fn total(&self) -> Option<u64> {
        self.ends.last().copied()
    }
}

#[derive(Debug, Clone, Default)]
struct Tally {
    ttft_s: Vec<f64>,
    /// Sum of the mean gaps of answers.
    gaps_s: f64,
    first: Option<SimTime>,
    last: SimTime,
    output: u64,
    prompt: u64,
    cached: u64,
}

impl Tally {
    fn climbed(self, lag_s: f64) -> Climbed {
        let took = self.last.since(self.first.unwrap_or(SimTime::ZERO)).as_secs_f64() + lag_s;
        Climbed {
            ttft_s: self.ttft_s.iter().map(|t| t + lag_s).collect(),
            itl_mean_s: self.gaps_s / self.ttft_s.len().max(1) as f64,
            out_tok_s: self.output as f64 / took,
            cached_share: self.cached as f64 / self.prompt.max(1) as f64,
        }
    }
}

#[derive(Default)]
struct Sink {
    ends: Vec<u64>,
    stages: Vec<Tally>,
    unserved: u64,
}

impl RecordSink for Sink {
    fn attempt(&mut self, _record: &AttemptRecord) {}
    fn request(&mut self, r: &RequestRecord) {
        let Some(ttft) = r.ttft.filter(|_| r.outcome == Outcome::Completed) else {
            self.unserved += 1;
            return;
        };
        let tally = &mut self.stages[self.ends.partition_point(|end| *end <= r.index)];
        tally.ttft_s.push(ttft.as_secs_f64());
        tally.gaps_s += (r.e2e - ttft).as_secs_f64() / f64::from(r.output_tokens.saturating_sub(1).max(1));
        tally.first = Some(tally.first.map_or(r.arrival, |f| f.min(r.arrival)));
        tally.last = tally.last.max(r.ended);
        tally.output += u64::from(r.output_tokens);
        tally.prompt += u64::from(r.prompt_tokens);
        tally.cached += u64::from(r.cached_tokens);
    }
    fn gaps(&mut self, _run: &GapRun) {}
    fn wants_series(&self) -> bool {
        false
    }
    fn series(&mut self, _row: &SeriesRow) {}
}

#[cfg(test)]
mod tests {
    use super::super::trial::served;
    use super::*;
    use baseload_core::engine::VllmConfig;
    use baseload_core::latency::Constant;

    /// A policy that looks into caches cuts strides wherever it looks; nothing may come of that.
    #[test]
    fn looking_into_caches_gives_the_same_with_and_without_strides() {
        let set = ["workload.groups=6", "workload.prefix_tokens=100", "workload.question_tokens=30"];
        let set: Vec<String> = set.into_iter().chain(["workload.output_tokens=70"]).map(String::from).collect();
        let setup = Setup::published("37-capacity", "m", &set).unwrap();
        // 60 blocks a pod: caches evict, and requests are preempted.
        let engine = VllmConfig { num_blocks: 60, async_scheduling: false, ..VllmConfig::default() };
        let step = Constant { base_fs: 10_000_000_000_000, ..Constant::default() };
        let replicas = vec![served(engine, Arc::new(step)); 3];
        let play = |strides, reference_pool| {
            let mode = EngineMode { strides, reference_pool };
            let routing = setup.routing("precise-scheduling").unwrap();
            climb_in(mode, &setup, (20, &[3.0, 9.0]), &replicas, Lags::default(), routing).unwrap()
        };
        let fast = play(true, false);
        assert!(fast.iter().all(|s| s.cached_share > 0.0 && s.cached_share < 1.0), "{fast:?}");
        assert_eq!(fast, play(false, false), "strides");
        assert_eq!(fast, play(false, true), "vLLM's own pool, block by block");
    }
}
