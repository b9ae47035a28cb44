//! The endpoint as a backend: `submit`, `cancel`, `next_event`, `advance`.
//!
//! The whole life of an attempt is known when it is sent. What it may ask of its account (rate limits that other
//! endpoints may share) is a parameter, for the world owns accounts.
use super::{
    CacheRule, CacheUse, Call, Fate, Latency, Limiter, Limits, Luck, Outages, Pace, Price, PromptCache, Reserved,
    Squeeze, Streams, Usage, Used, Weather,
};
use crate::types::{AttemptId, Capability, Effect, FailureCause, Job, SimTime, Usd};
use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::sync::Arc;

/// What is known of an endpoint.
#[derive(Debug, Clone)]
pub struct EndpointSpec {
    /// Name in the experiment file; also names its random streams.
    pub name: String,
    /// Times of calls that succeed.
    pub latency: Latency,
    /// Share of requests that end in a 5xx.
    pub error_rate: f64,
    /// Share of requests that end in a 529 or 503 (overload).
    pub overload_rate: f64,
    /// Its provider's incidents.
    pub outages: Option<Arc<Outages>>,
    /// List price.
    pub price: Price,
    /// Whose rate limits these are: endpoints that name the same account share them.
    pub account: String,
    /// Rate limits of the account.
    pub limits: Limits,
    /// For a while the account has only a part of them.
    pub squeezes: Vec<Squeeze>,
    /// Prompt cache, where the provider caches by itself.
    pub cache: Option<CacheRule>,
    /// What it can do.
    pub capability: Capability,
    /// Longest prompt plus output, tokens.
    pub max_input_tokens: u32,
}

#[derive(Debug, Clone, Copy)]
struct Flight {
    attempt: AttemptId,
    prompt: u32,
    cache: CacheUse,
    reserved: Reserved,
    output: u32,
    first_at: SimTime,
    done_at: SimTime,
}

/// One endpoint and what is in flight there.
#[derive(Debug)]
pub struct Endpoint {
    spec: EndpointSpec,
    seed: u64,
    replicate: u32,
    streams: Streams,
    cache: Option<PromptCache>,
    weather: Option<Weather>,
    flights: Vec<Flight>,
    pending: BinaryHeap<Reverse<(SimTime, u64, Due)>>,
    sequence: u64,
    spend: Usd,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Due {
    First(AttemptId),
    Done(AttemptId),
    Error(AttemptId, bool),
}

impl Endpoint {
    /// An idle endpoint whose luck is drawn from `seed` and `replicate`.
    pub fn new(spec: EndpointSpec, seed: u64, replicate: u32) -> Endpoint {
        Endpoint {
            cache: spec.cache.map(PromptCache::new),
            streams: Streams::of(&spec.name),
            weather: spec.outages.as_ref().map(|o| Weather::new(o, &spec.name, seed, replicate)),
            spec,
            seed,
            replicate,
            flights: Vec::new(),
            pending: BinaryHeap::new(),
            sequence: 0,
            spend: Usd::ZERO,
        }
    }
    /// Its specification.
    pub fn spec(&self) -> &EndpointSpec {
        &self.spec
    }
    /// Requests in flight.
    pub fn in_flight(&self) -> u32 {
        self.flights.len() as u32
    }
    /// Billed so far.
    pub fn spend(&self) -> Usd {
        self.spend
    }
    /// When something happens next.
    pub fn next_event(&self) -> SimTime {
        self.pending.peek().map_or(SimTime::NEVER, |Reverse((at, _, _))| *at)
    }

    /// Takes a job at `now`: a refusal is answered at once, anything else later.
    pub fn submit(&mut self, job: &Job, now: SimTime, account: &mut Limiter, outbox: &mut Vec<Effect>) {
        let failed = |cause| Effect::Failed { attempt: job.attempt, at: now, cause, emitted: 0 };
        if u64::from(job.prompt_tokens) + u64::from(job.output_tokens) > u64::from(self.spec.max_input_tokens) {
            outbox.push(failed(FailureCause::TooLong));
            return;
        }
        let reserved = match account.admit(job, now) {
            Ok(reserved) => reserved,
            Err(cause) => {
                outbox.push(failed(cause));
                return;
            }
        };
        let Job { request, try_number, .. } = *job;
        let luck = Luck { seed: self.seed, replicate: self.replicate, request, try_number };
        let (fails, slower) = self.fate(luck, now);
        let cache = match &mut self.cache {
            Some(cache) if fails.is_none() => cache.touch(&job.content, now),
            _ => CacheUse::default(),
        };
        let call = Call { prompt: job.prompt_tokens, cached: cache.read, output: job.output_tokens, at: now };
        let pace = stretched(self.spec.latency.pace(&self.streams, luck, &call), slower);
        let first_at = now + pace.first;
        if let Some(cause) = fails {
            self.push(first_at, Due::Error(job.attempt, cause == FailureCause::Overloaded));
            self.flights.push(Flight {
                attempt: job.attempt,
                prompt: 0,
                cache,
                reserved,
                output: 0,
                first_at: SimTime::NEVER,
                done_at: SimTime::NEVER,
            });
            return;
        }
        account.started(job, cache, now);
        let done_at = first_at + SimTime(pace.gap.0.saturating_mul(u64::from(job.output_tokens - 1)));
        self.flights.push(Flight {
            attempt: job.attempt,
            prompt: job.prompt_tokens,
            cache,
            reserved,
            output: job.output_tokens,
            first_at,
            done_at,
        });
        self.push(first_at, Due::First(job.attempt));
        self.push(done_at, Due::Done(job.attempt));
    }

    /// Whether a call fails, and else by how much it is slower. What its provider's incidents do comes after its own luck,
    /// so that an incident moves no other draw.
    fn fate(&mut self, luck: Luck, now: SimTime) -> (Option<FailureCause>, f64) {
        let draw = Streams::uniform(&self.streams.error, luck);
        if draw < self.spec.error_rate {
            return (Some(FailureCause::ServerError), 1.0);
        }
        if draw < self.spec.error_rate + self.spec.overload_rate {
            return (Some(FailureCause::Overloaded), 1.0);
        }
        match self.weather.as_mut().map(|w| w.fate(luck, now)) {
            None => (None, 1.0),
            Some(Fate::Slower(by)) => (None, by),
            Some(Fate::Fails(cause)) => (Some(cause), 1.0),
        }
    }

    fn push(&mut self, at: SimTime, due: Due) {
        self.sequence += 1;
        self.pending.push(Reverse((at, self.sequence, due)));
    }

    /// Emits everything due at or before `now`. `Done` carries what the attempt is billed through [`Endpoint::spend`];
    /// the bill of one attempt is returned beside its effect.
    pub fn advance(&mut self, now: SimTime, account: &mut Limiter, outbox: &mut Vec<(Effect, Usd)>) {
        while let Some(Reverse((at, _, due))) = self.pending.peek().copied() {
            if at > now {
                break;
            }
            self.pending.pop();
            let (Due::First(attempt) | Due::Done(attempt) | Due::Error(attempt, _)) = due;
            let Some(position) = self.flights.iter().position(|f| f.attempt == attempt) else {
                continue; // cancelled meanwhile
            };
            match due {
                Due::First(_) => outbox.push((Effect::FirstToken { attempt, at }, Usd::ZERO)),
                Due::Error(_, overloaded) => {
                    let flight = self.flights.swap_remove(position);
                    account.failed(flight.reserved, at);
                    let cause = if overloaded { FailureCause::Overloaded } else { FailureCause::ServerError };
                    outbox.push((Effect::Failed { attempt, at, cause, emitted: 0 }, Usd::ZERO));
                }
                Due::Done(_) => {
                    let flight = self.flights.swap_remove(position);
                    let cost = self.settle(&flight, flight.output, at, account);
                    let effect = Effect::Done { attempt, at, cached_tokens: flight.cache.read, preemptions: 0 };
                    outbox.push((effect, cost));
                }
            }
        }
    }

    fn settle(&mut self, flight: &Flight, emitted: u32, at: SimTime, account: &mut Limiter) -> Usd {
        let cost = self.spec.price.bill(&Usage {
            prompt: flight.prompt.into(),
            cached: flight.cache.read.into(),
            written: flight.cache.written.into(),
            output: emitted.into(),
        });
        self.spend += cost;
        let used = Used { prompt: flight.prompt, cached: flight.cache.read, output: emitted };
        account.settle(flight.reserved, used, cost, at);
        cost
    }

    /// The gateway hangs up: what was streamed until `now` is billed. Returns (emitted tokens, cached, bill).
    pub fn cancel(&mut self, attempt: AttemptId, now: SimTime, account: &mut Limiter) -> (u32, u32, Usd) {
        let Some(position) = self.flights.iter().position(|f| f.attempt == attempt) else {
            return (0, 0, Usd::ZERO);
        };
        let flight = self.flights.swap_remove(position);
        if flight.first_at == SimTime::NEVER {
            account.failed(flight.reserved, now);
            return (0, 0, Usd::ZERO);
        }
        let emitted = if now < flight.first_at {
            0
        } else {
            let span = (flight.done_at - flight.first_at).0.max(1);
            let passed = now.since(flight.first_at).0.min(span);
            1 + (u128::from(passed) * u128::from(flight.output - 1) / u128::from(span)) as u32
        };
        let cost = self.settle(&flight, emitted, now, account);
        (emitted, flight.cache.read, cost)
    }
}

/// A pace that is slower by a factor of at least 1.
fn stretched(pace: Pace, slower: f64) -> Pace {
    if slower <= 1.0 {
        return pace;
    }
    let longer = |t: SimTime| SimTime((t.0 as f64 * slower).round() as u64).max(t);
    Pace { first: longer(pace.first), gap: longer(pace.gap) }
}
