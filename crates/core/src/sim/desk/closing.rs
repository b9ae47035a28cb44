//! What becomes of attempts and requests: effects, endings, records.
use super::ending::{Charge, Ending, Hangup};
use super::slots::Slots;
use super::{Action, Desk};
use crate::gateway::{Feedback, HealthEvent};
use crate::sim::WorldEffect;
use crate::sim::agenda::Timer;
use crate::types::{
    AttemptId, AttemptRecord, Cancelled, Effect, FailureCause, Outcome, OutcomeCause, Place, RequestRecord, SimTime,
};

/// The cause in records of what a backend said.
fn cause_of(cause: FailureCause) -> OutcomeCause {
    match cause {
        FailureCause::RateLimited { .. } => OutcomeCause::RateLimited,
        FailureCause::SlowDown { .. } => OutcomeCause::SlowDown,
        FailureCause::QuotaExhausted => OutcomeCause::QuotaExhausted,
        FailureCause::ServerError => OutcomeCause::ServerError,
        FailureCause::Overloaded => OutcomeCause::Overloaded,
        FailureCause::QueueFull => OutcomeCause::QueueFull,
        FailureCause::ReplicaLost => OutcomeCause::ReplicaLost,
        FailureCause::TooLong => OutcomeCause::TooLong,
        FailureCause::Expired => OutcomeCause::Expired,
        FailureCause::TryTimeout => OutcomeCause::TryTimeout,
    }
}

/// What a failure says of a backend's health.
fn health_of(cause: FailureCause) -> Option<HealthEvent> {
    match cause {
        FailureCause::RateLimited { retry_after } | FailureCause::SlowDown { retry_after } => {
            Some(HealthEvent::RateLimited(retry_after))
        }
        FailureCause::QuotaExhausted => Some(HealthEvent::RateLimited(SimTime::ZERO)),
        FailureCause::ServerError | FailureCause::Overloaded | FailureCause::QueueFull | FailureCause::ReplicaLost => {
            Some(HealthEvent::Failure)
        }
        FailureCause::TryTimeout => Some(HealthEvent::Timeout),
        FailureCause::TooLong | FailureCause::Expired => None,
    }
}

impl Desk<'_> {
    /// Takes what a backend says. What concerns no attempt under way is void.
    pub fn effect(&mut self, effect: Effect) {
        match effect {
            Effect::FirstToken { attempt, at } => {
                let Some(slot) = self.slots.resolve(attempt) else { return };
                self.first_token(slot, attempt, at);
            }
            Effect::Done { attempt, at, cached_tokens, preemptions, cost } => {
                let Some(slot) = self.slots.resolve(attempt) else { return };
                let charge = Charge { preemptions, cost, health: Some(HealthEvent::Success) };
                self.done(slot, attempt, at, cached_tokens, charge);
            }
            Effect::Failed { attempt, at, cause, emitted } => {
                let Some(slot) = self.slots.resolve(attempt) else { return };
                let why = cause_of(cause);
                let ending =
                    Ending { at, outcome: Outcome::Failed, cause: why, output_tokens: emitted, cached_tokens: 0 };
                let charge = Charge { health: health_of(cause), ..Charge::default() };
                self.close_attempt(slot, attempt, ending, charge);
                self.failed(slot, attempt, ending, cause);
            }
        }
    }

    fn done(&mut self, slot: u32, attempt: AttemptId, at: SimTime, cached_tokens: u32, charge: Charge) {
        let flight = self.slots.get(slot);
        let output_tokens = flight.request.output_tokens.min(flight.request.max_output_tokens).max(1);
        let lost = flight.loser == Some(attempt);
        self.outputs_seen.0 += 1;
        self.outputs_seen.1 += u64::from(output_tokens);
        let next_stage = if lost { None } else { self.next_stage(slot) };
        let (outcome, cause) = match next_stage {
            _ if lost => (Outcome::Cancelled, OutcomeCause::Hedged),
            Some(_) => (Outcome::Completed, OutcomeCause::NotAccepted),
            None => (Outcome::Completed, OutcomeCause::None),
        };
        let ending = Ending { at, outcome, cause, output_tokens, cached_tokens };
        self.close_attempt(slot, attempt, ending, charge);
        match next_stage {
            _ if lost => self.loser_is_gone(slot),
            Some(stage) => self.escalate(slot, stage, at),
            None if self.slots.get(slot).current.is_some() => self.slots.get(slot).answered = Some(ending),
            None => self.finish(slot, ending),
        }
    }

    fn first_token(&mut self, slot: u32, attempt: AttemptId, at: SimTime) {
        let flight = self.slots.get(slot);
        let prompt = u64::from(flight.request.prompt_tokens);
        let sent = flight.sent(attempt).expect("resolve: the attempt is under way");
        sent.first_token = Some(at);
        let sent = *sent;
        if flight.loser != Some(attempt) {
            self.told.push(WorldEffect::FirstToken { request: flight.request.index, at });
        }
        if flight.hedge.is_some() && flight.loser.is_none() {
            let both = [flight.current, flight.hedge].into_iter().flatten();
            flight.loser = both.map(|s| s.attempt).find(|other| *other != attempt);
            let loser = flight.loser.expect("hedge: there are two");
            // After all answers of this instant, so that it does not depend on which backend comes first.
            self.timer(at, Timer::Loser(slot, Slots::generation_of(loser)));
        }
        let took = at.since(sent.at);
        if self.needs.feedback {
            self.policy.learn(&Feedback::FirstToken { to: sent.to, at, took });
        }
        if self.spec.resilience.hedge.is_some() && !self.is_deferred(sent.to) {
            self.learned.learn(took);
        }
        match sent.to {
            Place::Replica(r) => {
                let known = &mut self.places.replicas[r];
                known.unanswered -= prompt;
                if self.needs.predictions {
                    self.places.rates[known.pool].learn(sent.backlog_tokens, took);
                }
            }
            Place::Endpoint(e) => self.places.endpoints[e].ttft.learn(took),
            Place::Pool(_) => unreachable!("sent-to: attempts go to replicas and endpoints"),
        }
    }

    /// Asks for an attempt's backend to be hung up on.
    pub(super) fn hang_up(&mut self, slot: u32, attempt: AttemptId, why: Hangup) {
        let at = self.slots.get(slot).sent(attempt).expect("nothing-lost: hangs up on what is under way").to;
        self.actions.push(Action::Cancel { slot, attempt, at, why });
    }

    /// An attempt was cancelled: its blocks are free, and what it generated is billed by its provider's rule.
    pub fn cancelled(&mut self, slot: u32, attempt: AttemptId, why: Hangup, left: Cancelled, now: SimTime) {
        let (outcome, cause) = why.ending();
        let Cancelled { output_tokens, cached_tokens, cost } = left;
        let ending = Ending { at: now, outcome, cause, output_tokens, cached_tokens };
        let health = (outcome == Outcome::TimedOut).then_some(HealthEvent::Timeout);
        self.close_attempt(slot, attempt, ending, Charge { preemptions: 0, cost, health });
        let flight = self.slots.get(slot);
        match why {
            Hangup::GivenUp(..) => flight.given_up_tokens = flight.given_up_tokens.max(output_tokens),
            Hangup::Loser if flight.given_up.is_none() => return self.loser_is_gone(slot),
            Hangup::Loser => {}
            Hangup::TryTimeout => {
                // Whatever the backend read from its cache, the request got no answer made of it.
                let ending = Ending { cached_tokens: 0, ..ending };
                return self.failed(slot, attempt, ending, FailureCause::TryTimeout);
            }
        }
        self.end_given_up(slot, now);
    }

    /// An attempt is over: it is taken out and recorded, and its bill is the request's.
    pub(super) fn close_attempt(&mut self, slot: u32, attempt: AttemptId, ending: Ending, charge: Charge) {
        let Ending { at, outcome, cause, output_tokens, cached_tokens } = ending;
        let Charge { preemptions, cost, health } = charge;
        let flight = self.slots.get(slot);
        let sent = flight.take(attempt).expect("nothing-lost: an attempt ended that was not sent");
        flight.cost += cost;
        flight.preemptions += preemptions;
        let first_token = sent.first_token;
        if outcome == Outcome::Completed {
            flight.first_token = first_token;
        }
        let (request, prompt) = (flight.request.index, u64::from(flight.request.prompt_tokens));
        let backend = self.places.kind_of(sent.to);
        if outcome != Outcome::Cancelled {
            (flight.last_backend, flight.last) = (Some(backend), Some(ending));
        }
        let replica = match sent.to {
            Place::Replica(r) => {
                self.places.outstanding[r] -= 1;
                if first_token.is_none() {
                    self.places.replicas[r].unanswered -= prompt;
                }
                Some(r)
            }
            _ => None,
        };
        *self.places.busy.of(backend) -= 1;
        if self.waiting.len > 0 {
            self.look_soon(at);
        }
        if let Some(event) = health {
            self.health.note(sent.to, event, at);
        }
        if self.needs.feedback {
            self.policy.learn(&Feedback::Ended {
                attempt: sent.attempt,
                at,
                to: sent.to,
                prompt_tokens: prompt as u32,
                output_tokens,
                completed: outcome == Outcome::Completed,
                timed_out: outcome == Outcome::TimedOut,
                cost_pico: cost.0,
            });
        }
        self.told.push(WorldEffect::Attempt(AttemptRecord {
            request,
            try_number: sent.try_number,
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
        }));
    }

    pub(super) fn finish(&mut self, slot: u32, ending: Ending) {
        let Ending { at, outcome, cause, output_tokens, cached_tokens } = ending;
        self.leave_queue(slot);
        let flight = self.slots.retire(slot);
        debug_assert!(
            flight.current.is_none() && flight.hedge.is_none(),
            "nothing-lost: an attempt outlives its request"
        );
        let request = &flight.request;
        let completed = outcome == Outcome::Completed;
        let ttft = flight.first_token.filter(|_| completed).map(|t| t.since(request.arrival));
        let e2e = at.since(request.arrival);
        let tolerates = self.spec.classes[flight.class as usize].0.tolerates;
        if tolerates.is_none() {
            self.counts.ended_in_haste = self.counts.ended_in_haste.max(at);
        }
        let met_slo = completed && within(self.spec.slo, tolerates, ttft, e2e, output_tokens);
        let answers = flight.last_backend.filter(|_| completed).and_then(|backend| self.spec.answers.get(backend));
        let answers = answers.and_then(Option::as_ref);
        self.counts.ended = self.counts.ended.max(at);
        self.told.push(WorldEffect::Request(RequestRecord {
            index: request.index,
            arrival: request.arrival,
            class: flight.class,
            tenant: request.tenant,
            session: request.session,
            prompt_tokens: request.prompt_tokens,
            output_tokens,
            max_output_tokens: request.max_output_tokens,
            outcome,
            cause,
            backend: flight.last_backend,
            attempts: flight.tries,
            ttft,
            e2e,
            ended: at,
            cached_tokens,
            shareable_tokens: request.content.shareable_tokens(request.index),
            preemptions: flight.preemptions,
            cost: flight.cost,
            met_slo,
            above_bar: answers.and_then(|a| a.above_bar(request.index, request.arrival)),
        }));
    }
}

/// Whether an answer is within the objectives of TTFT, TPOT and E2E. A class that tolerates a wait has objectives of its own.
fn within(
    slo: [Option<SimTime>; 3],
    tolerates: Option<SimTime>,
    ttft: Option<SimTime>,
    e2e: SimTime,
    output_tokens: u32,
) -> bool {
    let [mut slo_ttft, slo_tpot, mut slo_e2e] = slo;
    if let Some(wait) = tolerates {
        (slo_ttft, slo_e2e) = (slo_ttft.map(|t| t.max(wait)), slo_e2e.map(|t| t.max(wait)));
    }
    let tpot = match (ttft, output_tokens) {
        (Some(t), n) if n >= 2 => SimTime((e2e - t).0 / u64::from(n - 1)),
        _ => SimTime::ZERO,
    };
    let keeps = |limit: Option<SimTime>, value: Option<SimTime>| limit.is_none_or(|l| value.is_some_and(|v| v <= l));
    keeps(slo_ttft, ttft) && keeps(slo_tpot, Some(tpot)) && keeps(slo_e2e, Some(e2e))
}
