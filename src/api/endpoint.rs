//! The endpoint as a backend: `submit`, `cancel`, `next_event`, `advance`.
//!
//! TTFT and output speed are log-normal (spec/apis.md 4.5: published medians, p95/p50 of 2 to 4), one draw each an
//! attempt, rounded to nanoseconds at once. The whole life of an attempt is known when it is sent.
use super::{CacheRule, Limits, Price, PromptCache, TokenBucket};
use crate::random;
use crate::types::{AttemptId, Capability, Effect, FailureCause, Job, SimTime, Usd};
use std::cmp::Reverse;
use std::collections::BinaryHeap;

/// What is known of an endpoint.
#[derive(Debug, Clone)]
pub struct EndpointSpec {
    /// Name in the experiment file; also names its random streams.
    pub name: String,
    /// Median time to first token, seconds.
    pub ttft_p50_s: f64,
    /// Median output speed, tokens a second.
    pub output_tokens_per_s: f64,
    /// p95 over p50 of both log-normals.
    pub p95_over_p50: f64,
    /// Share of requests that end in a 5xx.
    pub error_rate: f64,
    /// List price.
    pub price: Price,
    /// Rate limits.
    pub limits: Limits,
    /// Prompt cache, where the provider caches by itself.
    pub cache: Option<CacheRule>,
    /// What it can do.
    pub capability: Capability,
    /// Longest prompt plus output, tokens.
    pub max_input_tokens: u32,
}

/// z of the 95th percentile of the standard normal distribution.
const Z95: f64 = 1.644_853_626_951_472_2;

impl EndpointSpec {
    /// Sigma of the log-normals.
    pub fn sigma(&self) -> f64 {
        libm::log(self.p95_over_p50.max(1.0)) / Z95
    }
    /// The names of its random streams: TTFT, speed, errors.
    pub fn streams(&self) -> [String; 3] {
        ["ttft", "speed", "error"].map(|what| format!("endpoint/{}/{what}", self.name))
    }
    /// A try's luck: from sending to the first token, and from one token to the next. Keyed by request and try alone.
    pub fn pace(
        &self,
        streams: &[String; 3],
        (seed, replicate): (u64, u32),
        request: u64,
        try_number: u32,
    ) -> (SimTime, SimTime) {
        let draw = |stream: &str| random::stream(seed, replicate, stream, request, try_number);
        let sigma = self.sigma();
        let ttft_s = random::dist::log_normal(&mut draw(&streams[0]), self.ttft_p50_s, sigma);
        let speed = random::dist::log_normal(&mut draw(&streams[1]), self.output_tokens_per_s, sigma);
        (SimTime::from_secs_f64(ttft_s).max(SimTime(1)), SimTime::from_secs_f64(1.0 / speed))
    }
    /// p90 of the TTFT by this specification, what a gateway assumes before it has measured.
    pub fn ttft_p90(&self) -> SimTime {
        SimTime::from_secs_f64(self.ttft_p50_s * libm::exp(1.281_551_565_544_600_4 * self.sigma()))
    }
}

#[derive(Debug, Clone, Copy)]
struct Flight {
    attempt: AttemptId,
    prompt: u32,
    cached: u32,
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
    streams: [String; 3],
    requests: Option<TokenBucket>,
    input: Option<TokenBucket>,
    output: Option<TokenBucket>,
    cache: Option<PromptCache>,
    flights: Vec<Flight>,
    pending: BinaryHeap<Reverse<(SimTime, u64, Due)>>,
    sequence: u64,
    spend: Usd,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Due {
    First(AttemptId),
    Done(AttemptId),
    Error(AttemptId),
}

impl Endpoint {
    /// An idle endpoint whose luck is drawn from `seed` and `replicate`.
    pub fn new(spec: EndpointSpec, seed: u64, replicate: u32) -> Endpoint {
        let bucket = |limit: Option<u64>| limit.map(TokenBucket::new);
        Endpoint {
            requests: bucket(spec.limits.requests_per_minute),
            input: bucket(spec.limits.input_tokens_per_minute),
            output: bucket(spec.limits.output_tokens_per_minute),
            cache: spec.cache.map(PromptCache::new),
            streams: spec.streams(),
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
    pub fn submit(&mut self, job: &Job, now: SimTime, outbox: &mut Vec<Effect>) {
        let failed = |cause| Effect::Failed { attempt: job.attempt, at: now, cause, emitted: 0 };
        if u64::from(job.prompt_tokens) + u64::from(job.output_tokens) > u64::from(self.spec.max_input_tokens) {
            outbox.push(failed(FailureCause::TooLong));
            return;
        }
        let cost = u64::from(job.prompt_tokens);
        let waits = [(&mut self.requests, 1), (&mut self.input, cost), (&mut self.output, 1)];
        let retry_after = waits.into_iter().filter_map(|(b, c)| b.as_mut().map(|b| b.wait(c, now))).max();
        // Failed requests count against the request limit (spec/apis.md 4.1).
        if let Some(bucket) = &mut self.requests {
            bucket.charge(1, now);
        }
        if let Some(retry_after) = retry_after.filter(|w| *w > SimTime::ZERO) {
            outbox.push(failed(FailureCause::RateLimited { retry_after }));
            return;
        }
        let luck = (self.seed, self.replicate);
        let (ttft, gap) = self.spec.pace(&self.streams, luck, job.request, job.try_number);
        let first_at = now + ttft;
        let mut errors = random::stream(luck.0, luck.1, &self.streams[2], job.request, job.try_number);
        if random::dist::uniform01(&mut errors) < self.spec.error_rate {
            self.push(first_at, Due::Error(job.attempt));
            self.flights.push(Flight {
                attempt: job.attempt,
                prompt: 0,
                cached: 0,
                output: 0,
                first_at: SimTime::NEVER,
                done_at: SimTime::NEVER,
            });
            return;
        }
        let cached = self.cache.as_mut().map_or(0, |c| c.touch(&job.content, now));
        if let Some(bucket) = &mut self.input {
            bucket.charge(u64::from(job.prompt_tokens - cached), now);
        }
        let done_at = first_at + SimTime(gap.0.saturating_mul(u64::from(job.output_tokens - 1)));
        self.flights.push(Flight {
            attempt: job.attempt,
            prompt: job.prompt_tokens,
            cached,
            output: job.output_tokens,
            first_at,
            done_at,
        });
        self.push(first_at, Due::First(job.attempt));
        self.push(done_at, Due::Done(job.attempt));
    }

    fn push(&mut self, at: SimTime, due: Due) {
        self.sequence += 1;
        self.pending.push(Reverse((at, self.sequence, due)));
    }

    /// Emits everything due at or before `now`. `Done` carries what the attempt is billed through [`Endpoint::spend`];
    /// the bill of one attempt is returned beside its effect.
    pub fn advance(&mut self, now: SimTime, outbox: &mut Vec<(Effect, Usd)>) {
        while let Some(Reverse((at, _, due))) = self.pending.peek().copied() {
            if at > now {
                break;
            }
            self.pending.pop();
            let (Due::First(attempt) | Due::Done(attempt) | Due::Error(attempt)) = due;
            let Some(position) = self.flights.iter().position(|f| f.attempt == attempt) else {
                continue; // cancelled meanwhile
            };
            match due {
                Due::First(_) => outbox.push((Effect::FirstToken { attempt, at }, Usd::ZERO)),
                Due::Error(_) => {
                    self.flights.swap_remove(position);
                    let cause = FailureCause::ServerError;
                    outbox.push((Effect::Failed { attempt, at, cause, emitted: 0 }, Usd::ZERO));
                }
                Due::Done(_) => {
                    let flight = self.flights.swap_remove(position);
                    let cost = self.settle(&flight, flight.output, at);
                    let effect = Effect::Done { attempt, at, cached_tokens: flight.cached, preemptions: 0 };
                    outbox.push((effect, cost));
                }
            }
        }
    }

    fn settle(&mut self, flight: &Flight, emitted: u32, at: SimTime) -> Usd {
        if let Some(bucket) = &mut self.output {
            bucket.charge(u64::from(emitted), at);
        }
        let cost = self.spec.price.bill(flight.prompt.into(), flight.cached.into(), emitted.into());
        self.spend += cost;
        cost
    }

    /// The gateway hangs up: what was streamed until `now` is billed. Returns (emitted tokens, cached, bill).
    pub fn cancel(&mut self, attempt: AttemptId, now: SimTime) -> (u32, u32, Usd) {
        let Some(position) = self.flights.iter().position(|f| f.attempt == attempt) else {
            return (0, 0, Usd::ZERO);
        };
        let flight = self.flights.swap_remove(position);
        if flight.first_at == SimTime::NEVER {
            return (0, 0, Usd::ZERO);
        }
        let emitted = if now < flight.first_at {
            0
        } else {
            let span = (flight.done_at - flight.first_at).0.max(1);
            let passed = now.since(flight.first_at).0.min(span);
            1 + (u128::from(passed) * u128::from(flight.output - 1) / u128::from(span)) as u32
        };
        let cost = self.settle(&flight, emitted, now);
        (emitted, flight.cached, cost)
    }
}
