//! One simulation: arrivals, decisions, backends, failures, timers, in the design's order at each instant.
//!
//! `dispatch.rs` sends requests, `outcome.rs` makes of effects what becomes of them, `around.rs` has the timers around them,
//! `gate.rs` admission and the gateway's queue, `series.rs` samples the state.
use super::agenda::{Agenda, Event};
use super::attempts::{InFlight, Slots};
use super::series::Sampler;
use super::{SimError, SimStats, WorldSpec};
use crate::api::{Endpoint, EndpointSpec, Limiter};
use crate::engine::{Outbox, Replica};
use crate::gateway::{
    BackendFacts, BudgetLevel, Decide, EndpointView, Health, LearnedTtft, Needs, PrefillRate, RollingTtft, ScrapedLoad,
    Waiting,
};
use crate::types::{
    AttemptId, BackendKind, Effect, FailureCause, Outcome, OutcomeCause, RecordSink, Request, SimTime, Source, Usd,
};
use std::collections::VecDeque;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

/// Events of one instant before the loop is called stuck.
const MAX_EVENTS_AT_AN_INSTANT: u64 = 1_000;
/// Events after which the wish to stop is asked for, arrivals or not.
const EVENTS_A_LOOK: u64 = 1 << 16;
/// Arrivals after which progress is told and the wish to stop is asked for.
const ARRIVALS_A_REPORT: u64 = 256;

pub(super) struct OwnReplica {
    pub engine: Replica,
    pub pool: u32,
    gpus: u32,
    pub up: bool,
    /// The gateway knows that it is down.
    pub known_down: bool,
    failures: u32,
    pub unanswered: u64,
    pub scraped: ScrapedLoad,
    /// What died with it, and what was sent there while it was dead and nobody knew, with the tokens that had left.
    pub lost: Vec<(AttemptId, u32)>,
    dirty: bool,
}

pub(super) struct Bought {
    pub endpoint: Endpoint,
    /// Index of its account.
    pub account: usize,
    pub facts: BackendFacts,
    pub ttft: RollingTtft,
}

/// Own replicas that are ready, of the pools in a set.
pub(super) struct Ready {
    pub pools: u64,
    pub replicas: Vec<u32>,
    /// Whether the pools have a replica that is not ready.
    pub later: bool,
}

pub(super) struct World<'a, S: RecordSink> {
    pub spec: &'a WorldSpec,
    pub replicas: Vec<OwnReplica>,
    /// By replica: requests sent there that have not ended.
    pub outstanding: Vec<u32>,
    pub bought: Vec<Bought>,
    /// Requests that have not ended whose class tolerates a wait.
    pub patient: u64,
    /// What accounts at providers have left of their limits.
    pub accounts: Vec<Limiter>,
    pub rates: Vec<PrefillRate>,
    pub policy: Box<dyn Decide>,
    pub needs: Needs,
    pub slots: Slots,
    pub agenda: Agenda,
    pub parked: VecDeque<u32>,
    /// By place: attempts under way.
    pub busy: Vec<u32>,
    pub health: Health,
    pub budget: BudgetLevel,
    pub learned: LearnedTtft,
    pub waiting: Waiting,
    /// A `Pump` is in the agenda for this instant; `NEVER` if none is.
    pub pump_at: SimTime,
    /// Whether any rule may narrow down candidates.
    pub narrows: bool,
    dirty: Vec<u32>,
    pub sink: &'a mut S,
    pub stats: SimStats,
    /// Requests answered, and their output tokens: what a gateway knows of output lengths.
    pub outputs_seen: (u64, u64),
    /// Lists of ready replicas, made when first asked for and void when a replica's readiness changes.
    pub ready: Vec<Ready>,
    // Scratch, reused so that the loop does not allocate.
    pub out: Outbox,
    pub api_effects: Vec<(Effect, Usd)>,
    pub api_views: Vec<EndpointView>,
    pub narrowed: Vec<u32>,
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
    let mut sampler = Sampler::new(spec.sample_every);
    loop {
        let arrival = source.peek().map_err(SimError::Source)?;
        // Failures go on for ever; once nothing is in flight and nothing comes they end the simulation.
        if arrival.is_none() && world.slots.live() == 0 {
            break;
        }
        let slots = &world.slots;
        let next = world.agenda.peek(|slot, life| slots.is_alive(slot, life));
        let due = arrival.unwrap_or(SimTime::NEVER).min(next);
        if due == SimTime::NEVER {
            break;
        }
        if world.sink.wants_series() {
            sampler.until(due, &mut world);
        }
        let mut at_this_instant = 0;
        let most = MAX_EVENTS_AT_AN_INSTANT + world.slots.live() * (4 + 4 * spec.resilience.most_at_once());
        loop {
            while let Some(event) = world.agenda.pop_at(due) {
                if world.is_void(event) {
                    continue;
                }
                at_this_instant += 1;
                world.stats.events += 1;
                // Long after the last arrival a queue may still drain.
                if world.stats.events.is_multiple_of(EVENTS_A_LOOK) && stop.load(Ordering::Relaxed) {
                    return Err(SimError::Interrupted);
                }
                if at_this_instant > most {
                    let at_s = format!("{:.9}", due.as_secs_f64());
                    return Err(SimError::Livelock { at_s, event: format!("{event:?}") });
                }
                world.handle(event, due, source);
            }
            while source.peek().map_err(SimError::Source)?.is_some_and(|at| at <= due) {
                let request = source.next();
                if world.stats.requests == 0 {
                    world.stats.first_arrival = request.arrival;
                }
                world.stats.last_arrival = request.arrival;
                world.stats.requests += 1;
                world.stats.events += 1;
                if world.stats.requests.is_multiple_of(ARRIVALS_A_REPORT) {
                    progress.fetch_add(ARRIVALS_A_REPORT, Ordering::Relaxed);
                    if stop.load(Ordering::Relaxed) {
                        return Err(SimError::Interrupted);
                    }
                }
                world.arrive(request, due, source);
                world.stats.waiting_at_end = world.slots.live() - world.patient;
            }
            // What arrived may be due again at once: refused, and to be sent elsewhere. Schedules come after that.
            if !world.agenda.timer_due(due) {
                break;
            }
        }
        world.schedule_dirty(due);
    }
    assert_eq!(world.slots.live(), 0, "nothing-lost: requests left when the simulation ended");
    world.stats.circuits_opened = world.health.opened;
    progress.fetch_add(world.stats.requests % ARRIVALS_A_REPORT, Ordering::Relaxed);
    for replica in &world.replicas {
        let counts = replica.engine.counts();
        world.stats.engine_steps += counts.steps;
        world.stats.strides += counts.strides;
        world.stats.batch_changes += counts.batch_changes;
    }
    Ok(world.stats)
}

impl<'a, S: RecordSink> World<'a, S> {
    fn new(spec: &'a WorldSpec, sink: &'a mut S) -> Self {
        assert!(spec.pools.len() <= 64, "pool-set: more than 64 pools");
        let mut replicas = Vec::new();
        for (pool, p) in spec.pools.iter().enumerate() {
            replicas.extend((0..p.replicas).map(|_| OwnReplica {
                engine: p.replica.start(p.mode),
                pool: pool as u32,
                gpus: p.replica.gpus,
                up: true,
                known_down: false,
                failures: 0,
                unanswered: 0,
                scraped: ScrapedLoad::new(spec.scrape.0, spec.scrape.1),
                lost: Vec::new(),
                dirty: false,
            }));
        }
        let mut accounts: Vec<(&str, Limiter)> = Vec::new();
        let mut account_of = |e: &'a EndpointSpec| {
            accounts.iter().position(|(name, _)| *name == e.account).unwrap_or_else(|| {
                accounts.push((&e.account, Limiter::new(&e.limits, &e.squeezes)));
                accounts.len() - 1
            })
        };
        let bought: Vec<Bought> = spec
            .endpoints
            .iter()
            .map(|e| Bought {
                ttft: RollingTtft::new(e.ttft_p90()),
                account: account_of(e),
                facts: BackendFacts {
                    internal: false,
                    capability: e.capability,
                    max_context_tokens: e.max_input_tokens,
                    deferred: e.deferred(),
                },
                endpoint: Endpoint::new(e.clone(), spec.seed, spec.replicate),
            })
            .collect();
        let policy = spec.routing.policy();
        let mut needs = policy.needs();
        needs.loads |= spec.resilience.reads_loads();
        let backends = replicas.len() + bought.len();
        let r = &spec.resilience;
        let mut world = World {
            agenda: Agenda::new(backends),
            busy: vec![0; spec.pools.len() + bought.len()],
            health: Health::new(backends, r.breaker, r.cooldown),
            budget: BudgetLevel::new(r.retry.budget),
            learned: LearnedTtft::default(),
            waiting: Waiting::new(spec.classes.len()),
            pump_at: SimTime::NEVER,
            narrows: r.narrows(),
            narrowed: Vec::new(),
            outstanding: vec![0; replicas.len()],
            replicas,
            patient: 0,
            accounts: accounts.into_iter().map(|(_, limiter)| limiter).collect(),
            bought,
            rates: spec.pools.iter().map(|p| PrefillRate::new(p.assumed_prefill_tokens_per_s)).collect(),
            needs,
            policy,
            slots: Slots::default(),
            parked: VecDeque::new(),
            dirty: Vec::new(),
            sink,
            stats: SimStats::default(),
            outputs_seen: (0, 0),
            ready: Vec::new(),
            out: Outbox::default(),
            api_effects: Vec::new(),
            api_views: Vec::new(),
            spec,
        };
        if world.needs.caches && spec.kv_event_delay > SimTime::ZERO {
            world.replicas.iter_mut().for_each(|r| r.engine.keep_kv_events(spec.kv_event_delay));
        }
        for r in 0..world.replicas.len() as u32 {
            world.plan_failure(r, SimTime::ZERO);
        }
        world
    }

    fn arrive(&mut self, request: Request, now: SimTime, source: &mut dyn Source) {
        let class = self.class_of(&request);
        let arrival = request.arrival;
        let slot = self.slots.insert(InFlight::new(request, class));
        self.begin(slot, class, arrival);
        self.dispatch(slot, now, source);
    }

    fn handle(&mut self, event: Event, now: SimTime, source: &mut dyn Source) {
        match event {
            Event::Backend(b) if (b as usize) < self.replicas.len() => self.step_ends(b, now, source),
            Event::Backend(b) => self.endpoint_answers(b - self.replicas.len() as u32, now, source),
            Event::ReplicaFails(r) => self.replica_fails(r, now),
            Event::FailureDetected(r) => {
                let replica = &mut self.replicas[r as usize];
                replica.known_down = !replica.up;
                self.ready.clear();
                let mut lost = std::mem::take(&mut replica.lost);
                for (attempt, emitted) in lost.drain(..) {
                    let cause = FailureCause::ReplicaLost;
                    self.effect(Effect::Failed { attempt, at: now, cause, emitted }, Usd::ZERO, source);
                }
                self.replicas[r as usize].lost = lost;
            }
            Event::ReplicaBack(r) => {
                let replica = &mut self.replicas[r as usize];
                replica.up = true;
                replica.known_down = false;
                self.ready.clear();
                self.plan_failure(r, now);
                for slot in std::mem::take(&mut self.parked) {
                    self.dispatch(slot, now, source);
                }
            }
            Event::Timeout(slot, life) => {
                if self.slots.is_alive(slot, life) {
                    self.give_up(slot, Outcome::TimedOut, OutcomeCause::Timeout, now, source);
                }
            }
            Event::Retry(slot, generation) => {
                if self.slots.is_current(slot, generation) {
                    self.dispatch(slot, now, source);
                }
            }
            Event::Pump => self.pump(now, source),
            Event::TryTimeout(..)
            | Event::FirstTokenTimeout(..)
            | Event::Hedge(..)
            | Event::Loser(..)
            | Event::ClientGone(..)
            | Event::QueueTimeout(..) => self.timer(event, now, source),
        }
    }

    fn step_ends(&mut self, r: u32, now: SimTime, source: &mut dyn Source) {
        let replica = &mut self.replicas[r as usize];
        assert!(replica.up, "armed-while-up: a dead replica has no next event");
        sample(&self.needs, replica, now);
        replica.engine.advance(now, &mut self.out);
        self.agenda.arm(r, replica.engine.next_event());
        self.mark_dirty(r);
        self.deliver(source);
    }

    fn endpoint_answers(&mut self, e: u32, now: SimTime, source: &mut dyn Source) {
        let Bought { endpoint, account, .. } = &mut self.bought[e as usize];
        endpoint.advance(now, &mut self.accounts[*account], &mut self.api_effects);
        self.arm_endpoint(e);
        let mut answers = std::mem::take(&mut self.api_effects);
        for (effect, cost) in answers.drain(..) {
            self.effect(effect, cost, source);
        }
        self.api_effects = answers;
        self.deliver(source);
    }

    fn plan_failure(&mut self, r: u32, up_since: SimTime) {
        let Some(model) = &self.spec.failures else { return };
        let replica = &self.replicas[r as usize];
        let (seed, replicate) = (self.spec.seed, self.spec.replicate);
        let at = model.next_failure(seed, replicate, r, replica.failures, replica.gpus, up_since);
        self.agenda.fail(at, Event::ReplicaFails(r));
    }

    fn replica_fails(&mut self, r: u32, now: SimTime) {
        let model = self.spec.failures.expect("failures: only a failure model kills a replica");
        let replica = &mut self.replicas[r as usize];
        sample(&self.needs, replica, now);
        let from = self.out.effects.len();
        replica.engine.kill(now, &mut self.out);
        for effect in self.out.effects.drain(from..) {
            if let Effect::Failed { attempt, emitted, .. } = effect {
                replica.lost.push((attempt, emitted));
            }
        }
        // Tokens left before it died, and nobody else may come by to say so.
        self.out.gaps.drain(..).for_each(|run| self.sink.gaps(&run));
        replica.up = false;
        replica.failures += 1;
        self.agenda.arm(r, SimTime::NEVER);
        self.stats.replica_failures += 1;
        self.agenda.fail(now + model.detection, Event::FailureDetected(r));
        self.agenda.fail(now + model.recovery.max(model.detection) + SimTime(1), Event::ReplicaBack(r));
    }

    /// Puts an endpoint's next event into the agenda.
    pub(super) fn arm_endpoint(&mut self, e: u32) {
        let next = self.bought[e as usize].endpoint.next_event();
        self.agenda.arm(self.replicas.len() as u32 + e, next);
    }

    /// Something happened to this replica: its schedule is due when all arrivals of the instant are in.
    pub(super) fn mark_dirty(&mut self, r: u32) {
        let replica = &mut self.replicas[r as usize];
        if !replica.dirty {
            replica.dirty = true;
            self.dirty.push(r);
        }
    }

    /// Starts the next step of every replica that something happened to, in index order. A schedule has no effects.
    fn schedule_dirty(&mut self, now: SimTime) {
        self.dirty.sort_unstable();
        for r in self.dirty.drain(..) {
            let replica = &mut self.replicas[r as usize];
            replica.dirty = false;
            if replica.up && replica.engine.needs_schedule() {
                sample(&self.needs, replica, now);
                replica.engine.schedule(now);
                self.agenda.arm(r, replica.engine.next_event());
            }
        }
    }

    /// Whether an event concerns what is no more.
    fn is_void(&self, event: Event) -> bool {
        match event {
            Event::Timeout(slot, life) | Event::ClientGone(slot, life) => !self.slots.is_alive(slot, life),
            Event::Retry(slot, generation) | Event::QueueTimeout(slot, generation) => {
                !self.slots.is_current(slot, generation)
            }
            Event::TryTimeout(slot, generation)
            | Event::FirstTokenTimeout(slot, generation)
            | Event::Hedge(slot, generation)
            | Event::Loser(slot, generation) => self.slots.resolve(Slots::attempt_id(slot, generation)).is_none(),
            Event::Pump
            | Event::ReplicaFails(_)
            | Event::FailureDetected(_)
            | Event::ReplicaBack(_)
            | Event::Backend(_) => false,
        }
    }

    pub(super) fn kind_of(&self, replica: u32) -> BackendKind {
        BackendKind::Pool(self.replicas[replica as usize].pool)
    }
}

/// Takes the samples that are due before a replica changes at `now`, if the policy reads any.
pub(super) fn sample(needs: &Needs, replica: &mut OwnReplica, now: SimTime) {
    if needs.loads {
        let engine = &replica.engine;
        replica.scraped.before_change(now, |at| engine.observe(at + SimTime(1)));
    }
}
