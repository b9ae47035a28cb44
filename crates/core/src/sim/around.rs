//! What the gateway does around attempts: deadlines, retries and fallbacks, second copies, stages of a cascade, clients that
//! leave. All of it begins with a timer, so that at one instant it comes after the ends of steps and the answers.
use super::agenda::Event;
use super::attempts::{InFlight, Route, Slots, Stay, Step, Target};
use super::dispatch::Way;
use super::outcome::{Ending, Left};
use super::world::{Bought, World, sample};
use crate::gateway::{HealthEvent, Spot, allowed};
use crate::random;
use crate::types::{
    AttemptId, BackendKind, FailureCause, Outcome, OutcomeCause, RecordSink, Request, RequestView, SimTime, Source, Usd,
};

impl<S: RecordSink> World<'_, S> {
    /// Sets what runs from an arrival: its deadline, and how long its client waits.
    pub(super) fn begin(&mut self, slot: u32, class: u16, arrival: SimTime) {
        self.budget.request();
        let life = self.slots.life(slot);
        let r = &self.spec.resilience;
        if let Some(wait) = self.spec.classes[class as usize].0.tolerates {
            self.patient += 1;
            self.agenda.timer(arrival + wait, Event::Timeout(slot, life));
        } else {
            self.agenda.time_out(arrival + r.timeout, slot, life);
            if let Some(rule) = r.impatience {
                let index = self.slots.get(slot).request.index;
                let draws = |name| random::stream(self.spec.seed, self.spec.replicate, name, index, 0);
                if random::dist::uniform01(&mut draws("impatient")) < rule.share {
                    let median = rule.median.as_secs_f64();
                    let patience = random::dist::log_normal(&mut draws("patience"), median, rule.sigma);
                    let patience = SimTime::from_secs_f64(patience).max(SimTime(1));
                    self.agenda.timer(arrival + patience, Event::ClientGone(slot, life));
                }
            }
        }
        if let Some(cascade) = &r.cascade {
            let stages = cascade.stages.len();
            if let Some((stage, spot)) = (0..stages).find_map(|i| self.stage(slot, i)) {
                let route = &mut self.slots.get(slot).route;
                (route.stage, route.stays) = (stage, Some((spot, Stay::Stage)));
            }
        }
    }

    /// When the gateway gives a request up.
    fn deadline(&mut self, slot: u32) -> SimTime {
        let flight = self.slots.get(slot);
        let tolerates = self.spec.classes[flight.class as usize].0.tolerates;
        flight.request.arrival + tolerates.unwrap_or(self.spec.resilience.timeout)
    }

    fn view_of<'a>(spec: &'a super::WorldSpec, flight: &'a InFlight) -> RequestView<'a> {
        flight.request.view(&spec.classes[flight.class as usize].0)
    }

    /// A stage of the cascade, if the request may be served there.
    fn stage(&mut self, slot: u32, stage: usize) -> Option<(u16, Spot)> {
        let spot = *self.spec.resilience.cascade.as_ref()?.stages.get(stage)?;
        let view = Self::view_of(self.spec, self.slots.get(slot));
        let may = match self.spec.pools.get(usize::from(spot.0)) {
            Some(pool) => pool.replicas > 0 && allowed(&view, &pool.replica.facts),
            None => allowed(&view, &self.bought[usize::from(spot.0) - self.spec.pools.len()].facts),
        };
        may.then_some((stage as u16, spot))
    }

    /// The stage that a request goes on to, because its answer is not accepted and there is one.
    pub(super) fn next_stage(&mut self, slot: u32) -> Option<(u16, Spot)> {
        let cascade = self.spec.resilience.cascade.as_ref()?;
        let flight = self.slots.get(slot);
        flight.route.stays?;
        let (index, stage) = (flight.request.index, flight.route.stage);
        let mut draws = random::stream(self.spec.seed, self.spec.replicate, "cascade", index, stage.into());
        if cascade.accepts(stage.into(), random::dist::uniform01(&mut draws)) {
            return None;
        }
        (usize::from(stage) + 1..cascade.stages.len()).find_map(|i| self.stage(slot, i))
    }

    /// The answer was not accepted: the next stage is asked as well.
    pub(super) fn escalate(&mut self, slot: u32, (stage, spot): (u16, Spot), at: SimTime) {
        let deadline = self.deadline(slot);
        let flight = self.slots.get(slot);
        flight.first_token = None;
        let admitted = flight.route.admitted;
        let stays = Some((spot, Stay::Stage));
        flight.route = Route { stays, stage, step: Step::Escalation, admitted, ..Route::default() };
        self.again(slot, at, deadline);
    }

    /// Sends a request again at `at`. What would come after its deadline is not worth a timer: it times out.
    fn again(&mut self, slot: u32, at: SimTime, deadline: SimTime) {
        let generation = self.slots.bump(slot);
        if at < deadline {
            self.agenda.retry(at, slot, generation);
        }
    }

    /// An attempt failed and is closed: the other copy goes on, or there is a retry, a fallback, or the end.
    pub(super) fn failed(
        &mut self,
        slot: u32,
        attempt: AttemptId,
        ending: Ending,
        cause: FailureCause,
        source: &mut dyn Source,
    ) {
        let flight = self.slots.get(slot);
        if flight.loser == Some(attempt) {
            return self.loser_is_gone(slot, source);
        }
        // The winner failed at the instant at which it won, or one of two copies before any token: the other one goes on.
        flight.loser = None;
        if flight.current.is_some() {
            return;
        }
        flight.route.failures += 1;
        let (n, waited, index, tries) =
            (flight.route.failures, flight.route.waited, flight.request.index, flight.tries);
        let at = ending.at;
        let deadline = self.deadline(slot);
        let retry = &self.spec.resilience.retry;
        let mut draws = random::stream(self.spec.seed, self.spec.replicate, "backoff", index, tries);
        let jitter = random::dist::uniform01(&mut draws);
        let elsewhere = retry.at_once_elsewhere && self.another_is_ready(slot, at);
        if let Some(wait) = retry.wait(cause, n, jitter, waited, elsewhere).filter(|_| self.budget.take()) {
            let place = self.place_of(slot);
            let route = &mut self.slots.get(slot).route;
            route.step = Step::Retry;
            if let Some(retry_after) = cause.retry_after() {
                route.waited += retry_after;
            }
            if route.stays.is_none() && self.spec.resilience.fallbacks.keeps(place) {
                route.stays = Some((place, Stay::Chain));
            }
            return self.again(slot, at + wait, deadline);
        }
        if self.next_hop(slot, cause == FailureCause::TooLong) {
            return self.again(slot, at, deadline);
        }
        self.finish(slot, Ending { outcome: Outcome::Failed, ..ending }, source);
    }

    /// The place of a request's last attempt.
    fn place_of(&mut self, slot: u32) -> Spot {
        let pools = self.spec.pools.len() as u32;
        Spot(match self.slots.get(slot).last_backend {
            Some(BackendKind::Pool(pool)) => pool as u16,
            Some(BackendKind::Endpoint(e)) => (pools + e) as u16,
            None => u16::MAX,
        })
    }

    /// Moves a request on along its fallback chain, if that goes on.
    pub(super) fn next_hop(&mut self, slot: u32, too_long: bool) -> bool {
        if self.spec.resilience.fallbacks.is_empty() {
            return false;
        }
        // Where it failed, or where it could not even be sent.
        let last = self.place_of(slot);
        let route = &mut self.slots.get(slot).route;
        let from = route.stays.map_or(last, |(spot, _)| spot);
        let Some(to) = self.spec.resilience.fallbacks.next(from, too_long, &mut route.hop) else { return false };
        let (hop, stage, admitted) = (route.hop, route.stage, route.admitted);
        let stays = Some((to, Stay::Chain));
        *route = Route { stays, hop, stage, admitted, step: Step::Fallback, ..Route::default() };
        true
    }

    /// Whether a backend other than that of the last attempt is ready for a request.
    fn another_is_ready(&mut self, slot: u32, now: SimTime) -> bool {
        let flight = self.slots.get(slot);
        let (class, last) = (&self.spec.classes[flight.class as usize].0, flight.last_backend);
        let asked = std::mem::replace(&mut self.slots.get(slot).request, Request::placeholder());
        let ready = self.ready_for(&asked.view(class));
        let well = |backend: usize| !self.health.blocked(backend, now);
        let own = self.ready[ready].replicas.iter().filter(|r| well(**r as usize)).count();
        let same_kind = |e: usize| last == Some(BackendKind::Endpoint(e as u32));
        let bought = self
            .bought
            .iter()
            .enumerate()
            .any(|(e, b)| !same_kind(e) && allowed(&asked.view(class), &b.facts) && well(self.replicas.len() + e));
        // The replica that failed is not known any more; it is one of the own ones.
        let spare = usize::from(matches!(last, Some(BackendKind::Pool(_))));
        self.slots.get(slot).request = asked;
        bought || own > spare
    }

    /// A timer of an attempt or a request.
    pub(super) fn timer(&mut self, event: Event, now: SimTime, source: &mut dyn Source) {
        match event {
            Event::TryTimeout(slot, generation) => self.try_times_out(slot, generation, false, now, source),
            Event::FirstTokenTimeout(slot, generation) => self.try_times_out(slot, generation, true, now, source),
            Event::Hedge(slot, generation) => self.send_copy(slot, generation, now, source),
            Event::Loser(slot, generation) => {
                let attempt = Slots::attempt_id(slot, generation);
                if self.slots.get(slot).loser == Some(attempt) {
                    self.drop_attempt(slot, attempt, Outcome::Cancelled, OutcomeCause::Hedged, now);
                    self.loser_is_gone(slot, source);
                    self.deliver(source);
                }
            }
            Event::ClientGone(slot, _) => {
                let flight = self.slots.get(slot);
                let sees = |s: &Option<super::attempts::Sent>| s.as_ref().is_some_and(|s| s.first_token.is_some());
                let sees_tokens = flight.answered.is_some() || sees(&flight.current) || sees(&flight.hedge);
                if !sees_tokens {
                    self.give_up(slot, Outcome::Cancelled, OutcomeCause::ClientGone, now, source);
                }
            }
            Event::QueueTimeout(slot, _) => self.refuse(slot, OutcomeCause::QueueTimeout, now, source),
            _ => unreachable!("timers: {event:?} is none of an attempt or request"),
        }
    }

    fn try_times_out(
        &mut self,
        slot: u32,
        generation: u32,
        without_token: bool,
        now: SimTime,
        source: &mut dyn Source,
    ) {
        let attempt = Slots::attempt_id(slot, generation);
        let flight = self.slots.get(slot);
        let waits = flight.sent(attempt).is_some_and(|s| !without_token || s.first_token.is_none());
        if !waits || flight.loser == Some(attempt) {
            return;
        }
        self.stats.try_timeouts += 1;
        let ending = self.drop_attempt(slot, attempt, Outcome::TimedOut, OutcomeCause::TryTimeout, now);
        self.failed(slot, attempt, ending, FailureCause::TryTimeout, source);
        self.deliver(source);
    }

    /// A first token is late: a second copy goes to another backend, if there is one.
    fn send_copy(&mut self, slot: u32, generation: u32, now: SimTime, source: &mut dyn Source) {
        let attempt = Slots::attempt_id(slot, generation);
        let flight = self.slots.get(slot);
        let alone = flight.hedge.is_none() && flight.loser.is_none();
        let Some(first) = flight.current.filter(|s| alone && s.attempt == attempt && s.first_token.is_none()) else {
            return;
        };
        if let Way::To(to) = self.way_of(slot, Some(first.to), now)
            && to != first.to
        {
            self.transmit(slot, to, true, now, source);
        }
    }

    /// Of two copies the later one is closed: what was answered meanwhile ends.
    pub(super) fn loser_is_gone(&mut self, slot: u32, source: &mut dyn Source) {
        let flight = self.slots.get(slot);
        flight.loser = None;
        if let Some(ending) = flight.answered.take() {
            self.finish(slot, ending, source);
        }
    }

    /// Hangs up on an attempt: its blocks are freed, and what it generated is billed by its provider's rule.
    fn drop_attempt(
        &mut self,
        slot: u32,
        attempt: AttemptId,
        outcome: Outcome,
        cause: OutcomeCause,
        now: SimTime,
    ) -> Ending {
        let mut ending = Ending { at: now, outcome, cause, output_tokens: 0, cached_tokens: 0 };
        let mut cost = Usd::ZERO;
        let to = self.slots.get(slot).sent(attempt).expect("nothing-lost: hangs up on what is under way").to;
        match to {
            Target::Replica(r) => {
                let replica = &mut self.replicas[r as usize];
                if let Some(at) = replica.lost.iter().position(|lost| lost.0 == attempt) {
                    ending.output_tokens = replica.lost.remove(at).1;
                } else if replica.up {
                    sample(&self.needs, replica, now);
                    ending.output_tokens = replica.engine.cancel(attempt, now, &mut self.out).unwrap_or(0);
                    self.agenda.arm(r, replica.engine.next_event());
                    self.mark_dirty(r);
                }
            }
            Target::Endpoint(e) => {
                let Bought { endpoint, account, .. } = &mut self.bought[e as usize];
                (ending.output_tokens, ending.cached_tokens, cost) =
                    endpoint.cancel(attempt, now, &mut self.accounts[*account]);
                self.arm_endpoint(e);
            }
        }
        let health = (outcome == Outcome::TimedOut).then_some(HealthEvent::Timeout);
        self.close_attempt(slot, attempt, ending, Left { preemptions: 0, cost, health });
        // A request that was given up was answered from no cache.
        Ending { cached_tokens: 0, ..ending }
    }

    /// Ends a request for which nobody waits any longer, whatever of it is under way.
    pub(super) fn give_up(
        &mut self,
        slot: u32,
        outcome: Outcome,
        cause: OutcomeCause,
        now: SimTime,
        source: &mut dyn Source,
    ) {
        let mut ending = Ending { at: now, outcome, cause, output_tokens: 0, cached_tokens: 0 };
        if let Some(loser) = self.slots.get(slot).loser {
            self.drop_attempt(slot, loser, Outcome::Cancelled, OutcomeCause::Hedged, now);
        }
        while let Some(sent) = self.slots.get(slot).current {
            let dropped = self.drop_attempt(slot, sent.attempt, outcome, cause, now);
            ending.output_tokens = ending.output_tokens.max(dropped.output_tokens);
        }
        if self.slots.get(slot).parked {
            self.parked.retain(|s| *s != slot);
        }
        // What was answered at this very instant was answered.
        let ending = self.slots.get(slot).answered.unwrap_or(ending);
        self.finish(slot, ending, source);
        self.deliver(source);
    }

    /// Ends a request that nobody may serve now.
    pub(super) fn refuse(&mut self, slot: u32, cause: OutcomeCause, now: SimTime, source: &mut dyn Source) {
        let flight = self.slots.get(slot);
        let (outcome, cause) = match flight.last {
            None => (Outcome::Rejected, cause),
            Some(last) if last.outcome == Outcome::Completed => (Outcome::Failed, cause),
            Some(last) => (Outcome::Failed, last.cause),
        };
        let ending = Ending { at: now, outcome, cause, output_tokens: 0, cached_tokens: 0 };
        self.finish(slot, ending, source);
    }
}
