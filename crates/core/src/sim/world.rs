//! A world that can be stepped: requests arrive, time goes on, effects come out, places come and go.
//!
//! It joins what has its state elsewhere: the fleet, the market, the desk, the agenda. `places.rs` has what makes places
//! come and go.
use super::agenda::{Agenda, Event, Timer};
use super::desk::{Action, Desk, Look, Sight, Standing};
use super::fleet::{Fleet, Rental};
use super::market::Market;
use super::series::Sampler;
use super::{Effects, SimError, SimStats, WorldSpec};
use crate::types::{Cancelled, Effect, FailureCause, Outbox, Place, PlaceId, PoolId, ReplicaId, Request, SimTime};

/// Events of one instant before the loop is called stuck.
const MAX_EVENTS_AT_AN_INSTANT: u64 = 1_000;

/// One simulation, driven from outside:
///
/// ```text
/// loop {
///     world.arrive(request)             // the requests that arrive at `world.now()`
///     let next = world.next_event();    // no more arrivals at this instant: engines choose their next steps
///     world.advance(next or the next arrival)
///     world.effects(&mut effects)       // what has happened since
/// }
/// ```
///
/// At one instant the order is: failures and places that open, ends of steps and answers, timers; then arrivals; then engines
/// choose their next steps. `advance` leaves an instant before its arrivals.
pub struct World<'a> {
    pub(super) spec: &'a WorldSpec,
    pub(super) fleet: Fleet,
    pub(super) market: Market,
    pub(super) desk: Desk<'a>,
    pub(super) agenda: Agenda,
    pub(super) now: SimTime,
    /// Places that leave when nothing is under way there any more.
    pub(super) leaving: Vec<Place>,
    pub(super) out: Outbox,
    sampler: Option<Sampler>,
    stats: SimStats,
    /// What `next_event` has said, while nothing has happened since.
    pub(super) next: Option<SimTime>,
    /// Events that a request may cause at one instant.
    allowance: u64,
    /// Events handled at this instant, and the most that there may be.
    at_this_instant: (u64, u64),
}

impl<'a> World<'a> {
    /// The world of `spec` at its first instant, with the replicas and endpoints that it names, all ready.
    pub fn new(spec: &'a WorldSpec) -> World<'a> {
        let desk = Desk::new(spec);
        let keep_events = (desk.needs.caches && spec.kv_event_delay > SimTime::ZERO).then_some(spec.kv_event_delay);
        let failures = spec.failures.map(|model| (model, spec.seed, spec.replicate));
        let mut world = World {
            fleet: Fleet::new(spec.scrape, desk.needs.loads, keep_events, failures),
            market: Market::new(spec.seed, spec.replicate),
            desk,
            agenda: Agenda::default(),
            now: SimTime::ZERO,
            leaving: Vec::new(),
            out: Outbox::default(),
            sampler: None,
            stats: SimStats::default(),
            next: None,
            allowance: 4 + 4 * spec.resilience.most_at_once(),
            at_this_instant: (0, MAX_EVENTS_AT_AN_INSTANT),
            spec,
        };
        for (pool, p) in spec.pools.iter().enumerate() {
            (0..p.replicas).for_each(|_| _ = world.add_replica(PoolId::nth(pool), SimTime::ZERO));
        }
        for endpoint in &spec.endpoints {
            world.add_endpoint(endpoint.clone(), SimTime::ZERO);
        }
        world
    }

    /// From now on rows of the series are among the effects, the first interval as the spec says.
    pub fn keep_series(&mut self) {
        self.sampler = Some(Sampler::new(self.spec.sample_every));
    }

    /// How far time has gone.
    pub fn now(&self) -> SimTime {
        self.now
    }
    /// Requests that have arrived and not ended.
    pub fn in_flight(&self) -> u64 {
        self.desk.in_flight()
    }
    /// Attempts under way at a replica or endpoint, or at all of a pool's replicas.
    pub fn under_way(&self, place: Place) -> u32 {
        self.desk.under_way(place)
    }

    /// Takes a request, now. Its latencies count from its `arrival`, which is not in the future; requests come in the order of
    /// their arrivals.
    pub fn arrive(&mut self, request: Request) {
        assert!(request.arrival <= self.now, "clock-forward: a request of {:?} at {:?}", request.arrival, self.now);
        if self.stats.requests == 0 {
            self.stats.first_arrival = request.arrival;
        }
        self.stats.last_arrival = request.arrival;
        self.stats.requests += 1;
        self.stats.events += 1;
        self.next = None;
        self.at_this_instant.1 += self.allowance;
        self.settle();
        let look = self.desk.arrive(request, self.now, sight(&self.fleet, &self.market));
        self.perform();
        if look {
            self.look_at_queue();
        }
    }

    /// When something happens next; `NEVER` if nothing will without an arrival. All requests that arrive at this instant are
    /// in by then: engines choose their next steps, if no timer is due at this instant that comes before.
    pub fn next_event(&mut self) -> SimTime {
        if self.agenda.timer_due(self.now) {
            return self.now;
        }
        let agenda = &mut self.agenda;
        self.fleet.schedule(self.now, |id, next| agenda.arm(id.into(), next));
        let desk = &self.desk;
        let next = self.agenda.peek(|slot, life| desk.is_alive(slot, life));
        self.next = Some(next);
        next
    }

    /// Lets time go on to `to`: what happens before it happens, and what happens at it up to the arrivals.
    ///
    /// # Errors
    /// A loop without progress.
    pub fn advance(&mut self, to: SimTime) -> Result<(), SimError> {
        assert!(to >= self.now, "clock-forward: from {:?} to {to:?}", self.now);
        loop {
            let due = match self.next.take() {
                _ if to == self.now => to,
                Some(next) => next.min(to),
                None => self.next_event().min(to),
            };
            self.run(due)?;
            if due == to {
                return Ok(());
            }
        }
    }

    /// Puts what has happened since it was last asked into `effects`, in place of what was there. Whoever drives asks after
    /// each call.
    pub fn effects(&mut self, effects: &mut Effects) {
        effects.list.clear();
        effects.gaps.clear();
        std::mem::swap(&mut effects.list, &mut self.desk.told);
        std::mem::swap(&mut effects.gaps, &mut self.out.gaps);
    }

    /// What has been counted so far.
    pub fn stats(&self) -> SimStats {
        let (mut stats, of_engines) = (self.desk.counts(), self.fleet.counts());
        let of_world = &self.stats;
        stats.requests = of_world.requests;
        (stats.first_arrival, stats.last_arrival) = (of_world.first_arrival, of_world.last_arrival);
        stats.events = of_world.events;
        stats.engine_steps = of_engines.steps;
        stats.strides = of_engines.strides;
        stats.batch_changes = of_engines.batch_changes;
        stats.replica_failures = self.fleet.failures();
        stats
    }
    /// For how long the GPUs of each replica have been rented, by its id; `economics::rented_line` prices them.
    pub fn rentals(&self) -> &[Rental] {
        self.fleet.rentals()
    }
    /// Events handled so far, arrivals included.
    pub fn events(&self) -> u64 {
        self.stats.events
    }
    /// Requests that have arrived so far.
    pub fn arrived(&self) -> u64 {
        self.stats.requests
    }

    /// Handles all that is due at `due`, which is now or the next instant at which something happens.
    fn run(&mut self, due: SimTime) -> Result<(), SimError> {
        self.next = None;
        if due > self.now {
            if let Some(sampler) = self.sampler.as_mut().filter(|s| s.is_due(due)) {
                sampler.until(due, &self.fleet, &self.market, &mut self.desk.told);
            }
            self.now = due;
            self.at_this_instant = (0, MAX_EVENTS_AT_AN_INSTANT + self.desk.in_flight() * self.allowance);
        }
        while let Some(event) = self.agenda.pop_at(due) {
            if matches!(event, Event::Timer(timer) if self.desk.is_void(timer)) {
                continue;
            }
            self.stats.events += 1;
            self.at_this_instant.0 += 1;
            if self.at_this_instant.0 > self.at_this_instant.1 {
                let at_s = format!("{:.9}", due.as_secs_f64());
                return Err(SimError::Livelock { at_s, event: format!("{event:?}") });
            }
            self.handle(event);
        }
        Ok(())
    }

    fn handle(&mut self, event: Event) {
        let now = self.now;
        match event {
            Event::Replica(r) => {
                let next = self.fleet.advance(r, now, &mut self.out);
                self.agenda.arm(r.into(), next);
                self.perform();
            }
            Event::Endpoint(e) => {
                let next = self.market.advance(e, now, &mut self.out);
                self.agenda.arm(e.into(), next);
                self.perform();
            }
            Event::Timer(timer) => self.timer(timer),
            Event::ReplicaFails(r) if self.fleet.has(r) => self.replica_fails(r),
            Event::FailureDetected(r) if self.fleet.has(r) => self.failure_is_detected(r),
            Event::ReplicaBack(r) if self.fleet.has(r) => self.open(r.into()),
            Event::Opens(place) => self.open(place),
            // The replica has left since that was put on the agenda.
            Event::ReplicaFails(_) | Event::FailureDetected(_) | Event::ReplicaBack(_) => {}
        }
    }

    fn timer(&mut self, timer: Timer) {
        if matches!(timer, Timer::Retry(..) | Timer::Hedge(..)) {
            self.settle();
        }
        let look = self.desk.timer_is_due(timer, self.now, sight(&self.fleet, &self.market));
        self.perform();
        if look {
            self.look_at_queue();
        }
    }

    /// Sends on who waits at the gateway, as far as the fleet has room.
    fn look_at_queue(&mut self) {
        let mut closed = 0;
        self.desk.begin_look(self.now);
        loop {
            self.settle();
            let look = self.desk.look(&mut closed, self.now, sight(&self.fleet, &self.market));
            self.perform();
            match look {
                Look::Again => {}
                Look::NextTick => {
                    self.desk.look_next_tick(self.now);
                    return self.perform();
                }
                Look::Over => return,
            }
        }
    }

    /// Has the desk send on what waits for a replica.
    pub(super) fn unpark(&mut self) {
        let mut left = self.desk.parked();
        while let Some(slot) = self.desk.unpark(&mut left) {
            self.settle();
            let look = self.desk.dispatch(slot, self.now, sight(&self.fleet, &self.market));
            self.perform();
            if look {
                self.look_at_queue();
            }
        }
    }

    /// Brings replicas to now where the policy looks into their caches.
    fn settle(&mut self) {
        if self.desk.looks_into_caches() {
            let agenda = &mut self.agenda;
            self.fleet.settle(self.now, &mut self.out, |id, next| agenda.arm(id.into(), next));
        }
    }

    fn replica_fails(&mut self, r: ReplicaId) {
        let model = *self.fleet.failure_model().expect("failures: only a failure model kills a replica");
        self.fleet.fail(r, self.now, &mut self.out);
        self.agenda.arm(r.into(), SimTime::NEVER);
        self.agenda.fail(self.now + model.detection, Event::FailureDetected(r));
        let back = self.now + model.recovery.max(model.detection) + SimTime(1);
        self.agenda.fail(back, Event::ReplicaBack(r));
    }

    fn failure_is_detected(&mut self, r: ReplicaId) {
        self.desk.stands(r.into(), Standing::Later);
        let (at, cause) = (self.now, FailureCause::ReplicaLost);
        for (attempt, emitted) in self.fleet.lost(r) {
            self.desk.effect(Effect::Failed { attempt, at, cause, emitted });
        }
        self.perform();
    }

    /// Does what the desk wants done, in order, and tells it what backends said, until there is nothing more of either.
    pub(super) fn perform(&mut self) {
        // Most ends of steps leave nothing to do.
        if !(self.desk.actions.is_empty() && self.out.effects.is_empty() && self.leaving.is_empty()) {
            self.perform_all();
        }
    }

    /// Kept apart, so that a call that finds nothing to do is cheap.
    #[inline(never)]
    fn perform_all(&mut self) {
        loop {
            let mut next = 0;
            while let Some(&action) = self.desk.actions.get(next) {
                next += 1;
                self.act(action);
            }
            self.desk.actions.clear();
            if self.out.effects.is_empty() {
                break;
            }
            for effect in self.out.effects.drain(..) {
                self.desk.effect(effect);
            }
        }
        if !self.leaving.is_empty() {
            self.let_go();
        }
    }

    fn act(&mut self, action: Action) {
        match action {
            Action::Timer { at, timer } => self.agenda.timer(at, timer),
            Action::Deadline { at, slot, life } => self.agenda.time_out(at, slot, life),
            Action::Submit { slot, attempt, to } => {
                let (job, out) = (self.desk.job(slot, attempt), &mut self.out);
                let next = match to {
                    Place::Replica(r) => self.fleet.submit(r, job, self.now, out),
                    Place::Endpoint(e) => self.market.submit(e, job, self.now, out),
                    Place::Pool(_) => unreachable!("sent-to: attempts go to replicas and endpoints"),
                };
                self.agenda.arm(to, next);
            }
            Action::Cancel { slot, attempt, at, why } => {
                let out = &mut self.out;
                let (left, next): (Cancelled, SimTime) = match at {
                    Place::Replica(r) => self.fleet.cancel(r, attempt, self.now, out),
                    Place::Endpoint(e) => self.market.cancel(e, attempt, self.now, out),
                    Place::Pool(_) => unreachable!("sent-to: attempts go to replicas and endpoints"),
                };
                self.agenda.arm(at, next);
                self.desk.cancelled(slot, attempt, why, left, self.now);
            }
        }
    }
}

/// What the desk may look at.
fn sight<'a>(fleet: &'a Fleet, market: &'a Market) -> Sight<'a> {
    Sight { fleet, market }
}
