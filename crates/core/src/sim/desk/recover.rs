//! What the gateway does around attempts: deadlines, retries and fallbacks, second copies, stages of a cascade, clients that
//! leave. All of it begins with a timer, so that at one instant it comes after the ends of steps and the answers.
use super::decide::Routed;
use super::ending::{Ending, Hangup};
use super::slots::{PinnedBy, Route, Slots, TryKind};
use super::{Action, Desk, Sight};
use crate::gateway::allowed;
use crate::random;
use crate::sim::agenda::Timer;
use crate::types::{AttemptId, FailureCause, Outcome, OutcomeCause, Place, PlaceId, SimTime};

impl Desk<'_> {
    /// Sets what runs from an arrival: its deadline, and how long its client waits.
    pub(super) fn begin(&mut self, slot: u32, class: u16, arrival: SimTime) {
        self.budget.request();
        let life = self.slots.life(slot);
        let r = &self.spec.resilience;
        if let Some(wait) = self.spec.classes[class as usize].0.tolerates {
            self.timer(arrival + wait, Timer::Timeout(slot, life));
        } else {
            self.actions.push(Action::Deadline { at: arrival + r.timeout, slot, life });
            if let Some(rule) = r.impatience {
                let index = self.slots.get(slot).request.index;
                let draws = |name| random::stream(self.spec.seed, self.spec.replicate, name, index, 0);
                if random::dist::uniform01(&mut draws("impatient")) < rule.share {
                    let median = rule.median.as_secs_f64();
                    let patience = random::dist::log_normal(&mut draws("patience"), median, rule.sigma);
                    let patience = SimTime::from_secs_f64(patience).max(SimTime(1));
                    self.timer(arrival + patience, Timer::ClientGone(slot, life));
                }
            }
        }
        if let Some(cascade) = &r.cascade {
            let stages = cascade.stages.len();
            if let Some((stage, place)) = (0..stages).find_map(|i| self.stage(slot, i)) {
                let route = &mut self.slots.get(slot).route;
                (route.stage, route.pinned) = (stage, Some((place, PinnedBy::CascadeStage)));
            }
        }
    }

    /// When the gateway gives a request up.
    fn deadline(&mut self, slot: u32) -> SimTime {
        let flight = self.slots.get(slot);
        let tolerates = self.spec.classes[flight.class as usize].0.tolerates;
        flight.request.arrival + tolerates.unwrap_or(self.spec.resilience.timeout)
    }

    /// A stage of the cascade, if the request may be served there.
    fn stage(&mut self, slot: u32, stage: usize) -> Option<(u16, Place)> {
        let place = *self.spec.resilience.cascade.as_ref()?.stages.get(stage)?;
        let flight = self.slots.get(slot);
        let view = flight.request.view(&self.spec.classes[flight.class as usize].0);
        let may = match place {
            Place::Pool(p) => self.places.has_replicas(p) && allowed(&view, &self.spec.pools[p.index()].replica.facts),
            Place::Replica(_) => false,
            Place::Endpoint(e) => allowed(&view, &self.places.endpoints[e].facts),
        };
        may.then_some((stage as u16, place))
    }

    /// The stage that a request goes on to, because its answer is not accepted and there is one.
    pub(super) fn next_stage(&mut self, slot: u32) -> Option<(u16, Place)> {
        let cascade = self.spec.resilience.cascade.as_ref()?;
        let flight = self.slots.get(slot);
        flight.route.pinned?;
        let (index, stage) = (flight.request.index, flight.route.stage);
        let mut draws = random::stream(self.spec.seed, self.spec.replicate, "cascade", index, stage.into());
        if cascade.accepts(stage.into(), random::dist::uniform01(&mut draws)) {
            return None;
        }
        (usize::from(stage) + 1..cascade.stages.len()).find_map(|i| self.stage(slot, i))
    }

    /// The answer was not accepted: the next stage is asked as well.
    pub(super) fn escalate(&mut self, slot: u32, (stage, place): (u16, Place), at: SimTime) {
        let deadline = self.deadline(slot);
        let flight = self.slots.get(slot);
        flight.first_token = None;
        let admitted = flight.route.admitted;
        let pinned = Some((place, PinnedBy::CascadeStage));
        flight.route = Route { pinned, stage, next_try: TryKind::Escalation, admitted, ..Route::default() };
        self.again(slot, at, deadline);
    }

    /// Sends a request again at `at`. What would come after its deadline is not worth a timer: it times out.
    fn again(&mut self, slot: u32, at: SimTime, deadline: SimTime) {
        let generation = self.slots.bump(slot);
        if at < deadline {
            self.timer(at, Timer::Retry(slot, generation));
        }
    }

    /// An attempt failed and is closed: the other copy goes on, or there is a retry, a fallback, or the end.
    pub(super) fn failed(&mut self, slot: u32, attempt: AttemptId, ending: Ending, cause: FailureCause) {
        let flight = self.slots.get(slot);
        if flight.loser == Some(attempt) {
            return self.loser_is_gone(slot);
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
            let place = self.slots.get(slot).last_backend;
            let route = &mut self.slots.get(slot).route;
            route.next_try = TryKind::Retry;
            if let Some(retry_after) = cause.retry_after() {
                route.waited += retry_after;
            }
            if route.pinned.is_none()
                && let Some(place) = place.filter(|p| self.spec.resilience.fallbacks.keeps(*p))
            {
                route.pinned = Some((place, PinnedBy::FallbackChain));
            }
            return self.again(slot, at + wait, deadline);
        }
        if self.next_hop(slot, cause == FailureCause::TooLong) {
            return self.again(slot, at, deadline);
        }
        self.finish(slot, Ending { outcome: Outcome::Failed, ..ending });
    }

    /// Moves a request on along its fallback chain, if that goes on.
    pub(super) fn next_hop(&mut self, slot: u32, too_long: bool) -> bool {
        if self.spec.resilience.fallbacks.is_empty() {
            return false;
        }
        // A fallback chain goes on from where a request was meant to go, even where it could not be sent.
        let flight = self.slots.get(slot);
        let (last, route) = (flight.last_backend, &mut flight.route);
        let Some(from) = route.pinned.map(|(place, _)| place).or(last) else { return false };
        let Some(to) = self.spec.resilience.fallbacks.next(from, too_long, &mut route.hop) else { return false };
        let (hop, stage, admitted) = (route.hop, route.stage, route.admitted);
        let pinned = Some((to, PinnedBy::FallbackChain));
        *route = Route { pinned, hop, stage, admitted, next_try: TryKind::Fallback, ..Route::default() };
        true
    }

    /// A timer that is not void and concerns an attempt or a request. Whether the queue is to be looked at.
    pub fn timer_is_due(&mut self, timer: Timer, now: SimTime, sight: Sight<'_>) -> bool {
        match timer {
            Timer::Timeout(slot, _) => self.give_up(slot, Outcome::TimedOut, OutcomeCause::Timeout, now),
            Timer::Retry(slot, _) => return self.dispatch(slot, now, sight),
            Timer::TryTimeout(slot, generation) => self.try_times_out(slot, generation, false),
            Timer::FirstTokenTimeout(slot, generation) => self.try_times_out(slot, generation, true),
            Timer::Hedge(slot, generation) => self.send_copy(slot, generation, now, sight),
            Timer::Loser(slot, generation) => {
                let attempt = Slots::attempt_id(slot, generation);
                if self.slots.get(slot).loser == Some(attempt) {
                    self.hang_up(slot, attempt, Hangup::Loser);
                }
            }
            Timer::ClientGone(slot, _) => {
                let flight = self.slots.get(slot);
                let sees = |s: &Option<super::slots::Sent>| s.as_ref().is_some_and(|s| s.first_token.is_some());
                let sees_tokens = flight.answered.is_some() || sees(&flight.current) || sees(&flight.hedge);
                if !sees_tokens {
                    self.give_up(slot, Outcome::Cancelled, OutcomeCause::ClientGone, now);
                }
            }
            Timer::QueueTimeout(slot, _) => self.refuse(slot, OutcomeCause::QueueTimeout, now),
            Timer::Queue => return true,
        }
        false
    }

    fn try_times_out(&mut self, slot: u32, generation: u32, without_token: bool) {
        let attempt = Slots::attempt_id(slot, generation);
        let flight = self.slots.get(slot);
        let waits = flight.sent(attempt).is_some_and(|s| !without_token || s.first_token.is_none());
        if waits && flight.loser != Some(attempt) {
            self.counts.try_timeouts += 1;
            self.hang_up(slot, attempt, Hangup::TryTimeout);
        }
    }

    /// A first token is late: a second copy goes to another backend, if there is one.
    fn send_copy(&mut self, slot: u32, generation: u32, now: SimTime, sight: Sight<'_>) {
        let attempt = Slots::attempt_id(slot, generation);
        let flight = self.slots.get(slot);
        let alone = flight.hedge.is_none() && flight.loser.is_none();
        let Some(first) = flight.current.filter(|s| alone && s.attempt == attempt && s.first_token.is_none()) else {
            return;
        };
        if let Routed::To(to) = self.route(slot, Some(first.to), now, sight)
            && to != first.to
        {
            self.transmit(slot, to, true, now);
        }
    }

    /// The slower of two copies is closed, and the request ends if it was answered meanwhile.
    pub(super) fn loser_is_gone(&mut self, slot: u32) {
        let flight = self.slots.get(slot);
        flight.loser = None;
        if let Some(ending) = flight.answered.take() {
            self.finish(slot, ending);
        }
    }

    /// Ends a request for which nobody waits any longer, once whatever of it is under way has been cancelled.
    fn give_up(&mut self, slot: u32, outcome: Outcome, cause: OutcomeCause, now: SimTime) {
        let flight = self.slots.get(slot);
        flight.given_up = Some((outcome, cause));
        let (loser, parked) = (flight.loser, flight.parked);
        let under_way = [flight.current, flight.hedge];
        if parked {
            self.parked.retain(|s| *s != slot);
        }
        if let Some(loser) = loser {
            self.hang_up(slot, loser, Hangup::Loser);
        }
        for sent in under_way.into_iter().flatten().filter(|s| Some(s.attempt) != loser) {
            self.hang_up(slot, sent.attempt, Hangup::GivenUp(outcome, cause));
        }
        self.end_given_up(slot, now);
    }

    /// Ends a request that was given up, if nothing of it is under way any more.
    pub(super) fn end_given_up(&mut self, slot: u32, now: SimTime) {
        let flight = self.slots.get(slot);
        let Some((outcome, cause)) = flight.given_up.filter(|_| flight.current.is_none()) else { return };
        let output_tokens = flight.given_up_tokens;
        let ending = Ending { output_tokens, ..Ending::without_answer(now, outcome, cause) };
        // An answer that came at the instant of giving up counts.
        let ending = flight.answered.unwrap_or(ending);
        self.finish(slot, ending);
    }

    /// Ends a request that nobody may serve now.
    pub(super) fn refuse(&mut self, slot: u32, cause: OutcomeCause, now: SimTime) {
        let flight = self.slots.get(slot);
        let (outcome, cause) = match flight.last {
            None => (Outcome::Rejected, cause),
            Some(last) if last.outcome == Outcome::Completed => (Outcome::Failed, cause),
            Some(last) => (Outcome::Failed, last.cause),
        };
        self.finish(slot, Ending::without_answer(now, outcome, cause));
    }
}
