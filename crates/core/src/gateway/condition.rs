//! When a rule holds. Each condition has a little state of its own where it needs one: hysteresis, a bucket of tokens.
use super::expr::Program;
use super::history::History;
use super::need::Need;
use super::view::{Draws, GatewayView, Needs};
use crate::types::{ReplicaId, SimTime};

/// Own pools are full: any threshold is reached; until all are below theirs times `1 - hysteresis`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Overflow {
    /// Mean scraped waiting requests a ready replica, thousandths.
    pub waiting_per_replica_milli: Option<u64>,
    /// Mean scraped KV use, millionths.
    pub kv_use_ppm: Option<u64>,
    /// The least predicted TTFT of a ready replica.
    pub predicted_ttft: Option<SimTime>,
    /// Thousandths.
    pub hysteresis_milli: u64,
}

/// A bucket that fills at a steady rate; the rule holds while a whole request is in it, and takes one out when it is used.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Bucket {
    /// Millionths of a request a second.
    pub rate_micro: u64,
    /// Requests that it holds; it starts full.
    pub burst: u64,
}

/// Part of a day that repeats; through midnight where `from` is later than `to`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Daily {
    /// First instant of the day in it.
    pub from: SimTime,
    /// First instant of the day after it.
    pub to: SimTime,
    /// Length of a day.
    pub day: SimTime,
    /// What the day's clock shows when the simulation starts.
    pub offset: SimTime,
}

impl Daily {
    /// Whether `now` is in it.
    pub fn holds(&self, now: SimTime) -> bool {
        let clock = SimTime((now.0 + self.offset.0) % self.day.0);
        if self.from <= self.to { self.from <= clock && clock < self.to } else { clock >= self.from || clock < self.to }
    }
}

/// How busy a fleet of own replicas is: mean over replicas of `max(waiting / queue, kv_use / kv)`, at least 1 is saturated
/// (llm-d's utilisation detector, spec/routers.md 3.3).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Saturation {
    /// Waiting requests at which a replica is saturated.
    pub queue: u32,
    /// KV use at which it is, millionths.
    pub kv_use_ppm: u32,
    /// Samples older than this count as saturated.
    pub stale_after: SimTime,
}

/// See the module head.
#[derive(Debug, Clone, PartialEq)]
pub enum Condition {
    /// An expression over what is known.
    Expr(Program),
    /// Own pools are full.
    Overflow(Overflow),
    /// The bucket has a request.
    Bucket(Bucket),
    /// The time of the day is within a span.
    Daily(Daily),
    /// Buying the request keeps today's spend, completed and expected, within this many pico-dollars a day times the share
    /// of the day that has passed.
    Budget {
        /// Pico-dollars a day.
        per_day_pico: i128,
        /// Length of a day.
        day: SimTime,
    },
    /// The request is predicted to need the strong model.
    Need(Need),
    /// The most requests under way are over the least by more than `abs`, and by more than the factor.
    Imbalance {
        /// Requests.
        abs: u32,
        /// Thousandths.
        rel_milli: u64,
    },
    /// A ready replica was sent more than this share of the prompt (millionths), from its start; for the tree, was sent it last.
    PrefixHit {
        /// A hit of more than this share of the prompt counts, millionths.
        min_ppm: u64,
    },
    /// A ready replica's predicted TTFT is at most this.
    PredictedWithin(SimTime),
    /// An endpoint's p90 TTFT is lower than the predicted one of any ready replica.
    EndpointFaster,
    /// The own fleet is saturated.
    Saturated(Saturation),
}

/// What a condition remembers between decisions.
#[derive(Debug, Clone, Copy, Default)]
pub struct State {
    on: bool,
    /// Bucket: what is missing to full, in 1e-15 requests, at `at`.
    missing: u128,
    at: SimTime,
}

const REQUEST: u128 = 1_000_000_000_000_000;

impl Bucket {
    fn missing(&self, state: &State, now: SimTime) -> u128 {
        state.missing.saturating_sub(u128::from(now.0 - state.at.0) * u128::from(self.rate_micro))
    }
}

impl Condition {
    /// What it reads.
    pub fn add_needs(&self, needs: &mut Needs) {
        match self {
            Condition::Overflow(o) => {
                needs.loads |= o.waiting_per_replica_milli.is_some() || o.kv_use_ppm.is_some();
                needs.predictions |= o.predicted_ttft.is_some();
            }
            Condition::Saturated(_) => needs.loads = true,
            Condition::PredictedWithin(_) => needs.predictions = true,
            Condition::EndpointFaster => (needs.predictions, needs.endpoints) = (true, true),
            Condition::Budget { .. } => (needs.feedback, needs.endpoints) = (true, true),
            Condition::Expr(program) => program.add_needs(needs),
            Condition::Bucket(_) | Condition::Daily(_) | Condition::Need(_) => {}
            Condition::Imbalance { .. } | Condition::PrefixHit { .. } => {}
        }
    }

    /// Whether it holds. Hysteresis goes on from here; a bucket is only looked at.
    pub fn holds(&self, state: &mut State, view: &GatewayView<'_>, history: &mut History, draws: &Draws) -> bool {
        match self {
            Condition::Expr(program) => program.holds(view, history),
            Condition::Overflow(o) => {
                if !view.own.is_empty() {
                    state.on = overflowing(o, state.on, view, history);
                }
                state.on && !view.own.is_empty()
            }
            Condition::Bucket(b) => b.missing(state, view.now) + REQUEST <= u128::from(b.burst) * REQUEST,
            Condition::Daily(daily) => daily.holds(view.now),
            Condition::Budget { per_day_pico, day } => {
                let Some(cheapest) = view.cheapest() else { return false };
                let spent = history.spend.today(view.now, *day) + cheapest.expected_cost_pico;
                let passed = view.now.0 % day.0;
                spent * i128::from(day.0) <= per_day_pico * i128::from(passed)
            }
            Condition::Need(need) => need.strong(&view.request, draws),
            Condition::Imbalance { abs, rel_milli } => {
                let outstanding = view.signals.outstanding();
                let (mut most, mut least) = (0, u32::MAX);
                for &replica in view.own {
                    let n = outstanding[replica];
                    (most, least) = (most.max(n), least.min(n));
                }
                most > least && most - least > *abs && u64::from(most) * 1000 > u64::from(least) * rel_milli
            }
            Condition::PrefixHit { min_ppm } => {
                let tokens = history.longest_prefix(view);
                tokens * 1_000_000 > min_ppm * u64::from(view.request.prompt_tokens)
            }
            Condition::PredictedWithin(limit) => {
                view.own.iter().any(|&replica| view.signals.predicted_ttft(replica) <= *limit)
            }
            Condition::EndpointFaster => {
                let fastest = view.bought.iter().map(|e| e.ttft_p90).min();
                let own = view.own.iter().map(|&replica| view.signals.predicted_ttft(replica)).min();
                fastest.is_some_and(|e| own.is_none_or(|own| e < own))
            }
            Condition::Saturated(s) => saturated(s, view, history),
        }
    }

    /// Tells the condition that the rule that it belongs to was used at `now`.
    pub fn used(&self, state: &mut State, now: SimTime) {
        if let Condition::Bucket(b) = self {
            (state.missing, state.at) = (b.missing(state, now) + REQUEST, now);
        }
    }
}

fn overflowing(o: &Overflow, on: bool, view: &GatewayView<'_>, history: &mut History) -> bool {
    let n = view.own.len() as u64;
    let keep = if on { 1000 - o.hysteresis_milli.min(1000) } else { 1000 };
    let mut over = false;
    if o.waiting_per_replica_milli.is_some() || o.kv_use_ppm.is_some() {
        let (mut waiting, mut kv_ppm) = (0, 0);
        for &replica in view.own {
            let load = history.load(view.signals, replica);
            waiting += u64::from(load.waiting);
            kv_ppm += u64::from(load.kv_use_ppm());
        }
        let (waiting_milli, kv_ppm) = (waiting * 1000 / n, kv_ppm / n);
        over |= o.waiting_per_replica_milli.is_some_and(|limit| waiting_milli * 1000 >= limit * keep);
        over |= o.kv_use_ppm.is_some_and(|limit| kv_ppm * 1000 >= limit * keep);
    }
    if let Some(limit) = o.predicted_ttft {
        let least = view.own.iter().map(|&replica| view.signals.predicted_ttft(replica)).min();
        over |= least.is_some_and(|t| u128::from(t.0) * 1000 >= u128::from(limit.0) * u128::from(keep));
    }
    over
}

fn saturated(s: &Saturation, view: &GatewayView<'_>, history: &mut History) -> bool {
    if view.own.is_empty() {
        return false;
    }
    if view.now.0.saturating_sub(view.signals.sampled_at().0) > s.stale_after.0 {
        return true;
    }
    let share = |&replica: &ReplicaId| {
        let load = history.load(view.signals, replica);
        let queue = f64::from(load.waiting) / f64::from(s.queue);
        queue.max(f64::from(load.kv_use_ppm()) / f64::from(s.kv_use_ppm))
    };
    view.own.iter().map(share).sum::<f64>() >= view.own.len() as f64
}
