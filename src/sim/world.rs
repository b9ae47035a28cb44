//! One simulation: arrivals, decisions, backends, failures, timers, in the design's order at each instant.
use super::attempts::{InFlight, Sent, Slots, Target};
use super::event::{Event, EventQueue};
use super::{SimError, SimStats, WorldSpec};
use crate::api::Endpoint;
use crate::engine::Replica;
use crate::gateway::{
    BackendFacts, Decision, EndpointView, GatewayView, Policy, PrefillRate, RollingTtft, ScrapedLoad, allowed,
};
use crate::random;
use crate::types::{
    AttemptId, AttemptRecord, BackendKind, Effect, FailureCause, Job, Outcome, OutcomeCause, RecordSink, Request,
    RequestRecord, SeriesRow, SimTime, Source, Usd,
};
use std::collections::VecDeque;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

/// Rows of the series at most; the interval doubles when they run out.
const MAX_SERIES_ROWS: u32 = 5_000;
/// Events of one instant before the loop is called stuck.
const MAX_EVENTS_AT_AN_INSTANT: u32 = 1_000;

struct OwnReplica {
    engine: Replica,
    pool: u32,
    gpus: u32,
    up: bool,
    known_down: bool,
    failures: u32,
    outstanding: u32,
    unanswered: u64,
    scraped: ScrapedLoad,
    /// Sent there while it was dead and nobody knew.
    lost: Vec<AttemptId>,
    dirty: bool,
    /// The instant that the queue holds for it; events of other instants are stale.
    armed: SimTime,
}

struct Bought {
    endpoint: Endpoint,
    armed: SimTime,
    facts: BackendFacts,
    ttft: RollingTtft,
}

struct World<'a, S: RecordSink> {
    spec: &'a WorldSpec,
    replicas: Vec<OwnReplica>,
    bought: Vec<Bought>,
    rates: Vec<PrefillRate>,
    policy: Policy,
    slots: Slots,
    events: EventQueue,
    parked: VecDeque<u32>,
    dirty: Vec<u32>,
    sink: &'a mut S,
    stats: SimStats,
    outputs_seen: (u64, u64),
    // Scratch, reused so that the loop does not allocate.
    effects: Vec<Effect>,
    api_effects: Vec<(Effect, Usd)>,
    own_views: Vec<GatewayView>,
    api_views: Vec<EndpointView>,
}

/// Replays `source` through the world of `spec`, in one thread, until every request has ended.
/// `progress` counts arrivals; `stop` ends it early.
///
/// # Errors
/// The source's fault, an interruption, or a loop without progress.
pub fn simulate(
    spec: &WorldSpec,
    source: &mut dyn Source,
    sink: &mut impl RecordSink,
    progress: &AtomicU64,
    stop: &AtomicBool,
) -> Result<SimStats, SimError> {
    let mut world = World::new(spec, sink);
    let mut sampler = Sampler { every: spec.sample_every, next: SimTime::ZERO, rows: 0 };
    let mut seen_arrival = false;
    loop {
        let arrival = source.peek().map_err(SimError::Source)?;
        let due = match (arrival, world.events.peek()) {
            (None, None) => break,
            (Some(a), None) => a,
            (None, Some(e)) => e,
            (Some(a), Some(e)) => a.min(e),
        };
        // Failures go on for ever; once nothing is in flight and nothing comes they end the simulation.
        if arrival.is_none() && world.slots.live() == 0 {
            break;
        }
        sampler.until(due, &mut world);
        let mut at_this_instant = 0u32;
        while let Some(event) = world.events.pop_at(due) {
            at_this_instant += 1;
            world.stats.events += 1;
            if at_this_instant > MAX_EVENTS_AT_AN_INSTANT + 4 * world.slots.live() as u32 {
                return Err(SimError::Livelock {
                    at_s: format!("{:.9}", due.as_secs_f64()),
                    event: format!("{event:?}"),
                });
            }
            world.handle(event, due, source);
        }
        while let Some(at) = source.peek().map_err(SimError::Source)? {
            if at > due {
                break;
            }
            let request = source.next();
            if !seen_arrival {
                world.stats.first_arrival = request.arrival;
                seen_arrival = true;
            }
            world.stats.last_arrival = request.arrival;
            world.stats.requests += 1;
            world.stats.events += 1;
            let done = progress.fetch_add(1, Ordering::Relaxed);
            if done.is_multiple_of(256) && stop.load(Ordering::Relaxed) {
                return Err(SimError::Interrupted);
            }
            world.arrive(request, due, source);
            world.stats.waiting_at_end = world.slots.live();
        }
        world.schedule_dirty(due);
    }
    assert_eq!(world.slots.live(), 0, "nothing-lost: requests left when the simulation ended");
    world.stats.engine_steps = world.replicas.iter().map(|r| r.engine.steps()).sum();
    Ok(world.stats)
}

struct Sampler {
    every: SimTime,
    next: SimTime,
    rows: u32,
}

impl Sampler {
    /// Emits rows for the instants before `due`: nothing changes between events, so a late sample is an exact one.
    fn until<S: RecordSink>(&mut self, due: SimTime, world: &mut World<'_, S>) {
        while self.next < due {
            let row = world.series_row(self.next);
            world.sink.series(&row);
            self.rows += 1;
            if self.rows == MAX_SERIES_ROWS / 2 {
                self.every = SimTime(self.every.0 * 2);
                self.rows = MAX_SERIES_ROWS / 4;
            }
            self.next += self.every;
        }
    }
}

impl<'a, S: RecordSink> World<'a, S> {
    fn new(spec: &'a WorldSpec, sink: &'a mut S) -> Self {
        let mut replicas = Vec::new();
        let mut events = EventQueue::default();
        for (pool, p) in spec.pools.iter().enumerate() {
            for _ in 0..p.replicas {
                let index = replicas.len() as u32;
                if let Some(model) = &spec.failures {
                    let at = model.next_failure(spec.seed, spec.replicate, index, 0, p.gpus_per_replica, SimTime::ZERO);
                    events.push(at, Event::ReplicaFails(index));
                }
                replicas.push(OwnReplica {
                    engine: Replica::new((p.engine)(), p.step_time.clone()),
                    pool: pool as u32,
                    gpus: p.gpus_per_replica,
                    up: true,
                    known_down: false,
                    failures: 0,
                    outstanding: 0,
                    unanswered: 0,
                    scraped: ScrapedLoad::new(spec.scrape.0, spec.scrape.1),
                    lost: Vec::new(),
                    dirty: false,
                    armed: SimTime::NEVER,
                });
            }
        }
        let bought = spec.endpoints.iter().map(|e| Bought {
            ttft: RollingTtft::new(e.ttft_p90()),
            facts: BackendFacts { internal: false, capability: e.capability, max_context_tokens: e.max_input_tokens },
            endpoint: Endpoint::new(e.clone(), spec.seed, spec.replicate),
            armed: SimTime::NEVER,
        });
        World {
            replicas,
            bought: bought.collect(),
            rates: spec.pools.iter().map(|p| PrefillRate::new(p.assumed_prefill_tokens_per_s)).collect(),
            policy: Policy::new(spec.routing.clone()),
            slots: Slots::default(),
            events,
            parked: VecDeque::new(),
            dirty: Vec::new(),
            sink,
            stats: SimStats::default(),
            outputs_seen: (0, 0),
            effects: Vec::new(),
            api_effects: Vec::new(),
            own_views: Vec::new(),
            api_views: Vec::new(),
            spec,
        }
    }

    fn class_of(&self, request: &Request) -> u16 {
        if request.class != u16::MAX {
            return request.class;
        }
        let mut draws = random::stream(self.spec.seed, self.spec.replicate, "class", request.index, 0);
        let mut left = (random::dist::uniform01(&mut draws) * 1e6) as u32;
        for (i, (_, share_ppm)) in self.spec.classes.iter().enumerate() {
            if left < *share_ppm {
                return i as u16;
            }
            left -= share_ppm;
        }
        (self.spec.classes.len() - 1) as u16
    }

    fn arrive(&mut self, request: Request, now: SimTime, source: &mut dyn Source) {
        let class = self.class_of(&request);
        let slot = self.slots.insert(InFlight {
            request,
            class,
            tries: 0,
            current: None,
            first_token: None,
            cost: Usd::ZERO,
            preemptions: 0,
            last_backend: None,
            last_cause: OutcomeCause::None,
            parked: false,
        });
        self.dispatch(slot, now, source);
    }

    /// Lists the candidates that the constraints leave. Returns whether a replica that may serve it is not ready.
    fn candidates(&mut self, slot: u32, now: SimTime) -> bool {
        self.own_views.clear();
        self.api_views.clear();
        let flight = self.slots.get(slot);
        let view = flight.request.view(&self.spec.classes[flight.class as usize].0);
        let prompt = u64::from(view.prompt_tokens);
        let mut later = false;
        for (i, r) in self.replicas.iter().enumerate() {
            if !allowed(&view, &self.spec.pools[r.pool as usize].facts) {
                continue;
            }
            if r.known_down {
                later = true;
                continue;
            }
            self.own_views.push(GatewayView {
                replica: i as u32,
                pool: r.pool,
                outstanding: r.outstanding,
                unanswered_prompt_tokens: r.unanswered,
                load: r.scraped.seen(now, r.engine.observe()),
                predicted_ttft: self.rates[r.pool as usize].predict(r.unanswered + prompt),
            });
        }
        let mean_output = self.outputs_seen.1.checked_div(self.outputs_seen.0).unwrap_or(256);
        for (i, b) in self.bought.iter().enumerate() {
            if allowed(&view, &b.facts) {
                let cost = b.endpoint.spec().price.bill(prompt, 0, mean_output.min(view.max_output_tokens.into()));
                self.api_views.push(EndpointView {
                    endpoint: i as u32,
                    ttft_p90: b.ttft.p90(),
                    expected_cost_pico: cost.0,
                });
            }
        }
        later
    }

    fn dispatch(&mut self, slot: u32, now: SimTime, source: &mut dyn Source) {
        let later = self.candidates(slot, now);
        let decision = self.policy.decide(&self.own_views, &self.api_views, later);
        let first_try = self.slots.get(slot).tries == 0 && !self.slots.get(slot).parked;
        let to = match decision {
            Decision::Replica(r) => Target::Replica(r),
            Decision::Endpoint(e) => Target::Endpoint(e),
            Decision::Reject => {
                self.finish(slot, now, Outcome::Rejected, OutcomeCause::Constraint, 0, 0, source);
                return;
            }
            Decision::Wait => {
                let generation = self.slots.bump(slot);
                let deadline = self.slots.get(slot).request.arrival + self.spec.resilience.timeout;
                self.slots.get(slot).parked = true;
                self.parked.push_back(slot);
                self.events.push(deadline, Event::Timeout(slot, generation));
                return;
            }
        };
        let generation = self.slots.bump(slot);
        let attempt = Slots::attempt_id(slot, generation);
        let flight = self.slots.get(slot);
        flight.parked = false;
        let deadline = flight.request.arrival + self.spec.resilience.timeout;
        self.events.push(deadline, Event::Timeout(slot, generation));
        let job = Job {
            attempt,
            request: flight.request.index,
            try_number: flight.tries,
            prompt_tokens: flight.request.prompt_tokens,
            output_tokens: flight.request.output_tokens.min(flight.request.max_output_tokens).max(1),
            max_output_tokens: flight.request.max_output_tokens,
            priority: flight.request.priority,
            content: flight.request.content.clone(),
            external_kv: None,
            hold_kv_until: None,
        };
        if !first_try {
            self.stats.retries += u64::from(flight.tries > 0);
        }
        flight.tries += 1;
        let prompt = u64::from(job.prompt_tokens);
        let mut backlog_tokens = prompt;
        match to {
            Target::Replica(r) => {
                let replica = &mut self.replicas[r as usize];
                replica.outstanding += 1;
                replica.unanswered += prompt;
                backlog_tokens = replica.unanswered;
                flight.last_backend = Some(BackendKind::Pool(replica.pool));
                flight.current = Some(Sent { attempt, at: now, to, backlog_tokens });
                if replica.up {
                    replica.scraped.before_change(now, replica.engine.observe());
                    replica.engine.submit(job, now, &mut self.effects);
                    self.mark_dirty(r);
                    self.deliver(source);
                } else {
                    replica.lost.push(attempt);
                }
            }
            Target::Endpoint(e) => {
                flight.last_backend = Some(BackendKind::Endpoint(e));
                flight.current = Some(Sent { attempt, at: now, to, backlog_tokens });
                self.bought[e as usize].endpoint.submit(&job, now, &mut self.effects);
                self.arm_endpoint(e);
                self.deliver(source);
            }
        }
    }

    /// Puts the replica's next event into the queue, unless an earlier or equal one is there.
    fn arm_replica(&mut self, r: u32) {
        let replica = &mut self.replicas[r as usize];
        let next = replica.engine.next_event();
        if next < replica.armed {
            replica.armed = next;
            self.events.push(next, Event::StepEnds(r));
        }
    }

    /// The same for an endpoint.
    fn arm_endpoint(&mut self, e: u32) {
        let bought = &mut self.bought[e as usize];
        let next = bought.endpoint.next_event();
        if next < bought.armed {
            bought.armed = next;
            self.events.push(next, Event::EndpointAnswers(e));
        }
    }

    fn mark_dirty(&mut self, r: u32) {
        let replica = &mut self.replicas[r as usize];
        if !replica.dirty {
            replica.dirty = true;
            self.dirty.push(r);
        }
    }

    /// Starts the next step of every replica that something happened to, in index order. A schedule has no effects.
    fn schedule_dirty(&mut self, now: SimTime) {
        let mut dirty = std::mem::take(&mut self.dirty);
        dirty.sort_unstable();
        for &r in &dirty {
            let replica = &mut self.replicas[r as usize];
            replica.dirty = false;
            if replica.up && replica.engine.needs_schedule() {
                replica.scraped.before_change(now, replica.engine.observe());
                replica.engine.schedule(now);
                self.arm_replica(r);
            }
        }
        dirty.clear();
        self.dirty = dirty;
    }

    fn handle(&mut self, event: Event, now: SimTime, source: &mut dyn Source) {
        match event {
            Event::StepEnds(r) => {
                let replica = &mut self.replicas[r as usize];
                if replica.armed != now {
                    return; // stale
                }
                replica.armed = SimTime::NEVER;
                if replica.up && replica.engine.next_event() <= now {
                    replica.scraped.before_change(now, replica.engine.observe());
                    replica.engine.advance(now, &mut self.effects);
                    self.arm_replica(r);
                    self.mark_dirty(r);
                    self.deliver(source);
                }
            }
            Event::EndpointAnswers(e) => {
                let bought = &mut self.bought[e as usize];
                if bought.armed != now {
                    return; // stale
                }
                bought.armed = SimTime::NEVER;
                bought.endpoint.advance(now, &mut self.api_effects);
                self.arm_endpoint(e);
                let mut answers = std::mem::take(&mut self.api_effects);
                for (effect, cost) in answers.drain(..) {
                    self.effect(effect, cost, source);
                }
                self.api_effects = answers;
                self.deliver(source);
            }
            Event::ReplicaFails(r) => self.replica_fails(r, now),
            Event::FailureDetected(r) => {
                let replica = &mut self.replicas[r as usize];
                replica.known_down = !replica.up;
                let mut lost = std::mem::take(&mut replica.lost);
                for attempt in lost.drain(..) {
                    let cause = FailureCause::ReplicaLost;
                    self.effect(Effect::Failed { attempt, at: now, cause, emitted: 0 }, Usd::ZERO, source);
                }
                self.replicas[r as usize].lost = lost;
            }
            Event::ReplicaBack(r) => {
                let replica = &mut self.replicas[r as usize];
                replica.up = true;
                replica.known_down = false;
                let model = self.spec.failures.as_ref().expect("failures: only a failure model brings a replica back");
                let (seed, replicate) = (self.spec.seed, self.spec.replicate);
                let at = model.next_failure(seed, replicate, r, replica.failures, replica.gpus, now);
                self.events.push(at, Event::ReplicaFails(r));
                for slot in std::mem::take(&mut self.parked) {
                    self.dispatch(slot, now, source);
                }
            }
            Event::Timeout(slot, generation) => {
                if self.slots.is_current(slot, generation) {
                    self.time_out(slot, now, source);
                }
            }
            Event::Retry(slot, generation) => {
                if self.slots.is_current(slot, generation) {
                    self.dispatch(slot, now, source);
                }
            }
        }
    }

    fn replica_fails(&mut self, r: u32, now: SimTime) {
        let model = self.spec.failures.expect("failures: only a failure model kills a replica");
        let replica = &mut self.replicas[r as usize];
        replica.scraped.before_change(now, replica.engine.observe());
        replica.engine.kill(now, &mut self.effects);
        for effect in self.effects.drain(..) {
            if let Effect::Failed { attempt, .. } = effect {
                replica.lost.push(attempt);
            }
        }
        replica.up = false;
        replica.failures += 1;
        self.stats.replica_failures += 1;
        self.events.push(now + model.detection, Event::FailureDetected(r));
        self.events.push(now + model.recovery.max(model.detection) + SimTime(1), Event::ReplicaBack(r));
    }

    fn deliver(&mut self, source: &mut dyn Source) {
        let mut effects = std::mem::take(&mut self.effects);
        for effect in effects.drain(..) {
            self.effect(effect, Usd::ZERO, source);
        }
        if self.effects.is_empty() {
            self.effects = effects;
        } else {
            self.deliver(source);
        }
    }

    fn effect(&mut self, effect: Effect, cost: Usd, source: &mut dyn Source) {
        match effect {
            Effect::FirstToken { attempt, at } => {
                let Some(slot) = self.slots.resolve(attempt) else { return };
                let flight = self.slots.get(slot);
                let sent = flight.current.expect("clock-forward: a token of an attempt that was not sent");
                flight.first_token = Some(at);
                let prompt = u64::from(flight.request.prompt_tokens);
                match sent.to {
                    Target::Replica(r) => {
                        let replica = &mut self.replicas[r as usize];
                        replica.unanswered -= prompt;
                        self.rates[replica.pool as usize].learn(sent.backlog_tokens, at.since(sent.at));
                    }
                    Target::Endpoint(e) => self.bought[e as usize].ttft.learn(at.since(sent.at)),
                }
            }
            Effect::Done { attempt, at, cached_tokens, preemptions } => {
                let Some(slot) = self.slots.resolve(attempt) else { return };
                let flight = self.slots.get(slot);
                let output = flight.request.output_tokens.min(flight.request.max_output_tokens).max(1);
                self.outputs_seen.0 += 1;
                self.outputs_seen.1 += u64::from(output);
                self.close_attempt(
                    slot,
                    at,
                    Outcome::Completed,
                    OutcomeCause::None,
                    output,
                    cached_tokens,
                    preemptions,
                    cost,
                );
                self.finish(slot, at, Outcome::Completed, OutcomeCause::None, output, cached_tokens, source);
            }
            Effect::Failed { attempt, at, cause, emitted } => {
                let Some(slot) = self.slots.resolve(attempt) else { return };
                let why = match cause {
                    FailureCause::RateLimited { .. } => OutcomeCause::RateLimited,
                    FailureCause::ServerError => OutcomeCause::ServerError,
                    FailureCause::QueueFull => OutcomeCause::QueueFull,
                    FailureCause::ReplicaLost => OutcomeCause::ReplicaLost,
                    FailureCause::TooLong => OutcomeCause::TooLong,
                };
                self.close_attempt(slot, at, Outcome::Failed, why, emitted, 0, 0, cost);
                let flight = self.slots.get(slot);
                let next = flight.tries;
                let index = flight.request.index;
                let mut draws = random::stream(self.spec.seed, self.spec.replicate, "backoff", index, next);
                let jitter = random::dist::uniform01(&mut draws);
                match self.spec.resilience.backoff(cause, next, jitter) {
                    Some(wait) => {
                        let generation = self.slots.bump(slot);
                        let deadline = self.slots.get(slot).request.arrival + self.spec.resilience.timeout;
                        let again = at + wait;
                        if again < deadline {
                            self.events.push(again, Event::Retry(slot, generation));
                        } else {
                            self.events.push(deadline, Event::Timeout(slot, generation));
                        }
                    }
                    None => self.finish(slot, at, Outcome::Failed, why, emitted, 0, source),
                }
            }
        }
    }

    fn time_out(&mut self, slot: u32, now: SimTime, source: &mut dyn Source) {
        let mut emitted = 0;
        if let Some(sent) = self.slots.get(slot).current {
            let mut cost = Usd::ZERO;
            let mut cached = 0;
            match sent.to {
                Target::Replica(r) => {
                    let replica = &mut self.replicas[r as usize];
                    replica.scraped.before_change(now, replica.engine.observe());
                    replica.lost.retain(|a| *a != sent.attempt);
                    emitted = replica.engine.cancel(sent.attempt, now).unwrap_or(0);
                    self.mark_dirty(r);
                }
                Target::Endpoint(e) => {
                    (emitted, cached, cost) = self.bought[e as usize].endpoint.cancel(sent.attempt, now)
                }
            }
            self.close_attempt(slot, now, Outcome::TimedOut, OutcomeCause::Timeout, emitted, cached, 0, cost);
        }
        self.parked.retain(|s| *s != slot);
        self.finish(slot, now, Outcome::TimedOut, OutcomeCause::Timeout, emitted, 0, source);
    }

    #[expect(clippy::too_many_arguments, reason = "one record's fields, named at the three places that end an attempt")]
    fn close_attempt(
        &mut self,
        slot: u32,
        at: SimTime,
        outcome: Outcome,
        cause: OutcomeCause,
        output_tokens: u32,
        cached_tokens: u32,
        preemptions: u32,
        cost: Usd,
    ) {
        let flight = self.slots.get(slot);
        let sent = flight.current.take().expect("nothing-lost: an attempt ended that was not sent");
        flight.cost += cost;
        flight.preemptions += preemptions;
        flight.last_cause = cause;
        let first_token = flight.first_token;
        if outcome != Outcome::Completed {
            flight.first_token = None;
        }
        let (backend, replica) = match sent.to {
            Target::Endpoint(e) => (BackendKind::Endpoint(e), u32::MAX),
            Target::Replica(r) => {
                let prompt = u64::from(flight.request.prompt_tokens);
                let own = &mut self.replicas[r as usize];
                own.outstanding -= 1;
                if first_token.is_none() {
                    own.unanswered -= prompt;
                }
                (BackendKind::Pool(own.pool), r)
            }
        };
        self.sink.attempt(&AttemptRecord {
            request: flight.request.index,
            try_number: flight.tries - 1,
            backend,
            replica,
            sent: sent.at,
            first_token,
            ended: at,
            outcome,
            cause,
            cached_tokens,
            output_tokens,
            preemptions,
            cost,
        });
    }

    #[expect(clippy::too_many_arguments, reason = "one record's fields, named at the four places that end a request")]
    fn finish(
        &mut self,
        slot: u32,
        at: SimTime,
        outcome: Outcome,
        cause: OutcomeCause,
        output_tokens: u32,
        cached_tokens: u32,
        source: &mut dyn Source,
    ) {
        let flight = self.slots.retire(slot);
        let request = &flight.request;
        let ttft = flight.first_token.filter(|_| outcome == Outcome::Completed).map(|t| t.since(request.arrival));
        let e2e = at.since(request.arrival);
        let within = |limit: Option<SimTime>, value: Option<u64>| limit.is_none_or(|l| value.is_some_and(|v| v <= l.0));
        let [slo_ttft, slo_tpot, slo_e2e] = self.spec.slo;
        let tpot = match (ttft, output_tokens) {
            (Some(t), n) if n >= 2 => Some((e2e - t).0 / u64::from(n - 1)),
            _ => Some(0),
        };
        let met_slo = outcome == Outcome::Completed
            && within(slo_ttft, ttft.map(|t| t.0))
            && within(slo_tpot, tpot)
            && within(slo_e2e, Some(e2e.0));
        self.stats.ended = self.stats.ended.max(at);
        self.sink.request(&RequestRecord {
            index: request.index,
            arrival: request.arrival,
            class: flight.class,
            tenant: request.tenant,
            session: request.session,
            prompt_tokens: request.prompt_tokens,
            output_tokens,
            outcome,
            cause,
            backend: flight.last_backend,
            attempts: flight.tries,
            ttft,
            e2e,
            ended: at,
            cached_tokens,
            preemptions: flight.preemptions,
            cost: flight.cost,
            met_slo,
        });
        source.finished(request.session, at, outcome);
    }

    fn series_row(&self, at: SimTime) -> SeriesRow {
        let mut row = SeriesRow {
            at,
            waiting: 0,
            running: 0,
            kv_used_blocks: 0,
            kv_total_blocks: 0,
            replicas: 0,
            api_in_flight: self.bought.iter().map(|b| b.endpoint.in_flight()).sum(),
            api_spend: self.bought.iter().map(|b| b.endpoint.spend()).sum(),
        };
        for replica in self.replicas.iter().filter(|r| r.up) {
            let load = replica.engine.observe();
            row.waiting += load.waiting;
            row.running += load.running;
            row.kv_used_blocks += u64::from(load.kv_used_blocks);
            row.kv_total_blocks += u64::from(load.kv_total_blocks);
            row.replicas += 1;
        }
        row
    }
}
